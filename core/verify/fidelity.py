"""How much of a picture is found again in what is rendered from it, in each way there is, as another CLIP judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from ..clip import Clip
from ..embed import PromptEmbedding
from ..embed.embedder import Blend, checked_choice
from ..embed.families import PROJECTIONS
from ..embed.gap import GapCorrection
from ..engine import Engine
from ..errors import SettingsError
from ..settings import Mode
from ..variation.checkpoint import Checkpoint
from ..variation.render import Sampling, render
from .statistics import Estimate, difference, estimate, retention

CAPTION, FAST, BEST, SHUFFLED, EMPTY = "caption", "interrogated, fast", "interrogated, best", "shuffled", "empty prompt"
RIVAL = "pinv"
SHOWN = 6
_FEWEST = 2


@dataclass(frozen=True)
class Way:
    """similarity: the judge's, of picture and rendering. over_rival: paired difference to pinv, where that exists.
    kept: share of the caption's fidelity, with the embeddings of other pictures as zero; absent without a captioner."""

    name: str
    similarity: Estimate
    over_rival: Estimate | None
    kept: Estimate | None


@dataclass(frozen=True)
class Fidelity:
    """ways: by name. renderings: of each way the first few pictures'. recommended: the projection to use by default."""

    ways: Mapping[str, Way]
    renderings: Mapping[str, Sequence[Image.Image]]
    recommended: str


def measure_fidelity(
    engine: Engine,
    checkpoint: Checkpoint,
    judge: Clip,
    pictures: Sequence[Image.Image],
    gap: GapCorrection | None = None,
    sampling: Sampling | None = None,
    seeds: Sequence[int] = (0, 1),
) -> Fidelity:
    """Renders each picture in every way with every seed. judge: of another family than the engine's CLIP.

    Raises SettingsError for fewer than two pictures, and what rendering and interrogating raise.
    """
    if len(pictures) < _FEWEST:
        raise SettingsError(f"There are {len(pictures)} pictures to verify with; give {_FEWEST} or more.")
    made = _embeddings(engine, checkpoint, pictures, gap)
    negative = engine.embed_text("", checkpoint.family.name, encoders=checkpoint.encoders)
    seen = judge.encode_images(list(pictures))
    scores: dict[str, np.ndarray] = {}
    shown: dict[str, list[Image.Image]] = {}
    total = len(made) * len(pictures) * len(seeds)
    with engine.progress.task("Rendering", total, "pictures") as task:
        for name, embeddings in made.items():
            rows = []
            for picture, embedding in zip(seen, embeddings, strict=True):
                rendered = []
                for seed in seeds:
                    rendered.append(render(checkpoint, embedding, negative, replace(sampling or Sampling(), seed=seed)))
                    task.advance()
                if len(shown.setdefault(name, [])) < SHOWN:
                    shown[name].append(rendered[0])
                rows.append(float((judge.encode_images(rendered) @ picture).mean()))
            scores[name] = np.array(rows)
    ways = {name: _way(name, scores) for name in scores}
    return Fidelity(ways, shown, recommended(ways, checkpoint.family.projection))


def recommended(ways: Mapping[str, Way], usual: str) -> str:
    """The projection that beats pinv with an interval clear of zero, the best of several; else the family's usual one.

    Where there is no pinv, the best projection."""
    known = [ways[name] for name in PROJECTIONS if name in ways]
    better = [way for way in known if way.over_rival is None or way.over_rival.low > 0]
    if RIVAL in ways:
        better = [way for way in better if way.name != RIVAL]
    return max(better, key=lambda way: way.similarity.mean).name if better else usual


def _embeddings(
    engine: Engine, checkpoint: Checkpoint, pictures: Sequence[Image.Image], gap: GapCorrection | None
) -> dict[str, list[PromptEmbedding]]:
    family, encoders = checkpoint.family, checkpoint.encoders

    def of_texts(texts: Sequence[str]) -> list[PromptEmbedding]:
        return [engine.embed_text(text, family.name, encoders=encoders) for text in texts]

    prompts = {name: [engine.interrogate(each, mode).prompt for each in pictures] for name, mode in _modes(engine)}
    made = {name: of_texts(texts) for name, texts in prompts.items()}
    for projection in PROJECTIONS:
        if not _serves(lambda name: checked_choice(family, name), projection):
            continue
        blends = [Blend(anchor=anchor) if projection == "anchored" else Blend() for anchor in prompts[BEST]]
        made[projection] = [
            engine.embed(picture, family.name, projection, blend, gap, encoders=encoders)
            for picture, blend in zip(pictures, blends, strict=True)
        ]
    usual = made[family.projection]
    made[SHUFFLED] = [*usual[1:], usual[0]]
    made[EMPTY] = of_texts([""]) * len(pictures)
    return made


def _modes(engine: Engine) -> list[tuple[str, Mode]]:
    modes: list[tuple[str, Mode]] = [(FAST, "fast"), (BEST, "best")]
    return modes if engine.settings.captioner is None else [(CAPTION, "caption"), *modes]


def _serves(check: Callable[[str], object], projection: str) -> bool:
    try:
        check(projection)
    except SettingsError:
        return False
    return True


def _way(name: str, scores: Mapping[str, np.ndarray]) -> Way:
    own, rival = scores[name], scores.get(RIVAL)
    kept = retention(own, scores[CAPTION], scores[SHUFFLED]) if CAPTION in scores else None
    return Way(name, estimate(own), None if rival is None else difference(own, rival), kept)
