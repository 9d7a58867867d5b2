"""A hub's list of the files of a repository."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ..foreign import Unreadable, parsed_json
from .failures import Unreachable

NO_HUB = "what answers there is no Hugging Face hub"


@dataclass(frozen=True)
class Listed:
    """What a hub tells of a file. size, digest: None where it does not; of small files the digest is git's SHA-1, of
    others the SHA-256."""

    size: int | None
    digest: str | None = None


@dataclass(frozen=True)
class Listing:
    """A commit of a repository and its files by name.

    name: what the repository is called now, "" where the hub does not say. gated: whether its files are for those who
    have asked for access alone.
    """

    commit: str
    files: dict[str, Listed]
    name: str = ""
    gated: bool = False

    @property
    def sizes(self) -> dict[str, int | None]:
        return {name: file.size for name, file in self.files.items()}


def read_listing(content: bytes) -> Listing:
    try:
        told = parsed_json(content)
        commit, siblings = told["sha"], told["siblings"]
        if not re.fullmatch(r"[0-9a-f]{7,64}", commit):
            raise Unreachable(NO_HUB)
        files = {str(each["rfilename"]): _listed(each) for each in siblings or ()}
        return Listing(commit, files, str(told.get("id") or ""), bool(told.get("gated")))
    except (Unreadable, KeyError, TypeError, AttributeError, ValueError) as error:
        raise Unreachable(NO_HUB) from error


def _listed(sibling: dict[str, Any]) -> Listed:
    """Large files have their SHA-256 beside them, small ones git's SHA-1."""
    lfs = sibling.get("lfs")
    size = sibling.get("size")
    digest = lfs.get("sha256") if isinstance(lfs, dict) else sibling.get("blobId")
    known = isinstance(digest, str) and re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", digest)
    return Listed(size if isinstance(size, int) and size >= 0 else None, digest if known else None)
