"""Attention of a trie's nodes over a prefix that all of them follow, and over their own path."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .trie import Trie

# below it the work on each depth takes longer than what is computed for nothing in one product of all nodes
FEW_NODES = 256


def attend(q: Tensor, k: Tensor, v: Tensor, prefix_k: Tensor, prefix_v: Tensor, trie: Trie, ends: bool) -> Tensor:
    """What all nodes of the trie, or its end nodes alone, gather: [queries, width].

    q [heads, queries, head width] in order of depth, k and v the same for all nodes, prefix_k and prefix_v
    [heads, prefix, head width].
    """
    if len(trie) <= FEW_NODES:
        seen = trie.seen[trie.ends] if ends else trie.seen
        return _masked(q, torch.cat([prefix_k, k], 1), torch.cat([prefix_v, v], 1), seen)
    level_sizes, paths = trie.ends_by_depth() if ends else (trie.level_sizes, trie.paths)
    return _by_depth(q, k, v, prefix_k, prefix_v, level_sizes, paths)


def _masked(q: Tensor, k: Tensor, v: Tensor, seen: Tensor) -> Tensor:
    """All at once; what a node does not see is computed for nothing. seen: [queries, nodes], the prefix is seen by
    all."""
    mask = F.pad(seen, (k.shape[1] - seen.shape[1], 0), value=True)
    attended = F.scaled_dot_product_attention(q[None], k[None], v[None], attn_mask=mask)[0]
    return attended.transpose(0, 1).flatten(1)


def _by_depth(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    prefix_k: Tensor,
    prefix_v: Tensor,
    level_sizes: Sequence[int],
    paths: Sequence[Tensor],
) -> Tensor:
    """One depth after the other, whose paths are of one length; nothing is computed for nothing."""
    heads, queries, head_width = q.shape
    prefix_length = prefix_k.shape[1]
    q = (q * head_width**-0.5).contiguous()
    to_prefix = q @ prefix_k.transpose(1, 2)
    k, v = k.contiguous(), v.contiguous()
    prefix_shares, along_path = [], []
    start = 0
    for size, path in zip(level_sizes, paths, strict=True):
        if not size:
            continue
        nodes = slice(start, start + size)
        start += size
        # gathered head by head, so that the products below need no copy
        path_k, path_v = (_along(path, tensor) for tensor in (k, v))
        to_path = (path_k @ q[:, nodes].reshape(heads * size, head_width, 1)).view(heads, size, -1)
        shares = torch.softmax(torch.cat([to_prefix[:, nodes], to_path], dim=2), dim=-1)
        prefix_shares.append(shares[:, :, :prefix_length])
        path_shares = shares[:, :, prefix_length:].reshape(heads * size, 1, -1)
        along_path.append((path_shares @ path_v).view(heads, size, head_width))
    out = torch.cat(along_path, dim=1).baddbmm_(torch.cat(prefix_shares, dim=1), prefix_v)
    return out.transpose(0, 1).reshape(queries, heads * head_width)


def _along(path: Tensor, by_head: Tensor) -> Tensor:
    """Of by_head [heads, nodes, head width] the rows of each path [paths, length]: [heads * paths, length, head
    width]."""
    heads, _, head_width = by_head.shape
    return by_head.index_select(1, path.flatten()).view(heads * len(path), -1, head_width)
