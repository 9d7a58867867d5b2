"""Prompts in free wording, composed from a vocabulary: what a map is fitted on, and what norms are measured with."""

from __future__ import annotations

import random
from collections.abc import Sequence

from ..errors import SettingsError
from .category import Vocabulary

_JOINTS = (", ", ", ", ", ", " and ", " with ", ", with ", "; ", " ")
_OPENINGS = ("", "", "", "", "a picture of ", "an image of ", "a photo of ", "a drawing of ", "this is ")
_CLOSINGS = ("", "", "", "", ".", " ...", "!")
_LENGTHS = (1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 10, 14, 20)


def composed_prompts(vocabulary: Vocabulary, count: int, seed: str = "prompts") -> tuple[str, ...]:
    """`count` prompts, the same for the same vocabulary and seed in every process; hardly any twice.

    Each is of one to twenty phrases from all positive categories, in any order and joined in several ways: a map
    learned from a fixed order would expect that order. Raises SettingsError for a count below 1.
    """
    if count < 1:
        raise SettingsError(f"is {count}", "give 1 or more", control="learning_texts")
    rng = random.Random(f"{seed} {count}")
    pools = [category.phrases for category in vocabulary.positive() if category.phrases]
    if not pools:
        raise SettingsError("The vocabulary holds no phrase to compose prompts from", "give another")
    return tuple(_prompt(pools, rng) for _ in range(count))


def _prompt(pools: Sequence[tuple[str, ...]], rng: random.Random) -> str:
    text = rng.choice(_OPENINGS)
    for number in range(rng.choice(_LENGTHS)):
        text += (rng.choice(_JOINTS) if number else "") + rng.choice(rng.choice(pools))
    return text + rng.choice(_CLOSINGS)
