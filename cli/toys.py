"""What is said where micro, which knows drawn shapes alone, is asked about something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.published import USUAL_TAGGER
from ..core.settings import Mode, Settings
from .streams import command_name, complain

if TYPE_CHECKING:
    from PIL.Image import Image


def tell_if_toy(
    command: str, settings: Settings, *pictures: Image, option: str = "clip", mode: Mode | None = None
) -> None:
    """pictures: none of them for whatever there is. option: the one that micro was named with."""
    from ..core.micro.toy import is_lost

    sizes = [picture.size for picture in pictures] or [(0, 0)]
    writers = [("captioner", name) for name in (settings.captioner, *settings.rivals)]
    named = [(option, settings.clip), *writers, ("tagger", settings.tagger)]
    lost = next(((option, name.casefold()) for option, name in named if name and is_lost(name, sizes)), None)
    if lost is None:
        return
    option, toy = lost
    complain(
        f"{toy} is a toy that knows nothing but small drawings of shapes; of real pictures ask a real model, with "
        f"`{command_name()} {command} ...` and no --{option} {toy}{_instead(_usual_of(option, settings, mode))}."
    )


def _instead(names: list[str]) -> str:
    return f": {' with '.join(names)}{_size_of(names)}" if names else ""


def _usual_of(option: str, settings: Settings, mode: Mode | None) -> list[str]:
    """The models that a command takes where none are named. A captioner only where it captions, a tagger alone for
    tags."""
    from ..core.variation import DEFAULT_CHECKPOINT

    usual = Settings()
    if option == "checkpoint":
        return [DEFAULT_CHECKPOINT]
    if option == "tagger" or mode == "tags":
        return [USUAL_TAGGER]
    captioner = [usual.captioner] if usual.captioner and settings.captioner else []
    return {"clip": [usual.clip, *captioner], "captioner": captioner}.get(option, [])


def _size_of(names: list[str]) -> str:
    """Of what these models take to download, where that is known without asking; what is on the disk takes none."""
    from rich.filesize import decimal

    from ..core.catalogue import find, recommended
    from ..core.hub import Hub

    known = recommended(Hub(Settings().cache))
    found = [find(name, known) for name in names]
    lacking = [one for one in found if one is None or not one.on_disk]
    if not lacking:
        return ", which is on this disk" if len(names) == 1 else ", which are on this disk"
    sizes = [one.bytes for one in lacking if one is not None and one.bytes]
    told = f"{'' if len(sizes) == len(lacking) else 'more than '}{decimal(sum(sizes))} at its first use"
    return f", a download of {told}" if sizes else ", a download at its first use"
