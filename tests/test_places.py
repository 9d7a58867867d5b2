"""What a command writes takes the place of what is there only when it is whole."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest
import unrender
from PIL import Image
from unrender.core.places import replaced

ROOT = Path(str(unrender.__file__)).parent
WRITING = ("save", "write_bytes", "write_text", "write_page")


def test_what_is_there_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "chart.png"
    path.write_bytes(b"an old one")
    with pytest.raises(OSError, match="full"), replaced(path) as fresh:
        fresh.write_bytes(b"a part")
        raise OSError("the disk is full")
    assert path.read_bytes() == b"an old one" and list(tmp_path.iterdir()) == [path]
    with replaced(path) as fresh:
        Image.new("RGB", (2, 2)).save(fresh)
    assert Image.open(path).size == (2, 2) and list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="needs links and devices")
def test_a_link_stays_one_and_a_device_too(tmp_path):
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    with replaced(tmp_path / "link.png") as fresh:
        fresh.write_bytes(b"new")
    assert (tmp_path / "link.png").is_symlink() and (tmp_path / "real.png").read_bytes() == b"new"
    with replaced(Path(os.devnull)) as fresh:
        fresh.write_bytes(b"new")
    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize("module", sorted((ROOT / "cli").glob("*.py")), ids=lambda path: path.stem)
def test_no_command_writes_into_what_is_there(module):
    """Whatever is written is the new file that `replaced` gives; embeddings see to it themselves."""
    calls = [node for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    for call in calls:
        if isinstance(call.func, ast.Attribute) and call.func.attr in WRITING:
            said = ast.unparse(call)
            assert "fresh" in said or said == "made.save(options.output)", f"{module.name}: {said}"
