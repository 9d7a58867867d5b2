"""The pictures nearest to each picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

_ROWS_AT_ONCE = 1024


class Neighbours(NamedTuple):
    """The nearest first. rows: [pictures, count] int64. similarities: [pictures, count] float32, cosines."""

    rows: np.ndarray
    similarities: np.ndarray


def neighbours(features: np.ndarray, count: int) -> Neighbours:
    """features: [pictures, width], normalised. count: how many of each; fewer where there are not so many others."""
    everything = torch.from_numpy(features)
    count = min(count, len(features) - 1)
    rows, similarities = [], []
    for start in range(0, len(features), _ROWS_AT_ONCE):
        part = everything[start : start + _ROWS_AT_ONCE] @ everything.T
        own = torch.arange(len(part))
        part[own, start + own] = -2  # below any cosine: a picture is no neighbour of its own
        found = part.topk(count, dim=1)
        rows.append(found.indices.numpy())
        similarities.append(found.values.numpy())
    return Neighbours(np.concatenate(rows), np.concatenate(similarities))
