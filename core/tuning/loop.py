"""Steps of learning, each of which depends on nothing but what was learned before it, and on its number.

So a run that was killed gives the same file as one that was not: a step's pictures, noise and times are drawn from the
seed and the step, and what was learned, the optimiser's state and the best so far are kept together.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Protocol

import torch
from torch import Tensor

from ..errors import ModelError
from ..progress import SILENT, Progress
from .course import Course
from .journal import Journal, Point, into_optimizer, of_optimizer
from .learned import Learned
from .material import Material
from .noise import Condition, NoiseLoss

KEEP_EVERY = 25
"""Steps that are lost at most: what is kept is three times as large as what is learned."""

_SCALE = 1024.0
"""Of a loss in float16, whose gradients would be too small for it."""


class Source(Protocol):
    """See `learned.Sight` and `learned.Given`."""

    def conditions(
        self, chosen: Sequence[int], mirrored: Tensor, prompts: Any, dropped: torch.Generator | None = None
    ) -> Condition: ...

    def without(self, condition: Condition, left_out: Tensor) -> Condition: ...


@dataclass(frozen=True)
class Told:
    """After a look at held-out pictures. loss: the mean of the steps since the last one. value: of the held-out ones,
    the lower the better; untuned: what it was before anything was learned. left: seconds, None where that is not known.
    """

    step: int
    steps: int
    loss: float
    value: float
    untuned: float
    left: float | None


@dataclass(frozen=True)
class Task:
    """What is learned of what. check: how bad it is on held-out pictures, as it stands (True) or before anything was
    learned; None where there are none. compute: in which the UNet is to work, None for its own."""

    unet: Any
    loss: NoiseLoss
    source: Source
    material: Material
    course: Course
    learned: Learned
    check: Callable[[bool], float] | None = None
    compute: torch.dtype | None = None


@dataclass
class State:
    """best: the parameters that did best on held-out pictures, the last ones where there are none."""

    step: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)
    value: float = math.inf
    at: int = 0
    untuned: float = math.nan
    losses: list[float] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        return {
            "best": None if math.isinf(self.value) else self.value,
            "at": self.at,
            "untuned": None if math.isnan(self.untuned) else self.untuned,
            "losses": self.losses,
        }

    @classmethod
    def of(cls, point: Point) -> State:
        told = point.told
        best = {name.removeprefix("best."): each for name, each in point.tensors.items() if name.startswith("best.")}
        value, untuned = told["best"], told["untuned"]
        return cls(
            point.step,
            best,
            math.inf if value is None else value,
            told["at"],
            math.nan if untuned is None else untuned,
            list(told["losses"]),
        )


class Loop:
    """report: hears after each look at held-out pictures."""

    def __init__(
        self,
        task: Task,
        journal: Journal | None = None,
        progress: Progress = SILENT,
        report: Callable[[Told], None] = lambda told: None,
    ) -> None:
        self._task, self._journal, self._progress, self._report = task, journal, progress, report
        course, learned = task.course, task.learned
        self._optimizer = torch.optim.AdamW(learned.parameters(), course.rate)
        self._device = next(task.unet.parameters()).device
        learned.to(self._device)
        self._times: list[float] = []

    def run(self) -> State:
        """What is learned stays in the task's `learned`, as it was when it did best. Raises ModelError where the loss
        is no number, BatchError where what was learned cannot be kept, or Cancelled; what was kept stays."""
        task, course = self._task, self._task.course
        state = self._begun()
        with _Trained(task.unet), task.learned.in_use(task.unet):
            if state.step == 0:
                self._look(state)
            with self._progress.task("Tuning", course.steps, "steps") as bar:
                bar.advance(state.step)
                while state.step < course.steps:
                    started = time.monotonic()
                    state.losses.append(self._step(state.step))
                    state.step += 1
                    self._times.append(time.monotonic() - started)
                    if state.step == course.steps or (course.check_every and state.step % course.check_every == 0):
                        self._look(state)
                    if self._journal is not None and (state.step % KEEP_EVERY == 0 or state.step == course.steps):
                        self._journal.keep(self._point(state))
                    bar.advance()
        if state.best:
            task.learned.load_state_dict(state.best)
        return state

    def _begun(self) -> State:
        point = None if self._journal is None else self._journal.last()
        if point is None:
            return State()
        own = {name.removeprefix("own."): each for name, each in point.tensors.items() if name.startswith("own.")}
        self._task.learned.load_state_dict(own)
        into_optimizer(self._optimizer, point.tensors)
        return State.of(point)

    def _point(self, state: State) -> Point:
        tensors = {f"own.{name}": each for name, each in self._task.learned.state_dict().items()}
        tensors |= {f"best.{name}": each for name, each in state.best.items()}
        return Point(state.step, {**tensors, **of_optimizer(self._optimizer)}, state.told())

    def _step(self, number: int) -> float:
        """The loss of one. Raises ModelError where it is no number: nothing is changed then."""
        task, course = self._task, self._task.course
        generator = _generator(course.seed, number)
        half = task.compute is torch.float16
        scale = _SCALE if half else 1.0
        self._optimizer.zero_grad()
        total = 0.0
        for _ in range(course.accumulate):
            loss = self._loss(generator) / course.accumulate
            (loss * scale).backward()
            total += float(loss.detach())
        if not math.isfinite(total):
            raise ModelError(
                f"The loss is no number at step {number + 1}",
                "give a lower learning rate under another name",
                "get the checkpoint again",
            )
        gradients = [each.grad for each in task.learned.parameters() if each.grad is not None]
        if scale != 1:
            for each in gradients:
                each.div_(scale)
        if not half or all(bool(torch.isfinite(each).all()) for each in gradients):
            self._optimizer.step()
        return total

    def _loss(self, generator: torch.Generator) -> Tensor:
        task, course = self._task, self._task.course
        count = len(task.material.keys)
        chosen = torch.randint(count, (course.batch,), generator=generator).tolist()
        mirrored = torch.rand(course.batch, generator=generator) < (0.5 if course.flips else 0)
        left_out = torch.rand(course.batch, generator=generator) < (course.empty if course.maps else 0)
        latents = task.material.chosen(chosen, mirrored)
        drawn = task.loss.draw(latents, generator)
        with self._autocast():
            condition = task.source.conditions(chosen, mirrored, task.learned.prompts, generator)
            condition = task.source.without(condition, left_out)
            placed = condition.each(lambda part: part.to(self._device))
            return task.loss.of(task.unet, latents.to(self._device), drawn, placed).mean()

    def _autocast(self) -> AbstractContextManager[Any]:
        compute = self._task.compute
        return nullcontext() if compute is None else torch.autocast(self._device.type, compute)

    def _look(self, state: State) -> None:
        """At the held-out pictures. Before the first step untuned, then as it stands."""
        task = self._task
        if task.check is None:
            state.best, state.at = _copied(task.learned), state.step
            return
        with torch.no_grad(), self._autocast():
            value = task.check(state.step > 0)
        if state.step == 0:
            state.untuned = value
            return
        if value < state.value:
            state.best, state.value, state.at = _copied(task.learned), value, state.step
        recent = state.losses[-max(1, task.course.check_every) :]
        left = sum(self._times) / len(self._times) * (task.course.steps - state.step) if self._times else None
        mean = sum(recent) / len(recent)
        self._report(Told(state.step, task.course.steps, mean, value, state.untuned, left))


def digest(*deciding: object) -> str:
    """Of what is told by `str`."""
    return sha256("\n".join(map(str, deciding)).encode()).hexdigest()


def _generator(seed: int, step: int) -> torch.Generator:
    return torch.Generator().manual_seed(int(digest(seed, step)[:15], 16))


def _copied(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: each.detach().cpu().clone() for name, each in module.state_dict().items()}


class _Trained:
    """Inside it a UNet passes gradients through, and computes its inner values a second time where there are many of
    them; its own weights stay as they are."""

    def __init__(self, unet: Any) -> None:
        self._unet = unet

    def __enter__(self) -> None:
        unet = self._unet
        self._asked = [each.requires_grad for each in unet.parameters()]
        self._mode = unet.training
        unet.requires_grad_(False)
        self._saving = _is_large(unet) and not getattr(unet, "is_gradient_checkpointing", True)
        if self._saving:
            unet.enable_gradient_checkpointing()
            unet.train()  # which is when diffusers heeds that; of dropout the checkpoints have none

    def __exit__(self, *_: object) -> None:
        unet = self._unet
        if self._saving:
            unet.disable_gradient_checkpointing()
        unet.train(self._mode)
        for each, asked in zip(unet.parameters(), self._asked, strict=True):
            each.requires_grad_(asked)


def _is_large(unet: Any) -> bool:
    return sum(each.numel() for each in unet.parameters()) > 100_000_000


def summary(state: State) -> Mapping[str, Any]:
    """For a file's metadata."""
    told = state.told()
    losses = told.pop("losses")
    return {**told, "steps": state.step, "last losses": [round(each, 5) for each in losses[-10:]]}
