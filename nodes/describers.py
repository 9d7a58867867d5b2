"""What a DESCRIBER is, beside those that are chosen by name: a server, or a text encoder of the graph."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..core.cures import Give
from ..core.describe import Describer, Description
from ..core.describe.answers import answered, asked
from ..core.errors import SettingsError
from ..core.progress import SILENT, Progress
from ..core.settings import CaptionSettings, EndpointSettings
from . import host
from .host import io
from .pictures import as_image

DescriberType = io.Custom("DESCRIBER")

_WRITERS = "a language model that sees and writes, such as Gemma 3, Gemma 4 or Qwen3-VL"


@dataclass(frozen=True)
class Server:
    """name: ADDRESS, or ADDRESS#MODEL. No key: whoever asks reads it anew."""

    name: str
    settings: EndpointSettings


def server_name(address: str, model: str) -> str:
    """The same of two widgets; an address may bring its model along, as on the command line."""
    base, _, behind = address.strip().partition("#")
    named = model.strip() or behind.strip()
    return f"{base}#{named}" if named else base


class GraphWriter(Describer):
    """A text encoder that writes, such as Gemma's or Qwen-VL's, as Generate Text uses it: its own template around the
    question, and the picture in it."""

    name = "the text encoder"

    def __init__(self, clip: Any) -> None:
        if not host.writes(clip):
            raise SettingsError(
                "What is connected to clip writes no texts",
                f"connect {_WRITERS}, in a ComfyUI that has the node Generate Text",
                Give("captioner"),
            )
        self._clip = clip

    def describe(
        self, images: Iterable[Any], settings: CaptionSettings | None = None, progress: Progress = SILENT
    ) -> list[Description]:
        settings = settings or CaptionSettings()
        found = []
        for picture in images:
            progress.check()
            text, cut = self._written(picture, settings)
            found.append(Description(answered(text, settings, cut)))
        return found

    def _written(self, picture: Any, settings: CaptionSettings) -> tuple[str, bool]:
        question = asked(settings)
        text = f"{settings.system.strip()}\n\n{question.instruction}" if settings.system else question.instruction
        draws = settings.temperature > 0
        drawn = {"temperature": settings.temperature, "top_p": settings.top_p} if draws else {}
        written = host.write(
            self._clip,
            text,
            as_image(picture),
            question.tokens,
            do_sample=draws,
            repetition_penalty=settings.repetition,
            seed=settings.seed,
            **drawn,
        )
        if written is None:
            raise SettingsError(
                "What is connected to clip reads texts alone, and does not see the picture",
                f"connect {_WRITERS}",
                Give("captioner"),
            )
        return written
