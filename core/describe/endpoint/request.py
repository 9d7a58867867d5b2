"""What a server is asked about a picture, and which of it may be left out where the server does not take it."""

from __future__ import annotations

import base64
import io
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from ...settings import CaptionSettings
from ..answers import asked

if TYPE_CHECKING:
    from PIL.Image import Image

_QUALITY = 95
_FOR_THOUGHTS = 4096
_TOKENS, _NEWER_TOKENS = "max_tokens", "max_completion_tokens"


def fields_for(
    image: Image, model: str, settings: CaptionSettings, thinks: bool = False, refused: Collection[str] = ()
) -> dict[str, Any]:
    """Of a request for chat completions. thinks: whether its words come after thoughts, which count too. refused: names
    of fields that the server does not take."""
    question = asked(settings)
    content = [
        {"type": "image_url", "image_url": {"url": data_url(image, settings.endpoint.longest_side)}},
        {"type": "text", "text": question.instruction},
    ]
    system = [{"role": "system", "content": settings.system}] if settings.system else []
    fields = {
        "model": model,
        "messages": [*system, {"role": "user", "content": content}],
        _NEWER_TOKENS if _TOKENS in refused else _TOKENS: question.tokens + (_FOR_THOUGHTS if thinks else 0),
        "temperature": settings.temperature,
        "seed": settings.seed,
        **({} if settings.top_p == 1 else {"top_p": settings.top_p}),
        **{name: value for spellings in _spelled(settings) for name, value in spellings.items()},
    }
    return {name: value for name, value in fields.items() if name not in refused}


def _spelled(settings: CaptionSettings) -> list[Mapping[str, Any]]:
    """What OpenAI's API has no name for, by the names that servers have for it: one that does not know a name passes
    over it, or refuses it.

    Thinking: a variable of the chat template at vLLM, llama.cpp and transformers (docs.vllm.ai, "Reasoning Outputs");
    an effort at Ollama and OpenAI (docs.ollama.com, "OpenAI compatibility"). Repetition: vLLM's name, and that of
    llama.cpp and LM Studio."""
    found: list[Mapping[str, Any]] = []
    thinking, repetition = settings.endpoint.thinking, settings.repetition
    if thinking is not None:
        effort = "medium" if thinking else "none"
        found.append({"chat_template_kwargs": {"enable_thinking": thinking}, "reasoning_effort": effort})
    if repetition != 1:
        found.append({"repetition_penalty": repetition, "repeat_penalty": repetition})
    return found


def to_leave_out(said: str, settings: CaptionSettings, sent: Mapping[str, Any], refused: Collection[str]) -> str | None:
    """The field that a server's refusal is about and that may be left out: it was not asked for by the person, or has
    another name that remains. None where there is none. said: in the server's words."""
    spelled = [[name for name in spellings if name not in refused] for spellings in _spelled(settings)]
    dispensable = {_TOKENS, *(name for names in spelled if len(names) > 1 for name in names)}
    if settings.temperature == 0:  # the likeliest words are wished for, not insisted on: some models know no other way
        dispensable |= {"temperature", "seed"}
    named = [name for name in sent if name in dispensable and name in said]
    return named[0] if named else None


def data_url(image: Image, longest_side: int) -> str:
    """A picture as part of a request, made smaller where a side is longer.

    JPEG, as all of these servers read it, and as a photograph in PNG takes some four times as much, of which servers
    behind a proxy often take a megabyte; at a quality and with colours in full, which leave nothing to be seen."""
    from PIL.Image import Resampling

    longest = max(image.size)
    if longest > longest_side:
        size = [max(1, round(side * longest_side / longest)) for side in image.size]
        image = image.resize((size[0], size[1]), Resampling.LANCZOS, reducing_gap=3)
    stream = io.BytesIO()
    image.convert("RGB").save(stream, "JPEG", quality=_QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
