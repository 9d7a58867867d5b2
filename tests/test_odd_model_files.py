"""Each reader of models' files and the like, given files that are nearly right: it reads them or says what is wrong."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from file_seeds import SEEDS, Seed, files_of, made
from unrender.core.errors import UnrenderError
from unrender.core.foreign import Unreadable, parsed_json, read_header

CHEAP_CASES, DEAR_CASES = 150, 20
_ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 0.5, 2**31, 2**64, 10**400, float("nan"), "", "\0", "\ud800", "x" * 300, "../../x"),
    *([], {}, [None], [1, "a"], {"": None}),
)


def changed(data: bytes, chance: random.Random) -> bytes:
    """Half the time as JSON or a safetensors header, where it is one; else anyhow."""
    start = 8 if data[8:9] == b"{" else 0
    stop = start + int.from_bytes(data[:8], "little") if start else len(data)
    if data[start : start + 1] == b"{" and chance.random() < 0.7:
        tree = json.loads(data[start:stop])
        holder = tree
        key = chance.choice(list(holder))
        while isinstance(holder[key], dict) and holder[key] and chance.random() < 0.8:
            holder = holder[key]
            key = chance.choice(list(holder))
        holder[key] = chance.choice(_ODD)
        text = json.dumps(tree).encode()
        return (len(text).to_bytes(8, "little") if start else b"") + text + data[stop:]
    at = chance.randrange(len(data))
    put = chance.choice((b"", b"\0", b"\xff" * 8, b"[" * 5000, b"\xef\xbb\xbf", chance.randbytes(20)))
    return data[:at] + put + data[at + chance.choice((0, 1, 8, len(data))) :]


def cases(seed: Seed, files: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    chance = random.Random(seed.name)
    for _ in range(DEAR_CASES if seed.dear else CHEAP_CASES):
        name = chance.choice(sorted(files))
        yield name, changed(files[name], chance)


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)
def test_a_file_that_is_nearly_right_is_read_or_refused(seed: Seed, tmp_path: Path) -> None:
    place = made(seed, tmp_path / "made")
    seed.read(place)
    files = files_of(seed, place)
    root = place if place.is_dir() else place.parent
    for number, (name, data) in enumerate(cases(seed, files)):
        (root / name).write_bytes(data)
        started = time.process_time()
        try:
            seed.read(place)
        except UnrenderError as error:
            assert "\n" not in str(error), number
        assert time.process_time() - started < 5, number
        for each, whole in files.items():  # some readers remove what is damaged
            (root / each).write_bytes(whole)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b"[" * 200 + b"]" * 200, "nested too deeply"),
        (b'{"a": ' * 5000, "nested too deeply"),
        (b"[" + b"[]," * 3_000_000 + b"0]", "larger"),
        (b"1" * 5000, "no JSON"),
        (b"1" + b"0" * 400, "too many digits"),
        (b'"\\ud800"', "half a character"),
        (b'{"\\udfff": 1}', "half a character"),
        (b"\xff", "UTF-8"),
        (b"", "no JSON"),
    ],
)
def test_json_that_is_none_or_too_much(text: bytes, told: str) -> None:
    started = time.process_time()
    with pytest.raises(Unreadable, match=told):
        parsed_json(text)
    assert time.process_time() - started < 2


def test_json_as_models_have_it() -> None:
    assert parsed_json(b'{"model_max_length": 1000000000000000019884624838656}')
    assert parsed_json('{"\\u0120a": 1, "🐱": 2, "\\ud83d\\ude80": 3}'.encode()) == {"\u0120a": 1, "🐱": 2, "🚀": 3}


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]},
        {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 2**63]},
        {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [True, 2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2**47, 2**47, 0], "data_offsets": [0, 0]},
        {"dtype": "F33", "shape": [2], "data_offsets": [0, 8]},
        {"dtype": ["F32"], "shape": [2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": "22", "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
        {"dtype": "F32", "shape": [2]},
        7,
    ],
)
def test_a_header_that_cannot_be(tmp_path: Path, entry: object) -> None:
    header = json.dumps({"a": entry}).encode()
    path = tmp_path / "odd.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(Unreadable):
        read_header(path)


@pytest.mark.parametrize("length", [0, 1, 2**40, 2**64 - 1])
def test_a_headers_length_that_cannot_be(tmp_path: Path, length: int) -> None:
    path = tmp_path / "odd.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + b"{}")
    with pytest.raises(Unreadable, match="cut off"):
        read_header(path)


def test_tensors_that_overlap_are_none(tmp_path: Path) -> None:
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    header = json.dumps({"a": entry, "b": entry}).encode()
    path = tmp_path / "odd.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(Unreadable, match="overlap"):
        read_header(path)


@pytest.mark.parametrize("name", ["../outside.png", "/etc/passwd", "a/../../b", "", "a\0b"])
def test_an_index_names_no_picture_outside_its_folder(tmp_path: Path, name: str) -> None:
    from unrender.core.errors import IndexFileError
    from unrender.core.index.file import Entry, PictureIndex, read_index, write_index

    seed = next(seed for seed in SEEDS if seed.name == "index")
    path = made(seed, tmp_path / "made")
    known = read_index(path)
    entries = (Entry(name, 1, 1, "0" * 64), *known.entries[1:])
    write_index(path, PictureIndex(known.root, "micro", "crop", entries, known.features, known.turned, known.probe))
    with pytest.raises(IndexFileError, match="damaged"):
        read_index(path)
