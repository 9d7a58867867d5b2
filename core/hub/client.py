"""Everything that comes from a Hugging Face hub comes through here, and safetensors are the only weights it takes."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..cures import Choose, Cure, Give, Take, either
from ..errors import ModelError
from ..progress import SILENT, Progress
from .cache import MAIN, WEIGHTS_INDEX, CacheFolder, Snapshot, StoredRepo, complete_weights
from .failures import Unreachable
from .listing import Listed, Listing
from .names import (
    CONFIG,
    PROCESSOR_FILES,
    check_listed,
    check_names,
    is_safe_name,
    leading_name,
    listed_weights,
    shards,
)
from .parts import tensors_alone
from .patience import Patience
from .transfer import Remote, part_of, size_of

NO_CLIP = Choose("clip", ("micro",))
OTHER_CACHE = Give("cache", "another folder")
_MAKE_ROOM = "make room"


class Hub:
    """Finds model files on this disk and fetches them from a hub when they are not there.

    cache: the folder for downloads and tables; None for $UNRENDER_CACHE, else the platform's cache folder.
    patience: seconds without any answer after which the hub counts as out of reach.

    Downloads lie in `<cache>/models` in huggingface_hub's own layout. Files in the ordinary Hugging Face cache
    ($HF_HUB_CACHE, $HF_HOME, ~/.cache/huggingface) are used where they are. HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE
    are read at each call. What is on the disk is used without asking the hub for a newer version.

    Every method raises ModelError, one sentence, for whatever goes wrong, within ten seconds without a network; and
    Cancelled when `progress` says so.
    """

    def __init__(self, cache: str | os.PathLike[str] | None = None, *, patience: float = 8.0) -> None:
        self.folder = Path(cache or os.environ.get("UNRENDER_CACHE") or _platform_cache()).expanduser()
        self.models = self.folder / "models"
        self._patience = patience

    def fetch(
        self,
        repo: str,
        files: Sequence[str],
        progress: Progress = SILENT,
        optional: Sequence[str] = (),
        *,
        revision: str = MAIN,
        instead: Cure = NO_CLIP,
    ) -> Path:
        """A local folder that holds these files of one commit of `repo`, under their names in the repository.

        optional: files that are fetched where the repository has them.
        revision: a branch, tag, pull request (refs/pr/N) or full commit.
        instead: what the error proposes to do without the download, besides copying the model here.
        """
        check_names(repo, [*files, *optional], revision)
        complete = self._snapshot(repo, files, optional, revision)
        if complete:
            return complete.folder
        usable = self._snapshot(repo, files, (), revision)
        try:
            remote = self._remote(repo, progress, obliging=usable is None)
            return self._download(remote, files, progress, optional, usable.commit if usable else revision, revision)
        except Unreachable as error:
            if usable:
                return usable.folder
            raise self._failure(repo, leading_name(files), error, instead) from error

    def fetch_model(
        self,
        repo: str,
        progress: Progress = SILENT,
        *,
        revision: str = MAIN,
        instead: Cure = NO_CLIP,
    ) -> Path:
        """A local folder with everything transformers needs of `repo`: configuration, tokenizer, processor, weights."""
        check_names(repo, (), revision)
        files = self._model_files_on_disk(repo, revision)
        if not files:
            listing = self._ask(repo, revision, CONFIG, instead, progress, obliging=True)
            files = [CONFIG, *listed_weights(repo, listing.sizes)]
            if WEIGHTS_INDEX in files:
                folder = self.fetch(repo, files, progress, revision=revision, instead=instead)
                files = [CONFIG, *shards(repo, folder)]
        return self.fetch(repo, files, progress, PROCESSOR_FILES, revision=revision, instead=instead)

    def fetch_tensors(
        self, repo: str, file: str, tensors: Sequence[str], progress: Progress = SILENT, *, revision: str = MAIN
    ) -> bytes:
        """The content of a safetensors file with some tensors of a repository's file, whose rest is not downloaded.

        For small ones: nothing is kept, or taken up again.
        """
        check_names(repo, [file], revision)
        try:
            remote = self._remote(repo, progress)
            listing = remote.listing(revision)
            check_listed(repo, [file], listing.sizes)
            return tensors_alone(remote, listing.commit, file, tensors, progress)
        except Unreachable as error:
            raise self._failure(repo, f"{tensors[0]} in {file}", error) from error

    def find(self, repo: str, files: Sequence[str], revision: str = MAIN) -> Path | None:
        """The folder `fetch` would give if all these files are on this disk; never asks the hub."""
        check_names(repo, files, revision)
        snapshot = self._snapshot(repo, files, (), revision)
        return snapshot.folder if snapshot else None

    def find_model(self, repo: str, revision: str = MAIN) -> Path | None:
        """The folder of a transformers model whose configuration and weights are on this disk."""
        check_names(repo, (), revision)
        files = self._model_files_on_disk(repo, revision)
        return self.find(repo, files, revision) if files else None

    def list_files(self, repo: str, revision: str = MAIN, *, instead: Cure = NO_CLIP) -> dict[str, int]:
        """Name and bytes of all the repository's files, from the hub; 0 where it does not tell the size."""
        check_names(repo, (), revision)
        listing = self._ask(repo, revision, "the list of files", instead)
        return {name: size or 0 for name, size in sorted(listing.sizes.items())}

    def listing(self, repo: str, revision: str = MAIN, progress: Progress = SILENT) -> Listing:
        """What the hub tells of a repository. Raises Unreachable and no ModelError, for who tells failures apart."""
        return self._remote(repo, progress, obliging=False).listing(revision)

    def missing_files(
        self, repo: str, files: Sequence[str], optional: Sequence[str] = (), revision: str = MAIN
    ) -> dict[str, int]:
        """Name and bytes of what `fetch` would download now, empty when all is here; for showing the size first."""
        check_names(repo, [*files, *optional], revision)
        if self._snapshot(repo, files, optional, revision):
            return {}
        listing = self._ask(repo, revision, leading_name(files), NO_CLIP)
        check_listed(repo, files, listing.sizes)
        wanted = [*files, *(name for name in optional if name in listing.sizes)]
        return {
            name: listing.sizes[name] or 0
            for name in dict.fromkeys(wanted)
            if not self._place_of(repo, listing.commit, name)
        }

    def missing_model_files(self, repo: str, revision: str = MAIN) -> dict[str, int]:
        """Name and bytes of what `fetch_model` would download now, shards of the weights included."""
        check_names(repo, (), revision)
        files = self._model_files_on_disk(repo, revision)
        if not files:
            listing = self._ask(repo, revision, CONFIG, NO_CLIP)
            files = [CONFIG, *listed_weights(repo, listing.sizes)]
            if WEIGHTS_INDEX in files:
                files += [name for name in listing.sizes if re.fullmatch(r"model-.*\.safetensors", name)]
        return self.missing_files(repo, files, PROCESSOR_FILES, revision)

    def on_disk(self) -> list[StoredRepo]:
        """All model repositories on this disk, this program's own first."""
        return [repo for folder in self._folders() for repo in folder.repos()]

    def remove(self, repo: str) -> int:
        """Removes a repository from this program's own cache and returns the bytes freed.

        What lies in the shared Hugging Face cache is other programs' too and is refused.
        """
        check_names(repo, ())
        for folder in self._folders():
            if not folder.repo_folder(repo).is_dir():
                continue
            if folder.shared:
                raise ModelError(
                    f"{repo} lies in the Hugging Face cache that other programs use too, {folder.repo_folder(repo)}",
                    "remove it there by hand if nothing else needs it",
                )
            try:
                return folder.remove(repo)
            except OSError as error:
                raise ModelError(
                    f"{repo} cannot be removed from {folder.root} ({error.strerror or error})",
                    "close the programs that use it and try again",
                ) from error
        raise ModelError(f"There is nothing of {repo} in {self.models}", Take("list models"))

    # --- disk ---

    def _folders(self) -> list[CacheFolder]:
        shared = _shared_cache()
        own = CacheFolder(self.models, shared=False)
        if shared.resolve() == self.models.resolve():
            return [CacheFolder(shared, shared=True)]
        return [own, CacheFolder(shared, shared=True)]

    def _snapshot(self, repo: str, files: Sequence[str], optional: Sequence[str], revision: str) -> Snapshot | None:
        """A snapshot with all the files, and of the optional ones all but those known not to exist."""
        folders = self._folders()
        for folder in folders:
            for snapshot in folder.snapshots(repo, revision):
                if snapshot.has(files) and all(
                    snapshot.has([name]) or any(other.knows_absent(repo, snapshot.commit, name) for other in folders)
                    for name in optional
                ):
                    return snapshot
        return None

    def _model_files_on_disk(self, repo: str, revision: str) -> list[str]:
        for folder in self._folders():
            for snapshot in folder.snapshots(repo, revision):
                weights = complete_weights(snapshot.folder)
                if weights and snapshot.has([CONFIG]) and all(map(is_safe_name, weights)):
                    return [CONFIG, *weights]
        return []

    def _place_of(self, repo: str, commit: str, name: str) -> Path | None:
        for folder in self._folders():
            path = folder.repo_folder(repo) / "snapshots" / commit / name
            if path.is_file():
                return path
        return None

    # --- hub ---

    def _download(
        self,
        remote: Remote,
        files: Sequence[str],
        progress: Progress,
        optional: Sequence[str],
        commit: str,
        revision: str,
    ) -> Path:
        repo = remote.repo
        listing = remote.listing(commit)
        check_listed(repo, files, listing.sizes)
        own = CacheFolder(self.models, shared=False)
        wanted = dict.fromkeys([*files, *(name for name in optional if name in listing.sizes)])
        lacking = [name for name in wanted if not self._place_of(repo, listing.commit, name)]
        sizes = [listing.sizes[name] for name in lacking]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        blobs = own.repo_folder(repo) / "blobs"
        locks = self.folder / "locks" / own.repo_folder(repo).name
        try:
            self._check_space(repo, [listing.files[name] for name in lacking], blobs)
            own.note_absent(repo, listing.commit, (name for name in optional if name not in listing.sizes))
            with progress.task(f"Downloading {repo}", total, "B") as task:
                for name in sorted(lacking, key=lambda name: listing.sizes[name] or 0):
                    blob = remote.download(listing.commit, name, listing.files[name], blobs, locks, task)
                    own.place(blob, repo, listing.commit, name)
            for name in wanted:
                place = self._place_of(repo, listing.commit, name)
                if place:
                    own.place(place, repo, listing.commit, name)
            own.note_commit(repo, revision, listing.commit)
        except OSError as error:
            full = (_MAKE_ROOM,) if error.errno in (errno.ENOSPC, errno.EDQUOT) else ()
            problem = f"{repo} cannot be kept in {self.models} ({error.strerror or error})"
            raise ModelError(problem, *full, OTHER_CACHE) from error
        return own.repo_folder(repo) / "snapshots" / listing.commit

    def _ask(
        self,
        repo: str,
        revision: str,
        wanted: str,
        instead: Cure,
        progress: Progress = SILENT,
        obliging: bool = False,
    ) -> Listing:
        try:
            return self._remote(repo, progress, obliging).listing(revision)
        except Unreachable as error:
            raise self._failure(repo, wanted, error, instead) from error

    def _remote(self, repo: str, progress: Progress, obliging: bool = True) -> Remote:
        """obliging: whether it waits for minutes where the hub asks for that."""
        for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
            if _is_set(variable):
                raise Unreachable(f"{variable} forbids asking the hub", f"start without {variable}")
        import huggingface_hub.utils  # noqa: F401 - takes a second, which is not the network's

        endpoint = _endpoint()
        if not re.match(r"https?://[^/\s]+", endpoint):
            raise Unreachable(f"HF_ENDPOINT is {endpoint!r}, which is no address", f"write https://{endpoint}")
        token = (os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN") or "").strip() or None
        return Remote(endpoint, token, repo, Patience(self._patience, obliging), progress)

    def _check_space(self, repo: str, lacking: Iterable[Listed], blobs: Path) -> None:
        """blobs: where a part of them may lie already."""
        self.models.mkdir(parents=True, exist_ok=True)
        needed = sum(max(0, (file.size or 0) - size_of(part_of(blobs, file.digest or ""))) for file in lacking)
        free = shutil.disk_usage(self.models).free
        if needed > free:
            raise ModelError(
                f"{repo} needs {needed / 1e9:.1f} GB and {self.models} has {free / 1e9:.1f} GB left",
                _MAKE_ROOM,
                OTHER_CACHE,
            )

    def _failure(self, repo: str, wanted: str, error: Unreachable, *instead: Cure) -> ModelError:
        places = either([str(folder.root) for folder in self._folders()])
        return ModelError(
            f"{wanted} of {repo} is not in {places} and could not be had from {_endpoint()}: {error.reason}",
            *error.cures,
            Take("copy the model"),
            *instead,
        )


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").strip().rstrip("/")


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "").upper() in {"1", "ON", "YES", "TRUE"}


def _shared_cache() -> Path:
    """Where huggingface_hub keeps its files, by the same variables it reads once at import."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(variable):
            return Path(os.path.expandvars(os.environ[variable])).expanduser()
    caches = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    home = os.environ.get("HF_HOME")
    return (Path(os.path.expandvars(home)) if home else caches / "huggingface").expanduser() / "hub"


def _platform_cache() -> str:
    from platformdirs import user_cache_dir

    return user_cache_dir("unrender", appauthor=False)
