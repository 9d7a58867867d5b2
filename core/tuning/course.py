"""What is asked of a tuning; looked at before any library or weight is loaded."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import SettingsError

DOMAIN_PICTURES, ONLINE_PICTURES = (10, 5000), (1, 5)
"""Fewest and most of a domain, of one subject."""

_MULTIPLE, _LARGEST = 64, 2048
_MOST_RANK = 128


@dataclass(frozen=True)
class Course:
    """steps: of AdamW (Loshchilov and Hutter 2019) at a rate that stays. batch: pictures at once; accumulate: batches a
    step. size: side in pixels that the checkpoint sees, None for its own. flips: whether pictures are mirrored too.
    prompts: whether deep prompts are learned. maps: whether the key and value projections of the UNet's cross-attention
    are changed, by low-rank maps of `rank`. min_snr: the bound of min-SNR weighting (Hang et al. 2023), None for equal
    weights. check_every: steps from one look at held-out pictures to the next, 0 for none. empty: share of pictures
    whose condition is left out, which guidance leads away from; where maps are learned.
    Raises SettingsError."""

    steps: int = 1000
    rate: float = 1e-3
    batch: int = 4
    accumulate: int = 1
    seed: int = 0
    size: int | None = None
    flips: bool = True
    prompts: bool = True
    maps: bool = False
    rank: int = 16
    min_snr: float | None = None
    check_every: int = 100
    empty: float = 0.1

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "accumulate", "rank"):
            if getattr(self, name) < 1:
                raise SettingsError(f"The {_SAID[name]} is {getattr(self, name)}", "give 1 or more")
        if self.rank > _MOST_RANK:
            raise SettingsError(f"The rank is {self.rank}", f"give {_MOST_RANK} at most")
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise SettingsError(f"The learning rate is {self.rate:g}", "give a number above 0, such as 1e-4")
        if not 0 <= self.seed < 2**63:
            raise SettingsError(f"is {self.seed}", "give a whole number from 0 to 2^63 - 1", control="seed")
        if self.min_snr is not None and not (math.isfinite(self.min_snr) and self.min_snr > 0):
            raise SettingsError(f"The bound of the weights is {self.min_snr:g}", "give a number above 0, such as 5")
        if self.size is not None and (self.size % _MULTIPLE or not _MULTIPLE <= self.size <= _LARGEST):
            raise SettingsError(
                f"The side is {self.size} pixels", f"give a multiple of {_MULTIPLE} up to {_LARGEST}, such as 512"
            )
        if not (self.prompts or self.maps):
            raise SettingsError("Nothing is to be learned", "learn the deep prompts, or the key and value projections")


_SAID = {
    "steps": "number of steps",
    "batch": "number of pictures at once",
    "accumulate": "number of batches a step",
    "rank": "rank",
}

DOMAIN = Course()
ONLINE = Course(30, 1e-3, 2, flips=False, prompts=False, maps=True, check_every=0, empty=0)


def check_pictures(count: int, limits: tuple[int, int], differing: int) -> None:
    """How many may be tuned on. differing: how many of them are not the same. Raises SettingsError."""
    fewest, most = limits
    if count < fewest:
        told = "is 1 picture" if count == 1 else f"are {count} pictures"
        raise SettingsError(f"There {told} to learn a domain from", f"give {fewest} or more, or tune on one subject")
    if count > most:
        what = "one subject" if most == ONLINE_PICTURES[1] else "a domain"
        raise SettingsError(f"There are {count:,} pictures to learn {what} from", f"give {most:,} at most")
    if differing < fewest:
        raise SettingsError(f"Only {differing} of the pictures differ", f"give {fewest} or more that do")
