"""Who judges renderings, by name: another CLIP than the one that searched, or a tagger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..clip.naming import check_clip
from ..cures import Give
from ..describe.tagging.tagger import Tagger, check_tagger, is_tagger
from ..errors import ModelError, SettingsError
from ..hub import Hub
from ..progress import SILENT, Progress
from ..published import MICRO, MICRO_TAGGER, VIT_B
from ..settings import Settings

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from .fidelity import Judge

USUAL_JUDGE = VIT_B


class TaggersEye:
    """A tagger as a judge: two pictures are alike as far as it is as sure of every tag in both."""

    def __init__(self, tagger: Tagger) -> None:
        self.name = tagger.name
        self._tagger = tagger

    def encode_images(self, images: Sequence[Image]) -> Tensor:
        """Unit vectors [images, tags]."""
        import torch

        found = self._tagger.confidences([self._tagger.seen(image.convert("RGB")) for image in images])
        return torch.nn.functional.normalize(torch.from_numpy(found).float(), dim=-1)


def usual_judge(checkpoint: str) -> str:
    """Of a checkpoint's renderings, by its name. Micro has no second CLIP; its tagger was trained apart."""
    return MICRO_TAGGER if checkpoint == MICRO else USUAL_JUDGE


def check_judge(name: str, searcher: str) -> None:
    """searcher: the CLIP that searched. Raises for what is known to be wrong of a judge's name without a network:
    SettingsError for the searcher itself, ModelError, MissingPackageError."""
    if name == searcher:
        raise SettingsError(f"is {name}, which searched the prompts", "give another CLIP or a tagger", control="judge")
    if is_tagger(name):
        check_tagger(name)
    else:
        check_clip(name)


def load_judge(name: str, settings: Settings, hub: Hub | None = None, progress: Progress = SILENT) -> Judge:
    """A CLIP, or a tagger. settings: where and how it computes. Raises ModelError, MissingPackageError, Cancelled."""
    from ..clip import Clip

    try:
        if is_tagger(name, hub):
            return TaggersEye(Tagger.load(name, settings.device, hub=hub, progress=progress))
        return Clip.load(name, settings.device, settings.precision, hub, progress)
    except ModelError as error:
        raise ModelError(f"The judge cannot be had: {error.problem}", Give("judge")) from error
