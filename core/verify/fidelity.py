"""How much of a picture is found again in what is rendered from it, in each way there is, as another network judges."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from PIL import Image
from torch import Tensor

from ..embed import PromptEmbedding
from ..embed.gap import GapCorrection
from ..embed.kinds import PROJECTIONS, QUALITIES, Projection, Quality
from ..engine import Engine
from ..images import image_key
from ..settings import Search
from ..variation.checkpoint import Checkpoint
from ..variation.render import Sampling, render
from ..variation.variations import negative_embedding
from .asked import SAMPLING_STEPS, TELLING, check_count, check_seeds
from .coarse import coarse_distance
from .notes import Notes
from .searches import recommended_of
from .statistics import Estimate, difference, estimate
from .ways import QUICK, Recipe, Said, recipes, words_of


@dataclass(frozen=True)
class Way:
    """Of the first so many pictures. similarity: the judge's, of picture and rendering. coarse: see `coarse_distance`.
    over_quick, over_words: paired differences of similarity to the quality "quick", and to the words that the usual
    search found. second: the second judge's similarity, where there is one. seconds: the median that an embedding
    took, without the search whose words were given."""

    name: str
    pictures: int
    similarity: Estimate
    coarse: Estimate
    over_quick: Estimate
    over_words: Estimate
    seconds: float
    second: Estimate | None = None


@dataclass(frozen=True)
class Fidelity:
    """ways: by name. recommended: the quality or projection to use by default for the text encoders of that
    fingerprint; None where the pictures are too few to tell. usual: the search whose words were given to what needs
    some. search: to use by default, where several were compared on enough; over_usual: each one's paired difference to
    the usual one. renderings: of each way the first few pictures', where they were to be kept. seconds: the median that
    a rendering took."""

    ways: Mapping[str, Way]
    recommended: Quality | Projection | None
    fingerprint: str
    usual: Search
    seconds: float
    search: Search | None = None
    over_usual: Mapping[Search, Estimate] = field(default_factory=dict)
    renderings: Mapping[str, Sequence[Image.Image]] = field(default_factory=dict)


class Judge(Protocol):
    """What sees pictures: a CLIP, or another network."""

    @property
    def name(self) -> str:
        """Where it came from."""
        ...

    def encode_images(self, images: Sequence[Image.Image]) -> Tensor:
        """Unit vectors [images, width]."""
        ...


@dataclass(frozen=True)
class Plan:
    """ways: qualities and projections by name (see `chosen_ways`). shown: how many pictures' renderings are kept.
    foresee: is told how many renderings there are to make and how long one takes, after the first two: the very first
    is slower."""

    ways: Sequence[str] = QUALITIES
    seeds: Sequence[int] = (0, 1)
    sampling: Sampling = field(default_factory=lambda: Sampling(SAMPLING_STEPS))
    shown: int = 0
    foresee: Callable[[int, float], None] = lambda renderings, seconds: None


class _Score(NamedTuple):
    """Of one rendering. making, rendering: seconds. views: each judge's similarity."""

    coarse: float
    making: float
    rendering: float
    views: tuple[float, ...]

    @classmethod
    def read(cls, values: Any) -> _Score:
        """From what JSON has of one. Raises ValueError, TypeError."""
        coarse, making, rendering, views = values
        found = cls(float(coarse), float(making), float(rendering), tuple(map(float, views)))
        if not all(map(math.isfinite, (*found[:3], *found.views))):
            raise ValueError("no numbers")
        return found


class _Job(NamedTuple):
    recipe: Recipe
    picture: int
    seed: int


def measure_fidelity(
    engine: Engine,
    checkpoint: Checkpoint,
    judges: Sequence[Judge],
    pictures: Sequence[Image.Image],
    said: Said,
    plan: Plan | None = None,
    gap: GapCorrection | None = None,
    notes: Notes | None = None,
) -> Fidelity:
    """Renders each picture in every way with every seed. judges: first another network than the engine's CLIP, which
    decides; then one more, or none. notes: under what the engine, the checkpoint and the gap decide; what is known
    there is not rendered again, but for what is to be shown.

    Raises SettingsError for fewer than two pictures or no seed, BatchError where notes cannot be kept, and what
    embedding and rendering raise.
    """
    check_count(len(pictures))
    plan = plan or Plan()
    check_seeds(plan.seeds)
    made = list(recipes(engine, checkpoint, pictures, said, plan.ways, gap))
    bench = _Bench(engine, checkpoint, judges, pictures, plan, notes or Notes())
    scores = bench.scores([job for number in range(len(pictures)) for job in _jobs(made, number, plan.seeds)])
    views = {each.name: _by_picture(each, scores, plan.seeds) for each in made}
    ways = {name: _way(name, views, words_of(said.usual)) for name in views}
    search, over = recommended_of({search: views[words_of(search)].judges[0] for search in said.prompts})
    tells = over and len(pictures) >= TELLING
    return Fidelity(
        ways,
        recommended(ways),
        engine.embed_text("", checkpoint.family.name, encoders=checkpoint.encoders).fingerprint,
        said.usual,
        float(np.median([score.rendering for score in scores.values()])),
        search if tells else None,
        over,
        bench.shown,
    )


def recommended(ways: Mapping[str, Way]) -> Quality | Projection | None:
    """Of the qualities and projections that beat "quick" with an interval clear of zero the one that does so by most,
    else "quick"; None of too few pictures."""
    if ways[QUICK].pictures < TELLING:
        return None
    names: tuple[Quality | Projection, ...] = (*QUALITIES, *PROJECTIONS)
    better: list[Quality | Projection] = [name for name in names if name in ways and ways[name].over_quick.low > 0]
    better.sort(key=lambda name: ways[name].over_quick.mean)
    return better[-1] if better else QUICK


class _Bench:
    """Where embeddings are made, rendered and looked at. shown: renderings by the way's name."""

    def __init__(
        self,
        engine: Engine,
        checkpoint: Checkpoint,
        judges: Sequence[Judge],
        pictures: Sequence[Image.Image],
        plan: Plan,
        notes: Notes,
    ) -> None:
        self.shown: dict[str, list[Image.Image]] = {}
        self._engine, self._checkpoint, self._judges, self._plan = engine, checkpoint, judges, plan
        self._pictures = pictures
        self._keys = [image_key(picture) for picture in pictures]
        self._notes = notes.under(plan.sampling, *(judge.name for judge in judges))
        self._made: tuple[tuple[str, int], PromptEmbedding, float] | None = None

    def scores(self, jobs: Sequence[_Job]) -> dict[tuple[str, int, int], _Score]:
        """By way, picture and seed."""
        found = {job: score for job in jobs if (score := self._notes.known(_Score.read, *self._deciding(job)))}
        to_do = [job for job in jobs if job not in found or self._is_shown(job)]
        negative = negative_embedding(self._engine, self._checkpoint)
        seen = [judge.encode_images(list(self._pictures)) for judge in self._judges]
        took: list[float] = []
        with self._engine.progress.task("Rendering", len(to_do), "pictures") as task:
            for number, job in enumerate(to_do):
                rendering, making, seconds = self._rendered(job, negative)
                took.append(seconds)
                if number == 1:
                    self._plan.foresee(len(to_do), min(took))
                if self._is_shown(job):
                    self.shown.setdefault(job.recipe.name, []).append(rendering)
                if job not in found:
                    found[job] = self._judged(rendering, job, seen, making, seconds)
                    self._notes.keep(found[job], *self._deciding(job))
                task.advance()
        return {(job.recipe.name, job.picture, job.seed): score for job, score in found.items()}

    def _rendered(self, job: _Job, negative: PromptEmbedding) -> tuple[Image.Image, float, float]:
        """And the seconds that embedding and rendering took."""
        of = (job.recipe.name, job.picture)
        if self._made is None or self._made[0] != of:
            started = time.perf_counter()
            embedding = job.recipe.make(job.picture)
            self._made = (of, embedding, time.perf_counter() - started)
        _, embedding, making = self._made
        started = time.perf_counter()
        rendering = render(self._checkpoint, embedding, negative, replace(self._plan.sampling, seed=job.seed))
        return rendering, making, time.perf_counter() - started

    def _judged(
        self, rendering: Image.Image, job: _Job, seen: Sequence[Tensor], making: float, seconds: float
    ) -> _Score:
        views = zip(self._judges, seen, strict=True)
        near = tuple(float(judge.encode_images([rendering])[0] @ own[job.picture]) for judge, own in views)
        return _Score(coarse_distance(self._pictures[job.picture], rendering), making, seconds, near)

    def _is_shown(self, job: _Job) -> bool:
        return job.picture < self._plan.shown and job.seed == self._plan.seeds[0]

    def _deciding(self, job: _Job) -> tuple[object, ...]:
        return job.recipe.name, job.recipe.given(job.picture), self._keys[job.picture], job.seed


class _Views(NamedTuple):
    """judges: similarities [judges, pictures]. coarse: distances [pictures]. seconds: an embedding's median."""

    judges: np.ndarray
    coarse: np.ndarray
    seconds: float


def _jobs(made: Sequence[Recipe], picture: int, seeds: Sequence[int]) -> Iterator[_Job]:
    for recipe in made:
        if picture < recipe.pictures:
            yield from (_Job(recipe, picture, seed) for seed in _seeds_of(recipe, seeds))


def _seeds_of(recipe: Recipe, seeds: Sequence[int]) -> Sequence[int]:
    return seeds if recipe.seeds else seeds[:1]


def _by_picture(recipe: Recipe, scores: Mapping[tuple[str, int, int], _Score], seeds: Sequence[int]) -> _Views:
    """Means over the seeds."""
    rows = [
        [scores[recipe.name, picture, seed] for seed in _seeds_of(recipe, seeds)] for picture in range(recipe.pictures)
    ]
    views = np.array([[score.views for score in row] for row in rows]).mean(axis=1).T
    coarse = np.array([[score.coarse for score in row] for row in rows]).mean(axis=1)
    return _Views(views, coarse, float(np.median([row[0].making for row in rows])))


def _way(name: str, views: Mapping[str, _Views], words: str) -> Way:
    own, *second = views[name].judges

    def over(rival: str) -> Estimate:
        other = views[rival].judges[0]
        both = min(len(own), len(other))
        return difference(own[:both], other[:both])

    return Way(
        name,
        len(own),
        estimate(own),
        estimate(views[name].coarse),
        over(QUICK),
        over(words),
        views[name].seconds,
        estimate(second[0]) if second else None,
    )
