"""From a model's name to a loaded `Clip`."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..cures import Install
from ..devices import pick_arithmetic
from ..errors import ModelError, NotOnHubError
from ..hub import Hub
from ..progress import Progress
from ..transformers_access import LOCAL_WITHOUT_CODE, quiet_transformers, transformers_attribute
from . import assemble, layouts
from .assemble import Placement
from .model import Clip
from .names import OPEN_CLIP_WEIGHTS, TRANSFORMERS_WEIGHTS, KnownClip, find_known
from .naming import check_clip, holds_weights, is_transformers_folder
from .preprocess import Preprocess

_TOKENIZER_REPO = "openai/clip-vit-large-patch14"
_VISION_KEYS = ("visual.", "vision_model.", "visual_projection.")


def load_clip(name: str, device: torch.device, precision: str, hub: Hub | None, progress: Progress) -> Clip:
    """See `Clip.load`. A path that exists wins over a known name, a known name over a hub id."""
    check_clip(name)
    loader = _Loader(name, Placement(device, pick_arithmetic(precision, device), moves=True), hub or Hub(), progress)
    if name == "micro":
        from ..micro import CLIP_FOLDER

        return loader.from_transformers_folder(CLIP_FOLDER)
    path = Path(name).expanduser()
    if path.is_dir():
        return loader.from_folder(path)
    if path.is_file():
        return loader.from_file(path)
    known = find_known(name)
    if known is not None:
        return loader.from_known(known)
    return loader.from_hub(name)


class _Loader:
    def __init__(self, name: str, placement: Placement, hub: Hub, progress: Progress) -> None:
        self._name = name
        self._placement = placement
        self._hub = hub
        self._progress = progress

    def from_known(self, known: KnownClip) -> Clip:
        if known.file and _open_clip_works():
            try:
                folder = self._hub.fetch(known.repo, [known.file], self._progress)
            except NotOnHubError:
                if not known.transformers_repo:
                    raise
                return self.from_hub(known.transformers_repo)
            return self._from_open_clip_parts(
                layouts.open_clip_config(known.architecture),
                known.settings,
                known.quick_gelu,
                _read(folder / known.file),
                known.architecture,
            )
        if known.transformers_repo:
            return self.from_hub(known.transformers_repo)
        raise ModelError(
            f"{known.name} needs open_clip, which cannot be imported", Install(("open_clip_torch", "torchvision"))
        )

    def from_hub(self, repo: str) -> Clip:
        """A hub repository in transformers' or open_clip's format; one that is on the disk needs no network."""
        pushed = ["open_clip_config.json", OPEN_CLIP_WEIGHTS]
        on_disk = self._hub.find_model(repo) or self._hub.find(repo, pushed)
        if on_disk is not None:
            return self.from_folder(on_disk)
        files = self._hub.list_files(repo)
        if set(pushed) <= set(files) and not any(name.startswith(TRANSFORMERS_WEIGHTS) for name in files):
            return self.from_folder(self._hub.fetch(repo, pushed, self._progress))
        return self.from_folder(self._hub.fetch_model(repo, self._progress))

    def from_folder(self, folder: Path) -> Clip:
        if is_transformers_folder(folder):
            return self.from_transformers_folder(folder)
        return self._from_open_clip_folder(folder, folder / OPEN_CLIP_WEIGHTS)

    def from_file(self, path: Path) -> Clip:
        """A single safetensors file; its layout tells the architecture, a config beside it what shapes cannot."""
        if (path.parent / "open_clip_config.json").is_file() and path.name == OPEN_CLIP_WEIGHTS:
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
        if not holds_weights(folder, TRANSFORMERS_WEIGHTS):
            raise ModelError(f"{folder} holds no {TRANSFORMERS_WEIGHTS}, and no other format is opened")
        auto_model, auto_tokenizer = transformers_attribute("AutoModel"), transformers_attribute("AutoTokenizer")
        with _sentence_for(folder), quiet_transformers():
            model = auto_model.from_pretrained(str(folder), use_safetensors=True, **LOCAL_WITHOUT_CODE)
            tokenizer = auto_tokenizer.from_pretrained(str(folder), **LOCAL_WITHOUT_CODE)
        settings = _read_json(folder / "preprocessor_config.json")
        return self._from_transformers(model, tokenizer, Preprocess.from_transformers(settings))

    def _from_transformers_state(self, state: dict[str, Tensor], path: Path, quick_gelu: bool) -> Clip:
        clip_config, clip_model = transformers_attribute("CLIPConfig"), transformers_attribute("CLIPModel")
        config = path.parent / "config.json"
        settings = _read_json(config) if config.is_file() else layouts.transformers_config(state, quick_gelu)
        model = clip_model(clip_config.from_dict(dict(settings)))
        self._fill(model, state, path)
        state.clear()
        beside = path.parent if (path.parent / "merges.txt").is_file() else None
        folder = beside or self._hub.fetch(_TOKENIZER_REPO, ["vocab.json", "merges.txt"], self._progress)
        tokenizer = transformers_attribute("CLIPTokenizer").from_pretrained(str(folder), local_files_only=True)
        side = model.config.vision_config.image_size
        return self._from_transformers(model, tokenizer, Preprocess((side, side)))

    def _from_transformers(self, model: Any, tokenizer: Any, preprocess: Preprocess) -> Clip:
        for name, tensor in itertools.chain(model.named_parameters(), model.named_buffers()):
            tensor.data = tensor.data.to(self._dtype_of(name, tensor))
        return assemble.from_transformers(model, tokenizer, preprocess, self._name, self._placement)

    def _fill(self, model: nn.Module, state: Mapping[str, Tensor], source: Path) -> None:
        """Gives the model copies of the weights, the picture side's in its final dtype: when the caller lets go of the
        file's own, whose pages are memory too, nothing is held twice and nothing stays bound to the file."""
        copies = {name: tensor.to(self._dtype_of(name, tensor), copy=True) for name, tensor in state.items()}
        try:
            missing, unexpected = model.load_state_dict(copies, strict=False, assign=True)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1].strip()
            raise ModelError(f"{source} does not fit the model it seems to be: {reason}") from error
        missing = [key for key in missing if not key.endswith("position_ids")]
        unexpected = [key for key in unexpected if not key.endswith(("position_ids", "attn_mask"))]
        if missing or unexpected:
            wrong = f"lacks {missing[0]}" if missing else f"holds {unexpected[0]}, which does not belong there"
            raise ModelError(f"{source} does not fit the model it seems to be: it {wrong}")

    def _dtype_of(self, name: str, tensor: Tensor) -> torch.dtype:
        """The text side stays in float32 until it is compared with the library's."""
        if not tensor.is_floating_point():
            return tensor.dtype
        return self._placement.arithmetic.vision if name.startswith(_VISION_KEYS) else torch.float32

    def _from_open_clip_folder(self, folder: Path, weights: Path) -> Clip:
        config = _read_json(folder / "open_clip_config.json")
        model = dict(config["model_cfg"])
        quick_gelu = bool(model.pop("quick_gelu", False))
        return self._from_open_clip_parts(model, config.get("preprocess_cfg", {}), quick_gelu, _read(weights), "")

    def _from_open_clip_parts(
        self,
        config: dict[str, Any],
        settings: Mapping[str, Any],
        quick_gelu: bool,
        state: dict[str, Tensor],
        architecture: str,
    ) -> Clip:
        quick_gelu = bool(config.pop("quick_gelu", False)) or quick_gelu
        model = layouts.build_open_clip(config, quick_gelu)
        self._fill(model, layouts.fit_open_clip_state(model, state), Path(self._name))
        state.clear()
        size = model.visual.image_size
        preprocess = Preprocess.from_open_clip({**settings, "size": size})
        tokenizer = layouts.open_clip_tokenizer(architecture, config)
        return assemble.from_open_clip(model, preprocess, tokenizer, self._name, self._placement)


def _read(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(str(path))
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} cannot be read as safetensors ({error})", "download it again") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({error})", "it belongs beside the weights") from error


def _open_clip_works() -> bool:
    try:
        import open_clip  # noqa: F401
    except (ImportError, RuntimeError, OSError):
        return False
    return True


class _sentence_for:
    """Turns whatever a library raises while it reads a folder into one ModelError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception):
            reason = str(error).strip().splitlines()
            raise ModelError(
                f"{self._folder} cannot be loaded as a CLIP model ({reason[0] if reason else type(error).__name__})"
            ) from error
