"""A picture in the latents of a checkpoint's VAE, held to what its diffusion model takes for a picture of the text.

Without that a CLIP is soon pleased by what no person would call a picture: see `benchmarks/optimise.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from ..embed import PromptEmbedding
from ..embed.composing import equally_long
from ..errors import ModelError
from ..variation.checkpoint import Checkpoint
from ..variation.render import check_family
from .painters import fitted_values

_TINY = 1e-8
_SOONEST, _NEAR, _FAR = 0.02, 0.5, 0.98
"""Of all times of noise, the first that is looked at, and the last: of a picture that shows the text already, whose
form is decided there, and of another, which is to become one."""
_RATES = {True: 0.02, False: 0.08}


@dataclass(frozen=True)
class Hold:
    """embedding, negative: of the text, and what guidance leads away from. guidance: as for rendering. weight: of a
    step's direction towards what the diffusion model sees in the noisy latents (score distillation, Poole et al. 2022),
    beside the CLIP's, both of length 1; 0 for none."""

    embedding: PromptEmbedding
    negative: PromptEmbedding
    guidance: float
    weight: float = 1.0


class Latents:
    """begun: the picture it begins with, whose size is kept. is_near: whether that was rendered of the text. Raises
    EmbeddingError for a hold of another family."""

    def __init__(self, checkpoint: Checkpoint, begun: Image.Image, hold: Hold, is_near: bool = True) -> None:
        self.rate, self._latest = _RATES[is_near], _NEAR if is_near else _FAR
        for each in (hold.embedding, hold.negative):
            check_family(checkpoint, each)
        self._checkpoint, self._hold, self._pipeline = checkpoint, hold, checkpoint.pipeline
        self._device, self._dtype = self._pipeline._execution_device, self._pipeline.unet.dtype
        self._size = begun.size
        vae = self._pipeline.vae
        pixels = fitted_values(begun, begun.size).to(self._device, vae.dtype)
        with torch.no_grad():
            found = vae.encode(2 * pixels - 1).latent_dist.mode() * vae.config.scaling_factor
        self.values = [found.float().clone().requires_grad_()]

    def picture(self) -> Tensor:
        vae = self._pipeline.vae
        (latents,) = self.values
        made = vae.decode((latents / vae.config.scaling_factor).to(vae.dtype)).sample.float() / 2 + 0.5
        if not bool(torch.isfinite(made).all()):
            raise ModelError(f"{self._checkpoint.name} gave no numbers", "get its weights again")
        return made

    def steered(self, gradients: Sequence[Tensor], generator: torch.Generator) -> Sequence[Tensor]:
        (gradient,), (latents,) = gradients, self.values
        step = gradient / gradient.norm().clamp_min(_TINY)
        if self._hold.weight:
            away = latents.detach() - self._denoised(latents.detach(), generator)
            step = step + self._hold.weight * away / away.norm().clamp_min(_TINY)
        return [step]

    @torch.no_grad()
    def _denoised(self, latents: Tensor, generator: torch.Generator) -> Tensor:
        """What the diffusion model sees in the latents with noise of a time by chance."""
        known = self._pipeline.scheduler.alphas_cumprod
        drawn = float(torch.rand((), generator=generator))
        time = int(len(known) * (_SOONEST + drawn * (self._latest - _SOONEST)))
        kept = known[time].to(latents)
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        noisy = kept.sqrt() * latents + (1 - kept).sqrt() * noise
        against, toward = self._predicted(noisy.repeat(2, 1, 1, 1), time).float().chunk(2)
        guided = against + self._hold.guidance * (toward - against)
        kind = self._pipeline.scheduler.config.prediction_type
        if kind == "v_prediction":
            return kept.sqrt() * noisy - (1 - kept).sqrt() * guided
        return guided if kind == "sample" else (noisy - (1 - kept).sqrt() * guided) / kept.sqrt()

    def _predicted(self, noisy: Tensor, time: int) -> Tensor:
        """Without the text, and with it."""
        both = [self._hold.negative, self._hold.embedding]
        states = equally_long([each.states for each in both if each.states is not None])
        added = None
        if self._checkpoint.family.takes_pooled:
            width, height = self._size
            pooled = torch.stack([each.pooled for each in both if each.pooled is not None])
            times = torch.tensor([[height, width, 0, 0, height, width]] * 2)
            added = {"text_embeds": self._placed(pooled), "time_ids": self._placed(times)}
        return self._pipeline.unet(
            self._placed(noisy),
            torch.tensor(time, device=self._device),
            encoder_hidden_states=self._placed(torch.stack(states)),
            added_cond_kwargs=added,
        ).sample

    def _placed(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._device, self._dtype)
