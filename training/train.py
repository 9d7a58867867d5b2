"""Trains the two small models from nothing: `python -m training.train`.

`weights/MEASURES.json` tells by which runs the shipped weights were made. First the CLIP, by four losses at once:
- contrast: a picture finds its own caption among captions that do not fit it, and the caption its picture. Half of
  the captions are near misses, wrong in one factor. Captions of other pictures that happen to fit are left out.
- naming: one linear layer on the shared space reads every factor from pictures, and from captions what they mention.
- place: each patch token, projected like the picture, names the shape and colour it covers, or nothing of them.
- outline: each patch token draws the mask under and around it, five patches wide, for which it has to look
  at its neighbours: shape is what the towers learn last.
The linear layers of the last three are thrown away afterwards. Then the captioner, whose vision tower is the CLIP's
and stays as it is, learns to write sentences.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import platform
import random
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import CLIPModel, CLIPTokenizer
from unrender.core.micro import CLIP_FOLDER, MEASURES_FILE
from unrender.core.micro.captions import Caption, caption, long_caption, spoken_description
from unrender.core.micro.pictures import Pictures, normalise, render
from unrender.core.micro.world import FACTORS, Scene

from .evaluate import measure_folders
from .folders import (
    CAPTIONER_VISION_LAYERS,
    PATCH,
    TEXT_WIDTH,
    VISION_WIDTH,
    new_captioner,
    new_clip,
    save_weights,
    write_captioner_files,
    write_clip_files,
)

BATCH = 128
LONG_CAPTION_EVERY = 12  # every so many steps all captions are long lists, so that every position is trained
AVERAGE_DECAY = 0.99
CELL, WINDOW_CELLS = 4, 10  # an outline is drawn in cells of 4 x 4 pixels, ten by ten around a patch
LOG_EVERY, SAVE_EVERY = 50, 200  # steps
NAMING_SCALE = 10.0  # a unit vector's dot products are too small for a sharp softmax
_SIZES = [len(values) for values in FACTORS.values()]

log = logging.getLogger(__name__)


def training_device(name: str) -> torch.device:
    """The named device; for "auto" a GPU of NVIDIA's, else the CPU."""
    if name != "auto":
        return torch.device(name)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class Training:
    seed: int = 1
    pictures: int = 60_000
    clip_steps: int = 2_400
    captioner_steps: int = 400
    clip_rate: float = 1e-3
    captioner_rate: float = 2e-3
    device: str = "auto"

    @property
    def torch_device(self) -> torch.device:
        return training_device(self.device)


class Heads(nn.Module):
    """The layers that only training needs."""

    def __init__(self) -> None:
        super().__init__()
        self.naming = nn.Linear(TEXT_WIDTH, sum(_SIZES))
        self.outline = nn.Linear(VISION_WIDTH, WINDOW_CELLS**2)

    def name(self, embedding: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Logits per factor of unit vectors (..., width)."""
        return self.naming(embedding * NAMING_SCALE).split(_SIZES, -1)


@dataclass(frozen=True)
class Batch:
    """`captions` hold the pictures' own captions first, then as many near misses."""

    pixels: torch.Tensor
    masks: torch.Tensor
    labels: torch.Tensor
    tokens: torch.Tensor
    caption_labels: torch.Tensor
    mentions: torch.Tensor


def train_clip(pictures: Pictures, folder: Path, settings: Training, start: Path | None = None) -> None:
    """Trains a CLIP on `pictures` and writes its folder. `start`: a CLIP folder whose weights to go on from."""
    write_clip_files(folder)
    model, tokenizer = new_clip(folder, settings.torch_device)
    if start is not None:
        model.load_state_dict(CLIPModel.from_pretrained(start).state_dict())
    model.train()
    heads = Heads().to(settings.torch_device)
    see = compiled(model.vision_model)
    batches = _clip_batches(pictures, tokenizer, settings)

    def losses_of_next_batch() -> dict[str, torch.Tensor]:
        return _clip_losses(model, see, heads, next(batches))

    _train(model, heads, losses_of_next_batch, settings.clip_steps, settings.clip_rate, folder)


def train_captioner(pictures: Pictures, clip_folder: Path, folder: Path, settings: Training) -> None:
    """Trains a captioner on `pictures` that sees with the CLIP in `clip_folder`, and writes its folder."""
    write_captioner_files(folder)
    device = settings.torch_device
    model, tokenizer = new_captioner(folder, device)
    eyes = _captioner_eyes(CLIPModel.from_pretrained(clip_folder), pictures)
    model.vision_model.load_state_dict(eyes)
    model.vision_model.requires_grad_(False)
    model.train()
    rng, pick = random.Random(settings.seed), torch.Generator().manual_seed(settings.seed)

    def losses_of_next_batch() -> dict[str, torch.Tensor]:
        chosen = torch.randint(len(pictures.scenes), (BATCH,), generator=pick)
        texts = [spoken_description(pictures.scenes[i], rng) for i in chosen.tolist()]
        tokens = tokenizer(texts, padding=True, return_tensors="pt")
        ids = tokens["input_ids"].to(device)
        pixels, _ = shifted(pictures.pixels[chosen].to(device), pictures.masks[chosen].to(device), rng)
        with torch.autocast(device.type, torch.bfloat16):
            seen = model.vision_model(pixel_values=normalise(pixels)).last_hidden_state
            written = model.text_decoder(
                input_ids=ids,
                attention_mask=tokens["attention_mask"].to(device),
                encoder_hidden_states=seen,
            ).logits
        wanted = ids[:, 1:].masked_fill(ids[:, 1:] == tokenizer.pad_token_id, -100)
        return {"words": F.cross_entropy(written[:, :-1].float().flatten(0, 1), wanted.flatten())}

    _train(model, nn.Module(), losses_of_next_batch, settings.captioner_steps, settings.captioner_rate, folder)


def _train(
    model: nn.Module,
    heads: nn.Module,
    losses_of_next_batch: Callable[[], dict[str, torch.Tensor]],
    steps: int,
    learning_rate: float,
    folder: Path,
) -> None:
    """Runs the steps and saves the running average of the model's weights, which is better than the last ones."""
    parameters = [p for module in (model, heads) for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(by_decay(parameters), learning_rate, betas=(0.9, 0.98), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warm_cosine(step, steps))
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(AVERAGE_DECAY))
    started = time.monotonic()
    for step in range(1, steps + 1):
        losses = losses_of_next_batch()
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        average.update_parameters(model)
        if step % LOG_EVERY == 0:
            values = " ".join(f"{name} {value.item():.3f}" for name, value in losses.items())
            log.info("step %d of %d, %.0f s: %s", step, steps, time.monotonic() - started, values)
        if step % SAVE_EVERY == 0 or step == steps:
            save_weights(average.module, folder)


def _clip_losses(model: CLIPModel, see: Callable[..., Any], heads: Heads, batch: Batch) -> dict[str, torch.Tensor]:
    with torch.autocast(batch.pixels.device.type, torch.bfloat16):
        seen = see(pixel_values=normalise(batch.pixels))
        read = model.text_model(input_ids=batch.tokens)
        patches = seen.last_hidden_state[:, 1:]
        outline = heads.outline(patches).float()
        places = model.visual_projection(model.vision_model.post_layernorm(patches)).float()
        pictures = model.visual_projection(seen.pooler_output).float()
        texts = model.text_projection(read.pooler_output).float()
    pictures, texts, places = (F.normalize(x, dim=-1) for x in (pictures, texts, places))
    return {
        "contrast": _contrast(model.logit_scale.exp().clamp(max=100) * pictures @ texts.T, batch),
        "naming": _naming(heads, pictures, texts, batch),
        "place": _place(heads.name(places), batch),
        "outline": 2 * F.binary_cross_entropy_with_logits(outline, _mask_windows(batch.masks)),
    }


def _contrast(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """logits (n, 2n): pictures against their own captions and the near misses."""
    count = len(batch.labels)
    agree = batch.labels[:, None] == batch.caption_labels[None]
    fits = (agree | ~batch.mentions[None]).all(-1)
    own = torch.eye(count, 2 * count, dtype=torch.bool, device=logits.device)
    logits = logits.masked_fill(fits & ~own, -math.inf)
    target = torch.arange(count, device=logits.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits[:, :count].T, target)) / 2


def _naming(heads: Heads, pictures: torch.Tensor, texts: torch.Tensor, batch: Batch) -> torch.Tensor:
    loss = pictures.new_zeros(())
    named = zip(heads.name(pictures), heads.name(texts), strict=True)
    for factor, (of_picture, of_text) in enumerate(named):
        said = batch.mentions[:, factor]
        loss = loss + F.cross_entropy(of_picture, batch.labels[:, factor])
        loss = loss + F.cross_entropy(of_text[said], batch.caption_labels[said, factor]) / 2
    return loss / len(_SIZES)


def _place(named: tuple[torch.Tensor, ...], batch: Batch) -> torch.Tensor:
    """Covered patches name shape and colour, bare patches the background and, evenly, no shape or colour."""
    covered = F.avg_pool2d(batch.masks.float() / 255, PATCH).flatten(1)
    loss = covered.new_zeros(())
    for factor, inside in (("shape", True), ("colour", True), ("background", False)):
        index = list(FACTORS).index(factor)
        guesses = named[index].log_softmax(-1)
        right = guesses.gather(-1, batch.labels[:, index, None, None].expand(*covered.shape, 1))[..., 0]
        weight = covered if inside else 1 - covered
        loss = loss - (right * weight).sum() / weight.sum()
        if inside:
            bare = (covered == 0).float()
            evenly = guesses.mean(-1) + math.log(guesses.shape[-1])  # zero when all are equally likely
            loss = loss - (evenly * bare).sum() / bare.sum()
    return loss / 3


def _mask_windows(masks: torch.Tensor) -> torch.Tensor:
    """(n, 64, 64) uint8 to the covered share of the cells around each patch: (n, patches, WINDOW_CELLS ** 2)."""
    share = F.avg_pool2d(masks[:, None].float() / 255, CELL)
    stride = PATCH // CELL
    return F.unfold(share, WINDOW_CELLS, stride=stride, padding=(WINDOW_CELLS - stride) // 2).transpose(1, 2)


def _clip_batches(pictures: Pictures, tokenizer: CLIPTokenizer, settings: Training) -> Iterator[Batch]:
    rng, pick = random.Random(settings.seed), torch.Generator().manual_seed(settings.seed)
    device, step = settings.torch_device, 0
    while True:
        for chosen in torch.randperm(len(pictures.scenes), generator=pick).split(BATCH):
            step += 1
            scenes = [pictures.scenes[i] for i in chosen.tolist()]
            pairs = [_caption_pair(scene, rng, step % LONG_CAPTION_EVERY == 0) for scene in scenes]
            said = [own for own, _, _ in pairs] + [miss for _, miss, _ in pairs]
            said_of = [*scenes, *(scene for _, _, scene in pairs)]
            texts = [one.text for one in said]
            tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")["input_ids"]
            pixels, masks = shifted(pictures.pixels[chosen].to(device), pictures.masks[chosen].to(device), rng)
            yield Batch(
                pixels,
                masks,
                pictures.labels[chosen].to(device),
                tokens.to(device),
                torch.tensor([scene.indices for scene in said_of], device=device),
                torch.tensor([[name in one.factors for name in FACTORS] for one in said], device=device),
            )


def _caption_pair(scene: Scene, rng: random.Random, long: bool) -> tuple[Caption, Caption, Scene]:
    """A caption of `scene`, a near miss with one of its factors changed, and the scene that the miss describes."""
    phrases = rng.randint(6, 22) if long else 0
    own = long_caption(scene, rng, phrases) if long else caption(scene, rng)
    factor = rng.choice(sorted(own.factors))
    other = scene.with_value(factor, rng.choice([v for v in FACTORS[factor] if v != scene.value(factor)]))
    miss = long_caption(other, rng, phrases) if long else caption(other, rng, own.factors)
    return own, miss, other


def shifted(pixels: torch.Tensor, masks: torch.Tensor, rng: random.Random) -> tuple[torch.Tensor, torch.Tensor]:
    """The whole batch moved by up to two pixels and perhaps mirrored; no factor depends on left and right."""
    down, right = rng.randint(-2, 2), rng.randint(-2, 2)
    if rng.random() < 0.5:
        pixels, masks = pixels.flip(-1), masks.flip(-1)
    size = pixels.shape[-1]
    rows = torch.arange(size, device=pixels.device).add(down).clamp(0, size - 1)
    columns = torch.arange(size, device=pixels.device).add(right).clamp(0, size - 1)
    return pixels[..., rows, :][..., columns], masks[:, rows][..., columns]


@torch.inference_mode()
def _captioner_eyes(clip: CLIPModel, pictures: Pictures) -> dict[str, torch.Tensor]:
    """CLIP's vision weights under BLIP's names. BLIP fuses three projections and lacks the norm before the layers.

    That norm divides by a spread that varies little from patch to patch; its mean is put into the patches instead.
    """
    old = clip.vision_model.state_dict()
    spread = clip.vision_model.embeddings(normalise(pictures.pixels[:500])).std(-1).mean()
    scale = old["pre_layrnorm.weight"] / spread
    positions = old["embeddings.position_embedding.weight"] * scale + old["pre_layrnorm.bias"]
    new = {
        "embeddings.class_embedding": (old["embeddings.class_embedding"] * scale).view(1, 1, -1),
        "embeddings.position_embedding": positions[None],
        "embeddings.patch_embedding.weight": old["embeddings.patch_embedding.weight"] * scale.view(-1, 1, 1, 1),
        "embeddings.patch_embedding.bias": torch.zeros_like(scale),
        "post_layernorm.weight": old["post_layernorm.weight"],
        "post_layernorm.bias": old["post_layernorm.bias"],
    }
    for layer in range(CAPTIONER_VISION_LAYERS):
        prefix = f"encoder.layers.{layer}."
        for kind in ("weight", "bias"):
            parts = [old[f"{prefix}self_attn.{one}_proj.{kind}"] for one in "qkv"]
            new[f"{prefix}self_attn.qkv.{kind}"] = torch.cat(parts)
            new[f"{prefix}self_attn.projection.{kind}"] = old[f"{prefix}self_attn.out_proj.{kind}"]
            for same in ("layer_norm1", "layer_norm2", "mlp.fc1", "mlp.fc2"):
                new[f"{prefix}{same}.{kind}"] = old[f"{prefix}{same}.{kind}"]
    return new


def by_decay(parameters: list[nn.Parameter]) -> list[dict[str, Any]]:
    matrices = [p for p in parameters if p.ndim > 1]
    others = [p for p in parameters if p.ndim <= 1]
    return [{"params": matrices, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]


def warm_cosine(step: int, steps: int, warm: int = 50) -> float:
    return min(1.0, (step + 1) / warm) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))


def compiled(module: nn.Module) -> Callable[..., Any]:
    """The module compiled, which trains half as fast again, or as it is where no compiler is installed."""
    return torch.compile(module) if shutil.which("g++") else module


def train(settings: Training, out: Path, start: Path | None = None) -> dict[str, Any]:
    """Trains both models into `out`/clip and `out`/blip and measures them on the validation pictures.

    `start`: a folder as `out` from an earlier run, whose CLIP to go on from.
    """
    torch.manual_seed(settings.seed)
    started = time.monotonic()
    pictures = render("train", settings.pictures)
    log.info("drew %d pictures in %.0f s", settings.pictures, time.monotonic() - started)
    train_clip(pictures, out / "clip", settings, start and start / "clip")
    train_captioner(pictures, out / "clip", out / "blip", settings)
    machine = torch.cuda.get_device_name() if settings.torch_device.type == "cuda" else platform.machine()
    return {
        "settings": asdict(settings),
        "minutes": round((time.monotonic() - started) / 60, 1),
        "machine": f"{machine}, {os.cpu_count()} processor cores",
        "validation": measure_folders(out, render("validation", 2000)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the small test and demo models from nothing.")
    parser.add_argument("--out", type=Path, default=CLIP_FOLDER.parent, help="folder for clip/ and blip/")
    parser.add_argument("--start", type=Path, help="folder of an earlier run whose CLIP to go on from")
    for setting in fields(Training):
        option = "--" + setting.name.replace("_", "-")
        parser.add_argument(option, type=type(setting.default), default=setting.default)
    given = vars(parser.parse_args())
    out, start = given.pop("out"), given.pop("start")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    measures = train(Training(**given), out, start)
    (out / MEASURES_FILE.name).write_text(json.dumps(measures, indent=1) + "\n", encoding="utf-8")
    log.info("%s", json.dumps(measures, indent=1))


if __name__ == "__main__":
    main()
