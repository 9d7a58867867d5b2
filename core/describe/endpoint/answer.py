"""What a server writes, read as it comes in and within limits: whole, or in pieces (server-sent events)."""

from __future__ import annotations

import re
from typing import Any

from ...foreign import Unreadable, parsed_json, shown
from ...hub.failures import Unreachable

MOST_BYTES = 32 << 20
"""Of one answer: a model that thinks for 32,000 tokens, each in an event of its own, takes a third."""
LONGEST_TEXT = 100_000
_LONGEST_LINE = 4 << 20
_LONGEST_SAID = 160
_MOST_OPENINGS = 500_000
_UNFINISHED = "the answer was cut off"
_DATA = b"data:"
_MAYBE_OF_PICTURE = frozenset({400, 415, 422, 500})
_HELD_BACK = re.compile(
    r"content.?(filter|policy|management)|moderation|flagged|safety (system|filter|policy)|responsible.?ai", re.I
)
"""Words of services that look at what they are sent: Azure's, OpenAI's, OpenRouter's."""


class Writing:
    """An answer's text, put together of its pieces. end: why it ended, in the server's words; "" while it has not.
    thought: whether thoughts came, which servers with a parser for them send apart."""

    def __init__(self) -> None:
        self.end = ""
        self.thought = False
        self._parts: list[str] = []
        self._length = self._bytes = 0
        self._rest = bytearray()
        self._events: bool | None = None  # not known before the first sign

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def feed(self, piece: bytes) -> None:
        """Raises Unreachable for what is no answer, or too much of one."""
        self._bytes += len(piece)
        if self._bytes > MOST_BYTES:
            raise Unreachable(f"it sent more than {MOST_BYTES >> 20} MiB")
        self._rest += piece
        if self._events is None:
            self._rest = self._rest.lstrip()
            self._events = _are_events(self._rest)
        if not self._events:
            return
        *lines, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        if len(rest) > _LONGEST_LINE:
            raise Unreachable("it sent an event that never ends")
        for line in lines:
            self._take_line(line)

    def finish(self) -> None:
        """No more comes. Raises Unreachable."""
        if self._events:
            self._take_line(bytes(self._rest))
        elif self._rest.strip():
            self._take(parsed(bytes(self._rest)))
            self.end = self.end or "stop"  # what is whole has ended
        if not self.end:
            raise Unreachable(_UNFINISHED if self._bytes else "it sent nothing", passes=True)

    def _take_line(self, line: bytes) -> None:
        line = line.strip()
        if not line.startswith(_DATA):
            return  # comments, which keep a connection open, and names of events
        data = line[len(_DATA) :].strip()
        if data == b"[DONE]":
            self.end = self.end or "stop"
        elif data:
            self._take(parsed(data))

    def _take(self, value: dict[str, Any]) -> None:
        if value.get("error"):
            said = said_in(value)
            raise Unreachable(f"it failed{quoted(said)}", of_picture=concerns_picture(500, said))
        choices = value.get("choices")
        if isinstance(choices, list) and not choices:
            return  # a piece that counts tokens alone
        choice = choices[0] if isinstance(choices, list) else None
        if not isinstance(choice, dict):
            raise Unreachable("its answer has no choices, so it does not speak OpenAI's chat completions")
        message = choice.get("delta") or choice.get("message") or {}
        if not isinstance(message, dict):
            raise Unreachable("its answer holds no message")
        if isinstance(refusal := message.get("refusal"), str) and refusal.strip():
            raise Unreachable(f"the model refused{quoted(refusal)}", of_picture=True)
        self._add(_text_of(message.get("content")))
        self.thought |= bool(message.get("reasoning") or message.get("reasoning_content"))
        if isinstance(end := choice.get("finish_reason"), str):
            self.end = end or self.end

    def _add(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)
        if self._length > LONGEST_TEXT:
            raise Unreachable(f"it wrote more than {LONGEST_TEXT:,} letters")


def parsed(data: bytes, most: int = _LONGEST_LINE) -> dict[str, Any]:
    """Raises Unreachable."""
    try:
        value = parsed_json(data, most, _MOST_OPENINGS)
    except Unreadable as error:
        if data.lstrip()[:1] == b"<":
            raise Unreachable("a page to be read answers there") from error
        raise Unreachable("its answer is no JSON") from error
    if not isinstance(value, dict):
        raise Unreachable("its answer is no JSON object")
    return value


def concerns_picture(status: int, said: str) -> bool | None:
    """Whether a failure is the picture's doing, which others need not share: True for what is held back or too large,
    False for what may be, as a picture of a shape that the model does not take; None for what is not.

    Servers answer 400, 422 or 500 to pictures that they cannot read, but also where they can read none."""
    if status == 413 or _HELD_BACK.search(said):
        return True
    return False if status in _MAYBE_OF_PICTURE else None


def said_in(value: object) -> str:
    """What a server says of an error, wherever in its answer it does; "" where it says nothing."""
    for _ in range(4):
        if isinstance(value, str):
            return value
        if isinstance(value, list):
            value = value[0] if value else ""
        elif isinstance(value, dict):
            value = next((value[name] for name in ("error", "message", "detail", "msg") if value.get(name)), "")
    return ""


def quoted(text: str) -> str:
    """A server's own words, to follow in a sentence."""
    text = shown(text, _LONGEST_SAID).rstrip(". ")
    return f', in its words: "{text}"' if text else ""


def _are_events(start: bytes | bytearray) -> bool | None:
    """By the first sign, whatever the answer is declared as; None for nothing."""
    return start[:1] not in (b"{", b"<", b"[") if start else None


def _text_of(content: object) -> str:
    if content is None:
        return ""
    if isinstance(content, list):
        return "".join(_text_of(part.get("text")) for part in content if isinstance(part, dict))
    if not isinstance(content, str):
        raise Unreachable("its answer holds a message that is no text")
    return content
