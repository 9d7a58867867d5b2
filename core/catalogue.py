"""The models that can be named: where the hub has them, what of them is on this disk, and what a download takes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .cures import Take
from .errors import ModelError
from .hub import Hub
from .progress import SILENT, Progress

MICRO = "micro"
_MICRO_NOTE = "a toy that is part of the package"
_PICKLE_NOTE = "only in a format that is never opened"


@dataclass(frozen=True)
class Named:
    """A model that can be named.

    repos: where the hub has it, the one that is loaded first. safetensors: whether it can be loaded at all.
    on_disk: whether a repository of it has files on this disk. bytes: of its download, where that is known
    without asking.
    """

    name: str
    repos: tuple[str, ...]
    safetensors: bool = True
    on_disk: bool = False
    bytes: int | None = None
    note: str = ""
    revision: str = "main"


@dataclass(frozen=True)
class Wanted:
    """What a download takes: these files of a repository, or a whole model in transformers format (files None)."""

    repo: str
    files: tuple[str, ...] | None
    revision: str = "main"

    def missing(self, hub: Hub) -> dict[str, int]:
        """What is not on this disk yet: file name to bytes."""
        if self.files is None:
            return hub.missing_model_files(self.repo, self.revision)
        return hub.missing_files(self.repo, self.files, revision=self.revision)

    def fetch(self, hub: Hub, progress: Progress = SILENT) -> Path:
        if self.files is None:
            return hub.fetch_model(self.repo, progress, revision=self.revision)
        return hub.fetch(self.repo, self.files, progress, revision=self.revision)


def survey(hub: Hub) -> tuple[list[Named], list[Named]]:
    """All CLIP models and all captioners that have a name."""
    from .caption import KNOWN_CAPTIONERS
    from .clip.names import known_models

    stored = {one.repo for one in hub.on_disk() if one.usable}
    clips = [Named(MICRO, (), on_disk=True, note=_MICRO_NOTE)]
    for known in known_models():
        repos = _first_loaded_first(known.repo if known.file else "", known.transformers_repo, known.settings)
        note = "" if known.safetensors else _PICKLE_NOTE
        clips.append(Named(known.name, repos, known.safetensors, not stored.isdisjoint(repos), note=note))
    captioners = [Named(MICRO, (), on_disk=True, note=_MICRO_NOTE)]
    for one in KNOWN_CAPTIONERS.values():
        here = one.repo in stored
        captioners.append(Named(one.name, (one.repo,), True, here, one.bytes, one.summary, one.revision))
    return clips, captioners


def _first_loaded_first(open_clip_repo: str, transformers_repo: str, settings: object) -> tuple[str, ...]:
    """open_clip's files are loaded where open_clip works, which shows in its entry for the name."""
    repos = (open_clip_repo, transformers_repo) if settings else (transformers_repo, open_clip_repo)
    return tuple(repo for repo in repos if repo)


def find(name: str, models: Iterable[Named]) -> Named | None:
    """The one of that name; letter case does not matter."""
    return next((model for model in models if model.name.casefold() == name.casefold()), None)


def wanted(name: str, models: Sequence[Named], hub: Hub) -> Wanted:
    """What a download of a name among the models, or of a repository (owner/name), takes. Raises ModelError."""
    from .clip.names import OPEN_CLIP_WEIGHTS, find_known
    from .clip.open_clip_names import open_clip_works

    known = find(name, models)
    if known is None and not _may_be_a_repo(name, models):
        usable = {model.name.casefold(): model.name for model in models if model.safetensors}
        nearest = [usable[match] for match in difflib.get_close_matches(name.casefold(), usable, 4, 0.5)]
        hint = f"the nearest names are {', '.join(nearest)}" if nearest else Take("list models")
        raise ModelError(f"There is no model {name}", hint)
    if known is not None and not known.safetensors:
        raise ModelError(f"{known.name} exists {_PICKLE_NOTE}", "choose another", Take("list models"))
    repo = known.repos[0] if known else name
    clip = find_known(name)
    if clip is not None and clip.repo == repo and clip.file:
        if not clip.transformers_repo or open_clip_works():
            return Wanted(repo, (clip.file,))
        repo = clip.transformers_repo
    if known is None and hub.find_model(repo) is None:
        files = hub.list_files(repo)
        if OPEN_CLIP_WEIGHTS in files and not any(file.startswith("model.safetensors") for file in files):
            return Wanted(repo, ("open_clip_config.json", OPEN_CLIP_WEIGHTS))
    return Wanted(repo, None, known.revision if known else "main")


def _may_be_a_repo(name: str, models: Sequence[Named]) -> bool:
    """owner/name, where the owner is none of the architectures that open_clip's names begin with."""
    owner, slash, _ = name.casefold().partition("/")
    return bool(slash) and all(owner != model.name.casefold().partition("/")[0] for model in models)
