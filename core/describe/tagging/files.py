"""A tagger's folder: timm's configuration, weights, a list of tags. Read without torch, and all that can be known to be
wrong with it is found out here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...cures import Give
from ...errors import ModelError
from ...foreign import WHOLE_AGAIN, Unreadable, read_json, shown
from ...hub.names import check_weights
from ...published import CONFIG, TAG_LIST
from .tag_list import ListedTag, read_tag_list
from .view import View, view_of

_ARCHITECTURE = re.compile(r"[a-z]\w*(\.\w+)?", re.ASCII)
_OPTION = re.compile(r"[a-z]\w*", re.ASCII)
_LOADS = re.compile(r"pretrained|checkpoint|cache_dir|scriptable|exportable|no_jit|features_only|num_classes|.*_cfg$")
"""Options of timm's that say what else is to be loaded, or make another kind of model."""
_COUNTS = re.compile(r".*(depth|layers|blocks|repeats)")
_MOST_OPTIONS, _LARGEST_NUMBER, _MOST_NUMBERS, _MOST_LAYERS = 64, 1 << 16, 64, 512


@dataclass(frozen=True)
class TaggerFiles:
    """architecture, options: of `timm.create_model`. weights: names of files."""

    folder: Path
    architecture: str
    options: Mapping[str, Any]
    tags: tuple[ListedTag, ...]
    view: View
    weights: tuple[str, ...] = ()


def is_tagger_folder(folder: Path) -> bool:
    """Whether it is meant as one: by a list of tags, or a configuration as timm alone writes it."""
    if (folder / TAG_LIST).is_file():
        return True
    try:
        config = read_json(folder / CONFIG)
    except Unreadable:
        return False
    return isinstance(config.get("architecture"), str) and not {"model_type", "architectures"} & set(config)


def read_tagger(name: str, folder: Path, weighted: bool = True) -> TaggerFiles:
    """name: for errors. weighted: whether the weights have to be there. Raises ModelError."""
    weights = check_weights(folder) if weighted else ()
    try:
        config = read_json(folder / CONFIG)
        _check_code(name, config)
        architecture = _architecture(config)
        options = _options(config)
    except Unreadable as error:
        raise ModelError(f"{folder / CONFIG} is no configuration of timm's ({error})", WHOLE_AGAIN) from error
    if not (folder / TAG_LIST).is_file():
        problem = f"{folder} holds no {TAG_LIST}, without which nobody knows what its outputs mean"
        raise ModelError(problem, "copy it there from where the weights are from")
    tags = read_tag_list(folder)
    outputs = config.get("num_classes", len(tags))
    if outputs != len(tags):
        raise ModelError(
            f"{folder / TAG_LIST} has {len(tags):,} rows, and by its {CONFIG} the tagger has {shown(str(outputs))} "
            "outputs",
            WHOLE_AGAIN,
        )
    return TaggerFiles(folder, architecture, options, tags, view_of(folder, config), weights)


def _check_code(name: str, config: Mapping[str, Any]) -> None:
    if config.get("auto_map") or config.get("custom_code"):
        raise ModelError(
            f"{name} comes with program code that would have to be run, which is never done",
            Give("captioner", "a tagger that timm knows itself"),
        )


def _architecture(config: Mapping[str, Any]) -> str:
    found = config.get("architecture")
    if found is None:
        raise Unreadable("it names no architecture")
    if not isinstance(found, str) or not _ARCHITECTURE.fullmatch(found):
        raise Unreadable(f"its architecture {shown(str(found))!r} is no name of one")
    return found


def _options(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Sizes, and names of layers: plain values only, since what builds models takes functions, too."""
    found = config.get("model_args") or {}
    if not isinstance(found, dict) or len(found) > _MOST_OPTIONS:
        raise Unreadable("its model_args are no settings")
    for key, value in found.items():
        if not _OPTION.fullmatch(key) or _LOADS.match(key):
            raise Unreadable(f"its model_args hold {shown(key)!r}, which would make another model of it")
        if not _is_plain(value, _MOST_LAYERS if _COUNTS.match(key) else _LARGEST_NUMBER):
            raise Unreadable(f"its model_args have for {key} what no such model has")
    return found


def _is_plain(value: Any, largest: int) -> bool:
    if isinstance(value, list):
        return len(value) <= _MOST_NUMBERS and all(_is_plain(each, largest) for each in value)
    if isinstance(value, str):
        return re.fullmatch(r"[\w.]*", value, re.ASCII) is not None
    return value is None or (isinstance(value, int | float) and abs(value) <= largest)
