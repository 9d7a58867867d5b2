"""A pipeline in diffusers' format from a hub: only what renders, only safetensors, half precision where it is used."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from ..cures import Give
from ..errors import ModelError
from ..foreign import Unreadable, read_json
from ..hub import Hub
from ..pretrained import WHOLE_AGAIN
from ..progress import SILENT, Progress
from ..published import CONFIG, former_names, moved_to
from ..published import PIPELINE_INDEX as INDEX

NOT_NEEDED = ("safety_checker", "feature_extractor", "image_encoder")
"""Parts of pipelines that rendering an embedding does without."""

_INSTEAD = Give("checkpoint", "a folder in diffusers' format, or the toy micro,")
_SETTINGS = (".json", ".txt")
_SETTINGS_OF = {"scheduler": "scheduler_config.json", "tokenizer": "tokenizer_config.json"}
_WORDS = ("vocab.json", "merges.txt", "tokenizer.json", "special_tokens_map.json")  # old and new tokenizers' files
_WEIGHTS = re.compile(r"(?:diffusion_pytorch_model|model)(?P<half>\.fp16)?\.safetensors")


def fetch_pipeline(hub: Hub, repo: str, half: bool, progress: Progress = SILENT) -> tuple[Path, str | None]:
    """A local folder with a repository's pipeline, and the variant of its weights as diffusers names it.

    half: take weights in half precision where there are any. Raises ModelError or Cancelled.
    """
    moved = moved_to(repo)
    instead = Give("checkpoint", f"{moved}, which is its copy") if moved else _INSTEAD
    folder = hub.fetch(repo, [INDEX], progress, instead=instead)
    parts = _parts(repo, folder)
    files = _chosen(_names_in(folder, parts), parts, half)
    if not _has_weights(files, parts):
        files = _chosen(hub.list_files(repo, instead=_INSTEAD), parts, half)
        if not _has_weights(files, parts):
            raise ModelError(
                f"{repo} has no complete pipeline in safetensors, and no other format is opened", Give("checkpoint")
            )
        folder = hub.fetch(repo, [INDEX, *files], progress, instead=_INSTEAD)
    return folder, "fp16" if any(".fp16." in name for name in files) else None


def missing_pipeline(hub: Hub, repo: str, half: bool) -> dict[str, int]:
    """Name and bytes of what `fetch_pipeline` would download now; for showing the size first. Raises ModelError."""
    folder = hub.fetch(repo, [INDEX], instead=_INSTEAD)
    parts = _parts(repo, folder)
    if _has_weights(_chosen(_names_in(folder, parts), parts, half), parts):
        return {}
    return hub.missing_files(repo, [INDEX, *_chosen(hub.list_files(repo, instead=_INSTEAD), parts, half)])


def fetch_settings(hub: Hub, repo: str, progress: Progress = SILENT) -> Path:
    """A local folder with a repository's pipeline, all but its weights; under a name that it had before where it lies
    on this disk. Raises ModelError or Cancelled."""
    for former in former_names(repo):
        folder = hub.find(former, [INDEX])
        if folder is not None and hub.find(former, _settings(former, folder)[0]):
            return folder
    files, words = _settings(repo, hub.fetch(repo, [INDEX], progress, instead=_INSTEAD))
    return hub.fetch(repo, files, progress, words, instead=_INSTEAD)


def _settings(repo: str, folder: Path) -> tuple[list[str], list[str]]:
    """The files that describe a pipeline's parts, and those of the tokenizers' words, whatever these are."""
    parts = _parts(repo, folder)
    files = [f"{part}/{_SETTINGS_OF.get(part.removesuffix('_2'), CONFIG)}" for part in parts]
    words = [f"{part}/{name}" for part in parts if part.startswith("tokenizer") for name in _WORDS]
    return [INDEX, *files], words


def check_settings(name: str, folder: Path) -> None:
    """Of a pipeline's parts: what the libraries would ask a hub for, where they cannot read it. Raises ModelError."""
    for part in ("", *_parts(name, folder)):
        for path in sorted((folder / part).glob("*.json")):
            try:
                read_json(path)
            except Unreadable as error:
                raise ModelError(f"{path} cannot be read ({error})", WHOLE_AGAIN) from error


def _parts(repo: str, folder: Path) -> dict[str, bool]:
    """The folders of a pipeline's parts; whether each has weights."""
    try:
        index = read_json(folder / INDEX)
    except Unreadable as error:
        raise ModelError(f"{repo} has a {INDEX} that cannot be read ({error})", Give("checkpoint")) from error
    named = {name: value for name, value in index.items() if isinstance(value, list) and value and value[-1]}
    return {
        name: not any(word in str(value[-1]) for word in ("Tokenizer", "Scheduler"))
        for name, value in named.items()
        if name not in NOT_NEEDED
    }


def _chosen(names: Iterable[str], parts: Mapping[str, bool], half: bool) -> list[str]:
    """The settings of all parts, and one file of weights of each part that has some."""
    listed = [PurePosixPath(name) for name in names]
    chosen: list[str] = []
    for part in parts:
        own = [path for path in listed if path.parent.as_posix() == part]
        chosen += [str(path) for path in own if path.suffix in _SETTINGS and "index" not in path.name]
        weights = {bool(found["half"]): str(path) for path in own if (found := _WEIGHTS.fullmatch(path.name))}
        if weights:
            chosen.append(weights.get(half) or next(iter(weights.values())))
    return chosen


def _names_in(folder: Path, parts: Iterable[str]) -> list[str]:
    return [each.relative_to(folder).as_posix() for part in parts for each in (folder / part).glob("*")]


def _has_weights(files: Iterable[str], parts: Mapping[str, bool]) -> bool:
    having = {name.partition("/")[0] for name in files if name.endswith(".safetensors")}
    return all(part in having for part, wanted in parts.items() if wanted)
