"""The searches beside each other on pictures whose truth nobody knows: what can be said of their prompts without it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..engine import Engine
from ..errors import ModelError, SettingsError
from ..settings import BY_EVIDENCE, USUAL_SEARCH, Search
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


def compare_searches(engine: Engine, pictures: Sequence[Image], searches: Sequence[Search]) -> Compared:
    """One after the other, on the same captions; those that ask the captioner for more ask it themselves. A search that
    these settings do not allow is told of and left out. Raises what interrogating does else."""
    features = engine.picture_features(list(pictures))
    evidence = engine.evidence()
    captions = (
        [each.caption for each in engine.interrogate_each(list(pictures), "caption")] if _captions(engine) else None
    )
    searched: dict[Search, Searched] = {}
    failed: dict[Search, str] = {}
    for search in dict.fromkeys(searches):
        given = None if search in BY_EVIDENCE else captions or [""] * len(pictures)
        started = time.perf_counter()
        try:
            found = engine.searching(search).interrogate_each(list(pictures), "best", given, features)
            prompts = tuple(each.prompt for each in engine.progress.track(found, f"Searching: {search}", len(pictures)))
        except (SettingsError, ModelError) as error:
            failed[search] = error.problem
            continue
        seconds = (time.perf_counter() - started) / len(pictures)
        searched[search] = _searched(search, prompts, features, evidence, seconds)
    return Compared(searched, failed)


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


def _captions(engine: Engine) -> bool:
    return engine.settings.captioner is not None


def _searched(
    search: Search, prompts: tuple[str, ...], features: Tensor, evidence: Evidence, seconds: float
) -> Searched:
    rows = [_counted(prompt, own, evidence) for prompt, own in zip(prompts, features, strict=True)]
    unlikely, contradictions, repeats = np.array(rows, dtype=np.float64).T
    words = np.array([len(prompt.split()) for prompt in prompts], dtype=np.float64)
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
