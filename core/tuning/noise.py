"""The loss of latent diffusion: how well a UNet tells noise from picture, given what stands in a prompt's place.

A picture's latent x is mixed with noise e to sqrt(a) x + sqrt(1 - a) e, a being the schedule's share of signal at a
random time; the UNet is asked for e, for the velocity sqrt(a) e - sqrt(1 - a) x (Salimans and Ho 2022, appendix D), or
for x, as its scheduler's configuration says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import ModelError

_PREDICTIONS = ("epsilon", "v_prediction", "sample")


class Drawn(NamedTuple):
    """noise [n, channels, height, width]; times [n], whole numbers."""

    noise: Tensor
    times: Tensor


class Condition(NamedTuple):
    """states [n, positions, width]; pooled [n, width] and sizes [n, 6], where the UNet listens to them."""

    states: Tensor
    pooled: Tensor | None = None
    sizes: Tensor | None = None

    def each(self, change: Callable[[Tensor], Tensor]) -> Condition:
        """With every part changed."""
        pooled, sizes = (None if part is None else change(part) for part in (self.pooled, self.sizes))
        return Condition(change(self.states), pooled, sizes)


class NoiseLoss:
    """scheduler: of a diffusers' pipeline. Raises ModelError for one whose noise is not of this kind."""

    def __init__(self, scheduler: Any, min_snr: float | None = None) -> None:
        signal = getattr(scheduler, "alphas_cumprod", None)
        self._kind = str(scheduler.config.get("prediction_type", "epsilon"))
        if signal is None or self._kind not in _PREDICTIONS:
            raise ModelError(
                f"The checkpoint's scheduler, {type(scheduler).__name__}, has no noise that is told from a picture",
                "give a checkpoint of Stable Diffusion 1, 2 or XL",
            )
        self._signal: Tensor = signal.detach().double().cpu()
        self._min_snr = min_snr

    def draw(self, latents: Tensor, generator: torch.Generator) -> Drawn:
        """The same on every device."""
        noise = torch.randn(latents.shape, generator=generator)
        times = torch.randint(len(self._signal), (len(latents),), generator=generator)
        return Drawn(noise, times)

    def spread(self, latents: Tensor, generator: torch.Generator) -> Drawn:
        """For a comparison: times that are evenly spread, where random ones are not."""
        count = len(latents)
        times = ((torch.arange(count) + 0.5) / count * len(self._signal)).long()
        return Drawn(torch.randn(latents.shape, generator=generator), times)

    def of(self, unet: Any, latents: Tensor, drawn: Drawn, condition: Condition) -> Tensor:
        """[n], float32: the mean squared error of each, weighted."""
        device, dtype = latents.device, latents.dtype
        noise, times = drawn.noise.to(device, dtype), drawn.times.to(device)
        share = self._signal[drawn.times].to(device, torch.float32).view(-1, 1, 1, 1)
        kept, added = share.sqrt().to(dtype), (1 - share).sqrt().to(dtype)
        further: dict[str, Any] = {}
        if condition.pooled is not None:
            further["added_cond_kwargs"] = {"text_embeds": condition.pooled, "time_ids": condition.sizes}
        noisy = kept * latents + added * noise
        told = unet(noisy, times, encoder_hidden_states=condition.states, **further).sample
        wanted = {"epsilon": noise, "v_prediction": kept * noise - added * latents, "sample": latents}[self._kind]
        errors = (told.float() - wanted.float()).pow(2).flatten(1).mean(dim=1)
        return errors * self._weights(share.flatten())

    def _weights(self, share: Tensor) -> Tensor:
        """Min-SNR, by what is predicted: a loss on the picture counts min(SNR, bound) (Hang et al. 2023, section 3.4);
        on noise that is to be divided by SNR, on velocity by SNR + 1."""
        if self._min_snr is None:
            return torch.ones_like(share)
        ratio = share / (1 - share).clamp_min(1e-8)
        bounded = ratio.clamp(max=self._min_snr)
        by = {"epsilon": ratio, "v_prediction": ratio + 1, "sample": torch.ones_like(ratio)}[self._kind]
        return bounded / by.clamp_min(1e-8)
