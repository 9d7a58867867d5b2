"""Token embeddings moved step by step until the text that they are meets its aim, and held near where they began."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...clip.soft_tower import SoftTower
from ...cures import Give
from ...errors import ModelError, SettingsError
from ...progress import SILENT, Progress
from ...undisturbed import undisturbed

MOST_TOKENS = 75
_NEXT_TO_NOTHING = 0.03
"""Of the gradient's root mean square at the first step."""
_EVERY = 16
"""Of how many of the vocabulary's tokens the deviation is measured on one."""


@dataclass(frozen=True)
class Descent:
    """tokens: how many are added to the words. steps: of Adam. rate: of a step, in deviations of the vocabulary's
    values. words, added: how firmly a token is held where it began, per mean squared distance in those deviations, None
    for words that stay; far from there the states leave what a diffusion model knows. answers: the weight of what is
    told beside the distance. moved: how much of the way to where texts lie the picture goes, where that is known.
    """

    tokens: int = 4
    steps: int = 40
    rate: float = 0.875
    words: float | None = None
    added: float = 0.0
    answers: float = 0.0
    moved: float = 1.0

    def __post_init__(self) -> None:
        check_tokens(self.tokens)


def descended(
    tower: SoftTower,
    start: Tensor,
    held: Tensor,
    losses: Callable[[Tensor], Tensor],
    descent: Descent,
    progress: Progress = SILENT,
) -> Tensor:
    """The free tokens [texts, tokens, width] after the steps, float32, without gradient.

    start: where they begin. held: [tokens], how firmly each. losses: [texts], of the states of the texts' ends [texts,
    width]. Texts do not move one another. Raises ModelError where the weights give NaN, or Cancelled within a step."""
    if not start.shape[1] or not descent.steps:
        return start
    deviation = float(tower.weights.embedding[::_EVERY].detach().float().std())
    if not math.isfinite(deviation):
        raise _no_numbers()
    # a host may run everything in inference mode, where nothing has a gradient
    with torch.inference_mode(False), torch.enable_grad(), undisturbed():
        begun, firmly = start.detach().float().clone(), held.to(start.device) / deviation**2
        moved = begun.clone().requires_grad_()
        optimizer = torch.optim.Adam([moved], lr=descent.rate * deviation)
        for _ in progress.track(range(descent.steps), "Moving the soft prompt", descent.steps):
            away = ((moved - begun) ** 2).mean(dim=-1) @ firmly
            optimizer.zero_grad()
            (losses(tower.ends(moved)) + away).sum().backward()
            _steady(optimizer, moved)
            optimizer.step()
        found = moved.detach()
    if not bool(torch.isfinite(found).all()):
        raise _no_numbers()
    return found


def _steady(optimizer: torch.optim.Adam, moved: Tensor) -> None:
    """Keeps a gradient that is next to nothing from becoming a whole step: its sign is a matter of rounding, which
    differs from one number of threads to another."""
    (group,) = optimizer.param_groups
    if moved.grad is not None and not optimizer.state:
        group["eps"] = max(group["eps"], _NEXT_TO_NOTHING * float(moved.grad.pow(2).mean().sqrt()))


def check_tokens(tokens: int | None) -> None:
    if tokens is not None and not 0 <= tokens <= MOST_TOKENS:
        raise SettingsError(f"is {tokens}", f"give a number from 0 to {MOST_TOKENS}", control="tokens")


def _no_numbers() -> ModelError:
    return ModelError(
        "The text encoder gives NaN, and no soft prompt can be found through it",
        "check the model's weights",
        Give("precision", "exact"),
    )
