"""What was compared with: models by name and fingerprint, the machine, and versions; for notes and for the report."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from ..clip import Clip
from ..devices import memory_of, named, pick_device
from ..embed.gap import GapCorrection
from ..engine import Engine
from ..foreign import existing
from ..machine import installed
from ..shortage import size
from ..variation.checkpoint import Checkpoint
from .fidelity import Judge, Plan

_PACKAGES = ("torch", "diffusers", "transformers", "open_clip_torch")
_SHORT = 12


@dataclass(frozen=True)
class About:
    """models: what each does, its name, and its fingerprint or "". rows: of the rest, what it is and what is said of
    it. places: names as they were given that are places on a disk, which nobody is shown."""

    checkpoint: str
    judge: str
    models: tuple[tuple[str, str, str], ...]
    rows: tuple[tuple[str, str], ...]
    places: tuple[str, ...]


def about(
    version: str,
    engine: Engine,
    clip: Clip,
    checkpoint: Checkpoint,
    judges: Sequence[Judge],
    plan: Plan,
    gap: GapCorrection | None,
) -> About:
    """version: the program's. clip: the engine's."""
    settings = engine.settings
    named_models = [
        ("checkpoint", checkpoint.name, checkpoint_fingerprint(checkpoint)),
        ("CLIP that sees and searches", clip.name, clip.fingerprint),
        *(("captioner", settings.captioner, "") for _ in range(settings.captioner is not None)),
        *zip(("judge", "second judge"), (judge.name for judge in judges), map(_judges, judges), strict=False),
    ]
    names = [name for _, name, _ in named_models if name is not None]
    models = tuple((what, public_name(name or ""), mark[:_SHORT]) for what, name, mark in named_models)
    family = checkpoint.family.title
    rows = (("family", family), *_rows(version, settings, plan, gap))
    places = tuple(name for name in names if existing(name) is not None)
    return About(models[0][1], public_name(judges[0].name), models, rows, places)


def public_name(name: str) -> str:
    """A model's as anybody may read it: of a file or folder on this disk its own name alone."""
    path = existing(name)
    return name if path is None else _own_name(path)


def _own_name(path: Path) -> str:
    own = (
        path.resolve() if path.name in ("", "..") else path
    )  # else no link is followed: what it leads to has other names
    return own.name.removesuffix(".safetensors") or "a folder"


def checkpoint_fingerprint(checkpoint: Checkpoint) -> str:
    """SHA-256 in hex of one value in each row of all its weights, rounded to half precision so that it is the same on
    every device."""
    digest = sha256()
    for part, model in sorted(checkpoint.pipeline.components.items()):
        for name, tensor in model.state_dict().items() if isinstance(model, torch.nn.Module) else ():
            digest.update(f"{part} {name} {tuple(tensor.shape)}".encode())
            row = tensor[0].numel() if tensor.ndim > 1 else 0
            # one more than a row is long: from row to row another column
            some = tensor.detach().reshape(-1)[:: row + 1]
            digest.update(some.to("cpu", torch.float16).contiguous().numpy().data)
    return digest.hexdigest()


def engine_decides(engine: Engine, clip: Clip) -> tuple[Any, ...]:
    """What prompts depend on beside a picture, for notes. clip: the engine's."""
    settings = replace(engine.settings, cache=None, memory=None)
    lists = sorted((each.name, each.phrases) for each in engine.read_vocabulary().categories.values())
    device = str(pick_device(settings.device))
    return clip.fingerprint, repr(settings), sha256(repr(lists).encode()).hexdigest(), device


def rendering_decides(checkpoint: Checkpoint, gap: GapCorrection | None) -> tuple[Any, ...]:
    """What scores depend on beside that."""
    centre = "" if gap is None else sha256(gap.centre.cpu().contiguous().numpy().tobytes()).hexdigest()
    return checkpoint.name, checkpoint_fingerprint(checkpoint), centre


def _judges(judge: Judge) -> str:
    return judge.fingerprint if isinstance(judge, Clip) else ""


def _rows(version: str, settings: Any, plan: Plan, gap: GapCorrection | None) -> Iterator[tuple[str, str]]:
    sampling, seeds = plan.sampling, len(plan.seeds)
    yield "rendering", f"{sampling.steps} steps, guidance {sampling.guidance:g}, {seeds} a picture and way"
    known = "not measured here" if gap is None else f"measured on {gap.pictures} other pictures"
    yield "where this CLIP's pictures lie", known
    if settings.phrases is not None:
        yield "phrases", public_name(str(settings.phrases))
    device = pick_device(settings.device)
    memory = memory_of(device)
    yield "device", named(device) if memory is None else f"{named(device)}, {size(memory[1])}"
    yield "system", f"{platform.system()}, Python {platform.python_version()}"
    versions = [("unrender", version), *((name, installed(name)) for name in _PACKAGES)]
    yield "versions", ", ".join(f"{name} {found}" for name, found in versions if found)


def without_places(text: str, places: Sequence[str]) -> str:
    """A text that is to be shown to others, with models' own names in the place of where they lie."""
    for place in sorted(places, key=len, reverse=True):
        path = Path(place).expanduser()
        for said in (place, str(path), str(path.resolve())):
            if {"/", "\\"} & {*said}:  # a name alone is no place
                text = text.replace(said, _own_name(path))
    return text
