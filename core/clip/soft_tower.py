"""A text tower whose last few tokens are free: what its end-of-text becomes of them, and the gradient of that.

The tower is causal: what stands before the free tokens is evaluated once, and each step of a descent goes through the
free tokens and the end alone. The weights are constants, whatever precision and mode of PyTorch's they are held in:
each matrix is brought to float32 where it is multiplied, there and back, and no gradient of it is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..progress import SILENT, Check
from .hidden_states import hidden_states_of, padded_ids
from .layers import LAST, Layer, Padding
from .text_tower import activated
from .weights import Norm, TowerWeights


class _Known(NamedTuple):
    """Keys and values of one block [texts, heads, positions, head width] of what stands before the free tokens."""

    keys: Tensor
    values: Tensor


class SoftTower:
    """Texts with `free` tokens after their words.

    words: token ids of each text, without start and end, cut to what the context has room for beside the free tokens.
    """

    @torch.inference_mode(False)
    @torch.no_grad()
    def __init__(self, weights: TowerWeights, words: Sequence[Sequence[int]], free: int) -> None:
        self.weights = weights
        self.free = free
        context = weights.positions.shape[0]
        self.words = [list(text)[: context - 2 - free] for text in words]
        device = weights.device
        lengths = torch.tensor([1 + len(text) for text in self.words], device=device)
        before = int(lengths.max())
        ids = torch.full((len(self.words), before), weights.end_of_text, device=device)
        for row, text in enumerate(self.words):
            ids[row, : 1 + len(text)] = torch.tensor([weights.start_of_text, *text])
        after = torch.arange(free + 1, device=device)
        self._positions = _constant(weights.positions)[lengths[:, None] + after]
        self._end = _constant(weights.embedding[weights.end_of_text])
        known = torch.arange(before, device=device)[None] < lengths[:, None]
        causal = torch.ones(free + 1, free + 1, dtype=torch.bool, device=device).tril()
        before_them = known[:, None].expand(-1, free + 1, -1)
        self._mask = torch.cat([before_them, causal.expand(len(ids), -1, -1)], dim=2).unsqueeze(1)
        self._norms = [(_norm(block.norm_1), _norm(block.norm_2)) for block in weights.blocks]
        self._final = _norm(weights.final_norm)
        self._known: list[_Known] = []
        x = _constant(weights.embedded(ids)) + _constant(weights.positions[:before])
        mask = torch.ones(before, before, dtype=torch.bool, device=device).tril()
        for number in range(len(weights.blocks)):
            x, known_here = self._through(number, x, None, mask)
            self._known.append(known_here)

    def ends(self, moved: Tensor) -> Tensor:
        """States of end-of-text [texts, width] after the last layer and its norm, of free token embeddings [texts,
        free, width], float32. Gradients flow to `moved`."""
        end = self._end.expand(len(moved), 1, -1)
        x = torch.cat([moved, end], dim=1) + self._positions
        for number, known in enumerate(self._known):
            x, _ = self._through(number, x, known, self._mask)
        return _normalised(x[:, -1], self._final)

    def _through(self, number: int, x: Tensor, known: _Known | None, mask: Tensor) -> tuple[Tensor, _Known]:
        block, (first, second) = self.weights.blocks[number], self._norms[number]
        texts, positions, width = x.shape
        stacked = _linear(_normalised(x, first), block.qkv, block.qkv_bias)
        q, k, v = stacked.view(texts, positions, 3, self.weights.heads, -1).permute(2, 0, 3, 1, 4)
        own = _Known(k, v)
        if known is not None:
            k, v = torch.cat([known.keys, k], dim=2), torch.cat([known.values, v], dim=2)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + _linear(attended.transpose(1, 2).reshape(texts, positions, width), block.out, block.out_bias)
        hidden = activated(_linear(_normalised(x, second), block.up, block.up_bias), self.weights.quick_gelu)
        return x + _linear(hidden, block.down, block.down_bias), own


def soft_states(
    weights: TowerWeights,
    words: Sequence[int],
    moved: Tensor,
    added: Tensor,
    layers: Sequence[Layer] = (LAST,),
    padding: Padding = "end",
    check: Check = SILENT.check,
) -> tuple[tuple[Tensor, ...], Tensor]:
    """A text of any length with free token embeddings `added` [added, width] after the words of its first stretch: for
    each layer the states [stretches, context, width] at all positions, float32, and [stretches] the position of each
    end. Without free tokens they are those of the words alone, in the stretches that hosts split them into.

    words: token ids without start and end. moved: what is added to the embedding of each [words, width]. check: called
    all along, to end it."""
    room = weights.positions.shape[0] - 2
    first = room - len(added)
    bounds = [0, first, *range(first + room, len(words), room), len(words)] if len(words) > first else [0, len(words)]
    parts = [slice(start, end) for start, end in pairwise(bounds)]
    ids, ends = padded_ids(weights, [words[part] for part in parts], padding)
    inputs = weights.embedded(ids.to(weights.device)).detach().float()
    for row, part in enumerate(parts):
        inputs[row, 1 : 1 + part.stop - part.start] += moved[part].to(inputs)
    end = int(ends[0])
    inputs[0] = torch.cat([inputs[0, :end], added.to(inputs), inputs[0, end : len(inputs[0]) - len(added)]])
    ends[0] += len(added)
    return hidden_states_of(weights, inputs, layers, check), ends


class _Constant:
    """Hides a tensor from autograd, which would keep it or refuse it."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.weight, self.bias = weight, bias


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, constant: _Constant) -> Tensor:
        ctx.constant = constant
        bias = constant.bias
        return F.linear(x, constant.weight.to(x), None if bias is None else bias.to(x))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (grad,) = grads
        return grad @ ctx.constant.weight.to(grad), None


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    made: Any = _Linear.apply(x, _Constant(weight, bias))
    return made


def _norm(norm: Norm) -> Norm:
    weight, bias, epsilon = norm
    return _constant(weight), _constant(bias), epsilon


def _normalised(x: Tensor, norm: Norm) -> Tensor:
    weight, bias, epsilon = norm
    return F.layer_norm(x, weight.shape, weight, bias, epsilon)


def _constant(tensor: Tensor) -> Tensor:
    """Small enough to be copied: what was made in inference mode takes no part in a gradient."""
    return tensor.detach().float().clone()
