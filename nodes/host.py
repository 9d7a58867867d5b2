"""All that touches ComfyUI: its memory, progress, interruption, folders and node types."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any

import comfy.model_management as memory
import folder_paths
import torch
from comfy.lora import calculate_weight
from comfy.model_patcher import ModelPatcher
from comfy.sd1_clip import SD1ClipModel
from comfy.sdxl_clip import SDXLClipModel
from comfy.utils import ProgressBar
from comfy_api.latest import ComfyExtension as ComfyExtension
from comfy_api.latest import io as io
from comfy_execution.graph import ExecutionBlocker

from server import PromptServer

from ..core.cures import Words
from ..core.embed.families import CLIP_G, CLIP_H, CLIP_L
from ..core.errors import Cancelled, SettingsError, UnrenderError
from ..core.file_names import pasted
from ..core.foreign import shown as shortened
from ..core.printable import visible
from ..core.progress import BYTES, Progress, how_far
from ..core.prompt.memory import WORKING_MEMORY
from ..core.shortage import is_told_of_memory
from .search_words import SEARCH_WORDS
from .wording import WORDS

_FOLDER = "unrender"
_CLIP_PARTS = (CLIP_L, CLIP_H, CLIP_G)
_ALL = 1e20
"""Of memory: all that there is."""

_STATUS_EVENT = "unrender.status"
_SECONDS_BETWEEN_STATUS = 0.25


def schema(*, search_aliases: Sequence[str], **fields: Any) -> io.Schema:
    """io.Schema's fields; search_aliases: further words by which newer ComfyUIs find the node, English ones."""
    made = io.Schema(**fields)
    made.search_aliases = [*search_aliases, *SEARCH_WORDS.get(made.node_id, ())]
    return made


def advanced(*inputs: Any) -> list[Any]:
    """The inputs, which the page shows when asked for advanced ones."""
    for each in inputs:
        each.extra_dict = {**each.extra_dict, "advanced": True}
    return list(inputs)


def register_folder() -> None:
    """Makes models/unrender known; folders a user gave that name in extra_model_paths.yaml come first."""
    folder_paths.add_model_folder_path(_FOLDER, str(Path(folder_paths.models_dir) / _FOLDER))


def model_folders(kind: str = _FOLDER) -> list[Path]:
    """The folders ComfyUI has for a kind of model, the one to write to first."""
    return [Path(folder) for folder in folder_paths.get_folder_paths(kind)]


def input_pictures() -> list[str]:
    """The names of the picture files in ComfyUI's input folder."""
    folder = Path(folder_paths.get_input_directory())
    names = [path.name for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    return sorted(folder_paths.filter_files_content_types(names, ["image"]))


def input_file(name: str) -> Path:
    """The file of a name as ComfyUI's upload widgets write it, such as "picture.png" or "picture.png [output]". Raises
    SettingsError for a name that leads out of ComfyUI's folders, since workflows come from strangers."""
    inside = PurePath(name)
    if inside.is_absolute() or ".." in inside.parts:
        raise SettingsError(f"{name} is in none of ComfyUI's folders", "choose a picture of the list")
    return Path(folder_paths.get_annotated_filepath(name))


def input_file_exists(name: str) -> bool:
    try:
        return input_file(name).is_file()
    except (OSError, ValueError, TypeError, SettingsError):  # TypeError: a number, through the API
        return False


def folder_named(path: str) -> Path:
    """A folder anywhere on this machine, or by its name in ComfyUI's input folder. Raises SettingsError for what no
    folder can be called, and for nobody's home."""
    text = pasted(path)
    try:
        found = Path(folder_paths.get_input_directory()) / Path(text).expanduser()
        os.fsencode(found)
    except (ValueError, RuntimeError):
        raise SettingsError(f"There is no folder {shortened(text)}", "check the path") from None
    return found


def shown(*texts: str, notes: Sequence[str] = ()) -> dict[str, Any]:
    """What a node shows of texts, some of which may be names of files: nothing in them turns what is read. notes: what
    the page says beside them, so that no result holds it."""
    found = {"text": [visible(text, "\n\t") for text in texts]} if texts else {}
    return {**found, "unrender_notes": list(notes)} if notes else found


def stop_here(message: str) -> ExecutionBlocker:
    """In an output's place: nodes that want it are not run and show the message, the others are."""
    return ExecutionBlocker(message)


def make_room() -> None:
    """Has all of ComfyUI's models in main memory, until they are needed again."""
    memory.unload_all_models()


def compute_device() -> torch.device:
    return memory.get_torch_device()


class UnrenderModel(torch.nn.Module):
    """Holds a module, because a ModelPatcher writes attributes that some modules have as properties."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module


class Resident:
    """A module whose place, device or main memory, ComfyUI decides."""

    def __init__(self, module: torch.nn.Module) -> None:
        model, offload = UnrenderModel(module), memory.unet_offload_device()
        # ComfyUI knows a loaded model by this object alone, as long as it lives
        self.patcher = ModelPatcher(model.to(offload), load_device=compute_device(), offload_device=offload)

    def bring(self, *beside: Any) -> torch.device:
        """Has the module on the device it computes on, making room if need be, and returns that.

        beside: patchers of other models that have to be there too."""
        memory.load_models_gpu([self.patcher, *beside], memory_required=WORKING_MEMORY)
        # where memory is short, ComfyUI leaves a part behind, which it can only bring while its own modules run
        self.patcher.model.to(self.patcher.load_device)
        return self.patcher.load_device


def as_result(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor where ComfyUI keeps what one node hands to another."""
    return tensor.to(memory.intermediate_device())


def as_picture(tensor: torch.Tensor) -> torch.Tensor:
    """The same for an IMAGE or MASK, which newer ComfyUIs may keep in half precision."""
    newer = getattr(memory, "intermediate_dtype", None)
    return tensor.to(memory.intermediate_device(), torch.float32 if newer is None else newer())


def bring_patchers(patchers: list[Any], working_memory: int = WORKING_MEMORY) -> None:
    """Has models of the graph's ready to run on their devices, with room for as many bytes beside them. Where memory is
    short, ComfyUI leaves parts of them in main memory."""
    memory.load_models_gpu(patchers, memory_required=working_memory)


def whole_model(model: Any) -> Any:
    """A MODEL of its own, all of it on the device it computes on, whatever else has to make way."""
    own = model.clone()
    memory.load_models_gpu([own], memory_required=_ALL, force_full_load=True)
    return own


def names_in_diffusers(model: Any) -> dict[str, str]:
    """What the layers of a MODEL's UNet are called in diffusers, by their names here."""
    from comfy.utils import unet_to_diffusers

    return {
        own.removesuffix(".weight"): name.removesuffix(".weight")
        for name, own in unet_to_diffusers(model.model.model_config.unet_config).items()
    }


def with_lora(model: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    """A MODEL as Load LoRA gives it."""
    from comfy.sd import load_lora_for_models

    return load_lora_for_models(model, None, dict(tensors), 1.0, 0.0)[0]


def clip_text_encoders(clip: Any, patched: bool = True) -> dict[str, WeightsInUse]:
    """The CLIP text encoders of a CLIP by ComfyUI's names for them (clip_l, clip_h, clip_g): comfy.clip_model's
    CLIPTextModel each, whose parameters are those that are used, or those without patches such as LoRAs."""
    # absent, or None where a file came without it
    parts = {name: getattr(clip.cond_stage_model, name, None) for name in _CLIP_PARTS}
    return {
        name: WeightsInUse(part.transformer, clip.patcher, f"{name}.transformer", patched)
        for name, part in parts.items()
        if part is not None
    }


def is_patched(clip: Any, part: str) -> bool:
    """Whether a LoRA, a merge or the like changes one of a CLIP's text encoders."""
    return any(path.startswith(f"{part}.transformer.") for path in clip.patcher.patches)


class WeightsInUse:
    """A module of a patcher's model, whose parameters are what ComfyUI computes with, on the patcher's device.

    ComfyUI patches them once, or each time they are used; it may have left them in main memory, in another type, or
    quantised. patched: whether as patched, or as before."""

    def __init__(self, module: Any, patcher: Any, path: str, patched: bool = True) -> None:
        self._module, self._patcher, self._path, self._patched = module, patcher, path, patched

    def __getattr__(self, name: str) -> Any:
        value, path = getattr(self._module, name), f"{self._path}.{name}"
        if isinstance(value, torch.nn.Parameter):
            return self._in_use(value.detach(), path, getattr(self._module, f"{name}_comfy_model_dtype", None))
        return WeightsInUse(value, self._patcher, path, self._patched) if isinstance(value, torch.nn.Module) else value

    def __getitem__(self, index: int) -> WeightsInUse:
        if index >= len(self._module):
            raise IndexError(index)
        return WeightsInUse(self._module[index], self._patcher, f"{self._path}.{index}", self._patched)

    def __call__(self, *values: Any) -> Any:
        return self._module(*values)

    def _in_use(self, stored: torch.Tensor, path: str, dtype: torch.dtype | None) -> torch.Tensor:
        device, kept = self._patcher.load_device, self._patcher.backup.get(path)
        if not self._patched and kept is not None:
            stored = getattr(kept, "weight", kept).detach()
        quantised = type(stored) is not torch.Tensor
        weight = stored.to(device).dequantize() if quantised else stored.to(device, dtype)
        patches = self._patcher.patches.get(path)
        if not self._patched or not patches or kept is not None:  # what has a backup is patched where it is
            return weight
        patched = calculate_weight(patches, weight.to(_patching_dtype(device), copy=True), path)
        return patched if quantised or weight.dtype.itemsize == 1 else patched.to(weight.dtype)


def _patching_dtype(device: torch.device) -> torch.dtype:
    """What ComfyUI itself patches weights in."""
    newer = getattr(memory, "lora_compute_dtype", None)
    return torch.float32 if newer is None else newer(device)


def stable_diffusion_encoders(clip: Any) -> list[str]:
    """The names of a CLIP's text encoders where it is one of Stable Diffusion 1, 2 or XL, or made like them; other
    models have encoders of the same names beside their own."""
    return list(clip_text_encoders(clip)) if isinstance(clip.cond_stage_model, SD1ClipModel | SDXLClipModel) else []


def clip_last_layer(clip: Any) -> int | None:
    """The layer that CLIP Set Last Layer stops the text encoders at, -1 for the last; None for the model's usual."""
    return clip.layer_idx


def writes(clip: Any) -> bool:
    """Whether a CLIP's text encoder is a language model that this ComfyUI lets write."""
    model = getattr(clip, "cond_stage_model", None)
    # newer ComfyUIs have the method for all text encoders, and some of their networks lack it
    network = getattr(getattr(model, getattr(model, "clip", ""), model), "transformer", clip)
    return all(callable(getattr(each, "generate", None)) for each in (clip, model, network))


def write(clip: Any, text: str, image: torch.Tensor, max_length: int, **sampling: Any) -> tuple[str, bool] | None:
    """What such a text encoder answers to a text and an IMAGE, without thinking aloud, and whether its length has cut
    it; None from one that does not look at pictures. sampling: `generate`'s own."""
    tokens = clip.tokenize(text, image=image, skip_template=False, min_length=1, thinking=False)
    if not _shows_a_picture(tokens):
        return None
    ids = clip.generate(tokens, max_length=max_length, **sampling)
    if len(ids) == 1 and isinstance(ids[0], list | tuple):  # one row of several, in the first ComfyUIs that have it
        ids = ids[0]
    return clip.decode(ids), len(ids) >= max_length


def _shows_a_picture(tokens: Any) -> bool:
    """Whether a text encoder's tokenizer has put a picture among the tokens, instead of passing it over."""
    rows = [row for part in tokens.values() if isinstance(part, list) for row in part]
    return any(isinstance(token[0], Mapping) and token[0].get("type") == "image" for row in rows for token in row)


def clip_tokenizer(clip: Any, part: str) -> tuple[Any, int, int]:
    """The transformers tokenizer of one of a CLIP's text encoders, and the tokens that start and end a text."""
    special = getattr(clip.cond_stage_model, part).special_tokens
    return getattr(clip.tokenizer, part).tokenizer, special["start"], special["end"]


def clip_logit_scale(clip: Any, part: str) -> float:
    """The factor on similarities before a softmax; checkpoints without it have OpenAI's and LAION's 100."""
    scale = getattr(getattr(clip.cond_stage_model, part), "logit_scale", None)
    return 100.0 if scale is None else float(scale.detach().float().exp())


def seen_embeddings(value: Any) -> torch.Tensor | None:
    """The joint embeddings [pictures, width] of a CLIP_VISION_OUTPUT; None for anything else."""
    found = value.get("image_embeds") if isinstance(value, Mapping) else getattr(value, "image_embeds", None)
    return found if isinstance(found, torch.Tensor) and not found.is_meta else None


def asked() -> tuple[Any, str | None]:
    """The graph that ComfyUI is about to run, and the node of it that it asks whether it is to run again; nothing from
    versions that do not tell."""
    try:
        from comfy_execution.progress import get_progress_state
        from comfy_execution.utils import get_executing_context
    except ImportError:
        return None, None
    context, state = get_executing_context(), get_progress_state()
    if context is None or context.prompt_id != state.prompt_id:
        return None, None
    return state.dynprompt.get_original_prompt(), context.node_id


@contextmanager
def reporting(node_id: str | None, words: Words = WORDS) -> Iterator[NodeProgress]:
    """The progress of a node's run. Errors leave in a node's words, a cancelled run as ComfyUI's own interruption."""
    progress = NodeProgress(node_id)
    try:
        yield progress
    except Cancelled:
        memory.throw_exception_if_processing_interrupted()
        raise memory.InterruptProcessingException from None
    except UnrenderError as error:
        if is_told_of_memory(error):  # ComfyUI does it by itself for errors of torch's own
            memory.unload_all_models()
        raise _shown(error, words) from error
    finally:
        progress.say("")


def _shown(error: UnrenderError, words: Words) -> UnrenderError:
    """The same error in a node's words, and of the class's plain name: ComfyUI shows a class with its module, which is
    here a path."""
    kind = type(type(error).__name__, (type(error),), {"__module__": "unrender"})
    return kind(error.said(words))


class NodeProgress(Progress):
    """The node's progress bar, and a line on the node that says what the bar is about."""

    def __init__(self, node_id: str | None) -> None:
        self._node_id = node_id
        self.subject = ""

    def check(self) -> None:
        if memory.processing_interrupted():
            raise Cancelled("The run was interrupted.")

    @contextmanager
    def task(self, label: str, total: int | None = None, unit: str = "") -> Iterator[_Bar]:
        self.check()
        yield _Bar(self, f"{self.subject}{label}", total, unit, self._node_id)

    def say(self, text: str) -> None:
        server = PromptServer.instance
        if self._node_id is not None and server is not None:
            server.send_sync(_STATUS_EVENT, {"node": self._node_id, "text": text}, server.client_id)


class _Bar:
    def __init__(self, progress: NodeProgress, label: str, total: int | None, unit: str, node_id: str | None) -> None:
        self._progress = progress
        self._label = visible(label)
        self._total = total
        self._unit = unit
        self._done = 0
        self._said = 0.0
        self._bar = ProgressBar(total, node_id) if total else None
        self._say()

    def advance(self, amount: int = 1) -> None:
        self._progress.check()
        self._done += amount
        now = time.monotonic()
        if now - self._said >= _SECONDS_BETWEEN_STATUS or self._done == self._total:
            self._said = now
            self._say()
            if self._bar is not None:
                self._bar.update_absolute(self._done)

    def _say(self) -> None:
        # a node is narrow, and its label says of what there are so many
        unit = self._unit if self._unit == BYTES else ""
        self._progress.say(self._label + how_far(self._done, self._total, unit))
