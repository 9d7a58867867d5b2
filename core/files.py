"""Files under names of our own. A folder from elsewhere may hold anything under them: links that lead out of it, pipes
that make a reader wait for ever. They are never followed and never waited for."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from .errors import BatchError

if TYPE_CHECKING:
    from PIL.Image import Image

_CAREFUL = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
_OPEN_ALREADY = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")
_KINDS = {
    stat.S_IFLNK: "it is a link",
    stat.S_IFDIR: "it is a folder",
    stat.S_IFIFO: "it is a pipe",
    stat.S_IFSOCK: "it is a socket",
}


class NotAFileError(OSError):
    """Something else than a plain file has the name."""

    def __init__(self, path: str | os.PathLike[str], mode: int) -> None:
        super().__init__(errno.EINVAL, _KINDS.get(stat.S_IFMT(mode), "it is a device"), os.fspath(path))

    def __str__(self) -> str:
        return self.strerror or ""


def refuse_other(path: Path) -> None:
    """NotAFileError where the name is not a plain file's; nothing where there is none."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        _check(path, path.lstat())


def refuse_endless(path: Path) -> None:
    """NotAFileError for what may be waited for without end: a pipe or a device, unless it is open already, as what a
    shell gives in place of a file is. Links are followed. Raises OSError where there is nothing."""
    if not str(path).startswith(_OPEN_ALREADY):
        _check(path, path.stat())


def is_inside(folder: Path, path: Path) -> bool:
    """Whether a name is in the folder or below it, once the links that lead there are resolved. It may be a link. What
    no file can be called is nowhere."""
    try:
        if b"\0" in os.fsencode(path):
            return False
        return path.name != ".." and path.parent.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # too long, no name at all, links in a circle
        return False


def is_anothers(path: Path) -> bool:
    """Whether another user wrote a file, as far as the system tells whose it is: not where all files on a disk are
    said to be one user's. Raises OSError."""
    if not hasattr(os, "geteuid") or path.lstat().st_uid == os.geteuid():
        return False
    with tempfile.TemporaryFile(dir=path.parent) as own:
        return path.lstat().st_uid != os.fstat(own.fileno()).st_uid


def open_own(path: Path, *, make: bool = False) -> int:
    """A descriptor to read a plain file and to change it. make: one that is not there is made. Raises OSError."""
    return _opened(path, os.O_RDWR | (os.O_CREAT if make else 0))


def read_own(path: Path) -> BinaryIO:
    """A plain file, opened for reading. Raises OSError."""
    return os.fdopen(_opened(path, os.O_RDONLY), "rb")


def new_file(path: Path) -> BinaryIO:
    """A file that was not there before, opened for writing: whatever had its name is gone. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CAREFUL
    try:
        return os.fdopen(os.open(path, flags, 0o666), "wb")
    except FileExistsError:
        path.unlink()
        return os.fdopen(os.open(path, flags, 0o666), "wb")


@contextlib.contextmanager
def replacing(path: Path, unfinished: Path | None = None) -> Iterator[BinaryIO]:
    """What is written becomes the file, as a whole, when all went well; a link of its name is replaced, not followed.

    unfinished: what it is called until then, in the same folder. Raises OSError, also where the name is a device's."""
    unfinished = unfinished or path.with_name(f".{uuid.uuid4().hex[:16]}.part")
    with contextlib.suppress(FileNotFoundError):
        _check(path, path.stat())
    try:
        with new_file(unfinished) as file:
            yield file
        unfinished.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise


def replace_whole(path: Path, data: bytes, unfinished: Path | None = None) -> None:
    """The file holds `data`, or what it held before, whenever the process ends. Raises what `replacing` does."""
    with replacing(path, unfinished) as file:
        write_all(file.fileno(), data)


def write_whole(path: Path, data: bytes) -> None:
    """As `replace_whole`, and in place where the file may be written but not its folder."""
    if os.access(path.absolute().parent, os.W_OK):
        replace_whole(path, data)
        return
    with os.fdopen(open_own(path), "r+b", 0) as file:
        file.truncate()
        write_all(file.fileno(), data)


def save_picture(picture: Image, path: Path, **options: Any) -> None:
    """With `write_whole`, in the format that the name tells. Raises OSError, and ValueError for a name that tells
    none."""
    from PIL import Image

    form = Image.registered_extensions().get(path.suffix.casefold())
    if form is None:
        raise ValueError(f"unknown file extension: {path.suffix}")
    made = io.BytesIO()
    picture.save(made, form, **options)
    write_whole(path, made.getvalue())


def write_all(descriptor: int, data: bytes) -> None:
    """Raises OSError, after a part perhaps."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _opened(path: Path, flags: int) -> int:
    refuse_other(path)
    descriptor = os.open(path, flags | _CAREFUL, 0o666)
    try:
        _check(path, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotAFileError(path, found.st_mode)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Inside it, what keeps work that goes on from being written is a BatchError."""
    try:
        yield
    except OSError as error:
        raise BatchError(
            f"{path} cannot be written ({error.strerror or error})",
            "make room there and do the same again, which goes on where it was",
        ) from error
