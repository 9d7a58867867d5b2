"""A diffusion model of diffusers, whatever it is loaded from, and the text encoders it listens to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..clip.tokenizers import TransformersTokenizer
from ..clip.weights import from_transformers
from ..devices import pick_device
from ..embed.families import CLIP_G, CLIP_L, MICRO_FAMILY, SD1, SD2, SDXL, Encoder, Family
from ..embed.text_side import TextSide, whole_tower
from ..errors import MissingPackageError, ModelError
from ..hub import Hub
from ..micro import DIFFUSION_FOLDER
from ..progress import SILENT, Progress
from ..transformers_access import quiet_transformers
from . import DEFAULT_CHECKPOINT, MICRO
from .download import fetch_pipeline, fetch_settings
from .single_file import SETTINGS, SUFFIX, family_of_file

_BY_WIDTH = {family.width: family for family in (SD1, SD2, MICRO_FAMILY)}


@dataclass(frozen=True)
class Checkpoint:
    """pipeline: a StableDiffusionPipeline or StableDiffusionXLPipeline. encoders: its text encoders, by the names that
    `core.embed.families` gives them."""

    name: str
    family: Family
    pipeline: Any
    encoders: Mapping[str, TextSide]

    @classmethod
    def load(
        cls, name: str = DEFAULT_CHECKPOINT, device: str = "auto", hub: Hub | None = None, progress: Progress = SILENT
    ) -> Checkpoint:
        """A hub id, a folder in diffusers' format, one safetensors file of any Stable Diffusion 1, 2 or XL, or micro.

        Raises ModelError, MissingPackageError, SettingsError, or Cancelled.
        """
        where, hub = pick_device(device), hub or Hub()
        diffusers = diffusers_module()
        options: dict[str, Any] = {"torch_dtype": torch.float32 if where.type == "cpu" else torch.float16}
        path = DIFFUSION_FOLDER if name == MICRO else Path(name).expanduser()
        if path.is_file():
            family = family_of_file(path)
            settings = fetch_settings(hub, SETTINGS[family.name], progress)
            read = partial(_from_file, diffusers, path, family, settings, options)
        else:
            folder, variant = (path, None) if path.exists() else _fetched(hub, name, where.type != "cpu", progress)
            read = partial(_from_folder, diffusers, name, folder, {**options, "variant": variant})
        with progress.task(f"Loading {name}"), _quiet(diffusers):
            pipeline = _read(name, read)
        return cls.of(pipeline.to(where), name)

    @classmethod
    def of(cls, pipeline: Any, name: str = "") -> Checkpoint:
        """Of a pipeline that is loaded already. Raises ModelError for other kinds than Stable Diffusion 1, 2 and XL."""
        family = _family(pipeline, name)
        if family is SDXL:
            encoders = {
                CLIP_L: _side(pipeline.text_encoder, pipeline.tokenizer, family.encoder(CLIP_L)),
                CLIP_G: _side(pipeline.text_encoder_2, pipeline.tokenizer_2, family.encoder(CLIP_G)),
            }
        else:
            (encoder,) = family.encoders
            encoders = {encoder.name: _side(pipeline.text_encoder, pipeline.tokenizer, encoder)}
        return cls(name, family, pipeline, encoders)


def _fetched(hub: Hub, name: str, half: bool, progress: Progress) -> tuple[Path, str | None]:
    if name.count("/") != 1 or name.endswith(SUFFIX):
        raise ModelError(f"There is no file or folder {name}, and a hub id has the form OWNER/NAME; give either.")
    return fetch_pipeline(hub, name, half, progress)


def _read(name: str, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (OSError, ValueError, KeyError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(". ")
        raise ModelError(
            f"The checkpoint {name} cannot be loaded ({first}); give a hub id, a folder in diffusers' format or a "
            "safetensors file."
        ) from error


def _from_folder(diffusers: Any, name: str, folder: Path, options: Mapping[str, Any]) -> Any:
    kind = str(diffusers.DiffusionPipeline.load_config(folder).get("_class_name", ""))
    if kind not in ("StableDiffusionPipeline", "StableDiffusionXLPipeline"):
        raise ModelError(f"{name} is a {kind or 'model of an unknown kind'}; give Stable Diffusion 1, 2 or XL.")
    unused = {"safety_checker": None, "requires_safety_checker": False, "feature_extractor": None}
    if kind == "StableDiffusionXLPipeline":
        unused = {"image_encoder": None, "feature_extractor": None}
    return getattr(diffusers, kind).from_pretrained(folder, use_safetensors=True, **unused, **options)


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
    kind = diffusers.StableDiffusionXLPipeline if family is SDXL else diffusers.StableDiffusionPipeline
    return kind.from_single_file(str(path), config=str(settings), local_files_only=True, **options)


def diffusers_module() -> Any:
    """Raises MissingPackageError where diffusers is absent or broken."""
    try:
        import diffusers
    except (ImportError, RuntimeError, OSError) as error:
        raise MissingPackageError(
            "Rendering needs the package diffusers, which is absent or cannot be imported; run `pip install diffusers`."
        ) from error
    return diffusers


def _family(pipeline: Any, name: str) -> Family:
    if getattr(pipeline, "text_encoder_2", None) is not None:
        return SDXL
    encoder = getattr(pipeline, "text_encoder", None)
    width = 0 if encoder is None else encoder.config.hidden_size
    if width not in _BY_WIDTH:
        raise ModelError(
            f"{name or 'The pipeline'} listens to a text encoder {width} wide, which no supported family has; give "
            "Stable Diffusion 1, 2 or XL."
        )
    return _BY_WIDTH[width]


def _side(model: Any, tokenizer: Any, encoder: Encoder) -> TextSide:
    tokens = TransformersTokenizer(tokenizer, tokenizer.model_max_length)
    weights = from_transformers(model, tokens.start_of_text, tokens.end_of_text)
    if weights is None:
        raise ModelError(f"The text encoder {encoder.name} is no CLIP text tower; give another checkpoint.")
    return TextSide(whole_tower(weights, encoder), tokens, encoder.padding)
