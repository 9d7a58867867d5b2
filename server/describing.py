"""How a page asks for a picture to be described: in a style, drawn or not, with which tags."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from ..core.file_names import pasted
from ..core.phrases import phrases_in
from ..core.settings import (
    USUAL_THRESHOLDS,
    WRITING_STYLES,
    CaptionSettings,
    Settings,
    Style,
    TagOrder,
    TagSettings,
)

AS_USUAL = "as usual"
"""In a list: what the describer, or the target, does by itself."""

Thresholds = Literal["published", "automatic", "own"]
THRESHOLDS: tuple[Thresholds, ...] = get_args(Thresholds)


def known_style(name: str) -> str:
    """A style of that name, or the usual one: a host's settings file may hold anything."""
    return name if name in WRITING_STYLES else AS_USUAL


@dataclass(frozen=True)
class Describing:
    """tagger: "" for the usual one, "none" for none. thresholds: those of the tagger's publisher, of each picture, or
    general and character. candidates: captions the CLIP chooses among, by seeds. The rest is as in `CaptionSettings`
    and `TagSettings`; 0 for a length is what suits the style."""

    style: str = AS_USUAL
    instruction: str = ""
    length: int = 0
    temperature: float = 0.0
    seed: int = 0
    candidates: int = 1
    tagger: str = ""
    thresholds: Thresholds = "published"
    general: float = USUAL_THRESHOLDS[0]
    character: float = USUAL_THRESHOLDS[1]
    order: str = AS_USUAL
    rating: bool = False
    exclude: str = ""

    def over(self, settings: Settings) -> Settings:
        """The settings with what is asked for in place of their own. Raises SettingsError."""
        return replace(
            settings,
            tagger=pasted(self.tagger) or settings.tagger,
            candidates=max(settings.candidates, int(self.candidates)),
            captioning=self._writing(settings.captioning),
        )

    def _writing(self, usual: CaptionSettings) -> CaptionSettings:
        style: Style | None = usual.style if self.style == AS_USUAL else self.style  # type: ignore[assignment]
        return replace(
            usual,
            style=style,
            instruction=self.instruction.strip() or usual.instruction,
            max_length=int(self.length) or usual.max_length,
            temperature=float(self.temperature) or usual.temperature,
            seed=int(self.seed) or usual.seed,
            tags=self._tags(usual.tags),
        )

    def _tags(self, usual: TagSettings) -> TagSettings:
        own = self.thresholds == "own"
        order: TagOrder = usual.order if self.order == AS_USUAL else self.order  # type: ignore[assignment]
        return replace(
            usual,
            general=self.general if own else usual.general,
            character=self.character if own else usual.character,
            automatic=self.thresholds == "automatic" or (usual.automatic and not own),
            order=order,
            rating=self.rating or usual.rating,
            exclude=(*usual.exclude, *phrases_in(self.exclude)),
        )
