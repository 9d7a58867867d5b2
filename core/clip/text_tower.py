"""A causal CLIP text tower that evaluates many continuations of one text at the cost of their own tokens.

The tower is causal and pooled at the end-of-text token (Radford et al. 2021, section 2.4), hence nothing after that
token matters and texts that begin alike share the keys and values of their beginning. A text is therefore split in a
`Prefix`, evaluated once and extended as the text grows, and suffixes, evaluated together as one `Trie` without padding
or mask. The last block's query, output and MLP are needed at the end-of-text nodes only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..devices import free_memory
from ..progress import SILENT, Check
from ..shortage import is_out_of_memory
from .attention import attend
from .trie import Trie
from .weights import Block, Norm, TowerWeights

# more at once are no faster, neither on a CPU nor on a GPU that this many keep busy
MOST_NODES = 4096
FEWEST_NODES = 256
_HALF_ROW_BLOCK = 512
_PATH_LENGTH = 16  # nodes of a long phrase


@dataclass(frozen=True)
class Prefix:
    """The beginning of a text, evaluated.

    ids: its token ids, start-of-text first.
    keys, values: for each block [heads, len(ids), head width].
    last_state: [width], the last token's state after the last block, before the final normalisation.
    """

    ids: tuple[int, ...]
    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    last_state: Tensor


class TextTower:
    """Evaluates token sequences with the given weights, in their dtype and on their device.

    working_memory: bytes to get by with while evaluating; None for what the device has free.
    """

    def __init__(self, weights: TowerWeights) -> None:
        self.weights = weights
        self.context_length = weights.positions.shape[0]
        self.working_memory: int | None = None
        # oneDNN, which multiplies half-precision matrices on CPUs, prepares itself anew for every number of rows: that
        # takes as long as the product, and megabytes that it keeps
        half_on_cpu = weights.device.type == "cpu" and weights.positions.dtype != torch.float32
        self._row_block = _HALF_ROW_BLOCK if half_on_cpu else 1

    @property
    def bytes_per_node(self) -> int:
        """What one token of a continuation takes at the worst point of its way through a block, as an upper estimate:
        its state and normalised state, query, key and value with their copies, the keys and values of its path, the
        MLP's hidden values before and after their nonlinearity, and its shares of attention twice."""
        weights = self.weights
        width, hidden = weights.positions.shape[1], weights.blocks[0].up.shape[0]
        attention = 7 * width + 2 * _PATH_LENGTH * width // 4 + 2 * weights.heads * (self.context_length + _PATH_LENGTH)
        return (2 * width + max(attention, 2 * hidden)) * weights.positions.element_size()

    def nodes_at_once(self) -> int:
        memory = self.working_memory
        if memory is None:
            memory = free_memory(self.weights.device)
        if memory is None:
            return MOST_NODES
        return max(FEWEST_NODES, min(MOST_NODES, memory // self.bytes_per_node))

    @torch.no_grad()
    def prefix(self, ids: Sequence[int], shared: Prefix | None = None) -> Prefix:
        """Evaluates a beginning of at least one token; what it shares with `shared` is not computed again.

        Cut so that one end-of-text token still fits.
        """
        ids = tuple(ids[: self.context_length - 1])
        known = common_length(ids, shared.ids) if shared else 0
        if shared and known == len(ids) == len(shared.ids):
            return shared
        known = min(known, len(ids) - 1)
        weights = self.weights
        new = torch.tensor(ids[known:], device=weights.device)
        x = weights.embedding[new] + weights.positions[known : len(ids)]
        mask = torch.ones(len(new), len(ids), dtype=torch.bool, device=x.device).tril(known)
        keys, values = [], []
        for index, block in enumerate(weights.blocks):
            q, k, v = self._project(block, x, 0, 3)
            if shared and known:
                k = torch.cat([shared.keys[index][:, :known], k], dim=1)
                v = torch.cat([shared.values[index][:, :known], v], dim=1)
            keys.append(k.contiguous())
            values.append(v.contiguous())
            attended = F.scaled_dot_product_attention(q[None], k[None], v[None], attn_mask=mask)[0]
            x = self._finish(block, x, attended.transpose(0, 1).flatten(1))
        return Prefix(ids, tuple(keys), tuple(values), x[-1])

    @torch.no_grad()
    def encode_whole(self, ids: Sequence[int], shared: Prefix | None = None) -> Tensor:
        """Embedding [width of the joint space], float32, not normalised, of one text given with its start token
        and without its end; cut to the context length."""
        beginning = self.prefix(ids, shared)
        return self.encode(beginning, [()])[0]

    @torch.no_grad()
    def encode(self, prefix: Prefix, suffixes: Sequence[Sequence[int]], check: Check = SILENT.check) -> Tensor:
        """Embeddings of prefix + suffix + end-of-text for every suffix: [suffixes, width of the joint space],
        float32, not normalised.

        A text longer than the context length is cut before its end-of-text token, as the libraries do, and a text that
        holds an end-of-text id ends there (the libraries pool at the first one). check: called twice a block.
        """
        eot = self.weights.end_of_text
        if eot in prefix.ids:
            cut = self.prefix(prefix.ids[: prefix.ids.index(eot)], prefix)
            return self.encode(cut, [()], check).expand(len(suffixes), -1)
        room = self.context_length - len(prefix.ids) - 1
        ended = [(*_until(suffix, eot)[:room], eot) for suffix in suffixes]
        if not ended:
            return torch.empty(0, self.weights.output_width, device=self.weights.device)
        order = sorted(range(len(ended)), key=ended.__getitem__)
        features = torch.empty(len(ended), self.weights.output_width, device=self.weights.device)
        for rows in _chunks(order, ended, self.nodes_at_once()):
            self._fill(features, rows, prefix, ended, check)
        return features

    def _fill(
        self, features: Tensor, rows: list[int], prefix: Prefix, ended: Sequence[Sequence[int]], check: Check
    ) -> None:
        """Evaluates some of the texts at once; half of them at a time where the memory does not suffice."""
        try:
            trie = Trie.build((ended[row] for row in rows), self.weights.device)
            features[torch.tensor(rows, device=features.device)] = self._run(prefix, trie, check).float()
            return
        except RuntimeError as error:
            if len(rows) == 1 or not is_out_of_memory(error):
                raise
        # outside the except clause, whose traceback would keep the failed run's tensors alive
        half = len(rows) // 2
        self._fill(features, rows[:half], prefix, ended, check)
        self._fill(features, rows[half:], prefix, ended, check)

    def _run(self, prefix: Prefix, trie: Trie, check: Check) -> Tensor:
        weights = self.weights
        x = self._padded(weights.embedding[trie.tokens] + weights.positions[len(prefix.ids) + trie.depths])
        for index, block in enumerate(weights.blocks[:-1]):
            check()
            q, k, v = (part[:, : len(trie)] for part in self._project(block, x, 0, 3))
            attended = attend(q, k, v, prefix.keys[index], prefix.values[index], trie, ends=False)
            check()
            x = self._finish(block, x, self._padded(attended))
        check()
        block = weights.blocks[-1]
        k, v = (part[:, : len(trie)] for part in self._project(block, x, 1, 3))
        x = self._padded(x[trie.ends])
        q = self._project(block, x, 0, 1)[0][:, : len(trie.ends)]
        attended = attend(q, k, v, prefix.keys[-1], prefix.values[-1], trie, ends=True)
        x = self._finish(block, x, self._padded(attended))
        x = normalise(x, weights.final_norm)
        if weights.projection is not None:
            x = F.linear(x, weights.projection, weights.projection_bias)
        return x[trie.rows]

    def _padded(self, x: Tensor) -> Tensor:
        """With rows of zeros up to a number of rows that comes often; nothing reads them."""
        return F.pad(x, (0, 0, 0, -len(x) % self._row_block)) if self._row_block > 1 else x

    def _project(self, block: Block, x: Tensor, first: int, last: int) -> tuple[Tensor, ...]:
        """Of query, key and value (0, 1, 2) of x [nodes, width] those from `first` up to `last`: each [heads, nodes,
        head width]."""
        width = x.shape[1]
        rows = slice(first * width, last * width)
        bias = None if block.qkv_bias is None else block.qkv_bias[rows]
        out = F.linear(normalise(x, block.norm_1), block.qkv[rows], bias)
        return out.view(len(x), last - first, self.weights.heads, -1).permute(1, 2, 0, 3).unbind(0)

    def _finish(self, block: Block, x: Tensor, attended: Tensor) -> Tensor:
        """The rest of a block, added to x in place."""
        _add_linear(x, attended, block.out, block.out_bias)
        hidden = F.linear(normalise(x, block.norm_2), block.up, block.up_bias)
        hidden = activated(hidden, self.weights.quick_gelu)
        return _add_linear(x, hidden, block.down, block.down_bias)


def _add_linear(x: Tensor, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x + linear(inputs) in place, which spares a copy of the bias for every row."""
    if bias is not None:
        x += bias
    return x.addmm_(inputs, weight.T)


def activated(hidden: Tensor, quick_gelu: bool) -> Tensor:
    """The MLP's nonlinearity: GELU, or OpenAI's approximation of it."""
    return hidden * torch.sigmoid(1.702 * hidden) if quick_gelu else F.gelu(hidden)


def normalise(x: Tensor, norm: Norm) -> Tensor:
    weight, bias, epsilon = norm
    return F.layer_norm(x, weight.shape, weight, bias, epsilon)


def common_length(a: Sequence[int], b: Sequence[int]) -> int:
    length = 0
    for left, right in zip(a, b, strict=False):
        if left != right:
            break
        length += 1
    return length


def _until(ids: Sequence[int], end: int) -> Sequence[int]:
    return ids[: ids.index(end)] if end in ids else ids


def _chunks(order: list[int], sequences: Sequence[Sequence[int]], most_tokens: int) -> Iterator[list[int]]:
    """Splits sorted rows so that no chunk's trie holds more than about `most_tokens` nodes."""
    chunk: list[int] = []
    nodes = 0
    previous: Sequence[int] = ()
    for row in order:
        fresh = len(sequences[row]) - common_length(sequences[row], previous)
        if chunk and nodes + fresh > most_tokens:
            yield chunk
            chunk, nodes, fresh = [], 0, len(sequences[row])
        chunk.append(row)
        nodes += fresh
        previous = sequences[row]
    if chunk:
        yield chunk
