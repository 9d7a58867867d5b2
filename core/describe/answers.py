"""What a model that answers is asked, and what becomes of its answer: the same wherever it runs."""

from __future__ import annotations

from ..cutting import finished
from ..settings import CaptionSettings
from .styles import STYLES, Ask
from .trimming import trimmed, without_thoughts


def asked(settings: CaptionSettings) -> Ask:
    """By the instruction, or by the style in its place; a sentence where there is neither."""
    style = STYLES[settings.style or "sentence"]
    instruction = settings.instruction or style.instruction
    return Ask(instruction, style.task, settings.max_length or style.tokens)


def answered(text: str, settings: CaptionSettings, cut: bool = False) -> str:
    """Without thoughts and, where the settings say so, without what is said of the picture's being one; "" where
    nothing else was said. cut: whether it was ended by its length; then it ends with a whole sentence."""
    answer = without_thoughts(text.strip())
    answer = finished(answer) if cut else answer
    return trimmed(answer) if settings.trim else answer
