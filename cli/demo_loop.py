"""The demo's second half: pictures rendered again from what was found in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..core.embed.blend import Blend
from ..core.micro import PHRASES_FOLDER
from ..core.phrases.swapping import swapped
from ..core.phrases.vocabulary import load_vocabulary
from ..core.variation import MICRO
from ..core.variation.checkpoint import Checkpoint
from ..core.variation.render import Sampling, render_together
from ..core.verify.asked import SEEDS, STEPS
from ..core.verify.choosing import Choice, choose_by_rendering, find_candidates
from ..core.verify.eyes import load_judge, usual_judge
from .sheet import Rendering

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..core.engine import Engine

SAMPLING = Sampling(steps=20, guidance=3.0, seed=1)
CANDIDATES = 4
_MEDIUM, _OTHER_MEDIUM = "a mosaic of tiles", "a pencil sketch"


def load_checkpoint(engine: Engine) -> Checkpoint:
    """Micro's. Raises MissingPackageError where diffusers is not installed."""
    return Checkpoint.load(MICRO, "cpu", progress=engine.progress)


def choose(engine: Engine, checkpoint: Checkpoint, picture: Image) -> Choice:
    """One picture's prompt by what several of them render. engine: on micro."""
    found = find_candidates(engine, picture, CANDIDATES)
    judge = load_judge(usual_judge(MICRO), engine.settings, progress=engine.progress)
    few, at_once = replace(SAMPLING, steps=STEPS), len(found) * len(SEEDS)
    return choose_by_rendering(engine, checkpoint, judge, picture, found, few, together=at_once)


def close_loops(
    engine: Engine, checkpoint: Checkpoint, pictures: Sequence[Image], prompts: Sequence[str]
) -> list[tuple[Rendering, ...]]:
    """Each picture again from its prompt, from its embedding without words, and as a mosaic (or, where it is one, in
    pencil). engine: on micro."""
    changes = [_other_medium(prompt) for prompt in prompts]
    negative = engine.embed_text("", MICRO)
    made = {
        "prompt": [engine.embed_text(prompt, MICRO) for prompt in prompts],
        "embedding": [engine.embed(picture, MICRO, quality="good") for picture in pictures],
        "edit": [
            engine.embed(picture, MICRO, "soft", Blend(anchor=prompt, text=_with_medium(prompt, change)))
            for picture, prompt, change in zip(pictures, prompts, changes, strict=True)
        ],
    }
    rendered = {}
    with engine.progress.task("Rendering", len(made), "batches") as task:
        for name, embeddings in made.items():
            rendered[name] = render_together(checkpoint, embeddings, negative, SAMPLING)
            task.advance()
    return [
        (
            Rendering("from the prompt (best)", rendered["prompt"][number]),
            Rendering("from the embedding alone", rendered["embedding"][number]),
            Rendering(f"edited: {change}", rendered["edit"][number]),
        )
        for number, change in enumerate(changes)
    ]


def _other_medium(prompt: str) -> str:
    return _OTHER_MEDIUM if "mosaic" in prompt or "tile" in prompt else _MEDIUM


def _with_medium(prompt: str, medium: str) -> str:
    return swapped(prompt, load_vocabulary(None, PHRASES_FOLDER).phrases("mediums"), medium)
