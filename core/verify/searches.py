"""The searches beside each other on pictures whose truth nobody knows: what can be said of their prompts without it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..engine import Engine
from ..errors import ModelError, SettingsError
from ..images import image_key
from ..settings import BY_EVIDENCE, USUAL_SEARCH, Search
from .notes import Notes
from .statistics import Estimate, difference, estimate

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from ..evidence.likelihoods import Evidence

UNLIKELY = 0.1
"""A likelihood below which what a prompt says is held to be false."""


@dataclass(frozen=True)
class Searched:
    """Of one search, by picture: its prompts. unlikely: the share of what they state, as far as families know it, that
    the CLIP finds unlikely. contradictions, repeats, words: a prompt. seconds: a picture, without loading."""

    search: Search
    prompts: tuple[str, ...]
    unlikely: Estimate
    contradictions: Estimate
    repeats: Estimate
    words: Estimate
    seconds: float


@dataclass(frozen=True)
class Compared:
    """failed: why a search could not be run, by its name."""

    searched: Mapping[Search, Searched]
    failed: Mapping[Search, str]

    @property
    def prompts(self) -> dict[Search, tuple[str, ...]]:
        return {name: found.prompts for name, found in self.searched.items()}


def compare_searches(
    engine: Engine, pictures: Sequence[Image], searches: Sequence[Search], notes: Notes | None = None
) -> Compared:
    """One after the other, on the same captions; those that ask the captioner for more ask it themselves. A search that
    these settings do not allow is told of and left out. notes: under what the engine decides; prompts that are known
    there are not searched again. Raises what interrogating does else."""
    features = engine.picture_features(list(pictures))
    evidence = engine.evidence()
    noted = _Noted(engine, pictures, features, notes or Notes())
    searched: dict[Search, Searched] = {}
    failed: dict[Search, str] = {}
    for search in dict.fromkeys(searches):
        try:
            found = noted.prompts(search)
        except (SettingsError, ModelError) as error:
            failed[search] = error.problem
            continue
        searched[search] = _searched(search, found, features, evidence)
    return Compared(searched, failed)


def captions_of(engine: Engine, pictures: Sequence[Image], notes: Notes | None = None) -> list[str] | None:
    """What the captioner says of each, None where the settings name none. notes: as above. Raises what `interrogate`
    does."""
    if engine.settings.captioner is None:
        return None
    noted = _Noted(engine, pictures, None, notes or Notes())
    return [each.text for each in noted.captions()]


class _Told(NamedTuple):
    """seconds: that it took to find."""

    text: str
    seconds: float

    @classmethod
    def read(cls, values: Any) -> _Told:
        """From what JSON has of one. Raises ValueError, TypeError."""
        text, seconds = values
        return cls(str(text), float(seconds))


class _Noted:
    """What is said of pictures, from notes as far as it is known there."""

    def __init__(self, engine: Engine, pictures: Sequence[Image], features: Tensor | None, notes: Notes) -> None:
        self._engine, self._pictures, self._features, self._notes = engine, pictures, features, notes
        self._keys = [image_key(picture) for picture in pictures]

    def prompts(self, search: Search) -> list[_Told]:
        by_itself = search in BY_EVIDENCE  # which asks the captioner for more than a caption
        captions = [""] * len(self._pictures)
        if not by_itself and self._engine.settings.captioner is not None:
            captions = [each.text for each in self.captions()]

        def find(numbers: Sequence[int]) -> Iterator[str]:
            engine, features = self._engine.searching(search), self._features
            given = None if by_itself else [captions[number] for number in numbers]
            seen = None if features is None else features[list(numbers)]
            pictures = [self._pictures[number] for number in numbers]
            for each in engine.interrogate_each(pictures, "best", given, seen):
                yield each.prompt

        return self._all(search, find)

    def captions(self) -> list[_Told]:
        def find(numbers: Sequence[int]) -> Iterator[str]:
            for each in self._engine.interrogate_each([self._pictures[number] for number in numbers], "caption"):
                yield each.caption

        return self._all("caption", find)

    def _all(self, what: str, find: Callable[[Sequence[int]], Iterator[str]]) -> list[_Told]:
        told = [self._notes.known(_Told.read, what, key) for key in self._keys]
        missing = [number for number, each in enumerate(told) if each is None]
        if missing:
            started = time.perf_counter()
            label = f"Searching: {what}" if what != "caption" else "Writing captions"
            found = self._engine.progress.track(find(missing), label, len(missing))
            for number, text in zip(missing, found, strict=True):
                told[number] = _Told(text, time.perf_counter() - started)
                self._notes.keep(told[number], what, self._keys[number])
                started = time.perf_counter()
        return [each for each in told if each is not None]


def recommended_of(scores: Mapping[Search, np.ndarray]) -> tuple[Search | None, dict[Search, Estimate]]:
    """By renderings: of the searches that beat the usual one with an interval clear of zero the best, else the usual;
    and each one's paired difference to it. None where the usual one was not run. scores: the judge's, [pictures]."""
    if USUAL_SEARCH not in scores:
        return None, {}
    over: dict[Search, Estimate] = {
        name: difference(own, scores[USUAL_SEARCH]) for name, own in scores.items() if name != USUAL_SEARCH
    }
    better: list[Search] = [name for name, found in over.items() if found.low > 0]
    better.sort(key=lambda name: over[name].mean)
    return better[-1] if better else USUAL_SEARCH, over


def _searched(search: Search, found: Sequence[_Told], features: Tensor, evidence: Evidence) -> Searched:
    prompts = tuple(each.text for each in found)
    rows = [_counted(prompt, own, evidence) for prompt, own in zip(prompts, features, strict=True)]
    unlikely, contradictions, repeats = np.array(rows, dtype=np.float64).T
    words = np.array([len(prompt.split()) for prompt in prompts], dtype=np.float64)
    seconds = sum(each.seconds for each in found) / len(found)
    return Searched(
        search, prompts, estimate(unlikely), estimate(contradictions), estimate(repeats), estimate(words), seconds
    )


def _counted(prompt: str, features: Tensor, evidence: Evidence) -> tuple[float, int, int]:
    """Of a prompt: the share of its claims that are unlikely, contradictions, and repeats."""
    claims, answers = evidence.claims.read(prompt), evidence.answers(features)
    said = Counter((claim.family.name, claim.concept.name) for claim in claims)
    likelihoods = {
        (name, concept.name): float(likelihood)
        for name, answer in answers.items()
        for concept, likelihood in zip(answer.family.concepts, answer.likelihoods, strict=True)
    }
    unlikely = sum(likelihoods[each] < UNLIKELY for each in said)
    excluding = Counter(name for name, _ in said if answers[name].family.excludes)
    contradictions = sum(count - 1 for count in excluding.values())
    return unlikely / max(1, len(said)), contradictions, sum(count - 1 for count in said.values())
