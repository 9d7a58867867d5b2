"""Pictures in a store that has an address: s3://bucket/folder, gs://, abfss://, hdfs://, file://.

An address that a user types may say all that pyarrow takes. One in a list, which a stranger may have made, names a
place in a store and no more: the machine that is asked, and is shown who asks, follows from the user's configuration.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from ..cures import Install
from ..errors import ImageError, MissingPackageError, SettingsError
from .folders import is_picture
from .items import Item

if TYPE_CHECKING:
    from PIL.Image import Image


_MOST_BYTES = 2**30
_AT_ONCE = 2**22

_LISTED = re.compile(
    r"(?P<scheme>[a-z0-9+.-]+)://(?P<host>[\w.@-]*)(?P<path>/[^?\\]*|)(?P<region>\?region=[a-z0-9-]+)?", re.ASCII
)
_NAME = r"[\w.-]+"
_AZURE = r"\.(?:dfs|blob)\.core\.(?:windows\.net|chinacloudapi\.cn|usgovcloudapi\.net)"
_HOSTS = {
    "s3": re.compile(_NAME),
    "gs": re.compile(f"(?:anonymous@)?{_NAME}"),
    "gcs": re.compile(f"(?:anonymous@)?{_NAME}"),
    "abfs": re.compile(rf"(?:[\w-]+@)?[\w-]+(?:{_AZURE})?"),
    "abfss": re.compile(rf"(?:[\w-]+@)?[\w-]+(?:{_AZURE})?"),
    "hdfs": re.compile("(?:default)?"),
    "viewfs": re.compile(""),
    "file": re.compile(""),
}
"""What stands for the machine, in each kind of address that a list may have: a bucket, or what is configured."""
_OTHERWISE = "check the address, or name its folder as a source if you trust it"


def is_address(name: str) -> bool:
    return re.match(r"[a-z][a-z0-9+.-]+://", name) is not None


@dataclass(frozen=True)
class RemoteItem(Item):
    """A picture `below` the folder with this address."""

    folder: str
    below: str

    def open(self) -> Image:
        from ..images import open_image

        try:
            data = self.read()
        except OSError as error:
            raise ImageError(f'"{self.name}" cannot be read from {_public(self.folder)} ({error})') from error
        except SettingsError as error:
            raise ImageError(error.problem, *error.cures) from error
        return open_image(data, self.name)

    def read(self) -> bytes:
        store, path = _store(self.folder)
        place = f"{path}/{self.below}"
        if store.type_name == "local" and not store.get_file_info(place).is_file:
            raise OSError("it is no file")  # a pipe or a device, which could be waited for for ever
        with store.open_input_stream(place) as stream:
            return _bounded(stream)

    def name_among_sources(self, root: Path) -> str:
        place = _public(self.folder).partition("://")[2]
        return f"{place.rstrip('/')}/{self.below}"


@dataclass(frozen=True)
class Refused(Item):
    """A picture that is not asked for, and why."""

    reason: str
    cure: str

    def open(self) -> Image:
        raise ImageError(f'"{self.name}" is not read, because {self.reason}', self.cure)


def listed_item(address: str) -> Item:
    """The picture with an address that a list has, which is its name too."""
    folder, _, name = address.rpartition("/")
    reason = _why_not(folder)
    return Refused(address, None, reason, _OTHERWISE) if reason else RemoteItem(address, None, folder, name)


def _why_not(folder: str) -> str:
    """What speaks against asking for a folder that a list names; "" for nothing."""
    found = _LISTED.fullmatch(folder)
    if found is None:
        return "an address in a list names a place in a store, and no user, machine or setting"
    if found["scheme"] not in _HOSTS:
        return f"a list may name no place of the kind {found['scheme']}"
    if _HOSTS[found["scheme"]].fullmatch(found["host"]) is None:
        return f"{found['host']} is no place that a list may name"
    if found["scheme"] == "file" and found["path"].startswith("//"):
        return "a list may name no other machine"
    return "" if found["scheme"] == "s3" or not found["region"] else "only addresses of S3 have a region"


class RemoteSource:
    """The pictures in a folder of a store, as `FolderSource` has those on a disk. Outputs belong where the run is
    started. Raises SettingsError for an address that has no folder, and MissingPackageError without pyarrow."""

    def __init__(self, address: str, recursive: bool = False, pattern: str = "*") -> None:
        self.root = Path()
        self._address = address
        self._recursive = recursive
        self._pattern = pattern
        _store(address)

    def __iter__(self) -> Iterator[Item]:
        from pyarrow.fs import FileSelector

        store, folder = _store(self._address)
        try:
            found = store.get_file_info(FileSelector(folder, recursive=self._recursive))
        except OSError as error:
            problem = f"The folder {_public(self._address)} cannot be listed ({error})"
            raise SettingsError(problem, "check the address") from error
        below = (PurePosixPath(info.path).relative_to(folder) for info in found if info.is_file)
        names = sorted(path.as_posix() for path in below if self._is_meant(path))
        return (RemoteItem(name, None, self._address, name) for name in names)

    def _is_meant(self, path: PurePosixPath) -> bool:
        hidden = any(part.startswith(".") for part in path.parts)
        return not hidden and is_picture(path.name) and fnmatch(path.name, self._pattern)


@cache
def _store(address: str) -> tuple[Any, str]:
    """What serves an address, and the path there. Kept, since some ask a network for their region first."""
    try:
        from pyarrow.fs import FileSystem
    except ImportError as error:
        raise MissingPackageError("Addresses of pictures need pyarrow", Install(("pyarrow",))) from error
    try:
        store, path = FileSystem.from_uri(address)
    except (ValueError, OSError) as error:
        reason = str(error).replace(address, _public(address))
        raise SettingsError(f"{_public(address)} cannot be reached ({reason})", "check the address") from error
    return store, path.rstrip("/")


def _public(address: str) -> str:
    """An address without the secrets that may be in it."""
    scheme, _, place = address.partition("?")[0].partition("://")
    host, slash, path = place.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def _bounded(stream: Any) -> bytes:
    parts: list[bytes] = []
    left = _MOST_BYTES
    while part := stream.read(_AT_ONCE):
        parts.append(part)
        left -= len(part)
        if left < 0:
            raise OSError(f"it is larger than {_MOST_BYTES >> 20} MiB")
    return b"".join(parts)
