"""Files that are nearly right: one that is, with a few things in it changed by chance.

What is known of a file's form is used, so that the change arrives where it is read: checksums of PNG chunks are made
right again, JSON is changed as a tree, a safetensors header has its true length. The n-th file of a name is always the
same.
"""

from __future__ import annotations

import json
import random
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

Files = Mapping[str, bytes]
"""What a folder holds: names, with slashes, and the bytes."""


class Reader(NamedTuple):
    """read: given the folder with a seed's files. costly: it takes long to read one. only: the files to change."""

    name: str
    seeds: Callable[[], Sequence[Files]]
    read: Callable[[Path], object]
    costly: bool = False
    only: tuple[str, ...] = ()


PNG = b"\x89PNG\r\n\x1a\n"
_DEEP, _HUGE = "<deep>", "<huge>"
_TREES = (b"{", b"[", b"\xef\xbb\xbf{")
_LONGEST_TREE = 100_000

_ODD_NUMBERS = (0, 1, -1, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
_ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 0.5, 2**31, 2**63, 2**64, 10**400, 1e308, float("nan"), float("inf")),
    *("", " ", "\0", "\ud800", "x" * 240, "x" * 5000, "../../x", "/dev/zero", "~nobody/x"),
    *("\x1b[31m", "=1+1", "{}", "é\r\n"),
    *([], {}, [[]], [None], {"": None}, [1, "a"], _DEEP, _HUGE),
)
_ODD_LINES = (
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\r",
    b"\n",
    b'"',
    b",",
    b";",
    b"\xc3",
    b"{",
    b"[" * 3000,
    b"\x1b[2J",
)


def mutated(seeds: Sequence[Files], name: str, number: int, only: Sequence[str] = ()) -> dict[str, bytes]:
    """The `number`-th mutation of one of `seeds`; `name` keeps those of different readers apart. only: the names of the
    files to change; all where there are none."""
    chance = random.Random(f"{name} {number}")
    files = dict(chance.choice(seeds))
    names = sorted(only or files)
    if len(files) > 1 and chance.random() < 0.05:
        del files[chance.choice(names)]
        return files
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        one = chance.choice(names)
        others = [seed[one] for seed in seeds if one in seed]
        files[one] = _changed(files[one], others, chance)
    return files


def _changed(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    knows = _knowing(data)
    if knows is not None and chance.random() < 0.6:
        return knows(data, chance)
    return _bytes_changed(data, others, chance)


def _knowing(data: bytes) -> Callable[[bytes, random.Random], bytes] | None:
    """How to change a file of this form without breaking it before the change is read."""
    if data.startswith(PNG):
        return _png_changed
    if data[8:9] == b"{" and len(data) >= 8 + int.from_bytes(data[:8], "little"):
        return _safetensors_changed
    if data.startswith(_TREES) and len(data) < _LONGEST_TREE:
        return _tree_changed
    return None


def _bytes_changed(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    length = chance.choice((1, 2, 4, 8, 16, 64, 1024))
    way = chance.randrange(9)
    if way == 0 and data:  # a bit
        at %= len(data)
        return data[:at] + bytes((data[at] ^ (1 << chance.randrange(8)),)) + data[at + 1 :]
    if way == 1:  # noise
        return data[:at] + chance.randbytes(length) + data[at + length :]
    if way == 2:  # a number that is often taken for granted
        size, order = chance.choice((1, 2, 4, 8)), chance.choice(("big", "little"))
        value = chance.choice(_ODD_NUMBERS) % (1 << 8 * size)
        return data[:at] + value.to_bytes(size, order) + data[at + size :]
    if way == 3:
        return data[:at] + data[at + length :]
    if way == 4:
        return data[:at] + data[at : at + length] * chance.choice((2, 2, 3, 100)) + data[at + length :]
    if way == 5:
        return data[:at]
    if way == 6:
        return data[:at] + chance.choice(_ODD_LINES) + data[at:]
    if way == 7:
        other = chance.choice(others) if others else b""
        return data[:at] + other[chance.randrange(len(other) + 1) :]
    return data[:at] + bytes(length) + data[at + length :]


def _png_changed(data: bytes, chance: random.Random) -> bytes:
    chunks = _chunks(data)
    if not chunks:
        return data
    at = chance.randrange(len(chunks))
    kind, body = chunks[at]
    way = chance.randrange(5)
    if way == 0:
        chunks.insert(at, chunks[chance.randrange(len(chunks))])
    elif way == 1:
        del chunks[at]
    elif way == 2:
        chunks.insert(at, _odd_chunk(chance))
    elif way == 3 and kind == b"IDAT":  # behind the compression, where the decoder is not
        chunks[at] = (kind, zlib.compress(_bytes_changed(_inflated(body), (), chance)))
    else:
        chunks[at] = (kind, _bytes_changed(body, (), chance))
    return PNG + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks, at = [], len(PNG)
    while at + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        chunks.append((kind, data[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _odd_chunk(chance: random.Random) -> tuple[bytes, bytes]:
    flood = _flood(chance.choice((1_000, 2_000_000, 60_000_000)))
    return chance.choice(
        (
            (b"zTXt", b"parameters\0\0" + flood),
            (b"iTXt", b"prompt\0\1\0\0\0" + flood),
            (b"iCCP", b"profile\0\0" + flood),
            (b"tEXt", b"prompt\0" + b'{"1": ' * 20_000),
            (b"tEXt", chance.choice((b"parameters", b"prompt", b"workflow")) + b"\0" + chance.randbytes(40)),
            (b"eXIf", b"MM\0*\0\0\0\x08" + chance.randbytes(60)),
            (b"acTL", struct.pack(">II", chance.choice(_ODD_NUMBERS) % 2**32, 0)),
            (b"tRNS", chance.randbytes(chance.choice((1, 2, 6, 300)))),
            (b"PLTE", chance.randbytes(chance.choice((0, 3, 768, 900)))),
            (b"IDAT", chance.randbytes(30)),
            (b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 6, 0, 0, 0)),
        )
    )


@cache
def _flood(size: int) -> bytes:
    return zlib.compress(bytes(size))


def _inflated(body: bytes) -> bytes:
    try:
        return zlib.decompress(body)
    except zlib.error:
        return body


def _safetensors_changed(data: bytes, chance: random.Random) -> bytes:
    end = 8 + int.from_bytes(data[:8], "little")
    header = _tree_changed(data[8:end], chance)
    return len(header).to_bytes(8, "little") + header + data[end:]


def _tree_changed(data: bytes, chance: random.Random) -> bytes:
    """A file of JSON, or of a line of JSON each."""
    lines = data.split(b"\n")
    try:
        return _one_tree_changed(data, chance)
    except ValueError:
        at = chance.randrange(len(lines))
    try:
        lines[at] = _one_tree_changed(lines[at], chance)
    except ValueError:
        return _bytes_changed(data, (), chance)
    return b"\n".join(lines)


def _one_tree_changed(data: bytes, chance: random.Random) -> bytes:
    try:
        tree = json.loads(data)
    except RecursionError:
        return data
    holder = [tree]
    places = list(_places(holder))
    where, key = chance.choice(places)
    way = chance.randrange(5)
    if way == 0 and len(places) > 1:
        other, name = chance.choice(places)
        where[key] = json.loads(json.dumps(other[name]))
    elif way == 1 and where is not holder:
        del where[key]
    elif way == 2 and isinstance(where, dict):
        where[chance.choice((key + "x", "", "\0", "x" * 240, "\ud800"))] = where.pop(key)
    else:
        where[key] = chance.choice(_ODD_VALUES)
    text = json.dumps(holder[0], ensure_ascii=chance.random() < 0.8)
    nested = "[" * 100_000 + chance.choice(("", "]" * 100_000))
    text = text.replace(json.dumps(_DEEP), nested).replace(json.dumps(_HUGE), "9" * 5000)
    return text.encode("utf-8", "surrogatepass")


def _places(holder: Any) -> list[tuple[Any, Any]]:
    """Where in a tree values stand: a list or dict, and the key in it."""
    places, open_ones = [], [holder]
    while open_ones:
        one = open_ones.pop()
        keys = range(len(one)) if isinstance(one, list) else list(one)
        for key in keys:
            places.append((one, key))
            if isinstance(one[key], list | dict):
                open_ones.append(one[key])
    return places
