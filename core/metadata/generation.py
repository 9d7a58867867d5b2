"""What generators write into a picture's texts, as one value; their formats are read by sd-parsers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from ..cures import Install
from ..errors import MissingPackageError

MOST_NODES, MOST_SAMPLERS = 500, 32
"""Of a ComfyUI graph: a graph made to be slow takes the square of its nodes for each of its samplers."""

MOST_SETTINGS = 40
MOST_LETTERS_OF_SETTING = 300

_LIMITS = {
    **dict.fromkeys(("prompt", "invokeai_metadata", "sd-metadata", "Comment"), 2**20),
    "parameters": 2**16,
    "Description": 2**14,
    "Dream": 2**13,
    "Source": 2**10,
    "Software": 2**10,
}
"""Letters of the texts that are interpreted, by their names. Longer ones are none that a generator wrote, and some
patterns that look for values in them take the square of their length."""

_SEEDS = ("seed", "noise_seed")


@dataclass(frozen=True)
class Generation:
    """How a picture was made, as its file has it. Empty strings where it says nothing."""

    generator: str
    prompt: str
    negative_prompt: str
    seed: str
    model: str
    settings: tuple[tuple[str, str], ...]


def interpret(texts: Mapping[str, str]) -> Generation | None:
    """None where the texts (by name, see `core.metadata.file_texts`) hold no generation data that is understood.

    Raises MissingPackageError where there may be some and sd-parsers is absent.
    """
    known = _known(texts)
    if not known:
        return None
    for parse in _parsers():
        try:
            info = parse(_carrier(known))
            generation = None if info is None else _from_parser(info)
        except Exception:  # noqa: BLE001 - parsers fail in any way at what they did not expect
            continue
        if generation is None:
            continue
        if generation.prompt or generation.negative_prompt or generation.model or generation.seed:
            return replace(generation, generator="Fooocus") if "fooocus_scheme" in texts else generation
    return _plain_parameters(known.get("parameters", ""))


def _known(texts: Mapping[str, str]) -> dict[str, str]:
    """The texts that generators write, within limits, in the form the parsers take."""
    named = dict(texts)
    comment = named.get("UserComment", "")
    if "parameters" not in named and ("Steps:" in comment or comment.lstrip().startswith("{")):
        named["parameters"] = comment
    known = {key: named[key] for key, most in _LIMITS.items() if 0 < len(named.get(key, "")) <= most}
    if "prompt" in known:
        graph = _graph(known.pop("prompt"))
        if graph is not None:
            nodes = {key: _as_parsed(node) for key, node in graph.items()}
            known.update(prompt=json.dumps(nodes), workflow=json.dumps({"links": _links(graph)}))
    if not ({"Comment", "Description", "Source"} <= known.keys()):  # NovelAI's; alone they are common words
        for key in ("Comment", "Description", "Source", "Software"):
            known.pop(key, None)
    return known


def _graph(text: str) -> dict[str, Any] | None:
    """A ComfyUI graph as it was run; None where the text is something else or too large."""
    try:
        graph = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(graph, dict) or len(graph) > MOST_NODES:
        return None
    nodes = {str(key): node for key, node in graph.items() if isinstance(node, dict) and "class_type" in node}
    samplers = sum(_is_sampler(node) for node in nodes.values())
    return nodes if nodes and samplers <= MOST_SAMPLERS else None


def _is_sampler(node: Mapping[str, Any]) -> bool:
    inputs = node.get("inputs")
    return isinstance(inputs, dict) and "sampler_name" in inputs


def _as_parsed(node: Mapping[str, Any]) -> dict[str, Any]:
    """A node as sd-parsers understands it: it takes any input called model for a file's name, be it a link as in a
    LoraLoader, and knows the loaders of checkpoints only."""
    inputs = node.get("inputs")
    if not isinstance(inputs, dict):
        return dict(node)
    inputs = dict(inputs)
    if "sampler_name" not in inputs and isinstance(inputs.get("model"), list):
        del inputs["model"]
    if isinstance(inputs.get("unet_name"), str):
        inputs["ckpt_name"] = inputs.pop("unet_name")
    return {**node, "inputs": inputs}


def _links(graph: Mapping[str, Any]) -> list[list[Any]]:
    """The graph's links as a workflow lists them.

    Not taken from the file's own workflow: that is often absent, and in newer versions lists links elsewhere.
    """
    links = []
    for key, node in graph.items():
        inputs = node.get("inputs")
        for name, value in inputs.items() if isinstance(inputs, dict) else ():
            if isinstance(value, list) and len(value) == 2 and str(value[0]) in graph:
                kind = "CLIP" if str(name).startswith("clip") else str(name).upper()
                links.append([len(links), str(value[0]), value[1], key, name, kind])
    return links[: 8 * MOST_NODES]


def _parsers() -> list[Callable[[Image.Image], Any]]:
    """One for each generator, so that what makes one of them fail leaves the others."""
    try:
        from sd_parsers import ParserManager
        from sd_parsers.parsers import MANAGED_PARSERS
    except ImportError as error:
        raise MissingPackageError(
            "Reading how a picture was generated needs the package sd-parsers", Install(("sd-parsers",))
        ) from error
    return [ParserManager(managed_parsers=[parser]).parse for parser in MANAGED_PARSERS]


def _carrier(known: Mapping[str, str]) -> Image.Image:
    """A picture of one pixel with these texts: what sd-parsers reads in all its versions."""
    image = Image.new("RGB", (1, 1))
    image.format = "PNG"
    image.info.update(known)
    return image


def _from_parser(info: Any) -> Generation:
    values: dict[str, str] = {}
    for sampler in info.samplers[:1]:
        values["sampler"] = _text(sampler.name)
        values.update(_scalars(sampler.parameters))
    values.update({name: text for name, text in _scalars(info.metadata).items() if name not in values})
    seed = next((values.pop(name) for name in _SEEDS if name in values), "")
    models = [sampler.model.name or sampler.model.hash for sampler in info.samplers if sampler.model is not None]
    return Generation(
        str(info.generator.value),
        _joined(info.prompts),
        _joined(info.negative_prompts),
        seed,
        _text(models[0]) if models else "",
        tuple((name, text) for name, text in values.items() if text)[:MOST_SETTINGS],
    )


def _joined(prompts: Any) -> str:
    return "\n".join(dict.fromkeys(prompt.value.strip() for prompt in prompts if isinstance(prompt.value, str)))


def _scalars(values: Mapping[Any, Any]) -> dict[str, str]:
    return {str(name): _text(value) for name, value in values.items() if isinstance(value, (str, int, float))}


def _text(value: Any) -> str:
    return str(value)[:MOST_LETTERS_OF_SETTING]


def _plain_parameters(text: str) -> Generation | None:
    """The webui's layout where the line of settings is of a kind that sd-parsers does not know."""
    before, found, after = text.partition("\nSteps:")
    if not found:
        return None
    prompt, _, negative = before.partition("Negative prompt:")
    settings = dict(re.findall(r"([A-Z][\w ]{0,40}): ([^,\n]{1,300})", f"Steps:{after}"[:8192]))
    seed, model = settings.pop("Seed", ""), settings.pop("Model", "")
    return Generation(
        "AUTOMATIC1111",
        prompt.strip(),
        negative.strip(),
        seed,
        model,
        tuple(settings.items())[:MOST_SETTINGS],
    )
