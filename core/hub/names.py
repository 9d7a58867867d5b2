"""Which files of a repository are ever taken: safetensors weights and text, nothing that could run code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from ..errors import ModelError, NotOnHubError
from ..foreign import few, shown
from ..published import CONFIG, MAIN, WEIGHTS_INDEX
from ..published import TRANSFORMERS_WEIGHTS as SINGLE_WEIGHTS
from .cache import complete_weights, indexed_weights

SAFE_SUFFIXES = frozenset({".safetensors", ".json", ".txt", ".csv", ".model", ".jinja"})
WEIGHT_SUFFIXES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack", ".onnx", ".gguf"})
_SUFFIXES_OF_FILES = SAFE_SUFFIXES | WEIGHT_SUFFIXES | {".sft", ".yaml", ".zip"}
_LONGEST = 200
"""A repository's name; a hub has 96 for the owner and as many for the rest."""
PROCESSOR_FILES = (
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
    "chat_template.json",
    "chat_template.jinja",
    "generation_config.json",
)
"""What a model in transformers format may have beside its configuration and weights."""


def check_weights(folder: Path) -> tuple[str, ...]:
    """The safetensors files (index included) of a folder in transformers format; ModelError when they are not there."""
    weights = complete_weights(folder)
    if weights and all(map(is_safe_name, weights)):
        return weights
    others = sorted(path.name for path in folder.glob("*") if path.suffix.lower() in WEIGHT_SUFFIXES)
    if (folder / WEIGHTS_INDEX).is_file():
        named = indexed_weights(folder / WEIGHTS_INDEX)
        if not named or not all(map(is_safe_name, named)):
            raise ModelError(f"{folder / WEIGHTS_INDEX} names no safetensors files", "copy the whole model again")
        lacking = [name for name in named if not (folder / name).is_file()]
        raise ModelError(
            f"{folder} lacks {few(lacking)}, which its {WEIGHTS_INDEX} names", "copy the whole model again"
        )
    if others:
        raise ModelError(
            f"{folder} holds its weights only as {', '.join(others)}, formats that are never opened",
            "save the model as safetensors",
        )
    raise ModelError(f"{folder} holds no {SINGLE_WEIGHTS}", "give a folder in transformers format")


def is_local_name(name: str) -> bool:
    """Whether a name that is no file or folder was surely meant for one. It is never asked for at a hub, where a
    stranger may have taken it. A folder with an owner's name says nothing: many are called timm or openai."""
    path_like = name.startswith((".", "/", "~", "models/")) or "\\" in name or re.match(r"[A-Za-z]:", name)
    return bool(path_like) or PurePosixPath(name).suffix.lower() in _SUFFIXES_OF_FILES


def check_names(repo: str, files: Iterable[str], revision: str = MAIN) -> None:
    """Refuses what is no repository name or revision, and files that are not on the list of what may be taken."""
    if is_local_name(repo):
        raise ModelError(f"There is no file or folder {shown(repo)}, and no hub is asked for such a name")
    if (
        not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", repo, re.ASCII)
        or ".." in repo
        or "--" in repo
        or len(repo) > _LONGEST
    ):
        raise ModelError(f"{shown(repo)!r} is not the name of a hub repository, which looks like owner/name")
    if not re.fullmatch(r"\w[\w./-]*", revision, re.ASCII) or ".." in revision:
        raise ModelError(f"{revision!r} is no branch, tag or commit that {repo} can have")
    for name in files:
        if not is_safe_name(name):
            raise ModelError(
                f"{name} of {repo} is never fetched: only safetensors weights and text files "
                f"({', '.join(sorted(SAFE_SUFFIXES))}) are",
                "look for a safetensors version of the model",
            )


def is_safe_name(name: str) -> bool:
    """Whether a file of this name may be taken: a known suffix, and a place inside the repository."""
    path = PurePosixPath(name)
    inside = not path.is_absolute() and ".." not in path.parts and not re.search(r"[\\:\0]", name)
    return inside and path.suffix.lower() in SAFE_SUFFIXES


def check_listed(repo: str, files: Iterable[str], sizes: Mapping[str, int | None]) -> None:
    """Says which of the files the repository does not have, or that it has weights only in other formats."""
    for name in files:
        if name in sizes:
            continue
        if name.endswith(".safetensors"):
            _refuse_unsafe_only(repo, sizes)
        raise NotOnHubError(f"{repo} has no file {name} on the hub", "check the model's name")


def listed_weights(repo: str, sizes: Mapping[str, int | None]) -> list[str]:
    """The weights of a repository in transformers format: the one file, or the index of several."""
    for name in (SINGLE_WEIGHTS, WEIGHTS_INDEX):
        if name in sizes:
            return [name]
    _refuse_unsafe_only(repo, sizes)
    raise ModelError(f"{repo} has no {SINGLE_WEIGHTS}, so it is no model in transformers format")


def _refuse_unsafe_only(repo: str, sizes: Mapping[str, int | None]) -> None:
    names = sorted(name for name in sizes if PurePosixPath(name).suffix.lower() in WEIGHT_SUFFIXES)
    if names and not any(name.endswith(".safetensors") for name in sizes):
        raise NotOnHubError(
            f"{repo} offers its weights only as {', '.join(names[:3])}, formats that are never opened",
            "choose a model that comes as safetensors",
        )


def shards(repo: str, folder: Path) -> tuple[str, ...]:
    """The weight files that a downloaded index names, and the index."""
    names = indexed_weights(folder / WEIGHTS_INDEX)
    if not names:
        raise ModelError(f"{WEIGHTS_INDEX} of {repo} cannot be read, so its weights are unknown", "remove the model")
    return names


def leading_name(files: Sequence[str]) -> str:
    """The file an error names when several are wanted."""
    return next((name for name in files if name.endswith(".safetensors")), files[0] if files else CONFIG)
