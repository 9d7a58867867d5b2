"""From a model's name to a loaded `Clip`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..cures import Choose, Give, Install, Take
from ..devices import pick_arithmetic, roomy
from ..errors import MissingPackageError, ModelError, NotOnHubError
from ..foreign import Stored, Unreadable, existing, few, first_line, library_reads, read_header, read_json, read_tensors
from ..hub import Hub
from ..hub.names import PROCESSOR_FILES
from ..pretrained import WHOLE_AGAIN, check_config, check_texts, load_whole
from ..progress import Progress
from ..published import CONFIG, MAIN, OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS, TOKENIZER, TRANSFORMERS_WEIGHTS
from ..shortage import SMALLER_CLIP, within_memory
from ..transformers_access import LOCAL_WITHOUT_CODE, quiet_transformers, transformers_attribute, without_own_code
from . import assemble, layouts
from .assemble import Placement
from .model import Clip
from .names import KnownClip, find_known
from .naming import check_clip, is_transformers_folder
from .open_clip_names import open_clip_works
from .preprocess import Preprocess
from .tokenizers import check_tokens

_VISION_KEYS = ("visual.", "vision_model.", "visual_projection.")


def load_clip(name: str, device: torch.device, precision: str, hub: Hub | None, progress: Progress) -> Clip:
    """See `Clip.load`. A path that exists wins over a known name, a known name over a hub id."""
    check_clip(name)
    half = (Choose("precision", ("float16",)),) if device.type != "cpu" and precision in ("auto", "exact") else ()
    with within_memory(f"{name} does not fit on {roomy(device)}", *SMALLER_CLIP, *half, Take("use the CPU")):
        return _loaded(name, device, precision, hub, progress)


def _loaded(name: str, device: torch.device, precision: str, hub: Hub | None, progress: Progress) -> Clip:
    loader = _Loader(name, Placement(device, pick_arithmetic(precision, device), moves=True), hub or Hub(), progress)
    if name == "micro":
        return _micro(loader.placement)
    path = existing(name)
    if path is not None:
        return loader.from_folder(path) if path.is_dir() else loader.from_file(path)
    known = find_known(name)
    if known is not None:
        return loader.from_known(known)
    return loader.from_hub(name)


def _micro(placement: Placement) -> Clip:
    from ..micro import CLIP_FOLDER
    from ..micro.clip import MicroClip
    from ..micro.modules import filled
    from ..micro.tokens import ClipTokens

    config = read_json(CLIP_FOLDER / CONFIG)
    tokens = ClipTokens.of(CLIP_FOLDER, config["text_config"])
    preprocess = Preprocess.from_transformers(read_json(CLIP_FOLDER / "preprocessor_config.json"))
    return assemble.from_micro(filled(MicroClip, config, CLIP_FOLDER, torch.float32), tokens, preprocess, placement)


class _Loader:
    def __init__(self, name: str, placement: Placement, hub: Hub, progress: Progress) -> None:
        self._name = name
        self.placement = placement
        self._hub = hub
        self._progress = progress

    def from_known(self, known: KnownClip) -> Clip:
        if known.file and open_clip_works():
            try:
                folder = self._hub.fetch(known.repo, [known.file], self._progress)
            except NotOnHubError:
                if not known.transformers_repo:
                    raise
                return self.from_hub(known.transformers_repo, known.transformers_revision)
            return self._from_open_clip_parts(
                layouts.open_clip_config(known.architecture),
                known.settings,
                known.quick_gelu,
                _read(folder / known.file),
                known.architecture,
            )
        if known.transformers_repo:
            return self.from_hub(known.transformers_repo, known.transformers_revision)
        raise ModelError(
            f"{known.name} needs open_clip, which cannot be imported", Install(("open_clip_torch", "torchvision"))
        )

    def from_hub(self, repo: str, revision: str = MAIN) -> Clip:
        """A hub repository in transformers' or open_clip's format; one that is on the disk needs no network."""
        pushed = [OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS]
        on_disk = self._hub.find_model(repo, revision) or self._hub.find(repo, pushed, revision)
        if on_disk is not None:
            return self.from_folder(on_disk)
        files = self._hub.list_files(repo, revision)
        if set(pushed) <= set(files) and not any(name.startswith(TRANSFORMERS_WEIGHTS) for name in files):
            return self.from_folder(self._hub.fetch(repo, pushed, self._progress, revision=revision))
        return self.from_folder(self._hub.fetch_model(repo, self._progress, revision=revision))

    def from_folder(self, folder: Path) -> Clip:
        if is_transformers_folder(folder):
            return self.from_transformers_folder(folder)
        return self._from_open_clip_folder(folder, folder / OPEN_CLIP_WEIGHTS)

    def from_file(self, path: Path) -> Clip:
        """A single safetensors file; its layout tells the architecture, a config beside it what shapes cannot."""
        if (path.parent / OPEN_CLIP_CONFIG).is_file() and path.name == OPEN_CLIP_WEIGHTS:
            return self._from_open_clip_folder(path.parent, path)
        state = _read(path)
        quick_gelu = layouts.names_quick_gelu(path.stem)
        if "vision_model.embeddings.patch_embedding.weight" in state:
            return self._from_transformers_state(state, path, quick_gelu)
        if "visual.conv1.weight" in state or any(key.startswith("visual.") for key in state):
            architecture = layouts.match_open_clip(state, path)
            config = layouts.open_clip_config(architecture)
            return self._from_open_clip_parts(config, {}, quick_gelu, state, architecture)
        raise ModelError(
            f"{path} holds no CLIP with both a picture and a text encoder",
            "give a full CLIP model, not a checkpoint or a single encoder",
        )

    def from_transformers_folder(self, folder: Path) -> Clip:
        """Raises ModelError when the folder does not hold a whole model in transformers' format."""
        problem = f"{folder} cannot be loaded as a CLIP model"
        with _packages_for(self._name), quiet_transformers():
            model = load_whole(transformers_attribute("AutoModel"), folder, problem)
            tokenizer = self._tokenizer("AutoTokenizer", folder)
        if not hasattr(model, "vision_model") or not hasattr(model, "get_text_features"):
            raise ModelError(
                f"{folder} holds a {type(model).__name__}, which is no CLIP with both a picture and a text encoder",
                Give("clip", "a whole one"),
            )
        file = folder / "preprocessor_config.json"
        with _of_file(file):
            preprocess = Preprocess.from_transformers(read_json(file))
            _check_side(preprocess, model.config.vision_config)
        return self._from_transformers(model, tokenizer, preprocess)

    def _tokenizer(self, kind: str, folder: Path) -> Any:
        code = LOCAL_WITHOUT_CODE if kind.startswith("Auto") else {"local_files_only": True}
        with without_own_code(), library_reads(f"The tokenizer in {folder} cannot be read", WHOLE_AGAIN):
            return transformers_attribute(kind).from_pretrained(str(folder), **code)

    def _from_transformers_state(self, state: dict[str, Tensor], path: Path, quick_gelu: bool) -> Clip:
        clip_config, clip_model = transformers_attribute("CLIPConfig"), transformers_attribute("CLIPModel")
        config = path.parent / CONFIG
        stored = {name: Stored("", tuple(tensor.shape), 0, 0) for name, tensor in state.items()}
        if config.is_file():
            with _of_file(config):
                settings = read_json(config)
            check_config(path.parent, stored)
        else:
            settings = layouts.transformers_config(state, quick_gelu, path)
        with library_reads(f"{config if config.is_file() else path} describes no CLIP"), torch.device("meta"):
            model = clip_model(clip_config.from_dict(dict(settings)))
        self._check_fit(model, state, path)
        with library_reads(f"{path} cannot be loaded as a CLIP model"):
            model = clip_model(model.config)
        self._fill(model, state, path)
        state.clear()
        beside = path.parent if (path.parent / "merges.txt").is_file() else None
        folder = beside or self._hub.fetch(TOKENIZER.repo, list(TOKENIZER.files), self._progress)
        check_texts(folder)
        tokenizer = self._tokenizer("CLIPTokenizer", folder)
        side = model.config.vision_config.image_size
        return self._from_transformers(model, tokenizer, Preprocess((side, side)))

    def _from_transformers(self, model: Any, tokenizer: Any, preprocess: Preprocess) -> Clip:
        check_tokens(tokenizer, getattr(model.config.text_config, "vocab_size", None), self._name)
        for name, tensor in itertools.chain(model.named_parameters(), model.named_buffers()):
            tensor.data = tensor.data.to(self._dtype_of(name, tensor))
        return assemble.from_transformers(model, tokenizer, preprocess, self._name, self.placement)

    def _fill(self, model: nn.Module, state: Mapping[str, Tensor], source: Path) -> None:
        """Gives the model copies of the weights, the picture side's in its final dtype: when the caller lets go of the
        file's own, whose pages are memory too, nothing is held twice and nothing stays bound to the file."""
        self._check_fit(model, state, source)
        copies = {name: tensor.to(self._dtype_of(name, tensor), copy=True) for name, tensor in state.items()}
        model.load_state_dict(copies, strict=False, assign=True)

    def _check_fit(self, model: nn.Module, state: Mapping[str, Tensor], source: Path) -> None:
        """Raises ModelError where a weight is not there, has another shape, or does not belong there."""
        wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        missing = [key for key in wanted if key not in state and not key.endswith("position_ids")]
        unexpected = [key for key in state if key not in wanted and not key.endswith(("position_ids", "attn_mask"))]
        other = [key for key in wanted if key in state and tuple(state[key].shape) != wanted[key]]
        told = f"lacks {few(missing)}" if missing else f"has other shapes of {few(other)}" if other else ""
        if unexpected and not told:
            told = f"holds {few(unexpected)}, which does not belong there"
        if told:
            raise ModelError(f"{source} does not fit the model it seems to be: it {told}", WHOLE_AGAIN)

    def _dtype_of(self, name: str, tensor: Tensor) -> torch.dtype:
        """The text side stays in float32 until it is compared with the library's."""
        if not tensor.is_floating_point():
            return tensor.dtype
        return self.placement.arithmetic.vision if name.startswith(_VISION_KEYS) else torch.float32

    def _from_open_clip_folder(self, folder: Path, weights: Path) -> Clip:
        file = folder / OPEN_CLIP_CONFIG
        with _of_file(file):
            config, settings = layouts.checked_open_clip(read_json(file))
        quick_gelu = bool(config.pop("quick_gelu", False))
        return self._from_open_clip_parts(config, settings, quick_gelu, _read(weights), "", file)

    def _from_open_clip_parts(
        self,
        config: dict[str, Any],
        settings: Mapping[str, Any],
        quick_gelu: bool,
        state: dict[str, Tensor],
        architecture: str,
        described: Path | None = None,
    ) -> Clip:
        """described: the file that the configuration comes from, where it is not open_clip's own."""
        quick_gelu = bool(config.pop("quick_gelu", False)) or quick_gelu
        config = self._with_files_of_others(config, described)
        source = described or Path(self._name)
        with (
            _packages_for(self._name),
            without_own_code(),
            library_reads(f"{source} describes no model that open_clip can build"),
        ):
            model = layouts.build_open_clip(config, quick_gelu)
        self._fill(model, layouts.fit_open_clip_state(model, state), Path(self._name))
        state.clear()
        with _of_file(source):
            preprocess = Preprocess.from_open_clip({**settings, "size": model.visual.image_size})
        with (
            _packages_for(self._name),
            without_own_code(),
            library_reads(f"The tokenizer of {self._name} cannot be had"),
        ):
            tokenizer = layouts.open_clip_tokenizer(architecture, config)
        return assemble.from_open_clip(model, preprocess, tokenizer, self._name, self.placement)

    def _with_files_of_others(self, config: dict[str, Any], described: Path | None) -> dict[str, Any]:
        """The configuration with folders in the place of the repositories that its text side names: open_clip would
        have transformers ask the hub for them, where nobody sees it, can stop it or hears why it failed."""
        text = dict(config["text_cfg"])
        if text.get("hf_model_name"):
            text["hf_model_name"] = str(self._hub.fetch(text["hf_model_name"], [CONFIG], self._progress))
        name = text.get("hf_tokenizer_name")
        if name:
            beside = described.parent if described and (described.parent / "tokenizer_config.json").is_file() else None
            folder = beside or self._hub.fetch(name, (), self._progress, (CONFIG, *PROCESSOR_FILES))
            check_texts(folder)
            text["hf_tokenizer_name"] = str(folder)
        return {**config, "text_cfg": text}


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return read_tensors(path, list(read_header(path).tensors))
    except Unreadable as error:
        raise ModelError(f"{path} cannot be read as safetensors ({error})", "download it again") from error


@contextmanager
def _of_file(path: Path) -> Iterator[None]:
    """A sentence for what is wrong with a file's values."""
    try:
        yield
    except Unreadable as error:
        raise ModelError(f"{path} cannot be read ({error})", "it belongs beside the weights") from error


@contextmanager
def _packages_for(name: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        told = f"{name} needs a package that cannot be imported ({first_line(error)})"
        raise MissingPackageError(told, "install it") from error


def _check_side(preprocess: Preprocess, config: Any) -> None:
    side = getattr(config, "image_size", None)
    if isinstance(side, int) and preprocess.size != (side, side):
        rows, columns = preprocess.size
        raise Unreadable(f"it makes pictures of {columns} x {rows}, and the model takes {side} x {side}")
