"""What a step of tuning costs at the real size of Stable Diffusion 1.5 and ViT-L/14.

    python benchmarks/tuning_cost.py [--batch 1] [--size 512] [--device cuda] [--threads N] [--online]

The models have random weights, which change no time. Prints seconds and CPU seconds of one step after what a run does
once, peak memory of the process, and the size of what is written. Not a test: nothing is asserted.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import diffusers
import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection
from unrender.core.clip.deep_prompts import transformers_blocks
from unrender.core.embed import PromptEmbedding
from unrender.core.embed.projection import ClosedForm
from unrender.core.embed.tuned import Tuned
from unrender.core.tuning.course import DOMAIN, ONLINE
from unrender.core.tuning.learned import Given, Learned, Sight
from unrender.core.tuning.loop import Loop, Source, Task
from unrender.core.tuning.material import Material
from unrender.core.tuning.noise import NoiseLoss


def eye(device: str) -> SimpleNamespace:
    """What of a Clip a step goes through."""
    config = CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        image_size=224,
        patch_size=14,
        projection_dim=768,
    )
    model = CLIPVisionModelWithProjection(config).eval().requires_grad_(False).to(device)
    return SimpleNamespace(
        blocks=transformers_blocks(model.vision_model),
        traced=lambda views: model(pixel_values=views.to(device)).image_embeds.float(),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--online", action="store_true", help="key and value projections alone")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    unet = diffusers.UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
    unet = unet.eval().requires_grad_(False).to(options.device)
    _say(f"UNet: {sum(each.numel() for each in unet.parameters()) / 1e6:.0f} M, {_peak():.1f} GB at most so far")
    side = options.size // 8
    latents = torch.randn(2, 4, side, side)
    course = replace(ONLINE if options.online else DOMAIN, steps=1, batch=options.batch, check_every=0)
    source: Source
    if options.online:
        made = PromptEmbedding("sd15", torch.randn(77, 768))
        source, learned = Given([made, made], made, options.size), Learned(course, None, unet)
    else:
        clip: SimpleNamespace = eye(options.device)
        form = ClosedForm(torch.randn(768, 768) / 28, 27.5, torch.randn(768))
        views = torch.randn(2, 3, 224, 224)
        source = Sight(clip, form, views, torch.randn(77, 768))  # pyright: ignore[reportArgumentType]
        learned = Learned(course, clip, unet)  # pyright: ignore[reportArgumentType]
    loss = NoiseLoss(diffusers.DDPMScheduler(beta_schedule="scaled_linear"))
    compute = torch.bfloat16 if options.device != "cpu" else None
    task = Task(unet, loss, source, Material(("a", "b"), latents, latents), course, learned, None, compute)
    started, worked = time.perf_counter(), time.process_time()
    Loop(task).run()
    seconds, work = time.perf_counter() - started, time.process_time() - worked
    count = sum(each.numel() for each in learned.parameters())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.safetensors"
        if learned.prompts is not None:
            nothing = {name: torch.zeros(768) for name in ("sees", "says", "renders")}
            Tuned(learned.prompts.state_dict(), "sd15", "", nothing).save(path)
        elif learned.maps is not None:
            learned.maps.lora({}).save(path)
        size = path.stat().st_size / 1e6
    _say(
        f"a step of {options.batch} at {options.size} px: {seconds:.1f} s ({work:.1f} s of CPU), {_peak():.1f} GB at "
        f"most; {count / 1e6:.2f} M values, {size:.1f} MB"
    )


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
