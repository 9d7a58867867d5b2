"""What every way to describe a picture has in common, be it a model that writes, one that tags, or a server."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..progress import SILENT, Progress
from ..settings import CaptionSettings
from ..tags import Tag

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image


@dataclass(frozen=True)
class Description:
    """text: one line, as it goes into a prompt, unescaped. tags: what it was made of, where it was made of tags, and
    the ratings, whether or not one is part of the text."""

    text: str
    tags: tuple[Tag, ...] = ()


class Describer(ABC):
    """Loaded, or ready to be asked. The same pictures and settings give the same words."""

    name: str

    @abstractmethod
    def describe(
        self, images: Iterable[Image], settings: CaptionSettings | None = None, progress: Progress = SILENT
    ) -> list[Description]:
        """One for each RGB picture. An iterator's pictures are taken one by one, and none is held longer than needed.

        Raises SettingsError (a setting that does not fit), ModelError (memory runs out, a server fails), Cancelled."""

    def caption(
        self, images: Iterable[Image], settings: CaptionSettings | None = None, progress: Progress = SILENT
    ) -> list[str]:
        """The texts alone of `describe`."""
        return [found.text for found in self.describe(images, settings, progress)]

    @property
    def nbytes(self) -> int:
        """Of the weights in memory; 0 for what runs elsewhere."""
        return 0

    @property
    def module(self) -> torch.nn.Module | None:
        """All the weights, for hosts that move them; `to` has to be told where they went. None for what has none."""
        return None

    def to(self, device: str | torch.device) -> Describer:
        """Moves the weights, to the CPU to make room on a GPU, say. Returns itself. Raises ModelError where they do not
        fit, and they are in main memory then."""
        return self
