"""Models of transformers from a folder: with all their weights or not at all, and without any code that comes along."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from .cures import Cure
from .errors import ModelError
from .foreign import LARGEST_JSON, Stored, Unreadable, few, library_reads, read_bytes, read_header, read_json
from .foreign import WHOLE_AGAIN as WHOLE_AGAIN
from .hub.names import PROCESSOR_FILES, check_weights
from .published import CONFIG, WEIGHTS_INDEX
from .transformers_access import LOCAL_WITHOUT_CODE, transformers_attribute, transformers_version, without_own_code

_ADAPTER = "adapter_config.json"
_ATTENTION = "attn_implementation"
_ATTENTIONS = {"eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"}
_COUNTS = re.compile(r"layers|depths?$|blocks")
_SIZES = re.compile(r"(size|dim|width|embeddings|positions)$")
_FEWEST_TENSORS, _LARGEST_SIZE, _MOST_LABELS, _SLACK = 64, 1 << 24, 100_000, 1 << 24


def checked_folder(folder: Path) -> Mapping[str, Stored]:
    """The tensors of a folder in transformers' format, none of whose files can do harm when it is read.

    Raises ModelError, which names the file and what is wrong with it."""
    if (folder / _ADAPTER).is_file():
        raise ModelError(f"{folder} holds an adapter of a model, not the model", "give the model's own folder")
    check_texts(folder)
    return stored_tensors(folder, check_weights(folder))


def check_texts(folder: Path) -> None:
    """Looks at all the files that transformers may read beside the weights. Raises ModelError."""
    for name in (CONFIG, *PROCESSOR_FILES):
        path = folder / name
        if not path.exists():
            continue
        try:
            if name.endswith(".json"):
                read_json(path)
            else:
                read_bytes(path, LARGEST_JSON)
        except Unreadable as error:
            raise ModelError(f"{path} cannot be read ({error})", WHOLE_AGAIN) from error


def stored_tensors(folder: Path, files: tuple[str, ...]) -> dict[str, Stored]:
    """What is in these safetensors files. Raises ModelError where one is damaged."""
    found: dict[str, Stored] = {}
    for name in files:
        if name == WEIGHTS_INDEX:
            continue
        try:
            found.update(read_header(folder / name).tensors)
        except Unreadable as error:
            raise ModelError(f"{folder / name} cannot be read as safetensors ({error})", "download it again") from error
    return found


def check_config(folder: Path, tensors: Mapping[str, Stored]) -> None:
    """Refuses a configuration of sizes that the weights do not have, before anything of such a size is made."""
    most = max(len(tensors), _FEWEST_TENSORS)
    for key, value in _settings(read_json(folder / CONFIG)):
        limit = most if _COUNTS.search(key) else _LARGEST_SIZE if _SIZES.search(key) else None
        limit = _MOST_LABELS if key == "num_labels" else limit
        if limit is not None and isinstance(value, int | float) and value > limit:
            raise ModelError(f"{folder / CONFIG} says that {key} is {value}, and the weights are none of such a model")
        if key.endswith(_ATTENTION) and not (isinstance(value, str) and value in _ATTENTIONS):
            raise ModelError(f"{folder / CONFIG} asks for program code by {key}, which is never fetched")


def _settings(tree: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """All values with the keys they stand under. What was read is not nested deeply."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield from _settings(value, key if key.endswith(_ATTENTION) else name)
    elif isinstance(tree, list):
        for value in tree:
            yield from _settings(value, key)
    elif tree is not None:
        yield key, tree


def load_whole(model_class: Any, folder: Path, problem: str, *cures: Cure, **options: Any) -> Any:
    """A model with weights that are all the folder's own. model_class: of transformers, an Auto class or a plain one.
    problem, cures: what the error says where it cannot be read. Raises ModelError, ImportError for an absent package.
    """
    tensors = checked_folder(folder)
    check_config(folder, tensors)
    code = LOCAL_WITHOUT_CODE if hasattr(model_class, "_model_mapping") else {"local_files_only": True}
    # older transformers draw first values, which are replaced; not from a host's dice
    with without_own_code(), library_reads(problem, *cures), torch.random.fork_rng(devices=[]):
        _check_size(model_class, folder, sum(each.numel for each in tensors.values()))
        model, report = model_class.from_pretrained(
            str(folder), use_safetensors=True, output_loading_info=True, **code, **options
        )
        lacking = untied(model, set(report["missing_keys"]))
    if lacking:
        raise ModelError(f"{folder} lacks weights of {type(model).__name__}: {few(lacking)}", WHOLE_AGAIN)
    return model


def _check_size(model_class: Any, folder: Path, stored: int) -> None:
    """Builds the model without memory for its weights, and counts them."""
    model = _built_of_nothing(model_class, folder)
    wanted = 0 if model is None else sum(each.numel() for each in {*model.parameters(), *model.buffers()})
    if wanted > 2 * stored + _SLACK:
        raise ModelError(
            f"{folder / CONFIG} describes a model of {wanted:,} values, and the weights hold {stored:,}", WHOLE_AGAIN
        )


def _built_of_nothing(model_class: Any, folder: Path) -> Any:
    """None where it cannot be: before transformers 5, which builds all of them so, some ask for a weight's value."""
    auto = hasattr(model_class, "_model_mapping")
    configs = transformers_attribute("AutoConfig") if auto else model_class.config_class
    config = configs.from_pretrained(str(folder), **(LOCAL_WITHOUT_CODE if auto else {"local_files_only": True}))
    try:
        with torch.device("meta"):
            return model_class.from_config(config, trust_remote_code=False) if auto else model_class(config)
    except (RuntimeError, NotImplementedError):
        if transformers_version() >= (5, 0):
            raise
        return None


def untied(model: Any, missing: set[str]) -> list[str]:
    """Which of the missing parameters no other one stands for.

    Newer transformers write shared parameters once; older ones do not share them again by themselves when the
    language model is a part of a larger one, and would leave them random.
    """
    pretrained = transformers_attribute("PreTrainedModel")
    parameters = dict(model.named_parameters(remove_duplicate=False))
    if missing.intersection(parameters):
        for part in model.modules():
            if isinstance(part, pretrained):
                part.tie_weights()
        parameters = dict(model.named_parameters(remove_duplicate=False))
    loaded = {id(value) for name, value in parameters.items() if name not in missing}
    return sorted(name for name in missing if name in parameters and id(parameters[name]) not in loaded)
