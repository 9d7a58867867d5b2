"""Which pictures lie on their side or upside down, learned from the folder itself.

Most pictures of a folder are upright, so its own pictures, turned on purpose, teach what upright looks like here (as
networks learn from turned pictures, Gidaris et al. 2018): a linear discriminant over CLIP's embeddings, made curved by
random Fourier features (Rahimi and Recht 2007), says of each view by how much it was turned. Every picture is judged by
what the other four fifths of the folder have taught. How far to trust that is measured on the folder too, so that one
of textures, which have no up, gives no answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

LEAST_PICTURES = 100
"""Fewer do not teach what upright is."""

_SURE = 1.25
"""How much more likely, as a logarithm, the best turn is than none. With the numbers below it was chosen on micro's
validation pictures (benchmarks/curation.py)."""

_CURVES = 1024
_BEND = 0.7
_RIDGE = 0.3
_PARTS = 5
_TAUGHT_BY = 20_000
_ROWS_AT_ONCE = 1024


class Turned(NamedTuple):
    """row: the picture's. left: the degrees to the left, 90, 180 or 270, that make it upright. odds: how many times
    likelier that is than that it is upright already."""

    row: int
    left: int
    odds: float


def turned_pictures(views: np.ndarray) -> list[Turned]:
    """The surest first; none where there are fewer than `LEAST_PICTURES`.

    views: [pictures, 4, width] floats, each picture's embedding as it is and turned to the left by 90, 180 and 270
    degrees."""
    if len(views) < LEAST_PICTURES:
        return []
    evidence = _evidence(views)
    gains = evidence - evidence[:, :1]
    best = gains.argmax(axis=1)
    sure = np.flatnonzero(gains.max(axis=1) > _SURE)
    found = [Turned(int(row), 90 * int(best[row]), float(np.exp(gains[row, best[row]]))) for row in sure]
    return sorted(found, key=lambda each: -each.odds)


def _evidence(views: np.ndarray) -> np.ndarray:
    """How likely each of the four views is the upright one, as logarithms: [pictures, 4]."""
    curved = _Curved(views)
    upright = np.zeros(len(views), int)
    scores = np.zeros((len(views), 4))
    for _ in range(2):  # what the first look finds turned teaches the second what it is
        scores = _scores(curved, upright)
        scores = scores / _temperature(scores)
        gains = scores - scores[:, :1]
        upright = np.where(gains.max(axis=1) > _SURE, gains.argmax(axis=1), 0)
    return scores


class _Curved:
    """Embeddings beside cosines of random directions of them, in which a plane can bend."""

    def __init__(self, views: np.ndarray) -> None:
        self._views = views
        some = views[:: max(1, len(views) // _TAUGHT_BY)].astype(np.float32)
        self._mean = some.mean(axis=(0, 1))
        self._spread = float(np.linalg.norm(some - self._mean, axis=-1).mean())
        random = np.random.default_rng(0)
        self._directions = (_BEND * random.standard_normal((views.shape[-1], _CURVES))).astype(np.float32)
        self._phases = random.uniform(0, 2 * np.pi, _CURVES).astype(np.float32)

    def __len__(self) -> int:
        return len(self._views)

    def of(self, rows: np.ndarray) -> np.ndarray:
        """[rows, 4, width + curves] float32."""
        plain = (self._views[rows].astype(np.float32) - self._mean) / (self._spread or 1.0)
        bent = np.cos(plain @ self._directions + self._phases) * np.float32(3 * (2 / _CURVES) ** 0.5)
        return np.concatenate([plain, bent], axis=-1)


def _scores(curved: _Curved, upright: np.ndarray) -> np.ndarray:
    """[pictures, 4]: the sum over the views of what each says for the view in question being upright."""
    parts = np.arange(len(curved)) % _PARTS
    moments = [_moments(curved, np.flatnonzero(parts == part), upright) for part in range(_PARTS)]
    scores = np.empty((len(curved), 4))
    for part in range(_PARTS):
        others = [moments[other] for other in range(_PARTS) if other != part]
        weights, offsets = _discriminant(_added(others))
        rows = np.flatnonzero(parts == part)
        for some in np.split(rows, range(_ROWS_AT_ONCE, len(rows), _ROWS_AT_ONCE)):
            logits = curved.of(some) @ weights + offsets
            said = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
            for turn in range(4):  # if that view is upright, each view is turned by what it is past it
                scores[some, turn] = sum(said[:, view, (view - turn) % 4] for view in range(4))
    return scores


class _Moments(NamedTuple):
    """Of the views of some pictures, by their turns. sums: [4, width]. products: [width, width]. pictures: how many."""

    sums: np.ndarray
    products: np.ndarray
    pictures: int


def _added(moments: Sequence[_Moments]) -> _Moments:
    sums, products = sum(each.sums for each in moments), sum(each.products for each in moments)
    return _Moments(np.asarray(sums), np.asarray(products), sum(each.pictures for each in moments))


def _moments(curved: _Curved, rows: np.ndarray, upright: np.ndarray) -> _Moments:
    rows = rows[:: max(1, len(curved) // _TAUGHT_BY)]
    sums, products = 0, 0
    for some in np.split(rows, range(_ROWS_AT_ONCE, len(rows), _ROWS_AT_ONCE)):
        order = (upright[some, None] + np.arange(4)) % 4
        views = np.take_along_axis(curved.of(some), order[..., None], axis=1)
        flat = views.reshape(-1, views.shape[-1])
        sums = sums + views.sum(axis=0, dtype=np.float64)
        products = products + (flat.T @ flat).astype(np.float64)
    return _Moments(np.asarray(sums), np.asarray(products), len(rows))


def _discriminant(taught: _Moments) -> tuple[np.ndarray, np.ndarray]:
    """Fisher's, with a ridge: weights [width, 4] and offsets [4] that give each turn's logit."""
    means = taught.sums / taught.pictures
    within = taught.products / (4 * taught.pictures) - means.T @ means / 4
    ridge = _RIDGE * np.trace(within) / len(within)
    within[np.diag_indices_from(within)] += max(ridge, 1e-9)  # all pictures may be one and the same
    weights = np.linalg.solve(within, means.T)
    return weights.astype(np.float32), (-0.5 * (means * weights.T).sum(axis=1)).astype(np.float32)


def _temperature(scores: np.ndarray) -> float:
    """What the scores are divided by, so that they are as sure as they are right, most pictures being upright (Guo et
    al. 2017). The views of a picture are no independent witnesses, and a few pictures teach things that do not hold.
    """
    temperatures = np.geomspace(0.2, 1000, 200)
    rightness = [(scores[:, 0] / each - np.logaddexp.reduce(scores / each, axis=1)).mean() for each in temperatures]
    return float(temperatures[int(np.argmax(rightness))])
