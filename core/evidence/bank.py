"""What a picture is compared with: where a CLIP's pictures lie, and how they vary."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..cures import Give
from ..errors import ModelError, SettingsError
from ..files import replace_whole
from ..foreign import Unreadable, read_header, read_tensors
from ..printable import there_are
from ..progress import SILENT, Progress
from .trust import STATED, Trust

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..clip import Clip

COMPOSED = "composed texts"
FEWEST_PICTURES = 40
_LARGEST_NAME = 200


@dataclass(frozen=True)
class Bank:
    """mean [joint width] and covariance [joint width, joint width] of pictures' features, float32 in main memory.

    name: of what they were measured on, for the result. count: of pictures or texts. clip: the CLIP's name.
    trust: what these pictures showed of how far the CLIP and the captioner may be believed."""

    name: str
    mean: Tensor
    covariance: Tensor
    count: int
    clip: str
    trust: Trust = field(default_factory=lambda: STATED)

    @classmethod
    def of_texts(
        cls,
        clip: Clip,
        texts: Sequence[str],
        centre: Tensor | None = None,
        spread: float = 0.0,
        progress: Progress = SILENT,
    ) -> Bank:
        """Texts in pictures' place. centre [joint width], spread: where pictures are and how far about it, where that
        is known (`core.embed.gap`): texts are moved there."""
        with progress.task(f"Reading {len(texts):,} texts"):
            features = clip.encode_texts(texts, progress).float()
        if centre is not None:
            about = features - features.mean(dim=0)
            own = float(about.pow(2).sum(dim=1).mean().sqrt())
            features = normalize(about * (spread / own if spread else 1.0) + centre.to(features), dim=-1)
        return _measured(COMPOSED, features, clip.name, STATED)

    @classmethod
    def of_pictures(cls, name: str, features: Tensor, clip: Clip, trust: Trust = STATED) -> Bank:
        """features: of varied pictures [pictures, joint width], normalised. Raises SettingsError for fewer than
        FEWEST_PICTURES."""
        check_count(len(features))
        return _measured(name, features.float(), clip.name, trust)

    def check(self, clip: Clip) -> None:
        """ModelError where it is of another CLIP's pictures."""
        another = self.knows_pictures and self.clip != clip.name  # texts' is kept by the weights, whatever their name
        if another or len(self.mean) != clip.encode_texts([""]).shape[-1]:
            raise ModelError(
                f"The bank {self.name} was made with another CLIP than {clip.name}", Give("bank", "another")
            )

    @property
    def knows_pictures(self) -> bool:
        """Texts in pictures' place do not tell how near each text is to all pictures."""
        return self.name != COMPOSED

    @property
    def told(self) -> str:
        """As a result names it."""
        return f"{self.name}, {self.count:,} pictures" if self.knows_pictures else self.name

    def save(self, path: Path) -> None:
        """Writes one safetensors file."""
        from safetensors.torch import save

        tensors = {"mean": self.mean.contiguous(), "covariance": self.covariance.contiguous()}
        said = {
            "name": self.name,
            "count": str(self.count),
            "clip": self.clip,
            "trust": json.dumps(self.trust.values()),
        }
        replace_whole(path, save(tensors, said))

    @classmethod
    def load(cls, path: Path) -> Bank:
        """Reads what `save` wrote. Raises ModelError for anything else."""
        try:
            header = read_header(path)
            (width,) = header.shape("mean", "F32", ndim=1)
            if tuple(header.shape("covariance", "F32", ndim=2)) != (width, width):
                raise Unreadable("its parts do not belong together")
            tensors = read_tensors(path, ["mean", "covariance"])
            if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
                raise Unreadable("it holds what is no number")
            return cls(**_said(header.metadata), mean=tensors["mean"], covariance=tensors["covariance"])
        except Unreadable as error:
            raise ModelError(f"{path} is no bank ({error})", "make it again") from error


def check_count(pictures: int) -> None:
    """SettingsError for fewer than FEWEST_PICTURES."""
    if pictures < FEWEST_PICTURES:
        raise SettingsError(
            f"{there_are(pictures, 'pictures')} to compare with", f"give {FEWEST_PICTURES} varied ones or more"
        )


def _measured(name: str, features: Tensor, clip: str, trust: Trust) -> Bank:
    mean = features.mean(dim=0)
    about = features - mean
    covariance = about.T @ about / len(features)
    return Bank(name, mean.cpu(), covariance.cpu(), len(features), clip, trust)


def _said(metadata: Mapping[str, str]) -> dict:
    count = metadata.get("count", "")
    if not count.isascii() or not count.isdigit() or "clip" not in metadata:
        raise Unreadable("it does not say of what it is")
    try:
        trust = Trust.of(json.loads(metadata.get("trust", "")))
    except (ValueError, TypeError, KeyError) as error:
        raise Unreadable("what it says of trust is not understood") from error
    name = " ".join(metadata.get("name", "").split())[:_LARGEST_NAME] or "pictures"
    return {"name": name, "count": int(count[:9]), "clip": metadata["clip"], "trust": trust}
