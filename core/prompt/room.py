"""How long a prompt may be."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from ..cures import Give
from ..cutting import cut
from ..errors import SettingsError
from .framing import framed
from .tag_texts import MOST_OF_A_CAPTION

if TYPE_CHECKING:
    from ..clip import Clip
    from ..settings import Settings


class Room:
    """In tokens of the CLIP's, start and end included."""

    def __init__(self, clip: Clip, settings: Settings) -> None:
        self._clip = clip
        self._settings = settings

    @cached_property
    def whole(self) -> int:
        """For all there is."""
        most = self._clip.text.context_length
        return min(self._settings.token_limit or most, most)

    @cached_property
    def limit(self) -> int:
        """For a prompt: trigger word, prefix and suffix deducted. Raises SettingsError where none is left."""
        length = self._clip.text.length
        around = length(framed("a", self._settings)) - length("a")
        limit = self.whole - around
        if limit < 3:
            raise SettingsError(
                f"Trigger word, prefix and suffix take {around} tokens and leave no room for a prompt within "
                f"{self.whole}",
                "shorten them",
            )
        return limit

    def length(self, prompt: str) -> int:
        return self._clip.text.length(prompt)

    def cut(self, text: str, reserved: float = 0.0) -> str:
        """As much of the text as there is room for, with what is put around it and a share left to others."""
        if not text or self._settings.peer_defects:
            return text
        most = self.whole - int(reserved * self.limit)
        return cut(text, lambda part: self._clip.text.length(framed(part, self._settings)), most)

    def whole_caption(self, caption: str) -> str:
        """It may be longer than the CLIP reads: what reads the prompt may read more."""
        most = self._settings.token_limit or MOST_OF_A_CAPTION
        if most <= self._clip.text.context_length or self._settings.peer_defects:
            kept = self.cut(caption)
        else:
            kept = cut(caption, lambda part: self._clip.text.length(framed(part, self._settings)), most)
        if not kept:
            raise SettingsError("The prompt's length has no room for the caption", Give("token_limit", "more"))
        return kept
