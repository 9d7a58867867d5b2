"""What was tuned on pictures of one domain, as a file: deep prompts for a CLIP's vision tower, before the closed form.

A file serves the models it was tuned with and no others. It knows them by what they make of one picture and one text,
since weights are rounded differently from host to host, and a fingerprint of them would differ where they are the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..clip import Clip
from ..clip.deep_prompts import DeepPrompts
from ..cures import Give
from ..errors import EmbeddingError, ModelError, SettingsError
from ..files import replace_whole
from ..foreign import Header, Unreadable, parsed_json, read_header, read_tensors, shown, steady
from .families import Family
from .kinds import tuned_name
from .text_side import TextSide
from .tuned_places import place_of, tuned_folder

_FORMAT, _VERSION = "unrender-tuned", "1"
_PARTS = ("tokens", "map.weight", "map.bias", "norm.weight", "norm.bias")
_MODELS = ("sees", "says", "renders")
_APART = 0.02
"""Of what a model makes of the same thing: half precision moves it by a tenth of that, another model by all of it."""

_SAID = "a photograph of a lighthouse at night"


@dataclass(frozen=True)
class Tuned:
    """prompts: the state of `DeepPrompts`. family, checkpoint: that it was tuned for, the latter as a person named it.
    models: by what they make of the same thing: "sees" the CLIP's picture encoder, "says" the checkpoint's text
    encoders, "renders" a sample of the UNet's weights, in diffusers' order. pictures: their hashes. told: what else a
    person may want to know, as JSON has it: settings, steps, losses."""

    prompts: Mapping[str, Tensor]
    family: str
    checkpoint: str
    models: Mapping[str, Tensor]
    pictures: tuple[str, ...] = ()
    told: Mapping[str, Any] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """One safetensors file, whole or not at all. Raises OSError."""
        from safetensors.torch import save

        tensors = {**self.prompts, **{f"models.{name}": each for name, each in self.models.items()}}
        plain = {name: tensor.detach().float().cpu().contiguous() for name, tensor in tensors.items()}
        metadata = {
            "format": _FORMAT,
            "version": _VERSION,
            "family": self.family,
            "checkpoint": self.checkpoint,
            "pictures": "+".join(self.pictures),
            "told": json.dumps(self.told, sort_keys=True),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_whole(path, steady(save(plain, metadata=metadata)))

    @classmethod
    def load(cls, path: Path) -> Tuned:
        """Raises EmbeddingError for any other file than `save` wrote."""
        try:
            header = _checked(path)
            names = [*_PARTS, *(f"models.{name}" for name in _MODELS)]
            tensors = {name: tensor.clone() for name, tensor in read_tensors(path, names).items()}
            if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
                raise Unreadable("it holds what is no number")
            told = parsed_json(header.metadata.get("told", "{}").encode())
        except Unreadable as error:
            raise EmbeddingError(
                f"{shown(str(path))} cannot be read as a tuned projection ({error})", "give a file that `tune` wrote"
            ) from error
        return cls(
            {name: tensors[name] for name in _PARTS},
            header.metadata.get("family", ""),
            header.metadata.get("checkpoint", ""),
            {name: tensors[f"models.{name}"] for name in _MODELS},
            tuple(filter(None, header.metadata.get("pictures", "").split("+"))),
            told if isinstance(told, dict) else {},
        )

    def check_sight(self, clip: Clip, name: str) -> None:
        """Raises ModelError where another CLIP sees the pictures."""
        if not _alike(self.models["sees"], what_is_seen(clip)):
            raise ModelError(f"{name} was tuned with another CLIP than {clip.name}", Give("clip", "that one"))

    def check_encoders(self, sides: Mapping[str, TextSide], name: str) -> None:
        """Raises ModelError where the text encoders are not those of the checkpoint it was tuned with."""
        if not _alike(self.models["says"], what_is_said(sides)):
            raise ModelError(f"{name} was tuned with another checkpoint, {shown(self.checkpoint)}", _CURE)

    def check_weights(self, unet: torch.nn.Module, name: str) -> None:
        """The same of what renders. unet: diffusers' own."""
        if not _alike(self.models["renders"], what_renders(unet)):
            raise ModelError(f"{name} was tuned with another checkpoint, {shown(self.checkpoint)}", _CURE)


_CURE = "tune one for this checkpoint"


def what_is_seen(clip: Clip) -> Tensor:
    """[joint width], of a picture that no model was trained with."""
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 64), torch.linspace(0, 1, 64), indexing="ij")
    waves = torch.stack([rows, columns, 0.5 + 0.5 * torch.sin(20 * rows * columns)], dim=2)
    return clip.encode_images([Image.fromarray((255 * waves).to(torch.uint8).numpy())])[0].cpu()


def what_is_said(sides: Mapping[str, TextSide]) -> Tensor:
    """[width of all]: the last states of one text, normalised."""
    ends = []
    for _, side in sorted(sides.items()):
        (states,), at = side.states([_SAID])
        ends.append(torch.nn.functional.normalize(states[0, int(at[0])].float().cpu(), dim=-1))
    return torch.cat(ends)


def what_renders(unet: torch.nn.Module) -> Tensor:
    """[parameters]: a value from the middle of each."""
    return torch.stack([each.detach().reshape(-1)[each.numel() // 2].float().cpu() for each in unet.parameters()])


def check_tuned(projection: str, folder: Path, family: Family) -> None:
    """What is known to be wrong of one before a model is loaded. Raises SettingsError, EmbeddingError."""
    path = place_of(projection, folder)
    try:
        made_for = _checked(path).metadata.get("family", "")
    except Unreadable as error:
        raise EmbeddingError(
            f"{shown(str(path))} cannot be read as a tuned projection ({error})", "give a file that `tune` wrote"
        ) from error
    if made_for != family.name:
        raise SettingsError(
            f"{shown(tuned_name(projection))} was tuned for {shown(made_for)}, not for {family.title}",
            "tune one for this family",
        )


def check_renders(projection: str, cache: Path | str, unet: torch.nn.Module) -> None:
    """Raises ModelError where another checkpoint is to render what a tuned projection makes. unet: diffusers' own."""
    path = place_of(projection, tuned_folder(cache))
    _kept(path, path.stat().st_mtime_ns).check_weights(unet, shown(tuned_name(projection)))


@contextmanager
def looking(clip: Clip, projection: str, folder: Path, sides: Mapping[str, TextSide] | None) -> Iterator[None]:
    """Inside it the CLIP sees pictures as it was tuned to. sides: of a checkpoint, None where it is not known which is
    to render. Raises ModelError for other models than the file was made with."""
    path, name = place_of(projection, folder), shown(tuned_name(projection))
    tuned = _kept(path, path.stat().st_mtime_ns)
    tuned.check_sight(clip, name)
    if sides is not None:
        tuned.check_encoders(sides, name)
    prompts = DeepPrompts.of(dict(tuned.prompts))
    with torch.no_grad(), clip.blocks.with_tokens(prompts()):
        yield


@lru_cache(maxsize=2)
def _kept(path: Path, _: int) -> Tuned:
    """By the time it was written."""
    return Tuned.load(path)


def _alike(known: Tensor, found: Tensor) -> bool:
    return known.shape == found.shape and float((known - found).norm()) <= _APART * float(known.norm())


def _checked(path: Path) -> Header:
    """Raises Unreadable."""
    header = read_header(path)
    if header.metadata.get("format") != _FORMAT:
        raise Unreadable("another program or command wrote it")
    if header.metadata.get("version") != _VERSION:
        raise Unreadable("another version of this program wrote it")
    width = header.shape("tokens", "F32", ndim=3)[2]
    fits = header.shape("map.weight", "F32", ndim=2) == (width, width)
    fits = fits and all(header.shape(name, "F32", ndim=1) == (width,) for name in _PARTS[2:])
    for name in _MODELS:
        header.shape(f"models.{name}", "F32", ndim=1)
    if not fits:
        raise Unreadable("its parts do not fit")
    return header
