"""Many token sequences as one flat trie: what two sequences share is evaluated once, and nothing is padded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Trie:
    """Nodes in order of depth, the roots at depth 0.

    tokens: [nodes] token id of each node. depths: [nodes].
    parents: [nodes] each node's parent, -1 for a root; on the CPU.
    level_sizes: nodes at each depth.
    ends: [distinct sequences] node index of each distinct sequence's last token.
    rows: [sequences] for each sequence, in the order given, its row in `ends`.
    """

    tokens: Tensor
    depths: Tensor
    parents: Tensor
    level_sizes: tuple[int, ...]
    ends: Tensor
    rows: Tensor

    @classmethod
    def build(cls, sequences: Iterable[Sequence[int]], device: torch.device | str = "cpu") -> Trie:
        """Builds the trie of the sequences, none of which may be empty."""
        tokens, parents, depths, last_nodes = _grow(sequences)
        order = sorted(range(len(tokens)), key=depths.__getitem__)
        position = [0] * len(order)
        for place, node in enumerate(order):
            position[node] = place
        depth = torch.tensor([depths[node] for node in order])
        parent = torch.tensor([position[parents[node]] if parents[node] >= 0 else -1 for node in order])
        sizes = tuple(torch.bincount(depth).tolist())
        ends, rows = torch.unique(torch.tensor([position[node] for node in last_nodes]), return_inverse=True)
        return cls(
            torch.tensor([tokens[node] for node in order], device=device),
            depth.to(device),
            parent,
            sizes,
            ends.to(device),
            rows.to(device),
        )

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def paths(self) -> tuple[Tensor, ...]:
        """For each depth d an index tensor [nodes at d, d + 1]: the nodes from the root down to the node itself."""
        return tuple(path.to(self.tokens.device) for path in _paths(self.parents, self.level_sizes))

    @cached_property
    def seen(self) -> Tensor:
        """[nodes, nodes] bool: what is on the path of the node of a row, itself included."""
        seen = np.eye(len(self), dtype=bool)
        for node, parent in enumerate(self.parents.tolist()):
            if parent >= 0:
                seen[node] |= seen[parent]
        return torch.from_numpy(seen).to(self.tokens.device)

    def ends_by_depth(self) -> tuple[tuple[int, ...], tuple[Tensor, ...]]:
        """level_sizes and paths of the end nodes alone (`ends` is sorted, hence in order of depth)."""
        counts = torch.bincount(self.depths[self.ends], minlength=len(self.level_sizes)).tolist()
        paths, taken, offset = [], 0, 0
        for count, size, path in zip(counts, self.level_sizes, self.paths, strict=True):
            paths.append(path[self.ends[taken : taken + count] - offset])
            taken, offset = taken + count, offset + size
        return tuple(counts), tuple(paths)


def _grow(sequences: Iterable[Sequence[int]]) -> tuple[list[int], list[int], list[int], list[int]]:
    children: dict[tuple[int, int], int] = {}
    tokens: list[int] = []
    parents: list[int] = []
    depths: list[int] = []
    last_nodes: list[int] = []
    for sequence in sequences:
        node = -1
        for depth, token in enumerate(sequence):
            child = children.get((node, token))
            if child is None:
                child = children[(node, token)] = len(tokens)
                tokens.append(token)
                parents.append(node)
                depths.append(depth)
            node = child
        last_nodes.append(node)
    return tokens, parents, depths, last_nodes


def _paths(parent: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    paths: list[Tensor] = []
    start = 0
    for size in sizes:
        own = torch.arange(start, start + size)[:, None]
        if paths:
            above = paths[-1]
            rows = parent[start : start + size] - (start - len(above))
            own = torch.cat([above[rows], own], dim=1)
        paths.append(own)
        start += size
    return paths
