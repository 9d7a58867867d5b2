"""Pictures as a tuning takes them: what the CLIP looks at, and the latents that the UNet is to find under noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..clip import Clip
from ..errors import ModelError
from ..images import image_key
from ..progress import SILENT, Progress


@dataclass(frozen=True)
class Material:
    """keys: the pictures' hashes. latents, mirrored [pictures, channels, height, width]: of each and of its mirror
    image, scaled as the UNet takes them; both the same where nothing is mirrored."""

    keys: tuple[str, ...]
    latents: Tensor
    mirrored: Tensor

    @classmethod
    def of(
        cls, pictures: Sequence[Image.Image], pipeline: Any, side: int, flips: bool, progress: Progress = SILENT
    ) -> Material:
        """side: in pixels; of a picture that is no square the middle is taken. Raises ModelError where the VAE gives no
        numbers, or Cancelled."""
        plain, turned = [], []
        with progress.task("Encoding pictures", len(pictures), "pictures") as task, _exact(pipeline.vae):
            for picture in pictures:
                square = ImageOps.fit(picture.convert("RGB"), (side, side), Image.Resampling.LANCZOS)
                plain.append(_latent(pipeline, square))
                turned.append(_latent(pipeline, ImageOps.mirror(square)) if flips else plain[-1])
                task.advance()
        return cls(tuple(map(image_key, pictures)), torch.cat(plain), torch.cat(turned))

    def chosen(self, numbers: Sequence[int], mirrored: Tensor) -> Tensor:
        """mirrored [n]: which of them."""
        rows = list(numbers)
        return torch.where(mirrored[:, None, None, None], self.mirrored[rows], self.latents[rows])


def views_of(clip: Clip, pictures: Sequence[Image.Image]) -> Tensor:
    """[pictures, 3, height, width], in main memory."""
    return torch.stack([clip.view(picture.convert("RGB")) for picture in pictures])


@contextmanager
def _exact(vae: Any) -> Iterator[None]:
    """In float32: SDXL's gives no numbers in half precision."""
    dtype = next(vae.parameters()).dtype
    if dtype is torch.float32:
        yield
        return
    vae.to(torch.float32)
    try:
        yield
    finally:
        vae.to(dtype)


@torch.no_grad()
def _latent(pipeline: Any, picture: Image.Image) -> Tensor:
    """The mean of what the VAE makes of a picture [1, channels, height, width], float32, in main memory."""
    vae = pipeline.vae
    values = torch.from_numpy(np.asarray(picture, np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
    found = vae.encode(values.to(vae.device)).latent_dist.mean.float().cpu()
    if not bool(torch.isfinite(found).all()):
        raise ModelError("The checkpoint's VAE gives no numbers for a picture", "get its weights again")
    shift = vae.config.get("shift_factor") or 0
    return (found - shift) * vae.config.scaling_factor
