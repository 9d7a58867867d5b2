"""A picture moved step by step until a CLIP finds it like a text."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad

from ..clip.sight import Sight
from ..errors import ModelError, SettingsError, UnrenderError
from ..files import replace_whole, writing
from ..foreign import Unreadable, read_header, read_tensors
from ..progress import SILENT, Progress
from ..undisturbed import undisturbed
from .frames import Frames
from .painters import Painter

By = Literal["latent", "pixels", "cppn"]
WAYS: tuple[By, ...] = get_args(By)
"""The best first, as `benchmarks/optimise.py` measures them."""
STEPS = 60
STATE = "state.safetensors"
_MOST_FRAMES = 24
_MOST_STEPS, _MOST_VIEWS = 100_000, 256
_SHIFT, _NOISE = 1 / 16, 0.05  # of a view: by how much of a side it is moved, and the deviation of what is added
_MOMENTS, _EPSILON = (0.9, 0.99), 1e-8
_SLOWEST = 0.1
_LOUD = 1024.0
"""The gradient's factor, which half precision would lose in part; no step depends on it."""


@dataclass(frozen=True)
class Plan:
    """steps: of Adam. views: augmented views that each is made of. seed: of all that is drawn by chance. Raises
    SettingsError."""

    steps: int = STEPS
    views: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= _MOST_STEPS:
            raise SettingsError(f"The moves of the picture are {self.steps}", f"give a number from 1 to {_MOST_STEPS}")
        if not 1 <= self.views <= _MOST_VIEWS:
            raise SettingsError(f"The views of a step are {self.views}", f"give a number from 1 to {_MOST_VIEWS}")
        if not 0 <= self.seed < 2**63:
            raise SettingsError(f"is {self.seed}", "give a whole number from 0 to 2^63 - 1", control="seed")

    @property
    def shown(self) -> list[int]:
        """The steps whose pictures are kept: the beginning, the end, and some between, evenly."""
        count = min(_MOST_FRAMES, self.steps)
        return [round(each * self.steps / count) for each in range(count + 1)]


class Shown(NamedTuple):
    """After so many steps. similarity: the cosine of picture and text in the CLIP's eyes."""

    step: int
    similarity: float
    picture: Image.Image


@dataclass
class _State:
    """values: the painter's. means, squares: Adam's moments. step: how many were taken. similarities: of all that was
    shown."""

    values: Sequence[Tensor]
    means: list[Tensor]
    squares: list[Tensor]
    step: int
    similarities: list[float]


def optimise(
    sight: Sight,
    painter: Painter,
    target: Tensor,
    plan: Plan,
    frames: Frames,
    shown: Callable[[Shown], None] = lambda _: None,
    progress: Progress = SILENT,
) -> list[tuple[int, float]]:
    """Moves the painter's values until the plan's steps are taken, from where an earlier call stopped in these frames,
    whose note is the caller's (`Frames.begin`). Returns the steps whose pictures are kept, in order, each with the
    similarity to the text.

    target: the text's normalised embedding [joint width]. shown: is told of each picture that is kept.
    The same for the same inputs on the same device. Raises ModelError where there are no numbers, UnrenderError where a
    frame cannot be written, and Cancelled.
    """
    # a host may run everything in inference mode, where nothing has a gradient
    with torch.inference_mode(False), torch.enable_grad(), undisturbed():
        state = _begun(painter, plan, frames.folder / STATE)
        steps, target = plan.shown, target.detach().clone()
        with progress.task("Optimising the picture", plan.steps, "steps") as task:
            task.advance(state.step)
            while True:
                if state.step in steps and len(state.similarities) <= steps.index(state.step):
                    _keep(sight, painter, target, state, frames, shown)
                if state.step >= plan.steps:
                    break
                _move(sight, painter, target, plan, state)
                task.advance()
    return list(zip(steps, state.similarities, strict=True))


def _move(sight: Sight, painter: Painter, target: Tensor, plan: Plan, state: _State) -> None:
    generator = torch.Generator().manual_seed((plan.seed * _MOST_STEPS + state.step) % 2**63)
    views = _views(painter.picture(), plan.views, generator)
    likeness = (sight.features(views) @ target.to(sight.clip.device)).mean()
    gradients = torch.autograd.grad(-_LOUD * likeness, painter.values)
    if not all(bool(torch.isfinite(each).all()) for each in gradients):
        raise ModelError(f"{sight.clip.name} gives no numbers to move the picture by", "use the CPU or full precision")
    along = painter.steered(gradients, generator)
    state.step += 1
    rate = painter.rate * (_SLOWEST + (1 - _SLOWEST) * (1 + math.cos(math.pi * state.step / plan.steps)) / 2)
    with torch.no_grad():
        for value, mean, square, step in zip(state.values, state.means, state.squares, along, strict=True):
            mean.lerp_(step, 1 - _MOMENTS[0])
            square.lerp_(step * step, 1 - _MOMENTS[1])
            first, second = (1 - moment**state.step for moment in _MOMENTS)
            value.sub_(rate * (mean / first) / ((square / second).sqrt() + _EPSILON))


def _views(picture: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """The picture moved a little, mirrored at times, with some noise: what pleases a CLIP in one view alone is no
    picture. [count, 3, height, width]."""
    height, width = picture.shape[-2:]
    down, across = max(1, round(height * _SHIFT)), max(1, round(width * _SHIFT))
    wide, made = pad(picture, (across, across, down, down), mode="reflect"), []
    for _ in range(count):
        drawn = torch.rand(3, generator=generator).tolist()
        top, left = int(drawn[0] * (2 * down + 1)), int(drawn[1] * (2 * across + 1))
        view = wide[:, :, top : top + height, left : left + width]
        noise = torch.randn(view.shape, generator=generator).to(view)
        made.append((view.flip(-1) if drawn[2] < 0.5 else view) + _NOISE * noise)
    return torch.cat(made)


def _keep(
    sight: Sight,
    painter: Painter,
    target: Tensor,
    state: _State,
    frames: Frames,
    shown: Callable[[Shown], None],
) -> None:
    """The state last: what it tells of is there."""
    with torch.no_grad():
        values = (painter.picture()[0].clamp(0, 1) * 255).round()
        similarity = float((sight.features(values[None] / 255) @ target.to(sight.clip.device))[0])
    picture = Image.fromarray(values.to("cpu", torch.uint8).permute(1, 2, 0).numpy())
    frames.put(len(state.similarities), picture)
    state.similarities.append(similarity)
    _save(state, frames.folder / STATE)
    shown(Shown(state.step, similarity, picture))


def _save(state: _State, path: Path) -> None:
    from safetensors.torch import save

    parts = {"values": state.values, "means": state.means, "squares": state.squares}
    tensors = {
        f"{name}.{number}": each.detach().cpu().contiguous()
        for name, some in parts.items()
        for number, each in enumerate(some)
    }
    told = {"step": str(state.step), "similarities": json.dumps(state.similarities)}
    with writing(path):
        replace_whole(path, save(tensors, metadata=told))


def _begun(painter: Painter, plan: Plan, path: Path) -> _State:
    """From where it was, or from the beginning. Raises UnrenderError for a state that is none of this painter's."""
    values = painter.values
    if not path.is_file():
        means, squares = ([torch.zeros_like(each) for each in values] for _ in range(2))
        return _State(values, means, squares, 0, [])
    try:
        (kept, means, squares), step, similarities = _read(path, values)
        if not 0 <= step <= plan.steps or len(similarities) > len(plan.shown):
            raise Unreadable("it is of other steps")
    except (Unreadable, KeyError, ValueError, TypeError) as error:
        problem = f"{path} does not say how to go on ({error})"
        raise UnrenderError(problem, "remove its folder and begin again") from error
    with torch.no_grad():
        for value, before in zip(values, kept, strict=True):
            value.copy_(before)
    return _State(values, means, squares, step, similarities)


def _read(path: Path, values: Sequence[Tensor]) -> tuple[list[list[Tensor]], int, list[float]]:
    """What `_save` wrote, on the values' device. Raises Unreadable, KeyError, ValueError, TypeError."""
    header, parts = read_header(path), []
    for part in ("values", "means", "squares"):
        names = [f"{part}.{number}" for number in range(len(values))]
        for name, value in zip(names, values, strict=True):
            if header.shape(name, "F32", ndim=value.ndim) != tuple(value.shape):
                raise Unreadable("it is of another size")
        found = read_tensors(path, names)
        parts.append([found[name].to(value, copy=True) for name, value in zip(names, values, strict=True)])
    return parts, int(header.metadata["step"]), list(map(float, json.loads(header.metadata["similarities"])))
