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


@dataclass(frozen=True)
class Server:
    """name: ADDRESS#MODEL."""

    name: str
    settings: EndpointSettings


class GraphWriter(Describer):
    """A text encoder that writes, such as Gemma's or Qwen-VL's, as Generate Text uses it: its own template around the
    question, and the picture in it."""

    name = "the text encoder"

    def __init__(self, clip: Any) -> None:
        if not host.writes(clip):
            raise SettingsError(
                "What is connected to clip writes no texts",
                "connect the text encoder of Qwen-Image, FLUX.2, Z-Image or LTX-2, in a ComfyUI that has the node "
                "Generate Text",
                Give("captioner", "another describer"),
            )
        self._clip = clip

    def describe(
        self, images: Iterable[Any], settings: CaptionSettings | None = None, progress: Progress = SILENT
    ) -> list[Description]:
        settings = settings or CaptionSettings()
        found = []
        for picture in images:
            progress.check()
            found.append(Description(answered(self._written(picture, settings), settings)))
        return found

    def _written(self, picture: Any, settings: CaptionSettings) -> str:
        question = asked(settings)
        text = f"{settings.system.strip()}\n\n{question.instruction}" if settings.system else question.instruction
        tokens = settings.max_length or question.tokens
        drawn = {"temperature": settings.temperature, "top_p": settings.top_p, "seed": settings.seed}
        return host.write(
            self._clip,
            text,
            as_image(picture),
            max_length=tokens,
            do_sample=settings.temperature > 0,
            repetition_penalty=settings.repetition,
            **(drawn if settings.temperature > 0 else {}),
        )
