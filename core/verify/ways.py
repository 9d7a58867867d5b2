"""The ways in which pictures become embeddings, as they are compared, and how many pictures each is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from ..embed import PromptEmbedding
from ..embed.blend import Blend, checked_way
from ..embed.families import Family
from ..embed.gap import GapCorrection
from ..embed.kinds import PROJECTIONS, QUALITIES, Projection, Quality, Way
from ..engine import Engine
from ..images import image_key
from ..settings import Search
from ..variation.checkpoint import Checkpoint
from .asked import ALL

CAPTION, SHUFFLED, EMPTY = "caption", "another's", "empty prompt"
QUICK: Quality = "quick"

_BASELINES_SHARE, _FEWEST_FOR_BASELINES = 4, 6
"""What no one would choose is shown every fourth picture, and these at least."""


@dataclass(frozen=True)
class Said:
    """What is said of the pictures in words. prompts: by the search that found them. usual: that whose prompts stand
    under what needs one. captions: None without a captioner."""

    prompts: Mapping[Search, Sequence[str]]
    usual: Search
    captions: Sequence[str] | None = None


@dataclass(frozen=True)
class Recipe:
    """pictures: how many of them it is shown, the first ones. seeds: whether with each seed, or with the first alone.
    given: what decides an embedding beside the picture, such as words, by the picture's number. make: the embedding."""

    name: str
    pictures: int
    given: Callable[[int], str]
    make: Callable[[int], PromptEmbedding]
    seeds: bool = True


def words_of(search: Search) -> str:
    """The name of the way that renders what a search found."""
    return f"words, {search}"


def chosen_ways(family: Family, names: Sequence[str]) -> dict[str, Way]:
    """By name, `QUICK` first, each way once: a projection that a quality of these takes is that quality. names: of
    qualities and projections, `ALL` for every one that serves the family. Raises SettingsError for one that does not.
    """
    served = [each for each in PROJECTIONS if family.is_served_by(each)]
    named = [*QUALITIES, *served] if ALL in names else names
    ordered = [each for each in (*QUALITIES, *PROJECTIONS) if each in (QUICK, *named)]
    found: dict[Way, str] = {}
    for name in ordered:
        way = checked_way(family, name) if name in PROJECTIONS else checked_way(family, wanted=name)
        found.setdefault(way, name)
    return {name: way for way, name in found.items()}


def needs_learning(names: Sequence[str]) -> bool:
    """Whether one of these learns from thousands of texts first."""
    return ALL in names or not {"ridge", "bank", "anchored"}.isdisjoint(names)


def recipes(
    engine: Engine,
    checkpoint: Checkpoint,
    pictures: Sequence[Image.Image],
    said: Said,
    names: Sequence[str],
    gap: GapCorrection | None = None,
) -> Iterator[Recipe]:
    """The empty prompt first, which needs nothing to be learned or found. Raises SettingsError."""
    family, encoders, count = checkpoint.family, checkpoint.encoders, len(pictures)
    few = min(count, max(_FEWEST_FOR_BASELINES, count // _BASELINES_SHARE))

    def text(words: str) -> PromptEmbedding:
        return engine.embed_text(words, family.name, encoders=encoders)

    def embed(number: int, name: str, anchor: str) -> PromptEmbedding:
        quality: Quality | None = next((each for each in QUALITIES if each == name), None)
        projection: Projection | None = next((each for each in PROJECTIONS if each == name), None)
        blend = Blend(anchor=anchor)
        picture = pictures[number]
        return engine.embed(picture, family.name, projection, blend, gap, quality=quality, encoders=encoders)

    def of_texts(name: str, texts: Sequence[str], shown: int = count) -> Recipe:
        return Recipe(name, shown, lambda number: texts[number], lambda number: text(texts[number]))

    def of_pictures(name: str, way: Way) -> Recipe:
        anchors = said.prompts[said.usual] if way.searched else [""] * count
        return Recipe(name, count, lambda number: anchors[number], lambda number: embed(number, name, anchors[number]))

    yield Recipe(EMPTY, few, lambda _: "", lambda _: text(""), seeds=False)
    for name, way in chosen_ways(family, names).items():
        yield of_pictures(name, way)
    for search, prompts in said.prompts.items():
        yield of_texts(words_of(search), prompts)
    if said.captions is not None:
        yield of_texts(CAPTION, said.captions, few)
    other = [(number + 1) % count for number in range(count)]
    keys = [image_key(picture) for picture in pictures[: few + 1]]
    yield Recipe(SHUFFLED, few, lambda n: keys[other[n]], lambda n: embed(other[n], QUICK, ""), seeds=False)
