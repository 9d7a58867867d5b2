from __future__ import annotations

from typing import Any


class ProgressBar:
    moves: list[tuple[Any, int, int]] = []  # noqa: RUF012 - what tests look at

    def __init__(self, total: int, node_id: Any = None) -> None:
        self.total = total
        self.node_id = node_id

    def update_absolute(self, value: int, total: int | None = None) -> None:
        self.moves.append((self.node_id, value, self.total))


def unet_to_diffusers(unet_config: dict[str, Any]) -> dict[str, str]:
    raise NotImplementedError
