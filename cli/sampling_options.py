"""The options of how a checkpoint renders, which `animate` and `optimise` have, and the Sampling they make."""

from __future__ import annotations

import argparse
import re

from ..core.variation import DEFAULT_CHECKPOINT
from ..core.variation.sampling import Sampling
from .rendering_options import USUAL_GUIDANCE, sampling_from


def add_to(group: argparse._ArgumentGroup, steps: int) -> None:
    """steps: the usual ones."""
    add_checkpoint_to(group)
    group.add_argument("--steps", type=int, metavar="N", help=f"sampling steps (default: {steps})")
    group.add_argument("--guidance", type=float, metavar="N", help=f"guidance scale (default: {USUAL_GUIDANCE})")
    group.add_argument("--seed", type=int, default=0, metavar="N", help="of the noise (default: 0)")
    group.add_argument("--size", type=size, metavar="WxH", help="in pixels (default: the checkpoint's)")


def add_checkpoint_to(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--checkpoint",
        default=DEFAULT_CHECKPOINT,
        metavar="NAME",
        help="hub id, folder in diffusers' format, or safetensors file of Stable Diffusion 1, 2 or XL, or the toy "
        "micro (default: %(default)s)",
    )


def sampling(options: argparse.Namespace, steps: int) -> Sampling:
    """Raises SettingsError."""
    usual = sampling_from(options, steps)
    return Sampling(usual.steps, usual.guidance, options.seed, options.size)


def size(text: str) -> tuple[int, int]:
    """The type of an option."""
    found = re.fullmatch(r"(\d+)x(\d+)", text.casefold())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size, such as 512x768")
    return int(found[1]), int(found[2])
