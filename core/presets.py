"""What suits a prompt's destination: the CLIP that judges it and the length it may have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from .published import VIT_H, VIT_L
from .settings import Settings


@dataclass(frozen=True)
class Preset:
    """Settings for one family of image models.

    clip: the CLIP whose text tower the family listens to: what that finds similar is what the family sees.
    token_limit: tokens of a prompt that take effect, start and end included.
    caption_length: tokens of the caption at most.
    min_phrases, max_phrases: how many phrases the search may add to the caption.
    """

    clip: str
    token_limit: int = 77
    caption_length: int = 32
    min_phrases: int = 8
    max_phrases: int = 32

    def over(self, settings: Settings) -> Settings:
        """The settings with what suits the family in place of their own."""
        return replace(
            settings,
            clip=self.clip,
            token_limit=self.token_limit,
            min_phrases=self.min_phrases,
            max_phrases=self.max_phrases,
            captioning=replace(settings.captioning, max_length=self.caption_length),
        )


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "sd15": Preset(clip=VIT_L),
        "sd2": Preset(clip=VIT_H),
        # SDXL listens to two towers, this one and VIT_BIGG. The second is a download of
        # some ten gigabytes and several times the work per phrase, so it is left to those who ask for it.
        "sdxl": Preset(clip=VIT_L),
        # FLUX reads the prompt as sentences through T5 and takes only a summary from this tower: a longer
        # caption carries it, and a tail of style words adds little.
        "flux": Preset(clip=VIT_L, caption_length=60, min_phrases=2, max_phrases=8),
    }
)

TARGETS: tuple[str, ...] = tuple(PRESETS)
