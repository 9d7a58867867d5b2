"""Whether what the project relies on lies on the hub as it says: `core.published` is asked for row by row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from ..errors import ModelError
from ..progress import SILENT, Progress
from ..published import ALL, MAIN, WEIGHTS_INDEX, Published
from .client import Hub
from .failures import Unreachable
from .listing import Listing
from .names import WEIGHT_SUFFIXES

_COUNTED = 100_000
"""A size that is a multiple of this has been counted from a model's parameters."""
_TOLERANCE = 0.05
_SHARD = re.compile(r"model-\d+-of-\d+\.safetensors")


@dataclass(frozen=True)
class Finding:
    """changes: what is otherwise than the row says; none where all is well."""

    row: Published
    changes: tuple[str, ...]


def check_published(hub: Hub, rows: Sequence[Published] = ALL, progress: Progress = SILENT) -> list[Finding]:
    """Asks for each row. Raises ModelError where no hub can be reached, Cancelled."""
    return [Finding(row, tuple(_changes(hub, row, progress))) for row in progress.track(rows, "Asking", len(rows))]


def _changes(hub: Hub, row: Published, progress: Progress) -> Iterator[str]:
    try:
        listing = hub.listing(row.repo, row.revision, progress)
    except Unreachable as error:
        if error.status is None:
            raise ModelError(f"The hub cannot be asked: {error.reason}", *error.cures) from error
        yield _refusal(row, error)
        return
    if listing.name and listing.name.casefold() != row.repo.casefold():
        yield f"is called {listing.name} now"
    if listing.gated:
        yield "is gated: its files are for those who have asked for access alone"
    yield from _other_files(row, listing)


def _refusal(row: Published, error: Unreachable) -> str:
    if error.status in (401, 404) and "revision" in error.reason:
        return f"has no revision {row.revision} any more"
    if error.status in (401, 403, 404):
        return f"is gone or private ({error.reason})"
    return f"could not be asked for ({error.reason})"


def _other_files(row: Published, listing: Listing) -> Iterator[str]:
    sizes = listing.sizes
    for name, expected in row.files.items():
        if name not in sizes:
            yield f"has no {name}{_instead(name, sizes)}"
        elif (found := sizes[name]) is not None and expected and not _is_near(found, expected):
            yield f"has {name} with {found:,} bytes instead of {expected:,}"
    shards = [size or 0 for name, size in sizes.items() if _SHARD.fullmatch(name)]
    if WEIGHTS_INDEX in row.files and row.bytes and shards and not _is_near(sum(shards), row.bytes):
        yield f"has weights of {sum(shards):,} bytes instead of about {row.bytes:,}"


def _is_near(found: int, expected: int) -> bool:
    return found == expected or (expected % _COUNTED == 0 and abs(found / expected - 1) <= _TOLERANCE)


def _instead(name: str, names: Iterable[str]) -> str:
    if not name.endswith((".safetensors", ".index.json")):
        return ""
    folder = PurePosixPath(name).parent
    beside = [each for each in map(PurePosixPath, names) if each.parent == folder]
    kinds = (frozenset({".safetensors"}), WEIGHT_SUFFIXES)
    weights = next(filter(None, ([each.name for each in beside if each.suffix in kind] for kind in kinds)), [])
    return f", but {', '.join(sorted(weights)[:3])}" if weights else ""


def said(row: Published) -> str:
    """The repository, with the revision where that is not the usual one."""
    return row.repo if row.revision == MAIN else f"{row.repo} at {row.revision[:12]}"
