"""Which of a file's texts say how its picture was made, and in which program's form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from .comfyui import read_graphs
from .generation import Generation
from .invokeai import read_command, read_sd_metadata
from .json_formats import novelai, read_object, read_values
from .json_text import object_in
from .parameters import read_parameters
from .xmp import OWN

_CARRIERS = (
    *("parameters", "UserComment", "comment", "ImageDescription", "XPComment", "XPTitle", "XPSubject", "XPKeywords"),
    *("XMP user comment", "XMP description", "XMP image description", "XMP title", "Comment", "Description"),
)
"""Where programs put a text that is known by what is in it, in the order in which they are asked."""

_INVOKEAI = {"invokeai_metadata": read_object, "sd-metadata": read_sd_metadata, "Dream": read_command}
_BESIDE = {
    "parameters": ("fooocus_scheme",),
    "invokeai_metadata": ("invokeai_graph", "invokeai_workflow"),
    "Description": ("Comment", "Source", "Software", "Title"),
}
"""Texts that go with one that was understood, and are no more for reading than that."""

_EASY_DIFFUSION = ("use_stable_diffusion_model", "Stable Diffusion model")


def interpret(texts: Mapping[str, str], file_name: str = "") -> Generation | None:
    """None where the texts (by name, see `core.metadata.file_texts`) hold no generation data that is understood.

    file_name: the file's own, which may tell which part of a graph made it.
    """
    found = [generation for generation in _readings(texts, file_name) if generation.says_something]
    whole = next((generation for generation in found if generation.prompt or generation.negative_prompt), None)
    if whole is None:
        return found[0] if found else None
    alike = [each.read for each in found if not each.notes and _prompts(each) == _prompts(whole)]
    return replace(whole, read=whole.read.union(*alike))


def _prompts(generation: Generation) -> tuple[str, str]:
    return generation.prompt, generation.negative_prompt


def _readings(texts: Mapping[str, str], file_name: str) -> Iterator[Generation]:
    """All that the texts can be read as, the likeliest first."""
    for read in (_novelai, _by_content, _invokeai, _easy_diffusion):
        yield from read(texts)
    graph = read_graphs(texts, file_name)
    if graph is not None:
        yield graph
    if OWN in texts:
        note = "prompt: it was found by Unrender, looking at the picture; it is not what the picture was made with"
        yield Generation("", texts[OWN].strip(), notes=(note,))


def _by_content(texts: Mapping[str, str]) -> Iterator[Generation]:
    readers: tuple[Callable[[str], Generation | None], ...] = (read_object, read_parameters)
    for name in _CARRIERS:
        text = texts.get(name, "")
        for read in readers if text else ():
            generation = read(text)
            if generation is not None:
                fooocus = name == "parameters" and "fooocus_scheme" in texts
                yield _told(replace(generation, generator="Fooocus") if fooocus else generation, name)
                break


def _invokeai(texts: Mapping[str, str]) -> Iterator[Generation]:
    for name, read in _INVOKEAI.items():
        generation = read(texts[name]) if name in texts else None
        if generation is not None:
            yield _told(generation, name)


def _novelai(texts: Mapping[str, str]) -> Iterator[Generation]:
    """The three go together; alone they are common words."""
    values = object_in(texts.get("Comment", "")) or {}
    maker = texts.get("Software", "") + texts.get("Source", "")
    if {"uc", "sampler"} & values.keys() and ("Description" in texts or "NovelAI" in maker):
        yield _told(novelai(values, texts.get("Description", ""), texts.get("Source", "")), "Description")


def _easy_diffusion(texts: Mapping[str, str]) -> Iterator[Generation]:
    """A text for each value."""
    if "prompt" in texts or "Prompt" in texts:
        generation = read_values(texts) if any(name in texts for name in _EASY_DIFFUSION) else None
        if generation is not None:
            yield replace(generation, read=frozenset(texts))


def _told(generation: Generation, name: str) -> Generation:
    return replace(generation, read=frozenset({name, *_BESIDE.get(name, ())}))
