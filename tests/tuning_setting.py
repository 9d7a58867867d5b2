"""What the tests of tuning share: micro's models, a few drawings of one style, and short courses."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

from PIL import Image
from unrender.core.embed.projection import ClosedForms
from unrender.core.engine import Engine, Settings
from unrender.core.micro.pictures import drawn
from unrender.core.micro.world import random_scene
from unrender.core.progress import Progress
from unrender.core.tuning.course import Course
from unrender.core.variation.checkpoint import Checkpoint

FORMS = ClosedForms()
SHORT = Course(steps=9, rate=1e-3, batch=1, check_every=4)
SHORT_ONLINE = Course(steps=4, rate=1e-3, batch=2, flips=False, prompts=False, maps=True, check_every=0, empty=0)


@cache
def checkpoint() -> Checkpoint:
    return Checkpoint.load("micro", "cpu")


def engine(folder: Any) -> Engine:
    settings = Settings(clip="micro", captioner=None, device="cpu", cache=folder)
    return Engine(settings, closed_forms=FORMS)  # whose length of a text's end takes a while to measure


@cache
def drawings(count: int = 12, style: str = "oil") -> tuple[Image.Image, ...]:
    rng = random.Random(f"tuning {style}")
    scenes = [random_scene(rng).with_value("style", style) for _ in range(count)]
    pixels = drawn(scenes, 6 * 10**8).pixels
    return tuple(Image.fromarray(each.permute(1, 2, 0).numpy()) for each in pixels)


class StopAt(Progress):
    """Asks to stop after so many steps of tuning."""

    def __init__(self, step: int) -> None:
        self.step, self.done = step, 0

    def task(self, label: str, total: int | None = None, unit: str = "") -> Any:
        from contextlib import contextmanager

        @contextmanager
        def opened() -> Any:
            yield _Counted(self) if label == "Tuning" else _Counted(None)

        return opened()


class _Counted:
    def __init__(self, progress: StopAt | None) -> None:
        self._progress = progress

    def advance(self, amount: int = 1) -> None:
        from unrender.core.errors import Cancelled

        if self._progress is None or not amount:
            return
        self._progress.done += amount
        if self._progress.done >= self._progress.step:
            raise Cancelled
