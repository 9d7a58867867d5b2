"""Means with intervals, by picture: pictures are what vary, so they are what is drawn again (Efron 1979)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_DRAWS = 2000
_TAILS = (2.5, 97.5)


class Estimate(NamedTuple):
    """A mean and its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


def estimate(by_picture: np.ndarray, seed: int = 0) -> Estimate:
    """Of one value a picture, [pictures]."""
    draws = _drawn(len(by_picture), seed)
    means = by_picture[draws].mean(axis=1)
    low, high = np.percentile(means, _TAILS)
    return Estimate(float(by_picture.mean()), float(low), float(high))


def difference(by_picture: np.ndarray, rival: np.ndarray, seed: int = 0) -> Estimate:
    """Paired: of the same pictures, [pictures] each."""
    return estimate(by_picture - rival, seed)


def retention(by_picture: np.ndarray, ceiling: np.ndarray, zero: np.ndarray, seed: int = 0) -> Estimate:
    """How much of the way from `zero` (embeddings of other pictures) to `ceiling` (the caption) is kept; a ratio of
    means, so that all three are drawn together. NaN where the ceiling is no higher than zero."""
    draws = _drawn(len(by_picture), seed)

    def share(method: np.ndarray, top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
        way = top - bottom
        return np.where(way > 0, (method - bottom) / np.where(way > 0, way, 1), np.nan)

    whole = share(by_picture.mean(), ceiling.mean(), zero.mean())
    drawn = share(by_picture[draws].mean(axis=1), ceiling[draws].mean(axis=1), zero[draws].mean(axis=1))
    low, high = np.percentile(drawn, _TAILS)
    return Estimate(float(whole), float(low), float(high))


def _drawn(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, count, (_DRAWS, count))
