"""The options of a choice by rendering, and what chooses."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.errors import SettingsError
from ..core.published import VIT_B
from ..core.variation import MICRO
from ..core.variation.sampling import Sampling
from ..core.verify.asked import STEPS

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..core.engine import Engine
    from ..core.settings import Settings
    from ..core.variation.checkpoint import Checkpoint
    from ..core.verify.choosing import Choice
    from ..core.verify.fidelity import Judge

_NAMES = ("checkpoint", "judge", "steps", "guidance")
_GUIDANCE, _MICROS_GUIDANCE = 7.5, 3.0
USUAL_GUIDANCE = f"{_GUIDANCE}, micro's {_MICROS_GUIDANCE}"
"""As an option's help says it."""


def add_to(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("choice by rendering")
    group.add_argument(
        "--judge-by-rendering",
        type=int,
        metavar="N",
        help="find N prompts, by different searches and captions, render each, and take the one whose renderings are "
        "nearest to the picture",
    )
    group.add_argument(
        "--checkpoint",
        metavar="NAME",
        help="what renders: hub id, folder in diffusers' format, or safetensors file of Stable Diffusion 1, 2 or XL, "
        "or the toy micro",
    )
    group.add_argument(
        "--judge",
        metavar="NAME",
        help=f"the CLIP, or the tagger, that judges; another than --clip (default: {VIT_B})",
    )
    group.add_argument("--steps", type=int, metavar="N", help=f"sampling steps (default: {STEPS})")
    group.add_argument("--guidance", type=float, metavar="N", help=f"guidance scale (default: {USUAL_GUIDANCE})")


@dataclass
class Chooser:
    """Finds prompts, renders them, and takes the best. Loads its checkpoint and judge once."""

    settings: Settings
    count: int
    checkpoint: str
    judge: str
    sampling: Sampling
    _loaded: tuple[Checkpoint, Judge] | None = None

    def choose(self, engine: Engine, image: Image, caption: str | None) -> Choice:
        """Raises what `find_candidates` and `choose_by_rendering` do, at first also what loading does."""
        from ..core.verify.choosing import choose_by_rendering, find_candidates

        if self._loaded is None:
            engine.check("best", None if caption is None else [caption])
            self._loaded = self._load(engine)
        checkpoint, judge = self._loaded
        found = find_candidates(engine, image, self.count, caption)
        return choose_by_rendering(engine, checkpoint, judge, image, found, self.sampling)

    def _load(self, engine: Engine) -> tuple[Checkpoint, Judge]:
        from ..core.hub import Hub
        from ..core.variation.checkpoint import Checkpoint
        from ..core.verify.eyes import load_judge

        hub, progress = Hub(self.settings.cache), engine.progress
        checkpoint = Checkpoint.load(self.checkpoint, self.settings.device, hub, progress)
        return checkpoint, load_judge(self.judge, self.settings, hub, progress)


def sampling_from(options: argparse.Namespace, steps: int) -> Sampling:
    """Of --steps, else so many, and of --guidance, else what suits --checkpoint. Raises SettingsError."""
    usual = _MICROS_GUIDANCE if options.checkpoint == MICRO else _GUIDANCE
    return Sampling(
        steps if options.steps is None else options.steps, usual if options.guidance is None else options.guidance
    )


def chooser_from(options: argparse.Namespace, settings: Settings) -> Chooser | None:
    """None where no choice is asked for. Raises SettingsError, ModelError, MissingPackageError for what is known to be
    wrong before anything is loaded."""
    if options.judge_by_rendering is None:
        _refuse_alone(options)
        return None
    from ..core.variation.naming import check_checkpoint
    from ..core.verify.asked import check_choice
    from ..core.verify.eyes import check_judge, usual_judge

    check_choice(options.judge_by_rendering)
    if options.checkpoint is None:
        raise SettingsError("--judge-by-rendering renders prompts", "name what renders with --checkpoint")
    if options.together or options.mode != "best":
        what = "--together" if options.together else f"the mode {options.mode}"
        raise SettingsError(
            f"--judge-by-rendering asks every search about one picture, which does not go with {what}",
            "leave out one" if options.together else "give --mode best",
        )
    sampling = sampling_from(options, STEPS)
    check_checkpoint(options.checkpoint)
    judge = options.judge or usual_judge(options.checkpoint)
    check_judge(judge, settings.clip)
    return Chooser(settings, options.judge_by_rendering, options.checkpoint, judge, sampling)


def _refuse_alone(options: argparse.Namespace) -> None:
    given = [f"--{name}" for name in _NAMES if getattr(options, name) is not None]
    if given:
        raise SettingsError(f"{given[0]} is of --judge-by-rendering", "give that too")
