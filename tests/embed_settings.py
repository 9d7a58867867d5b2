"""What the tests of embeddings share."""

from __future__ import annotations

import copy

from unrender.core.embed.ridge import RidgeFit

FEW = RidgeFit(200)


def renamed(clip):
    """The same CLIP, of which no statistic is known."""
    other = copy.copy(clip)
    other.name = "another"
    return other
