"""Which phrases of a table are most like a picture."""

from __future__ import annotations

import math

import numpy as np

PEER_CHUNK = 2048


def top(values: np.ndarray, count: int) -> list[int]:
    """The rows of the highest values, highest first, equal values in the order of rows; -inf is never among them."""
    count = min(count, int(np.isfinite(values).sum()))
    if count <= 0:
        return []
    lowest = np.partition(values, len(values) - count)[len(values) - count]
    rows = np.flatnonzero(values >= lowest)
    order = np.lexsort((rows, -values[rows]))
    return rows[order][:count].tolist()


def reversed_values(similarities: np.ndarray) -> np.ndarray:
    """Dissimilarities; what is ruled out (-inf) stays ruled out."""
    return np.where(np.isfinite(similarities), -similarities, -np.inf)


def top_as_peer(similarities: np.ndarray, count: int, reverse: bool = False, chunk: int = PEER_CHUNK) -> list[int]:
    """What clip-interrogator 0.6.0 returns, two defects included: of a table longer than `chunk` it keeps
    int(chunk / chunks) rows of each chunk, and it ranks the survivors by similarity even where reverse is asked."""
    values = reversed_values(similarities) if reverse else similarities
    if len(values) <= chunk:
        return top(values, count)
    chunks = math.ceil(len(values) / chunk)
    survivors: list[int] = []
    for start in range(0, len(values), chunk):
        survivors += [start + row for row in top(values[start : start + chunk], chunk // chunks)]
    rows = np.array(survivors)
    return rows[top(np.where(np.isfinite(values[rows]), similarities[rows], -np.inf), count)].tolist()
