"""Pictures in a store that has an address: s3://bucket/folder, gs://, abfss://, hdfs://, file://."""

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
            raise ImageError(f'"{self.name}" cannot be read from {self.folder} ({error})') from error
        except SettingsError as error:
            raise ImageError(error.problem, *error.cures) from error
        return open_image(data, self.name)

    def read(self) -> bytes:
        store, path = _store(self.folder)
        with store.open_input_stream(f"{path}/{self.below}") as stream:
            return stream.read()

    def name_among_sources(self, root: Path) -> str:
        place = self.folder.partition("://")[2].partition("?")[0]
        return f"{place.rstrip('/')}/{self.below}"


def remote_item(address: str) -> RemoteItem:
    """The picture with this address, which is its name too."""
    folder, _, name = address.rpartition("/")
    return RemoteItem(address, None, folder, name)


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
            problem = f"The folder {self._address} cannot be listed ({error})"
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
        raise SettingsError(f"{address} cannot be reached ({error})", "check the address") from error
    return store, path.rstrip("/")
