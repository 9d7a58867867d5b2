"""How PaliGemma is asked: by the beginnings it was trained with."""

from __future__ import annotations

from ...settings import CaptionSettings, Style
from .models import CaptionModel

_TASKS: dict[Style | None, str] = {
    "words": "cap en",
    "paragraph": "describe en",
    "training": "describe en",
}
_USUAL = "caption en"


class PaliGemma(CaptionModel):
    def _default_instruction(self, settings: CaptionSettings) -> str:
        return _TASKS.get(settings.style, _USUAL)
