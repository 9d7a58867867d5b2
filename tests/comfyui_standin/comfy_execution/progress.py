"""The part of comfy_execution.progress that the nodes use."""

from __future__ import annotations

from typing import Any


class DynamicPrompt:
    def __init__(self, prompt: dict[str, Any]) -> None:
        self.original_prompt = prompt

    def get_original_prompt(self) -> dict[str, Any]:
        return self.original_prompt


class ProgressRegistry:
    def __init__(self, prompt_id: str, dynprompt: DynamicPrompt) -> None:
        self.prompt_id = prompt_id
        self.dynprompt = dynprompt


running = [ProgressRegistry("", DynamicPrompt({}))]
"""The last is the one."""


def get_progress_state() -> ProgressRegistry:
    return running[-1]
