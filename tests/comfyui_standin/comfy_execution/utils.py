"""The part of comfy_execution.utils that the nodes use."""

from __future__ import annotations

from typing import NamedTuple


class ExecutionContext(NamedTuple):
    prompt_id: str
    node_id: str


asked_of: list[ExecutionContext] = []
"""The last is the one."""


def get_executing_context() -> ExecutionContext | None:
    return asked_of[-1] if asked_of else None
