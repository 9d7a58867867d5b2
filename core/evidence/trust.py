"""How far two witnesses of a picture may be believed, a CLIP and a caption: stated, or learned from their agreement.

Neither knows the truth, but they err in different ways, and their agreement over many pictures tells of both without a
key (the idea of Dawid and Skene, 1979). The CLIP's temperature is that under which what the captions say is likeliest
where they are believed as far as is stated; what a caption says of a family is then believed as often as it agrees with
the CLIP where that is sure. Their errors are not independent (what is hard to see is hard for both), so a caption's
word counts for less than it would alone: a logarithmic opinion pool (Genest and Zidek, 1986).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

STATED_RELIABILITY = 0.9
_TEMPERATURES = tuple(float(t) for t in np.geomspace(5, 400, 40))
SURE = 0.9
_BELIEF = 5.0
"""How many pictures the stated reliability counts for, where few were sure."""
SHARE_OF_CAPTION = 0.4
"""The weight of a caption's logarithm beside the CLIP's: by validation in the middle world (benchmarks/truth.py)."""
SHARE_OF_CAPTIONER = 0.8
"""The same of what the captioner holds of each answer, which tells how sure it is itself."""


@dataclass(frozen=True)
class Nearness:
    """Mean and deviation, over pictures, of the cosine between what a whole prompt becomes and its picture, moved to
    where texts are."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class Trust:
    """temperature: by which differences of similarity become likelihoods; None for the CLIP's own logit scale.
    captions: by family's name, the share of what a caption says that is right; STATED_RELIABILITY for others.
    pictures: how many it was learned from, 0 for what is stated. nearness: of prompts that say all, None where it is
    not known."""

    temperature: float | None = None
    captions: Mapping[str, float] = field(default_factory=dict)
    pictures: int = 0
    nearness: Nearness | None = None

    def caption(self, family: str) -> float:
        return self.captions.get(family, STATED_RELIABILITY)

    def values(self) -> dict[str, Any]:
        """Plain, for a file."""
        told = {"temperature": self.temperature, "captions": dict(self.captions), "pictures": self.pictures}
        return told if self.nearness is None else {**told, "nearness": [self.nearness.mean, self.nearness.deviation]}

    @classmethod
    def of(cls, values: Any) -> Trust:
        """What `values` gave. Raises ValueError, TypeError, KeyError."""
        temperature, captions = values["temperature"], values["captions"]
        shares = {str(family): float(share) for family, share in captions.items()}
        if temperature is not None and not 0 < float(temperature) < math.inf:
            raise ValueError("no temperature")
        if not all(0 < share < 1 for share in shares.values()):
            raise ValueError("no share")
        near = values.get("nearness")
        nearness = None if near is None else Nearness(*map(float, near))
        if nearness is not None and not (-1 <= nearness.mean <= 1 and 0 < nearness.deviation < 2):
            raise ValueError("no nearness")
        return cls(None if temperature is None else float(temperature), shares, int(values["pictures"]), nearness)


STATED = Trust()


@dataclass(frozen=True)
class Testimony:
    """Of one family: scores [pictures, answers] of the CLIP (similarities less their means), and which answer each
    picture's caption gives, -1 where it gives none."""

    family: str
    scores: np.ndarray
    said: np.ndarray


def learned(testimonies: Sequence[Testimony], pictures: int) -> Trust:
    """From what both said of many pictures. Families of which too little was said keep what is stated."""
    heard = [one for one in map(_heard, testimonies) if len(one.said)]
    if not heard:
        return STATED
    temperature = max(_TEMPERATURES, key=lambda each: sum(_likelihood(one, each) for one in heard))
    return Trust(temperature, {one.family: _agreement(one, temperature) for one in heard}, pictures)


def _heard(testimony: Testimony) -> Testimony:
    rows = testimony.said >= 0
    return Testimony(testimony.family, testimony.scores[rows], testimony.said[rows])


def _likelihood(testimony: Testimony, temperature: float) -> float:
    """The logarithm of how likely all is that the captions say."""
    shares = softmax(testimony.scores * temperature)
    agreed = shares[np.arange(len(shares)), testimony.said]
    wrong = (1 - STATED_RELIABILITY) / (shares.shape[1] - 1)
    return float(np.log(agreed * STATED_RELIABILITY + (1 - agreed) * wrong).sum())


def _agreement(testimony: Testimony, temperature: float) -> float:
    """How often the captions say the same as the CLIP where that is sure; no more than is stated, since both err more
    where it is not, and there they are asked."""
    shares = softmax(testimony.scores * temperature)
    agreed = (shares.argmax(axis=1) == testimony.said)[shares.max(axis=1) > SURE]
    share = float((agreed.sum() + _BELIEF * STATED_RELIABILITY) / (len(agreed) + _BELIEF))
    return min(share, STATED_RELIABILITY)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)
