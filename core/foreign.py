"""Files that others made: read within limits, and what is wrong with them told in a few words."""

from __future__ import annotations

import json
import math
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .cures import Cure
from .errors import ModelError, UnrenderError
from .printable import printable, shortened
from .shortage import is_out_of_memory

WHOLE_AGAIN = "get the whole model again"
LARGEST_JSON = 64 * 2**20
_MOST_OPENINGS = 2_000_000
_DEEPEST = 100
_LARGEST_NUMBER = 10**31
"""transformers writes 10^30 where a tokenizer has no greatest length."""
_HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")
_SHOWN = 200


class Unreadable(ValueError):
    """What is wrong with a file, in words that fit in brackets."""


def parsed_json(data: bytes, most: int = LARGEST_JSON, most_openings: int = _MOST_OPENINGS) -> Any:
    """Raises Unreadable for what is no JSON, nested too deeply, or too much: of bytes, or of brackets that open, each
    of which takes memory."""
    if len(data) > most or data.count(b"[") + data.count(b"{") > most_openings:
        raise Unreadable("it is larger than any such file")
    try:
        value = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Unreadable("it is not UTF-8 text") from error
    except RecursionError as error:
        raise Unreadable("it is nested too deeply") from error
    except ValueError as error:
        raise Unreadable(f"it is no JSON: {error}") from error
    _check_tree(value, halves=_HALF_CHARACTER.search(data) is not None)
    return value


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises Unreadable, also where there is none."""
    found = parsed_json(read_bytes(path, LARGEST_JSON))
    if not isinstance(found, dict):
        raise Unreadable("it holds no JSON object")
    return found


def read_bytes(path: Path, most: int) -> bytes:
    """A whole file. Raises Unreadable for one that is absent, larger, or no regular file, which might never end."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise Unreadable("it is no regular file")
        if found.st_size > most:
            raise Unreadable(f"it is larger than {most >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise Unreadable(error.strerror or "it cannot be opened") from error
    except ValueError as error:  # a name with NUL
        raise error if isinstance(error, Unreadable) else Unreadable("its name is none") from error


def existing(name: str) -> Path | None:
    """The file or folder that a person names; None where there is none, or cannot be one of that name."""
    try:
        path = Path(name).expanduser()
        path.stat()
    except (OSError, ValueError, RuntimeError):  # a name with NUL, or too long; nobody's home
        return None
    return path


def _check_tree(value: Any, halves: bool) -> None:
    """Without recursion, which is what is guarded against."""
    level = [value]
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                below += each.values()
                if halves:
                    below += each
            elif isinstance(each, list):
                below += each
            elif isinstance(each, int) and abs(each) > _LARGEST_NUMBER:
                raise Unreadable("it holds a number with too many digits")
            elif halves and isinstance(each, str) and not is_text(each):
                raise Unreadable("it holds half a character")
        if not below:
            return
        level = below
    raise Unreadable("it is nested too deeply")


def is_text(text: str) -> bool:
    """Whether there is no half of a character in it, which nothing can write."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


# --- safetensors ---

_LARGEST_HEADER = 100_000_000  # as the library has it
_BITS = {
    **dict.fromkeys(("BOOL", "I8", "U8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
    **{"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6},
}
FLOATS = ("F16", "BF16", "F32", "F64")


@dataclass(frozen=True)
class Stored:
    """A tensor in a file. start, stop: of its bytes, from where the header ends."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def numel(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Header:
    """What a safetensors file says that it holds, of which all has been found to fit together."""

    tensors: Mapping[str, Stored]
    metadata: Mapping[str, str]

    def shape(self, name: str, *dtypes: str, ndim: int) -> tuple[int, ...]:
        """Raises Unreadable where there is no such tensor, or one of another type or with nothing in it."""
        found = self.tensors.get(name)
        if found is None:
            raise Unreadable(f"it lacks {name}")
        if found.dtype not in dtypes or len(found.shape) != ndim or 0 in found.shape:
            told = " x ".join(map(str, found.shape)) or "no"
            raise Unreadable(f"its {name} is {told} values of {found.dtype}")
        return found.shape


def read_header(path: Path) -> Header:
    """The header of a safetensors file (https://github.com/huggingface/safetensors): eight bytes with its length,
    little-endian, and JSON with each tensor's dtype, shape and place. Raises Unreadable."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise Unreadable("it is no regular file")
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(_LARGEST_HEADER, found.st_size - 8):
                raise Unreadable("it is no safetensors file, or cut off")
            data = file.read(length)
    except OSError as error:
        raise Unreadable(error.strerror or "it cannot be opened") from error
    return header_of(data, found.st_size - 8 - length)


def header_of(data: bytes, room: int) -> Header:
    """room: bytes that follow the header. Raises Unreadable."""
    if not data.startswith(b"{"):
        raise Unreadable("it is no safetensors file")
    tree = parsed_json(data)
    if not isinstance(tree, dict):
        raise Unreadable("its header is no object")
    metadata = tree.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise Unreadable("the metadata in its header is not of texts")
    tensors = {name: _stored(name, entry) for name, entry in tree.items()}
    end = 0
    for each in sorted(tensors.values(), key=lambda each: (each.start, each.stop)):
        if each.start != end:
            raise Unreadable("its tensors overlap or leave gaps")
        end = each.stop
    if end != room:
        raise Unreadable("it is cut off, or longer than its header says")
    return Header(tensors, metadata)


def _stored(name: str, entry: Any) -> Stored:
    try:
        dtype, shape, (start, stop) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        if not all(type(each) is int and 0 <= each < 2**48 for each in (*shape, start, stop)):
            raise TypeError
        if math.prod(filter(None, shape)) >= 2**60 or math.prod(shape) * _BITS[dtype] != 8 * (stop - start):
            raise TypeError
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"its header says of {shown(name)} what cannot be") from error
    return Stored(dtype, shape, start, stop)


def read_tensors(path: Path, names: Sequence[str], framework: str = "pt") -> dict[str, Any]:
    """Tensors of a file whose header was found to be sound; they may be mapped. Raises Unreadable."""
    from safetensors import safe_open

    with _safetensors_reads(), safe_open(str(path), framework) as file:
        return {name: file.get_tensor(name) for name in names}


def steady(data: bytes) -> bytes:
    """A safetensors file with its header in one order, which the library leaves to chance: equal files are equal to the
    byte then."""
    length = 8 + int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8:length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[length:]


def loaded_tensors(data: bytes) -> dict[str, Any]:
    """All tensors of a file that is in memory. Raises Unreadable."""
    from safetensors.torch import load

    with _safetensors_reads():
        return load(data)


@contextmanager
def _safetensors_reads() -> Iterator[None]:
    from safetensors import SafetensorError

    try:
        yield
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise Unreadable(first_line(error)) from error


# --- libraries that read models' files ---


@contextmanager
def library_reads(problem: str, *cures: Cure) -> Iterator[None]:
    """Around nothing but a library's reading of a model's files: whatever it raises about them becomes a ModelError.
    What is no fault of theirs passes: a stop, a lack of memory, a package that is not there."""
    try:
        yield
    except (UnrenderError, MemoryError, ImportError):
        raise
    except Exception as error:  # the tokenizers library raises just that, and pydantic-like ones their own
        if is_out_of_memory(error):
            raise
        raise ModelError(f"{problem} ({first_line(error)})", *cures) from error


def first_line(error: BaseException) -> str:
    """Of what a library says, so that it fits into a sentence."""
    lines = [line for line in map(str.strip, printable(str(error)).splitlines()) if line]
    return (lines or [type(error).__name__])[0][:_SHOWN].rstrip(". ")


def shown(name: str, most: int = 80) -> str:
    """A name of a file's own, with its middle left out where it is long, without what cannot be shown."""
    return shortened(" ".join(printable(name).split()), most)


def few(names: Sequence[str], most: int = 3) -> str:
    """A few of the names, and of how many."""
    told = ", ".join(map(shown, names[:most]))
    return told if len(names) <= most else f"{told} and {len(names) - most} more"
