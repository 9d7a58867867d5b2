"""The generators that write one JSON object: where each keeps what, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .generation import Generation, first, plain, prompt_text, seed_text, settings_of
from .json_text import object_in

MOST_LETTERS = 2**20
_MOST_CHARACTERS = 12


@dataclass(frozen=True)
class Layout:
    """marks: names that tell the layout, all of them. The rest: where the values are, the first that is there.

    renamed: settings that have one name whatever program wrote them.
    """

    generator: str
    marks: frozenset[str]
    prompt: tuple[str, ...]
    negative: tuple[str, ...]
    model: tuple[str, ...]
    seed: tuple[str, ...] = ("seed",)
    renamed: tuple[tuple[str, str], ...] = ()

    def read(self, values: Mapping[str, Any]) -> Generation:
        """What the object says; values that are of no form that is known stay unsaid."""
        model = _model(values, self.model)
        said = {*self.prompt[:1], *self.negative[:1], *self.seed, *(() if not model else self.model[:1])}
        names = dict(self.renamed)
        return Generation(
            self.generator,
            _first_prompt(values, self.prompt),
            _first_prompt(values, self.negative),
            next((seed for seed in (seed_text(values.get(name)) for name in self.seed) if seed), ""),
            model,
            settings_of({names.get(name, name): value for name, value in values.items() if name not in said}),
        )


_INVOKE_SETTINGS = (("scheduler", "sampler"),)
LAYOUTS = (
    Layout(
        "SwarmUI",
        frozenset({"prompt", "swarm_version"}),
        ("prompt",),
        ("negativeprompt",),
        ("model",),
        renamed=(("cfgscale", "cfg_scale"),),
    ),
    Layout(
        "Fooocus",
        frozenset({"prompt", "base_model"}),
        ("prompt", "full_prompt"),
        ("negative_prompt", "full_negative_prompt"),
        ("base_model", "base_model_hash"),
        renamed=(("guidance_scale", "cfg_scale"),),
    ),
    Layout(
        "Fooocus",
        frozenset({"Prompt", "Base Model"}),
        ("Prompt",),
        ("Negative Prompt",),
        ("Base Model",),
        ("Seed",),
        (("Guidance Scale", "cfg_scale"), ("Steps", "steps"), ("Sampler", "sampler"), ("Scheduler", "scheduler")),
    ),
    Layout(
        "InvokeAI",
        frozenset({"positive_prompt"}),
        ("positive_prompt",),
        ("negative_prompt",),
        ("model", "model_name"),
        renamed=_INVOKE_SETTINGS,
    ),
    Layout(
        "Draw Things",
        frozenset({"c", "seed", "model"}),
        ("c",),
        ("uc",),
        ("model",),
        renamed=(("scale", "cfg_scale"),),
    ),
    Layout(
        "Easy Diffusion",
        frozenset({"prompt", "use_stable_diffusion_model"}),
        ("prompt", "original_prompt"),
        ("negative_prompt",),
        ("use_stable_diffusion_model",),
        renamed=(("num_inference_steps", "steps"), ("guidance_scale", "cfg_scale"), ("sampler_name", "sampler")),
    ),
    Layout(
        "Easy Diffusion",
        frozenset({"Prompt", "Stable Diffusion model"}),
        ("Prompt",),
        ("Negative Prompt",),
        ("Stable Diffusion model",),
        ("Seed",),
        (("Steps", "steps"), ("Guidance Scale", "cfg_scale"), ("Sampler", "sampler")),
    ),
    Layout(
        "NovelAI",
        frozenset({"prompt", "uc"}),
        ("prompt",),
        ("uc",),
        ("model",),
        renamed=(("scale", "cfg_scale"),),
    ),
)


def read_object(text: str) -> Generation | None:
    """None where the text is no object of a layout that is known."""
    if len(text) > MOST_LETTERS:
        return None
    values = object_in(text)
    return None if values is None else read_values(values)


def read_values(values: Mapping[str, Any]) -> Generation | None:
    swarm = values.get("sui_image_params")
    if isinstance(swarm, dict):
        extra = values.get("sui_extra_data")
        return LAYOUTS[0].read({**(extra if isinstance(extra, dict) else {}), **swarm})
    layout = next((layout for layout in LAYOUTS if layout.marks <= values.keys()), None)
    if layout is None:
        return None
    if layout.generator == "NovelAI":
        return novelai(values, "", "")
    return layout.read(values)


def novelai(values: Mapping[str, Any], description: str, source: str) -> Generation:
    """NovelAI's object, beside which a file has the prompt again, and the model with its hash."""
    found = LAYOUTS[-1].read({"prompt": description, **values})
    model, _, digest = source.strip().rpartition(" ")
    is_digest = bool(model) and digest.isalnum() and digest.upper() == digest and len(digest) >= 6
    characters = {
        f"{side}character {number + 1}": text
        for side, name in (("", "v4_prompt"), ("negative ", "v4_negative_prompt"))
        for number, text in enumerate(_characters(values.get(name)))
    }
    settings = {**characters, **dict(found.settings)}
    return Generation(
        "NovelAI",
        found.prompt or prompt_text(description) or _base(values.get("v4_prompt")),
        found.negative_prompt or _base(values.get("v4_negative_prompt")),
        found.seed,
        found.model or (model.strip() if is_digest else source.strip()),
        tuple(settings.items()),
    )


def _base(value: Any) -> str:
    """What newer models are told beside the figures, where older fields are empty."""
    caption = value.get("caption") if isinstance(value, dict) else None
    return prompt_text(caption.get("base_caption")) if isinstance(caption, dict) else ""


def _characters(value: Any) -> list[str]:
    """The prompts that newer models take for each figure."""
    caption = value.get("caption") if isinstance(value, dict) else None
    several = caption.get("char_captions") if isinstance(caption, dict) else None
    entries = several[:_MOST_CHARACTERS] if isinstance(several, list) else []
    return [text for text in (plain(each.get("char_caption")) for each in entries if isinstance(each, dict)) if text]


def _first_prompt(values: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((text for text in (prompt_text(values.get(name)) for name in names) if text), "")


def _model(values: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """A name, or an object that has one: under `model_name` in older versions of InvokeAI, `name` in newer ones."""
    for name in names:
        value = values.get(name)
        text = first(value, ("name", "model_name", "key", "hash")) if isinstance(value, dict) else plain(value)
        if text:
            return text
    return ""
