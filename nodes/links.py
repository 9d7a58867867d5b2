"""What links bring. In what is sent to ComfyUI's API a text or a number may stand in a link's place."""

from __future__ import annotations

from typing import Any, TypeVar

from ..core.errors import SettingsError
from ..core.printable import quoted

Linked = TypeVar("Linked")


def linked(value: Any, kind: type[Linked], name: str) -> Linked:
    """The value, where it is of that kind. name: the input's. Raises SettingsError for anything else."""
    if isinstance(value, kind):
        return value
    raise not_linked(value, name)


def not_linked(value: Any, name: str) -> SettingsError:
    what = quoted(value) if is_plain(value) else "something else"
    return SettingsError(f"{name} takes what a node gives, and {what} stands there", "connect one that gives it")


def is_plain(value: Any) -> bool:
    """Whether it can be told as it is."""
    return isinstance(value, str | int | float | list | dict | None)


def check_clip(clip: Any) -> None:
    """SettingsError for what is no CLIP: a loader gives None where a checkpoint comes without, and through the API
    anything may stand there."""
    if clip is None:
        raise SettingsError("There is no CLIP in what is connected to clip", "load one with Load CLIP")
    if not hasattr(clip, "cond_stage_model") or not hasattr(clip, "patcher"):
        raise not_linked(clip, "clip")


def check_clip_vision(clip_vision: Any) -> None:
    check_has(clip_vision, "clip_vision", "model", "load_device")


def check_has(value: Any, name: str, *parts: str) -> None:
    """SettingsError for what has not the parts of what the input of that name takes."""
    if not all(hasattr(value, part) for part in parts):
        raise not_linked(value, name)
