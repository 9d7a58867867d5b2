"""How Florence-2 is asked: by tasks in angle brackets."""

from __future__ import annotations

import re

from PIL import Image

from ...cures import Choose
from ...errors import SettingsError
from ...printable import quoted
from ...settings import CaptionSettings
from ..styles import STYLES
from .models import CaptionModel

FLORENCE_TASKS = ("<CAPTION>", "<DETAILED_CAPTION>", "<MORE_DETAILED_CAPTION>")
PROMPTGEN_TASKS = ("<GENERATE_TAGS>", "<MIXED_CAPTION>", "<MIXED_CAPTION_PLUS>", "<ANALYZE>")
"""What PromptGen was trained for besides. Nothing in a folder says whether it is one, but its name."""
TASKS = (*FLORENCE_TASKS, "<OCR>", *PROMPTGEN_TASKS)
_TOKENS: dict[str, int] = dict(zip(TASKS, (32, 32, 32, 512, 512, 1024, 1024, 512), strict=True))
_PLACE = re.compile(r"</?(?:loc_\d+|pad|s|poly|od|ocr|cap|dcap|grounding|sep)>")
_LABEL = re.compile(r"<(?!pad>)[A-Z_]+>")


class Florence(CaptionModel):
    """Takes a task, or the question behind it."""

    def _write(self, images: list[Image.Image], settings: CaptionSettings) -> list[str]:
        task = settings.instruction or self._usual(settings)
        if task.startswith("<") and task not in TASKS:
            raise SettingsError(
                f"{self._name} has no task {quoted(task)} that gives a text", Choose("instruction", TASKS)
            )
        inputs = self._to_device(self._processor(images=images, text=[task] * len(images), return_tensors="pt"))
        length = settings.max_length or (self._tokens(settings) if settings.style else _TOKENS.get(task, 32))
        room = self._model.config.text_config.max_position_embeddings - 2  # where writing starts, and where it ends
        written = self._decode(self._generate(inputs, settings, min(length, room)))
        return [_text(each) for each in written] if task in PROMPTGEN_TASKS else written

    def _usual(self, settings: CaptionSettings) -> str:
        if settings.style is None:
            return FLORENCE_TASKS[0]
        task = STYLES[settings.style].task
        promptgen = "promptgen" in self._name.casefold()
        return task if promptgen or task not in PROMPTGEN_TASKS else FLORENCE_TASKS[0]


def _text(written: str) -> str:
    """Without the names of tasks and places that PromptGen may write into it."""
    return _LABEL.sub(" ", _PLACE.sub(" ", written))
