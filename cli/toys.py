"""What is said where micro, which knows drawn shapes alone, is asked about something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.settings import Settings
from .streams import command_name, complain

if TYPE_CHECKING:
    from PIL.Image import Image

_MICRO = "micro"


def tell_if_toy(command: str, settings: Settings, *pictures: Image) -> None:
    """pictures: none of them for whatever there is. One as small as micro's own drawings is taken for one of them."""
    from ..core.micro.drawing import SIZE

    if settings.clip == _MICRO and (not pictures or any(picture.size != (SIZE, SIZE) for picture in pictures)):
        usual = Settings()
        size = _size_of(usual)
        complain(
            f"micro is a toy that knows nothing but small drawings of shapes; of real pictures ask a real model, with "
            f"`{command_name()} {command} ...` and no --clip micro: {usual.clip}{size}."
        )


def _size_of(usual: Settings) -> str:
    """Of what the usual models take to download, where that is known without asking; what is on the disk takes none."""
    from rich.filesize import decimal

    from ..core.catalogue import find, survey
    from ..core.hub import Hub

    clips, captioners = survey(Hub(usual.cache))
    found = [find(usual.clip, clips), find(usual.captioner or "", captioners)]
    sizes = [one.bytes for one in found if one is not None and one.bytes and not one.on_disk]
    lacking = [one.name for one in found if one is not None and not one.on_disk]
    if not lacking:
        return ", which is on this disk"
    told = f"{'' if len(sizes) == len(lacking) else 'more than '}{decimal(sum(sizes))} at its first use"
    return f" with {usual.captioner}, a download of {told}" if sizes else ", a download at its first use"
