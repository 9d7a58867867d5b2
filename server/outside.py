"""Nothing of a page comes from elsewhere: gradio 3 and 4 have a script and letters in theirs that other servers give,
who would hear of every visit."""

from __future__ import annotations

import re
from typing import Any, Final

from .refusals import Message, Receive, Send

SOURCES: Final = "; ".join(
    [
        "default-src 'self' data: blob:",
        # gradio makes functions of texts
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "base-uri 'self'",
    ]
)
"""What the page may load; a browser refuses all else."""

_FROM_OUTSIDE = re.compile(
    rb"<link\b[^>]*\bhref=\"https?://[^>]*>|<script\b[^>]*\bsrc=\"https?://[^>]*>\s*</script>|"
    rb"@import\s+url\(['\"]?https?://[^)]*\);?",
    re.IGNORECASE,
)


def without_outside(app: Any) -> Any:
    """An ASGI application whose pages do not name what a browser would look up elsewhere, if only to be refused."""

    async def serve(scope: Any, receive: Receive, send: Send) -> None:
        await app(scope, receive, _Cleaned(send).send if scope.get("method") == "GET" else send)

    return serve


class _Cleaned:
    """Holds a page, which is HTML, until it is whole; all else passes as it comes."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_page(message):
            self._start = message
        elif message["type"] == "http.response.body" and self._start is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_page(self._start)
        else:
            await self._send(message)

    async def _send_page(self, start: Message) -> None:
        body = _FROM_OUTSIDE.sub(b"", self._body)
        length = (b"content-length", str(len(body)).encode())
        headers = [length if name.lower() == b"content-length" else (name, value) for name, value in start["headers"]]
        await self._send({**start, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def _is_page(start: Message) -> bool:
    headers = {name.lower(): value for name, value in start.get("headers", ())}
    return headers.get(b"content-type", b"").startswith(b"text/html") and b"content-encoding" not in headers
