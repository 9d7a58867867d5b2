"""A diffusion model of diffusers, whatever it is loaded from, and the text encoders it listens to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..clip.tokenizers import TransformersTokenizer
from ..clip.weights import from_transformers
from ..cures import Give, Install
from ..devices import pick_device
from ..embed.families import Encoder, Family
from ..embed.text_side import TextSide
from ..errors import MissingPackageError, ModelError
from ..foreign import Unreadable, existing, few, first_line, library_reads, read_header
from ..hub import Hub
from ..micro import DIFFUSION_FOLDER
from ..pretrained import WHOLE_AGAIN
from ..progress import SILENT, Progress
from ..transformers_access import quiet_transformers, without_own_code
from . import DEFAULT_CHECKPOINT, MICRO
from .download import NOT_NEEDED, check_settings, fetch_pipeline, fetch_settings
from .naming import RENDERED, check_checkpoint, pipeline_of_folder
from .placing import encoders_device, place
from .single_file import family_of_file, noise_of_file


@dataclass(frozen=True)
class Checkpoint:
    """pipeline: of its family's class. encoders: its text encoders, by the names that
    `core.embed.families` gives them. whole: whether all of it is on its device, or each part while it is used."""

    name: str
    family: Family
    pipeline: Any
    encoders: Mapping[str, TextSide]
    whole: bool = True

    @classmethod
    def load(
        cls, name: str = DEFAULT_CHECKPOINT, device: str = "auto", hub: Hub | None = None, progress: Progress = SILENT
    ) -> Checkpoint:
        """A hub id, a folder in diffusers' format, one safetensors file of any Stable Diffusion 1, 2 or XL, or micro.

        Raises ModelError, MissingPackageError, SettingsError, or Cancelled.
        """
        check_checkpoint(name)
        where, hub = pick_device(device), hub or Hub()
        diffusers = diffusers_module()
        half = takes_half(where)
        options: dict[str, Any] = {"torch_dtype": torch.float16 if half else torch.float32}
        path = DIFFUSION_FOLDER if name == MICRO else existing(name)
        if path is not None and path.is_file():
            family, folder = family_of_file(path), path
            settings = fetch_settings(hub, family.settings, progress)
            check_settings(family.settings, settings)
            read = partial(_from_file, diffusers, path, family, settings, options)
        else:
            folder, variant = (path, None) if path else fetch_pipeline(hub, name, half, progress)
            read = partial(_from_folder, diffusers, name, folder, {**options, "variant": variant})
        with progress.task(f"Loading {name}"), _quiet(diffusers):
            pipeline = _read(name, read)
            _check_whole(name, folder, pipeline)
        whole = place(name, pipeline, where)
        made = cls.of(pipeline, name, None if whole else encoders_device(pipeline, where))
        return replace(made, whole=whole)

    @classmethod
    def of(cls, pipeline: Any, name: str = "", device: torch.device | None = None) -> Checkpoint:
        """Of a pipeline that is loaded already. device: for the text encoders, where the pipeline's own are not to be
        used where they are. Raises ModelError for other kinds than Stable Diffusion 1, 2 and XL."""
        family = _family(pipeline, name)
        models, tokenizers = parts_of(pipeline, "text_encoder"), parts_of(pipeline, "tokenizer")
        known = zip(family.encoders, models, tokenizers, strict=True)
        sides = {encoder.name: _side(model, tokenizer, encoder, device) for encoder, model, tokenizer in known}
        return cls(name, family, pipeline, sides)


def takes_half(device: torch.device) -> bool:
    """Whether checkpoints are in half precision there."""
    return device.type != "cpu"


def _read(name: str, read: Callable[[], Any]) -> Any:
    problem = f"The checkpoint {name} cannot be loaded"
    try:
        with without_own_code(), library_reads(problem, WHOLE_AGAIN, Give("checkpoint")):
            return read()
    except ImportError as error:
        raise MissingPackageError(
            f"{problem}, since a package is lacking ({first_line(error)})", "install it"
        ) from error


def _check_whole(name: str, place: Path, pipeline: Any) -> None:
    """Refuses a checkpoint without all its weights, which the libraries would leave empty or random. Names differ from
    format to format, so values are counted: in a folder those of each part, in a file all."""
    parts = {part: model for part, model in pipeline.components.items() if isinstance(model, torch.nn.Module)}
    empty = [f"{part}.{key}" for part, model in parts.items() for key, each in model.named_parameters() if each.is_meta]
    if empty:
        raise ModelError(f"The checkpoint {name} lacks {few(empty)}", WHOLE_AGAIN)
    if place.is_file():
        _check_count(name, place.name, [place], list(parts.values()))
        return
    for part, model in parts.items():
        _check_count(name, part, sorted((place / part).glob("*.safetensors")), [model])


def _check_count(name: str, part: str, files: Sequence[Path], models: Sequence[torch.nn.Module]) -> None:
    wanted = sum(each.numel() for model in models for each in model.parameters())
    try:
        stored = sum(each.numel for file in files for each in read_header(file).tensors.values())
    except Unreadable as error:
        raise ModelError(f"The checkpoint {name} cannot be read ({error})", WHOLE_AGAIN) from error
    if stored < wanted:
        raise ModelError(
            f"The checkpoint {name} lacks weights: {part} holds {stored:,} values of {wanted:,}", WHOLE_AGAIN
        )


def _from_folder(diffusers: Any, name: str, folder: Path, options: Mapping[str, Any]) -> Any:
    check_settings(name, folder)
    made = getattr(diffusers, pipeline_of_folder(name, folder))
    return made.from_pretrained(folder, use_safetensors=True, **_without_the_unneeded(made), **options)


def _without_the_unneeded(pipeline: Any) -> dict[str, Any]:
    """What tells a pipeline's class to do without the parts that render nothing, though its published index names
    them."""
    takes = inspect.signature(pipeline.__init__).parameters
    unused: dict[str, Any] = {name: None for name in NOT_NEEDED if name in takes}
    if "requires_safety_checker" in takes:
        unused["requires_safety_checker"] = False
    return unused


@contextmanager
def _quiet(diffusers: Any) -> Iterator[None]:
    """Keeps the libraries' own bars and remarks off the terminal while a pipeline is loaded."""
    logging = diffusers.utils.logging
    verbosity, showed_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with quiet_transformers():
            yield
    finally:
        logging.set_verbosity(verbosity)
        if showed_bars:
            logging.enable_progress_bar()


def _from_file(diffusers: Any, path: Path, family: Family, settings: Path, options: Mapping[str, Any]) -> Any:
    made = getattr(diffusers, family.pipeline)
    pipeline = made.from_single_file(
        str(path), config=str(settings), local_files_only=True, **_without_the_unneeded(made), **options
    )
    noise, side = noise_of_file(path, family)
    if noise:
        pipeline.scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config, **noise)
    if side:
        pipeline.unet.register_to_config(sample_size=side)
    return pipeline


def diffusers_module() -> Any:
    """Raises MissingPackageError where diffusers is absent or broken."""
    try:
        import diffusers
    except (ImportError, RuntimeError, OSError) as error:
        raise MissingPackageError(
            "Rendering needs the package diffusers, which is absent or cannot be imported",
            Install(("diffusers",)),
        ) from error
    return diffusers


def _family(pipeline: Any, name: str) -> Family:
    """By how many text encoders it listens to and, where several families have one each, by how wide they are."""
    models = parts_of(pipeline, "text_encoder")
    possible = [family for family in RENDERED if len(family.encoders) == len(models)]
    if len(possible) == 1:
        return possible[0]
    widths = [model.config.hidden_size for model in models]
    found = next((family for family in possible if [each.width for each in family.encoders] == widths), None)
    if found is None:
        told = " and ".join(map(str, widths)) or "0"
        raise ModelError(
            f"{name or 'The pipeline'} listens to a text encoder {told} wide, which no supported family has",
            "give Stable Diffusion 1, 2 or XL",
        )
    return found


def parts_of(pipeline: Any, name: str) -> list[Any]:
    """A pipeline's parts of one kind, in diffusers' order: NAME, NAME_2 and so on, as far as they are there."""
    found: list[Any] = []
    while (part := getattr(pipeline, f"{name}_{len(found) + 1}" if found else name, None)) is not None:
        found.append(part)
    return found


def _side(model: Any, tokenizer: Any, encoder: Encoder, device: torch.device | None) -> TextSide:
    tokens = TransformersTokenizer(tokenizer, tokenizer.model_max_length)
    weights = from_transformers(model, tokens.start_of_text, tokens.end_of_text)
    if weights is None:
        raise ModelError(f"The text encoder {encoder.name} is no CLIP text tower", "give another checkpoint")
    if device is not None:
        weights = weights.to(device, weights.blocks[0].qkv.dtype)
    return TextSide(weights, tokens, encoder.padding)
