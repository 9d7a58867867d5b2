"""The best of many candidates, scored in half precision first and in float32 where it matters.

Half precision errs by more than the best candidates differ, so its winner is not the winner. But its errors behave:
their mean and deviation are measured on random candidates of the same picture, and whatever cannot win within eight
deviations is left alone. What that risks is computed from Student's t distribution and kept below one in a million a
picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

SAMPLES_PER_ROUND = 16
FEWEST_SAMPLES = 64
DEVIATIONS = 8.0
OUTLIER = 6.0
LARGEST_SHARE = 0.25
LARGEST_RISK = 1e-6
_FRONT = 8

Exact = Callable[[np.ndarray], np.ndarray]


@dataclass
class Screening:
    """What was learnt while searching for one picture's prompt.

    risk: an upper bound on the probability that scoring everything in float32 would have chosen otherwise somewhere.
    scored, rescored: candidates in half precision and in float32. redone: rounds done in float32 altogether.
    """

    risk: float = 0.0
    scored: int = 0
    rescored: int = 0
    redone: int = 0
    _errors: list[float] = field(default_factory=list)
    _random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def pays_for(self, count: int) -> bool:
        """Whether so many candidates are enough to leave most of them at half precision."""
        return count >= 4 * (self._wanted_samples + _FRONT)

    def best(self, rough: np.ndarray, exact: Exact) -> tuple[int, float]:
        """The row of the highest float32 score and that score; of equal ones the first row.

        rough: half-precision scores of all rows. exact: float32 scores of the rows it is given.
        """
        self.scored += len(rough)
        values = np.full(len(rough), -np.inf, dtype=np.float32)
        if not self._search(rough, exact, values):
            self.redone += 1
            self.rescored += len(rough)
            values = exact(np.arange(len(rough)))
        row = int(values.argmax())
        return row, float(values[row])

    def _search(self, rough: np.ndarray, exact: Exact, values: np.ndarray) -> bool:
        """Fills in the float32 values of every row that may win; False when the errors cannot be trusted."""
        wanted_samples = self._wanted_samples
        if not self.pays_for(len(rough)):
            return False
        order = np.argsort(-rough, kind="stable")
        sample = self._random.choice(order[_FRONT:], wanted_samples, replace=False)
        self._score(np.concatenate([order[:_FRONT], sample]), exact, values)
        self._errors += (rough[sample] - values[sample]).tolist()
        mean, deviation = float(np.mean(self._errors)), float(np.std(self._errors, ddof=1))
        most = LARGEST_SHARE * len(rough)
        while True:
            scored = np.isfinite(values)
            errors = rough[scored] - values[scored]
            if np.abs(errors - mean).max() > OUTLIER * deviation or scored.sum() > most + wanted_samples:
                return False
            left = order[~scored[order]]
            margin = values.max() - (rough[left] - mean)
            risk = self._risk_of(margin / deviation) if deviation else 0.0
            contenders = left[margin <= DEVIATIONS * deviation]
            if not len(contenders) and self.risk + risk > LARGEST_RISK:
                contenders = left[: 2 * _FRONT]
            if not len(contenders):
                self.risk += risk
                return True
            self._score(contenders[: 4 * _FRONT], exact, values)

    @property
    def _wanted_samples(self) -> int:
        return max(SAMPLES_PER_ROUND, FEWEST_SAMPLES - len(self._errors))

    def _score(self, rows: np.ndarray, exact: Exact, values: np.ndarray) -> None:
        values[rows] = exact(rows)
        self.rescored += len(rows)

    def _risk_of(self, deviations: np.ndarray) -> float:
        """An upper bound on the probability that any of the errors exceeds its distance, given in deviations.

        A new error over the deviation estimated from n samples follows Student's t with n - 1 degrees of freedom,
        widened by sqrt(1 + 1/n). Its tail beyond t is below (1/t) * integral of x f(x), which has a closed form.
        """
        count = len(self._errors)
        freedom = count - 1
        t = np.maximum(deviations / math.sqrt(1 + 1 / count), 1e-3)
        log_density = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - 0.5 * math.log(freedom * math.pi)
        tails = math.exp(log_density) * freedom / (freedom - 1) / t * (1 + t**2 / freedom) ** (-(freedom - 1) / 2)
        return float(np.minimum(tails, 1.0).sum())
