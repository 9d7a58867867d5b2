"""What a person chooses of the way a picture is sampled."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import SettingsError

_MULTIPLE = 8  # pixels in a latent
_LARGEST = 4096


@dataclass(frozen=True)
class Sampling:
    """How a picture is sampled.

    guidance: scale of classifier-free guidance (Ho and Salimans 2022); 1 is none. size: width and height in pixels,
    multiples of 8; None for the checkpoint's usual one. denoise: with a picture to begin with, how far it may change,
    above 0 to 1.
    """

    steps: int = 30
    guidance: float = 7.5
    seed: int = 0
    size: tuple[int, int] | None = None
    denoise: float = 0.6

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise SettingsError(f"is {self.steps}", "give 1 or more", control="steps")
        if not (math.isfinite(self.guidance) and self.guidance >= 0):
            raise SettingsError(f"is {self.guidance:g}", "give a number of 0 or more", control="guidance")
        if not 0 <= self.seed < 2**63:
            raise SettingsError(f"is {self.seed}", "give a whole number from 0 to 2^63 - 1", control="seed")
        if not (math.isfinite(self.denoise) and 0 < self.denoise <= 1):
            raise SettingsError(f"is {self.denoise:g}", "give a number above 0, 1 at most", control="denoise")
        for pixels in self.size or ():
            if pixels % _MULTIPLE or not _MULTIPLE <= pixels <= _LARGEST:
                raise SettingsError(
                    f"The size has a side of {pixels} pixels", f"give multiples of {_MULTIPLE} up to {_LARGEST}"
                )
