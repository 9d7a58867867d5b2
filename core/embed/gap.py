"""The gap between pictures and texts: in a CLIP's joint space the two lie in different places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..cures import Give
from ..errors import ModelError, SettingsError
from ..files import replace_whole
from ..foreign import Unreadable, read_header, read_tensors
from ..printable import there_are

if TYPE_CHECKING:
    from ..clip import Clip
    from ..evidence.bank import Bank

ENOUGH_PICTURES = 40
"""In a trial on the micro models more made no difference."""
_FEWEST_PICTURES = 8
_ALL_THE_SAME = "The pictures to measure the gap with are all the same"


@dataclass(frozen=True)
class GapCorrection:
    """Where a CLIP's pictures are: their centre [joint width] and root mean square distance from it, by which a picture
    is moved to where texts are. pictures: how many they were measured on."""

    centre: Tensor
    spread: float
    pictures: int

    @classmethod
    def measured(cls, features: Tensor) -> GapCorrection:
        """From normalised embeddings [pictures, joint width] of varied pictures, about 40 of them.

        Raises SettingsError for fewer than 8, or when they are all the same."""
        _check_count(len(features))
        centre = features.float().mean(dim=0)
        spread = float((features.float() - centre).pow(2).sum(dim=1).mean().sqrt())
        if not spread > 1e-6:
            raise SettingsError(_ALL_THE_SAME, Give("gap_pictures", "varied ones"))
        return cls(centre, spread, len(features))

    def save(self, path: Path) -> None:
        """Writes one safetensors file."""
        from safetensors.torch import save

        spread = torch.tensor([self.spread], dtype=torch.float64)
        tensors = {"centre": self.centre.cpu(), "spread": spread}
        replace_whole(path, save(tensors, {"pictures": str(self.pictures)}))

    @classmethod
    def load(cls, path: Path) -> GapCorrection:
        """Reads what `save` wrote. Raises ModelError for anything else."""
        try:
            header = read_header(path)
            for name, dtype in (("centre", "F32"), ("spread", "F64")):
                header.shape(name, dtype, ndim=1)
            pictures = header.metadata.get("pictures", "")
            if not pictures.isascii() or not pictures.isdigit():
                raise Unreadable("it does not say of how many pictures it is")
            tensors = read_tensors(path, ["centre", "spread"])
            centre, spread = tensors["centre"], float(tensors["spread"][0])
            if not bool(torch.isfinite(centre).all()) or not 1e-6 < spread < float("inf"):
                raise Unreadable("it holds what is no number")
        except Unreadable as error:
            raise ModelError(f"{path} is no measured gap ({error})", "measure it again") from error
        return cls(centre, spread, int(pictures[:9]))

    def centred(self, features: Tensor, text_spread: float) -> Tensor:
        """Embeddings about the texts' centre, which is zero here, with the texts' spread."""
        return (features - self.centre.to(features)) * (text_spread / self.spread)


def check_variety(pictures: Sequence[str]) -> None:
    """SettingsError for pictures, known by their hashes, that say nothing of a gap."""
    _check_count(len(pictures))
    if len(set(pictures)) == 1:
        raise SettingsError(_ALL_THE_SAME, Give("gap_pictures", "varied ones"))


def _check_count(pictures: int) -> None:
    if pictures < _FEWEST_PICTURES:
        raise SettingsError(
            f"{there_are(pictures, 'pictures')} to measure the gap between pictures and texts with",
            f"give about {ENOUGH_PICTURES}, and {_FEWEST_PICTURES} at least",
        )


def known_gap(clip: Clip, bank: str | PathLike[str] | None) -> GapCorrection | None:
    """What is known of a CLIP without more pictures: what is shipped, or what a bank's file says of those it was made
    of. Raises ModelError for a bank that is of another CLIP."""
    from ..evidence.bank import Bank

    shipped = shipped_gap(clip.name)
    if shipped is not None or bank is None:
        return shipped
    known = Bank.load(Path(bank))
    known.check(clip)
    return gap_of(known)


def gap_of(bank: Bank) -> GapCorrection:
    """What a bank of pictures says of where they are."""
    return GapCorrection(bank.mean, float(bank.covariance.trace().sqrt()), bank.count)


def shipped_gap(clip_name: str) -> GapCorrection | None:
    """What is known of a CLIP without pictures of the user's: only micro's, which
    `python -m training.measure_gap` measures."""
    from ..micro import GAP_FILE

    return GapCorrection.load(GAP_FILE) if clip_name == "micro" else None
