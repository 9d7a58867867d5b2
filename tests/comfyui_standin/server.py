from __future__ import annotations

from typing import Any


class PromptServer:
    instance: PromptServer | None = None

    def __init__(self) -> None:
        self.client_id: str | None = "tests"
        self.sent: list[tuple[str, Any]] = []

    def send_sync(self, event: str, data: Any, sid: str | None = None) -> None:
        self.sent.append((event, data))
