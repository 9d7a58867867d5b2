"""The walk over prompts from which maps and banks learn: announced first, then chunk by chunk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ..clip import Clip
from ..clip.layers import Layer
from ..errors import SettingsError
from ..printable import there_are
from ..progress import SILENT, Check, Progress, Task
from .text_side import TextSide

FEWEST_TEXTS = 16
FEWEST_PICTURES = 40
TEXTS_AT_ONCE = 64
_TEXTS_BETWEEN_STEPS = 16
"""A large encoder takes seconds for as many, where there is no GPU."""

Encode = Callable[[Sequence[str]], Tensor]
"""Texts -> normalised joint embeddings [n, joint width], of the CLIP whose vision tower sees the pictures. Absent where
that CLIP's text tower is the encoder that is learned: then one run gives both."""


def encode_beside(clip: Clip, side: TextSide, progress: Progress) -> Encode | None:
    return None if side.is_of(clip) else partial(clip.encode_texts, progress=progress)


class Reader(Protocol):
    """What texts are read by: a `TextSide`, or what tells two of them apart. positions: of each text. width: of the
    states there. output_width: of the joint space."""

    @property
    def positions(self) -> int: ...

    @property
    def width(self) -> int: ...

    @property
    def output_width(self) -> int: ...

    def states(
        self, texts: Sequence[str], layers: Sequence[Layer], check: Check
    ) -> tuple[tuple[Tensor, ...], Tensor]: ...

    def states_and_embeddings(
        self, texts: Sequence[str], layers: Sequence[Layer], check: Check
    ) -> tuple[tuple[Tensor, ...], Tensor]: ...


class Chunk(NamedTuple):
    """Joint embeddings [n, joint width], and for each layer states [n, positions, width], float32 on one device."""

    joint: Tensor
    states: list[Tensor]


def check_pictures(count: int) -> None:
    """SettingsError for fewer than FEWEST_PICTURES."""
    if count < FEWEST_PICTURES:
        raise SettingsError(
            f"{there_are(count, 'pictures')} to learn from", f"give {FEWEST_PICTURES} or more, best some hundred"
        )


def chunks(
    encode: Encode | None,
    side: Reader,
    layers: Sequence[Layer],
    prompts: Sequence[str],
    nbytes: int,
    progress: Progress = SILENT,
) -> Iterator[Chunk]:
    """What the encoders make of the prompts. Says beforehand how many there are and how large the file will be, and
    after the first chunk how long the rest takes. nbytes: of the file. Raises SettingsError for too few prompts."""
    if len(prompts) < FEWEST_TEXTS:
        raise SettingsError(f"{there_are(len(prompts), 'prompts')} to learn from", f"give {FEWEST_TEXTS} or more")
    portions = [prompts[start : start + TEXTS_AT_ONCE] for start in range(0, len(prompts), TEXTS_AT_ONCE)]
    plan = f"Learning from {len(prompts):,} texts, {max(1, round(nbytes / 1e6)):,} MB"
    with progress.task(f"{plan}, timing the first {len(portions[0])}") as task:
        started = time.perf_counter()
        first = _encoded(encode, side, layers, portions[0], task, progress)
        rest = (time.perf_counter() - started) * (len(prompts) / len(portions[0]) - 1)
    with progress.task(f"{plan}, {_duration(rest)}", len(prompts), "texts") as task:
        for number, texts in enumerate(portions):
            if number == 0:
                task.advance(len(texts))
            yield first if number == 0 else _encoded(encode, side, layers, texts, task, progress)


def _encoded(
    encode: Encode | None,
    side: Reader,
    layers: Sequence[Layer],
    texts: Sequence[str],
    task: Task,
    progress: Progress,
) -> Chunk:
    parts: list[Chunk] = []
    for start in range(0, len(texts), _TEXTS_BETWEEN_STEPS):
        some = texts[start : start + _TEXTS_BETWEEN_STEPS]
        if encode is None:
            states, joint = side.states_and_embeddings(some, layers, progress.check)
        else:
            states, joint = side.states(some, layers, progress.check)[0], encode(some).float()
        if joint.device.type != "cuda":  # of the others not all have float64, such as Apple's and some of Intel's
            joint = joint.cpu()
        parts.append(Chunk(joint, [each.to(joint.device) for each in states]))
        task.advance(len(some))
    joints, states = zip(*parts, strict=True)
    return Chunk(torch.cat(joints), [torch.cat(each) for each in zip(*states, strict=True)])


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {round(seconds / 60)} minutes"
