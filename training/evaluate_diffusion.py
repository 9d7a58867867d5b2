"""What the micro Stable Diffusion draws from captions, read by the judge that tests, and what its autoencoder keeps.

`python -m training.evaluate_diffusion` prints it; with --out it is written as JSON too.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import torch
from torch import Tensor
from unrender.core.embed import PromptEmbedding
from unrender.core.embed.families import MICRO
from unrender.core.engine import Engine
from unrender.core.micro.captions import ALL_FACTORS, caption
from unrender.core.micro.pictures import Pictures, render
from unrender.core.micro.world import FACTORS
from unrender.core.settings import Settings
from unrender.core.variation.checkpoint import Checkpoint
from unrender.core.variation.render import render_together
from unrender.core.variation.sampling import Sampling

from .judges import load_judge, read_factors

GUIDANCE, STEPS = 5.0, 20
_BATCH = 50


def drawn_from(checkpoint: Checkpoint, embeddings: list[PromptEmbedding], negative: PromptEmbedding) -> Tensor:
    """uint8 pixels [embeddings, 3, 64, 64], each from its own seed."""
    parts = []
    for first in range(0, len(embeddings), _BATCH):
        batch = embeddings[first : first + _BATCH]
        seeds = range(first, first + len(batch))
        images = render_together(checkpoint, batch, negative, Sampling(STEPS, GUIDANCE), seeds)
        parts += [torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(64, 64, 3) for image in images]
    return torch.stack(parts).permute(0, 3, 1, 2)


def text_to_image(checkpoint: Checkpoint, pictures: Pictures, *, held_out: bool = False) -> dict[str, float]:
    """Share of pictures drawn from a caption of all factors in which the testing judge reads each factor."""
    rng = random.Random("text to image")
    texts = [caption(scene, rng, ALL_FACTORS, held_out=held_out).text for scene in pictures.scenes]
    with Engine(Settings(clip=MICRO, captioner=None, device="cpu")) as engine:
        embeddings = [engine.embed_text(text, MICRO) for text in texts]
        pixels = drawn_from(checkpoint, embeddings, engine.embed_text("", MICRO))
    return _shares(pixels, pictures)


@torch.no_grad()
def through_autoencoder(checkpoint: Checkpoint, pictures: Pictures) -> tuple[float, dict[str, float]]:
    """The peak signal-to-noise ratio in dB of pictures encoded and decoded, and what the testing judge reads then."""
    wanted, parts = pictures.pixels.float() / 127.5 - 1, []
    for some in wanted.split(_BATCH):
        parts.append(checkpoint.pipeline.vae.decode(checkpoint.pipeline.vae.encode(some).latent_dist.mode()).sample)
    found = torch.cat(parts).clamp(-1, 1)
    ratio = 10 * torch.log10(4 / (found - wanted).square().mean())
    return float(ratio), _shares(((found + 1) * 127.5).round().byte(), pictures)


def _shares(pixels: Tensor, pictures: Pictures) -> dict[str, float]:
    right = (read_factors(load_judge("testing"), pixels) == pictures.labels).float().mean(0)
    return {name: round(float(share), 4) for name, share in zip(FACTORS, right, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the micro Stable Diffusion on test pictures.")
    parser.add_argument("--checkpoint", default=MICRO)
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--out", type=Path, metavar="FILE")
    options = parser.parse_args()
    checkpoint, pictures = Checkpoint.load(options.checkpoint, "cpu"), render("test", options.pictures)
    decibel, kept = through_autoencoder(checkpoint, pictures)
    drawn = {"known words": text_to_image(checkpoint, pictures)}
    drawn["unknown words"] = text_to_image(checkpoint, pictures, held_out=True)
    means = {name: round(sum(shares.values()) / len(shares), 4) for name, shares in drawn.items()}
    measures = {
        "pictures": options.pictures,
        "steps": STEPS,
        "guidance": GUIDANCE,
        "autoencoder, dB": round(decibel, 2),
        "autoencoder": kept,
        "text to image": drawn,
        "text to image, mean": means,
    }
    text = json.dumps(measures, indent=1)
    print(text)  # noqa: T201
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
