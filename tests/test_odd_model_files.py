"""Models' files and the like that are none: what is wrong with them is said. Those nearly right: test_mutations.py."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from file_seeds import SEEDS, made
from unrender.core.foreign import Unreadable, parsed_json, read_header


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
