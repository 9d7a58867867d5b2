"""Model files on this disk, in the folder layout of huggingface_hub's cache.

`<root>/models--OWNER--NAME/{refs/REVISION, blobs/ETAG, snapshots/COMMIT/FILE, .no_exist/COMMIT/FILE}`; the files of a
snapshot are links to blobs, or the files themselves where links are not allowed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..foreign import Unreadable, read_json
from ..published import MAIN, WEIGHTS_INDEX
from ..published import TRANSFORMERS_WEIGHTS as SINGLE_WEIGHTS

_PREFIX = "models--"
_LONGEST_NAME = 200


@dataclass(frozen=True)
class StoredRepo:
    """A hub repository that has files on this disk.

    files: file name to bytes. bytes: what the folder takes, unfinished downloads and older versions included.
    shared: it lies in the Hugging Face cache that other programs use too, not in this program's own.
    """

    repo: str
    folder: Path
    files: dict[str, int]
    bytes: int
    shared: bool

    @property
    def usable(self) -> bool:
        """Whether it holds weights in the one format that is ever opened."""
        return any(name.endswith(".safetensors") for name in self.files)


@dataclass(frozen=True)
class Snapshot:
    """One commit of a repository, as far as its files are on this disk."""

    folder: Path
    commit: str

    def has(self, names: Iterable[str]) -> bool:
        return all((self.folder / name).is_file() for name in names)


@dataclass(frozen=True)
class CacheFolder:
    """One cache root. shared: it belongs to other programs too; nothing is written or removed there."""

    root: Path
    shared: bool

    def repo_folder(self, repo: str) -> Path:
        return self.root / (_PREFIX + repo.replace("/", "--"))

    def snapshots(self, repo: str, revision: str) -> list[Snapshot]:
        """Snapshots that serve `revision`, the one its ref points to first; for "main" any other, newest first."""
        folder = self.repo_folder(repo)
        named = self._commit(folder, revision)
        with contextlib.suppress(OSError):
            found = [Snapshot(path, path.name) for path in (folder / "snapshots").iterdir() if path.is_dir()]
            found.sort(key=lambda snapshot: (snapshot.folder.stat().st_mtime_ns, snapshot.commit), reverse=True)
            first = [snapshot for snapshot in found if snapshot.commit == named]
            others = [snapshot for snapshot in found if snapshot.commit != named]
            return first + others if revision == MAIN else first
        return []

    def knows_absent(self, repo: str, commit: str, name: str) -> bool:
        """Whether the hub has said before that this commit has no such file."""
        return (self.repo_folder(repo) / ".no_exist" / commit / name).is_file()

    def note_absent(self, repo: str, commit: str, names: Iterable[str]) -> None:
        for name in names:
            path = self.repo_folder(repo) / ".no_exist" / commit / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    def note_commit(self, repo: str, revision: str, commit: str) -> None:
        if revision == commit:
            return
        path = self.repo_folder(repo) / "refs" / revision
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        fresh.write_text(commit, encoding="utf-8")
        fresh.replace(path)

    def place(self, source: Path, repo: str, commit: str, name: str) -> None:
        """Makes `source`, a blob of this cache or a file of another one, the snapshot's file of that name."""
        target = self.repo_folder(repo) / "snapshots" / commit / name
        if target.is_file():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        own = source.is_relative_to(self.root)
        link = os.path.relpath(source, target.parent) if own else str(source.resolve())
        try:
            if target.is_symlink():
                target.unlink()
            target.symlink_to(link)
        except FileExistsError:
            return
        except OSError:  # Windows without the right to make links
            _place_without_link(source, target, own)

    def repos(self) -> Iterator[StoredRepo]:
        for folder in sorted(self.root.glob(_PREFIX + "*")):
            files = {}
            for path in sorted(folder.glob("snapshots/*/**/*")):
                with contextlib.suppress(OSError):  # a link to a blob that is gone
                    if path.is_file():
                        name = PurePosixPath(*path.relative_to(folder / "snapshots").parts[1:])
                        files[str(name)] = path.stat().st_size
            taken = _bytes_below(folder)
            if files or taken:
                repo = folder.name[len(_PREFIX) :].replace("--", "/")
                yield StoredRepo(repo, folder, files, taken, self.shared)

    def remove(self, repo: str) -> int:
        """Removes the repository's folder and says how many bytes that freed."""
        folder = self.repo_folder(repo)
        freed = _bytes_below(folder)
        shutil.rmtree(folder)
        return freed

    @staticmethod
    def _commit(folder: Path, revision: str) -> str:
        try:
            return (folder / "refs" / revision).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return revision


def complete_weights(folder: Path) -> tuple[str, ...]:
    """The safetensors files (index included) that hold a transformers model's weights; empty when any is lacking."""
    if (folder / SINGLE_WEIGHTS).is_file():
        return (SINGLE_WEIGHTS,)
    names = indexed_weights(folder / WEIGHTS_INDEX)
    return names if names and all((folder / name).is_file() for name in names) else ()


def indexed_weights(index: Path) -> tuple[str, ...]:
    """The files a weight index names, and the index itself; empty when it is absent or damaged."""
    try:
        places = read_json(index).get("weight_map")
    except Unreadable:
        return ()
    shards = set(map(str, places.values())) if isinstance(places, dict) else set()
    return (index.name, *sorted(shards)) if all(map(_is_plain, shards)) and shards else ()


def _is_plain(name: str) -> bool:
    """Whether it can be a file's name at all; whether it may be taken is asked elsewhere."""
    return "\0" not in name and all(len(part) <= _LONGEST_NAME for part in name.split("/"))


def _place_without_link(source: Path, target: Path, own: bool) -> None:
    if own:
        source.replace(target)
        return
    try:
        os.link(source.resolve(), target)
    except OSError:
        fresh = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        shutil.copyfile(source, fresh)
        fresh.replace(target)


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file() and not path.is_symlink():
                total += path.stat().st_size
    return total
