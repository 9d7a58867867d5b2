"""The hidden states of a text tower at every position, which `TextTower` never computes: it needs end-of-text alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..progress import SILENT, Check
from ..shortage import in_portions
from ..undisturbed import undisturbed
from .layers import LAST, Layer, Padding
from .text_tower import activated, normalise
from .weights import Block, TowerWeights, map_tensors

_TEXTS_AT_ONCE = 64


def padded_ids(weights: TowerWeights, texts: Sequence[Sequence[int]], padding: Padding) -> tuple[Tensor, Tensor]:
    """Token ids of texts, given without start and end, as a model family feeds them to its encoder.

    Returns ids [texts, context length], and [texts] the position of each text's end-of-text. A text that is too long is
    cut before its end-of-text; one that holds an end-of-text id ends there.
    padding: what follows: "end" repeats end-of-text, "zero" is id 0.
    """
    context, end = weights.positions.shape[0], weights.end_of_text
    filler = end if padding == "end" else 0
    ids = torch.full((len(texts), context), filler, dtype=torch.long)
    ends = torch.empty(len(texts), dtype=torch.long)
    for row, text in enumerate(texts):
        text = list(text[: text.index(end)] if end in text else text)[: context - 2]
        whole = [weights.start_of_text, *text, end]
        ids[row, : len(whole)] = torch.tensor(whole)
        ends[row] = len(whole) - 1
    return ids, ends


@torch.no_grad()
@undisturbed()
def hidden_states(
    weights: TowerWeights, ids: Tensor, layers: Sequence[Layer] = (LAST,), check: Check = SILENT.check
) -> tuple[Tensor, ...]:
    """For each layer asked for the states [texts, positions, width], of token ids [texts, positions]. All is computed
    in float32, whatever the weights are stored in.

    They equal transformers' `hidden_states` (and `last_hidden_state` for the last layer). check: called twice a block.
    """
    return _in_portions(lambda rows: _states(weights, weights.embedded(rows), layers, check), ids.to(weights.device))


@torch.no_grad()
@undisturbed()
def hidden_states_of(
    weights: TowerWeights, inputs: Tensor, layers: Sequence[Layer] = (LAST,), check: Check = SILENT.check
) -> tuple[Tensor, ...]:
    """The same of what stands in the tokens' embeddings' place [texts, positions, width]."""
    return _in_portions(lambda rows: _states(weights, rows, layers, check), inputs.to(weights.device))


def _in_portions(work: Callable[[Tensor], list[Tensor]], rows: Tensor) -> tuple[Tensor, ...]:
    parts = []
    for part in rows.split(_TEXTS_AT_ONCE):
        parts += in_portions(work, part)
    return tuple(torch.cat(states) for states in zip(*parts, strict=True))


def _states(weights: TowerWeights, inputs: Tensor, layers: Sequence[Layer], check: Check) -> list[Tensor]:
    x = inputs.float() + weights.positions[: inputs.shape[1]].float()
    final_norm = _float32(weights.final_norm)
    wanted = {layer.skipped for layer in layers}
    found: dict[int, Tensor] = {}
    for skipped in range(len(weights.blocks), -1, -1):
        if skipped in wanted:
            found[skipped] = x
        if skipped == min(wanted):
            break
        check()
        x = _through(_float32(weights.blocks[len(weights.blocks) - skipped]), x, weights, check)
    return [normalise(found[layer.skipped], final_norm) if layer.normed else found[layer.skipped] for layer in layers]


def _through(block: Block, x: Tensor, weights: TowerWeights, check: Check) -> Tensor:
    texts, positions, width = x.shape
    stacked = F.linear(normalise(x, block.norm_1), block.qkv, block.qkv_bias)
    q, k, v = stacked.view(texts, positions, 3, weights.heads, -1).permute(2, 0, 3, 1, 4)
    attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    x = x + F.linear(attended.transpose(1, 2).reshape(texts, positions, width), block.out, block.out_bias)
    check()  # here a block of many texts is half done, which takes a second on a slow machine
    hidden = F.linear(normalise(x, block.norm_2), block.up, block.up_bias)
    return x + F.linear(activated(hidden, weights.quick_gelu), block.down, block.down_bias)


def _float32(part: Any) -> Any:
    return map_tensors(part, Tensor.float)
