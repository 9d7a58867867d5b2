"""Trains the micro Stable Diffusion from nothing: `python -m training.train_diffusion --out FOLDER`.

The encoder is set, not trained (patch_latents), so its decoder and the UNet are trained side by side, each in its own
process: the decoder to draw the picture again, the UNet in the usual noise prediction of latent diffusion, as velocity
(Salimans and Ho 2022, appendix D), conditioned on the micro CLIP's states of a fresh caption each time. The text tower
stays as it is, one caption in ten is empty for guidance, and the weights kept are a running average.
"""

from __future__ import annotations

import argparse
import copy
import logging
import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from unrender.core.micro.captions import ALL_FACTORS, caption
from unrender.core.micro.pictures import Pictures, render
from unrender.core.variation.checkpoint import diffusers_module

from .diffusion import new_autoencoder, new_scheduler, new_unet, text_encoder, write_pipeline
from .patch_latents import POSTERIOR_DEVIATION, set_encoder, start_decoder
from .train import compiled, training_device

EMPTY_SHARE, FULL_SHARE = 0.1, 0.7  # of the captions: for guidance, and those that say all there is
FOR_COMPONENTS = 4000  # pictures
LOG_EVERY, SAVE_EVERY = 50, 500  # steps

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Schedule:
    seed: int = 11
    pictures: int = 60_000
    decoder_minutes: float = 60
    unet_minutes: float = 120
    decoder_rate: float = 2e-3
    unet_rate: float = 1e-3
    decoder_batch: int = 8
    unet_batch: int = 48
    device: str = "auto"

    @property
    def torch_device(self) -> torch.device:
        return training_device(self.device)


def as_values(pixels: Tensor) -> Tensor:
    """uint8 pixels to what an autoencoder takes, -1 to 1."""
    return pixels.float() / 127.5 - 1


class Clock:
    """A schedule by time, since machines differ: how far a run of so many minutes is, and its learning rate."""

    def __init__(self, minutes: float, rate: float, optimizer: torch.optim.Optimizer) -> None:
        self.started = time.monotonic()
        self._seconds, self._rate, self._optimizer = minutes * 60, rate, optimizer
        self.step = 0

    def steps(self) -> Iterator[int]:
        while (done := (time.monotonic() - self.started) / self._seconds) < 1:
            self.step += 1
            warm = min(1.0, self.step / 100)
            for group in self._optimizer.param_groups:
                group["lr"] = self._rate * warm * (0.5 + 0.5 * math.cos(math.pi * max(0.0, done - 0.4) / 0.6))
            yield self.step

    def report(self, **losses: float) -> None:
        if self.step % LOG_EVERY == 0:
            values = " ".join(f"{name} {value:.4f}" for name, value in losses.items())
            log.info("step %d, %.0f s: %s", self.step, time.monotonic() - self.started, values)


def set_autoencoder(pictures: Pictures, folder: Path) -> None:
    """Writes an autoencoder with its final encoder and a decoder to be trained."""
    model = new_autoencoder()
    set_encoder(model, as_values(pictures.pixels[:FOR_COMPONENTS]))
    start_decoder(model)
    model.save_pretrained(folder)


def train_decoder(pictures: Pictures, latents: Tensor, autoencoder: Any, settings: Schedule, folder: Path) -> None:
    device = settings.torch_device
    model = nn.Sequential(autoencoder.post_quant_conv, autoencoder.decoder).to(device).train().requires_grad_(True)
    decode, average = compiled(model), _average(model, 0.998)
    optimizer = torch.optim.AdamW(model.parameters(), settings.decoder_rate, weight_decay=0.01)
    clock = Clock(settings.decoder_minutes, settings.decoder_rate, optimizer)
    pick = torch.Generator().manual_seed(settings.seed)
    for step in clock.steps():
        chosen = torch.randint(len(latents), (settings.decoder_batch,), generator=pick)
        wanted, clean = as_values(pictures.pixels[chosen].to(device)), latents[chosen].float().to(device)
        with torch.autocast(device.type, torch.bfloat16):
            drawn = decode(clean + POSTERIOR_DEVIATION * torch.randn_like(clean))
        difference = drawn.float() - wanted
        loss = _picture_loss(difference)
        _step(loss, model, optimizer)
        average.update_parameters(model)
        clock.report(loss=loss.item(), error=difference.abs().mean().item(), square=difference.square().mean().item())
        if step % SAVE_EVERY == 0:
            _save_decoder(average.module, autoencoder, folder)
    _save_decoder(average.module, autoencoder, folder)


def _save_decoder(trained: Any, autoencoder: Any, folder: Path) -> None:
    saved = copy.deepcopy(autoencoder)
    saved.post_quant_conv, saved.decoder = trained[0], trained[1]
    saved.save_pretrained(folder)


def _picture_loss(difference: Tensor) -> Tensor:
    """What is drawn and where its edges are: without the second term hatching and joints are blurred away."""
    down, right = difference.diff(dim=2), difference.diff(dim=3)
    return difference.abs().mean() + difference.pow(2).mean() + down.abs().mean() + right.abs().mean()


@torch.no_grad()
def encoded(model: Any, pixels: Tensor) -> Tensor:
    """Latents (n, 16, 8, 8) of uint8 pixels; their deviation is 1, so nothing scales them."""
    parts = []
    for some in pixels.split(250):
        with torch.autocast(model.device.type, torch.bfloat16):
            parts.append(model.encode(as_values(some.to(model.device))).latent_dist.mode().half().cpu())
    return torch.cat(parts)


def train_unet(pictures: Pictures, latents: Tensor, settings: Schedule, folder: Path, start: Path | None) -> None:
    device = settings.torch_device
    model = (diffusers_module().UNet2DConditionModel.from_pretrained(start) if start else new_unet()).to(device)
    predict, average = compiled(model), _average(model, 0.998)
    optimizer = torch.optim.AdamW(model.parameters(), settings.unet_rate, betas=(0.9, 0.99), weight_decay=0.01)
    clock = Clock(settings.unet_minutes, settings.unet_rate, optimizer)
    scheduler, captions = new_scheduler(), _Captions(pictures, settings)
    smooth = 1.0
    for step in clock.steps():
        chosen, states = captions.next_batch()
        clean = latents[chosen].float().to(device)
        noise = torch.randn_like(clean)
        times = _random_times(len(clean), scheduler.config.num_train_timesteps).to(device)
        noisy, wanted = scheduler.add_noise(clean, noise, times), scheduler.get_velocity(clean, noise, times)
        with torch.autocast(device.type, torch.bfloat16):
            velocity = predict(noisy, times, encoder_hidden_states=states).sample
        loss = F.mse_loss(velocity.float(), wanted)
        _step(loss, model, optimizer)
        average.update_parameters(model)
        smooth = 0.98 * smooth + 0.02 * loss.item()
        clock.report(loss=smooth)
        if step % SAVE_EVERY == 0:
            average.module.save_pretrained(folder / "unet")
    average.module.save_pretrained(folder / "unet")


def _random_times(count: int, steps: int) -> Tensor:
    """More of the middle, where a picture is decided, than of either end: a normal variable through the logistic
    function (Esser et al. 2024, section 3.1), one in five uniform."""
    normal, uniform = torch.randn(count).sigmoid(), torch.rand(count)
    return (torch.where(torch.rand(count) < 0.2, uniform, normal) * steps).long().clamp(max=steps - 1)


class _Captions:
    """Random pictures by number, and the text tower's states of a fresh caption for each."""

    def __init__(self, pictures: Pictures, settings: Schedule) -> None:
        self._scenes, self._count = pictures.scenes, settings.unet_batch
        self._rng = random.Random(settings.seed)
        self._encoder, self._tokenizer = text_encoder()
        self._encoder.to(settings.torch_device, torch.bfloat16)  # in single precision it takes as long as the UNet

    @torch.no_grad()
    def next_batch(self) -> tuple[Tensor, Tensor]:
        chosen = [self._rng.randrange(len(self._scenes)) for _ in range(self._count)]
        texts = [self._text(number) for number in chosen]
        tokens = self._tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt")["input_ids"]
        tokens = tokens.to(self._encoder.device)
        return torch.tensor(chosen), self._encoder(tokens).last_hidden_state.float()

    def _text(self, number: int) -> str:
        draw = self._rng.random()
        if draw < EMPTY_SHARE:
            return ""
        factors = ALL_FACTORS if draw < EMPTY_SHARE + FULL_SHARE else None
        return caption(self._scenes[number], self._rng, factors).text


def _average(model: nn.Module, decay: float) -> Any:
    """An AveragedModel."""
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))


def _step(loss: Tensor, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the micro Stable Diffusion from nothing.")
    parser.add_argument("part", choices=("decoder", "unet", "pipeline"), help="pipeline: both, trained, into OUT/sd")
    parser.add_argument("--out", type=Path, required=True, help="folder that all parts share")
    parser.add_argument("--start", type=Path, help="folder of an earlier run's UNet to go on from")
    for setting in fields(Schedule):
        option = "--" + setting.name.replace("_", "-")
        parser.add_argument(option, type=type(setting.default), default=setting.default)
    given = vars(parser.parse_args())
    part, out, start = given.pop("part"), given.pop("out"), given.pop("start")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    train(part, out, start, Schedule(**given))


def train(part: str, out: Path, start: Path | None, settings: Schedule) -> None:
    torch.manual_seed(settings.seed)
    kinds = diffusers_module()
    folder = out / "autoencoder"
    if part == "pipeline":
        unet = kinds.UNet2DConditionModel.from_pretrained(out / "unet")
        return write_pipeline(out / "sd", kinds.AutoencoderKL.from_pretrained(folder), unet)
    pictures = render("train", settings.pictures)
    if not folder.exists():
        set_autoencoder(pictures, folder)
    autoencoder = kinds.AutoencoderKL.from_pretrained(folder).requires_grad_(False).to(settings.torch_device)
    latents = encoded(autoencoder, pictures.pixels)
    if part == "decoder":
        train_decoder(pictures, latents, autoencoder, settings, folder)
    else:
        train_unet(pictures, latents, settings, out, start)


if __name__ == "__main__":
    main()
