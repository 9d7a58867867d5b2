"""Pictures that are like no others of their folder."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LEAST_PICTURES = 100
"""Fewer do not say what is usual."""

_FAR = 3.5
_RIDGE = 0.02
"""With `_FAR` chosen on micro's validation pictures and photographs among them (benchmarks/curation.py)."""

_PARTS = 5
_MAD_TO_DEVIATION = 1.4826


class Outlier(NamedTuple):
    """deviations: by how many standard deviations the picture is farther from the folder than its median is."""

    row: int
    deviations: float


def outliers(features: np.ndarray) -> list[Outlier]:
    """The farthest first; none where there are fewer than `LEAST_PICTURES`.

    features: embeddings [pictures, width]. How far one is from the others is Mahalanobis' distance, measured with what
    the other four fifths vary in; among near neighbours alone, a model's blind spots look like its sights."""
    if len(features) < LEAST_PICTURES:
        return []
    usual = np.ones(len(features), bool)
    deviations = np.zeros(len(features))
    for _ in range(2):  # without those that the first look finds, so that outliers do not hide one another
        distances = _distances(features, usual)
        middle = np.median(distances)
        deviation = _MAD_TO_DEVIATION * np.median(np.abs(distances - middle))
        deviations = (distances - middle) / max(float(deviation), 1e-9)
        usual = deviations <= _FAR
    far = [Outlier(int(row), float(deviations[row])) for row in np.flatnonzero(~usual)]
    return sorted(far, key=lambda each: -each.deviations)


def _distances(features: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """[pictures], each by the usual ones of the other parts."""
    parts = np.arange(len(features)) % _PARTS
    distances = np.empty(len(features))
    for part in range(_PARTS):
        others = features[usual & (parts != part)]
        mean = others.mean(axis=0, dtype=np.float64)
        within = np.cov(others.T, bias=True)
        ridge = _RIDGE * np.trace(within) / len(within)
        within[np.diag_indices_from(within)] += max(ridge, 1e-9)  # all pictures may be one and the same
        away = features[parts == part] - mean
        distances[parts == part] = np.sqrt((away * np.linalg.solve(within, away.T).T).sum(axis=1))
    return distances
