"""How much of a picture is found again in what is rendered from it, in each way there is, as another CLIP judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from PIL import Image
from torch import Tensor

from ..embed import PromptEmbedding
from ..embed.blend import Blend, checked_choice
from ..embed.gap import GapCorrection
from ..embed.kinds import PROJECTIONS, Projection
from ..engine import Engine
from ..errors import SettingsError
from ..settings import Mode, Search
from ..variation.checkpoint import Checkpoint
from ..variation.render import Sampling, render
from .asked import check_count
from .searches import recommended_of
from .statistics import Estimate, difference, estimate, retention

CAPTION, FAST, BEST, SHUFFLED, EMPTY = "caption", "interrogated, fast", "interrogated, best", "shuffled", "empty prompt"
RIVAL = "pinv"
SHOWN = 6


@dataclass(frozen=True)
class Way:
    """similarity: the judge's, of picture and rendering. over_rival: paired difference to pinv, where that exists.
    kept: share of the caption's fidelity, with the embeddings of other pictures as zero; absent without a captioner.
    second: the second judge's similarity, where there is one."""

    name: str
    similarity: Estimate
    over_rival: Estimate | None
    kept: Estimate | None
    second: Estimate | None = None


@dataclass(frozen=True)
class Fidelity:
    """ways: by name. renderings: of each way the first few pictures'. recommended: the projection to use by default
    for the text encoders of that fingerprint. search: to use by default, where several were compared, and over_usual:
    each one's paired difference to the usual one."""

    ways: Mapping[str, Way]
    renderings: Mapping[str, Sequence[Image.Image]]
    recommended: Projection
    fingerprint: str
    search: Search | None = None
    over_usual: Mapping[Search, Estimate] = field(default_factory=dict)


class Judge(Protocol):
    """What sees pictures: a CLIP, or another network."""

    @property
    def name(self) -> str:
        """Where it came from."""
        ...

    def encode_images(self, images: Sequence[Image.Image]) -> Tensor:
        """Unit vectors [images, width]."""
        ...


def measure_fidelity(
    engine: Engine,
    checkpoint: Checkpoint,
    judges: Sequence[Judge],
    pictures: Sequence[Image.Image],
    gap: GapCorrection | None = None,
    sampling: Sampling | None = None,
    seeds: Sequence[int] = (0, 1),
    searched: Mapping[Search, Sequence[str]] | None = None,
) -> Fidelity:
    """Renders each picture in every way with every seed. judges: first a CLIP of another family than the engine's,
    which decides; then another one or none. searched: each search's prompts, in the place of the usual one's.

    Raises SettingsError for fewer than two pictures, and what rendering and interrogating raise.
    """
    check_count(len(pictures))
    made = _embeddings(engine, checkpoint, pictures, gap, searched)
    negative = engine.embed_text("", checkpoint.family.name, encoders=checkpoint.encoders)
    seen = [judge.encode_images(list(pictures)) for judge in judges]
    scores: dict[str, np.ndarray] = {}
    shown: dict[str, list[Image.Image]] = {}
    total = len(made) * len(pictures) * len(seeds)
    with engine.progress.task("Rendering", total, "pictures") as task:
        for name, embeddings in made.items():
            rows = []
            for number, embedding in enumerate(embeddings):
                rendered = []
                for seed in seeds:
                    rendered.append(render(checkpoint, embedding, negative, replace(sampling or Sampling(), seed=seed)))
                    task.advance()
                if len(shown.setdefault(name, [])) < SHOWN:
                    shown[name].append(rendered[0])
                views = zip(judges, seen, strict=True)
                rows.append([float((judge.encode_images(rendered) @ own[number]).mean()) for judge, own in views])
            scores[name] = np.array(rows).T
    ways = {name: _way(name, scores) for name in scores}
    best = recommended(ways, "soft")
    by_search: dict[Search, np.ndarray] = {search: scores[way_of(search)][0] for search in searched or {}}
    search, over = recommended_of(by_search)
    return Fidelity(ways, shown, best, made["soft"][0].fingerprint, search, over)


def way_of(search: Search) -> str:
    return f"interrogated, {search}"


def recommended(ways: Mapping[str, Way], usual: Projection) -> Projection:
    """The projection that beats pinv with an interval clear of zero, the best of several; else the family's usual one.

    Where there is no pinv, the best projection."""

    def surely_better(way: Way) -> bool:
        return way.over_rival is None or way.over_rival.low > 0

    better: list[Projection] = [name for name in PROJECTIONS if name in ways and surely_better(ways[name])]
    better.sort(key=lambda name: ways[name].similarity.mean)
    return better[-1] if better else usual


def _embeddings(
    engine: Engine,
    checkpoint: Checkpoint,
    pictures: Sequence[Image.Image],
    gap: GapCorrection | None,
    searched: Mapping[Search, Sequence[str]] | None,
) -> dict[str, list[PromptEmbedding]]:
    family, encoders = checkpoint.family, checkpoint.encoders

    def of_texts(texts: Sequence[str]) -> list[PromptEmbedding]:
        return [engine.embed_text(text, family.name, encoders=encoders) for text in texts]

    prompts = {
        name: [engine.interrogate(each, mode).prompt for each in pictures] for name, mode in _modes(engine, searched)
    }
    prompts |= {way_of(search): list(texts) for search, texts in (searched or {}).items()}
    anchors = prompts[BEST] if BEST in prompts else prompts[way_of(_anchoring(engine, searched or {}))]
    made = {name: of_texts(texts) for name, texts in prompts.items()}
    for projection in PROJECTIONS:
        if not _serves(lambda name: checked_choice(family, name), projection):
            continue
        blends = [Blend(anchor=anchor) if projection == "anchored" else Blend(anchor="") for anchor in anchors]
        made[projection] = [
            engine.embed(picture, family.name, projection, blend, gap, encoders=encoders)
            for picture, blend in zip(pictures, blends, strict=True)
        ]
    usual = made["soft"]
    made[SHUFFLED] = [*usual[1:], usual[0]]
    made[EMPTY] = of_texts([""]) * len(pictures)
    return made


def _anchoring(engine: Engine, searched: Mapping[Search, Sequence[str]]) -> Search:
    """The usual one's, else the first one's."""
    usual = engine.settings.searched
    return usual if usual in searched else next(iter(searched))


def _modes(engine: Engine, searched: Mapping[Search, Sequence[str]] | None) -> list[tuple[str, Mode]]:
    modes: list[tuple[str, Mode]] = [(FAST, "fast"), *(() if searched else ((BEST, "best"),))]
    return modes if engine.settings.captioner is None else [(CAPTION, "caption"), *modes]


def _serves(check: Callable[[str], object], projection: str) -> bool:
    try:
        check(projection)
    except SettingsError:
        return False
    return True


def _way(name: str, scores: Mapping[str, np.ndarray]) -> Way:
    """scores: of each way, [judges, pictures]."""
    (own, *second), rival = scores[name], scores.get(RIVAL)
    kept = retention(own, scores[CAPTION][0], scores[SHUFFLED][0]) if CAPTION in scores else None
    over = None if rival is None else difference(own, rival[0])
    return Way(name, estimate(own), over, kept, estimate(second[0]) if second else None)
