"""The models that can be named: where the hub has them, what of them is on this disk, and what a download takes."""

from __future__ import annotations

import difflib
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .cures import Take
from .errors import ModelError
from .hub import Hub
from .micro.toy import MICRO as MICRO
from .progress import SILENT, Progress
from .published import (
    ALL,
    MAIN,
    OPEN_CLIP_CONFIG,
    OPEN_CLIP_WEIGHTS,
    PIPELINES,
    TAGGER_EXTRAS,
    TAGGER_FILES,
    TRANSFORMERS_WEIGHTS,
    for_open_clip,
)

_MICRO_NOTE = "a toy that is part of the package"
_PICKLE_NOTE = "only in a format that is never opened"


@dataclass(frozen=True)
class Named:
    """A model that can be named.

    repos: where the hub has it, the one that is loaded first. safetensors: whether it can be loaded at all.
    on_disk: whether a repository of it has files on this disk. bytes: of its download, where that is known
    without asking. use: what it is recommended for. kind: of a describer. licence: as its repository has it.
    memory: bytes that its weights take in half precision, as on a GPU; twice as many on the CPU.
    """

    name: str
    repos: tuple[str, ...]
    safetensors: bool = True
    on_disk: bool = False
    bytes: int | None = None
    note: str = ""
    revision: str = MAIN
    use: str = ""
    kind: str = ""
    licence: str = ""
    memory: int | None = None


@dataclass(frozen=True)
class Wanted:
    """What a download takes: these files of a repository, or a whole model in transformers format (files None).
    optional: files that come along where there are such."""

    repo: str
    files: tuple[str, ...] | None
    revision: str = MAIN
    optional: tuple[str, ...] = ()

    def missing(self, hub: Hub) -> dict[str, int]:
        """What is not on this disk yet: file name to bytes."""
        if self.files is None:
            return hub.missing_model_files(self.repo, self.revision)
        return hub.missing_files(self.repo, self.files, self.optional, self.revision)

    def fetch(self, hub: Hub, progress: Progress = SILENT) -> Path:
        if self.files is None:
            return hub.fetch_model(self.repo, progress, revision=self.revision)
        return hub.fetch(self.repo, self.files, progress, self.optional, revision=self.revision)


def recommended(hub: Hub) -> list[Named]:
    """The models that most people need; reads nothing but the table and this disk."""
    stored = {one.repo for one in hub.on_disk() if one.usable}
    models: list[Named] = []
    for row in (each for each in ALL if each.use):
        other = for_open_clip(row.name)
        repos = (row.repo, other.repo) if other else (row.repo,)
        name = row.repo if row in PIPELINES else row.name
        here = not stored.isdisjoint((*repos, *row.formerly))
        models.append(Named(name, repos, True, here, row.bytes, revision=row.revision, use=row.use))
    return [
        *models,
        Named(MICRO, (), on_disk=True, note=_MICRO_NOTE, use="trying things out: it knows drawn shapes alone"),
    ]


def survey(hub: Hub) -> tuple[list[Named], list[Named]]:
    """All CLIP models and all describers that have a name."""
    from .clip.names import known_models

    stored = {one.repo for one in hub.on_disk() if one.usable}
    sizes = {row.repo: row.bytes for row in ALL if row.bytes}
    clips = [Named(MICRO, (), on_disk=True, note=_MICRO_NOTE)]
    for known in known_models():
        repos = _first_loaded_first(known.repo if known.file else "", known.transformers_repo, known.settings)
        note = "" if known.safetensors else _PICKLE_NOTE
        here = not stored.isdisjoint(repos)
        revision = known.transformers_revision if repos[:1] == (known.transformers_repo,) else MAIN
        size = sizes.get(repos[0]) if repos else None
        clips.append(Named(known.name, repos, known.safetensors, here, size, note, revision))
    return clips, list(_describers(stored))


def _describers(stored: Container[str]) -> Iterator[Named]:
    """stored: repositories on this disk."""
    from .describe.kinds import KINDS

    for kind in reversed(KINDS):  # captioners, the usual describers, come first
        for name in kind.built_in:
            yield Named(name, (), on_disk=True, note=_MICRO_NOTE, kind=kind.name)
        for one in kind.known.values():
            yield Named(
                *(one.name, (one.repo,), True, one.repo in stored, one.bytes, one.summary, one.revision),
                kind=kind.name,
                licence=one.licence,
                memory=one.memory,
            )


def _first_loaded_first(open_clip_repo: str, transformers_repo: str, settings: object) -> tuple[str, ...]:
    """open_clip's files are loaded where open_clip works, which shows in its entry for the name."""
    repos = (open_clip_repo, transformers_repo) if settings else (transformers_repo, open_clip_repo)
    return tuple(repo for repo in repos if repo)


def is_part(name: str) -> bool:
    """Whether a model comes with the package."""
    from .describe.kinds import KINDS

    return name.casefold() in (MICRO, *(part for kind in KINDS for part in kind.built_in))


def find(name: str, models: Iterable[Named]) -> Named | None:
    """The one of that name; letter case does not matter."""
    return next((model for model in models if model.name.casefold() == name.casefold()), None)


def wanted(name: str, models: Sequence[Named], hub: Hub) -> Wanted:
    """What a download of a name among the models, or of a repository (owner/name), takes. Raises ModelError."""
    from .clip.names import find_known
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
    pipeline = next((row for row in PIPELINES if row.repo == repo), None)
    if pipeline is not None:
        return Wanted(repo, tuple(pipeline.files), pipeline.revision)
    clip = find_known(name)
    if clip is not None and clip.repo == repo and clip.file:
        if not clip.transformers_repo or open_clip_works():
            return Wanted(repo, (clip.file,))
        return Wanted(clip.transformers_repo, None, clip.transformers_revision)
    from .describe.tagging.tagger import TAGGER, is_tagger

    if known.kind == TAGGER if known else is_tagger(name, hub):
        return Wanted(repo, TAGGER_FILES, MAIN, TAGGER_EXTRAS)
    if known is None and hub.find_model(repo) is None:
        files = hub.list_files(repo)
        if OPEN_CLIP_WEIGHTS in files and not any(file.startswith(TRANSFORMERS_WEIGHTS) for file in files):
            return Wanted(repo, (OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS))
    return Wanted(repo, None, known.revision if known else MAIN)


def _may_be_a_repo(name: str, models: Sequence[Named]) -> bool:
    """owner/name, where the owner is none of the architectures that open_clip's names begin with."""
    owner, slash, _ = name.casefold().partition("/")
    return bool(slash) and all(owner != model.name.casefold().partition("/")[0] for model in models)
