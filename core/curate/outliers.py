"""Pictures that are like no others of their folder."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .neighbours import Neighbours

NEIGHBOURS = 10
LEAST_PICTURES = 30
"""Among fewer, ten neighbours say little about what is usual."""

_FAR = 4.0
_MAD_TO_DEVIATION = 1.4826


class Outlier(NamedTuple):
    """similarity: the mean cosine with its nearest ten. deviations: how far that is below the folder's median, in
    standard deviations, measured by the median so that outliers do not hide one another."""

    row: int
    similarity: float
    deviations: float


def outliers(near: Neighbours) -> list[Outlier]:
    """The farthest first; none where there are fewer than `LEAST_PICTURES`. near: at least `NEIGHBOURS` of each."""
    if len(near.rows) < LEAST_PICTURES:
        return []
    means = near.similarities[:, :NEIGHBOURS].astype(np.float64).mean(axis=1)
    middle = np.median(means)
    deviation = _MAD_TO_DEVIATION * np.median(np.abs(means - middle))
    below = (middle - means) / max(float(deviation), 1e-6)
    far = [Outlier(int(row), float(means[row]), float(below[row])) for row in np.flatnonzero(below > _FAR)]
    return sorted(far, key=lambda each: -each.deviations)
