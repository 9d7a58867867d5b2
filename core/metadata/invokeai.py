"""The two older ways in which InvokeAI wrote how a picture was made: as the command that was typed, and as an object
whose prompts have their negative parts in square brackets."""

from __future__ import annotations

import re
from typing import Any

from .generation import Generation, first, plain, prompt_text, seed_text, settings_of
from .json_text import object_in

MOST_LETTERS_OF_COMMAND = 2**14
_COMMAND = re.compile(r'"((?:[^"\\]|\\.)*)"')
_OPTION = re.compile(r"\s-([A-Za-z]) ?([^\s-][^\s]*)")
_NEGATIVE = re.compile(r"\[([^\[\]]*)\]")
_OPTIONS = {"s": "steps", "S": "seed", "W": "width", "H": "height", "C": "cfg_scale", "A": "sampler"}


def read_command(text: str) -> Generation | None:
    """`"a fox [photo]" -s 30 -S 7 -A k_euler`; None where it is something else."""
    quoted = _COMMAND.match(text.strip()) if len(text) <= MOST_LETTERS_OF_COMMAND else None
    if quoted is None:
        return None
    options: dict[str, str] = dict(_OPTION.findall(text.strip()[quoted.end() :]))
    values: dict[str, Any] = {_OPTIONS.get(name) or name: value for name, value in options.items()}
    prompt, negative = _parted(quoted[1])
    return Generation(
        "InvokeAI", prompt, negative, seed_text(values.get("seed")), settings=settings_of(values, ("seed",))
    )


def read_sd_metadata(text: str) -> Generation | None:
    """An object with an `image`; None where it is something else."""
    values = object_in(text)
    image = values.get("image") if values else None
    if values is None or not isinstance(image, dict):
        return None
    prompt, negative = _parted("\n".join(_prompts(image.get("prompt"))))
    return Generation(
        "InvokeAI",
        prompt,
        negative,
        seed_text(image.get("seed")),
        first(values, ("model_weights", "model_hash")),
        settings_of({**image, **values}, ("prompt", "seed", "model_weights", "model")),
    )


def _prompts(value: Any) -> list[str]:
    several = value if isinstance(value, list) else [value]
    return [prompt_text(each.get("prompt") if isinstance(each, dict) else each) for each in several[:64]]


def _parted(text: str) -> tuple[str, str]:
    """Prompt and negative prompt."""
    negative = [part.strip(" ,") for part in _NEGATIVE.findall(text)]
    prompt = _NEGATIVE.sub(" ", text) if negative else text
    return plain(re.sub(r"[ \t]+", " ", prompt).strip(" ,"), len(text)), ", ".join(filter(None, negative))
