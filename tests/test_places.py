"""What a command writes is beside what is there until it is whole."""

import ast
from pathlib import Path

import pytest
import unrender
from unrender.core.files import replacing

ROOT = Path(str(unrender.__file__)).parent
INTO_WHAT_IS_THERE = ("save", "write_bytes", "write_text")
EMBEDDINGS_SEE_TO_IT = "made.save(options.output)"


def test_what_is_there_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "chart.png"
    path.write_bytes(b"an old one")
    with pytest.raises(OSError, match="full"), replacing(path) as file:
        file.write(b"a part")
        raise OSError("the disk is full")
    assert path.read_bytes() == b"an old one" and list(tmp_path.iterdir()) == [path]
    with replacing(path) as file:
        file.write(b"a new one")
    assert path.read_bytes() == b"a new one" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("module", sorted((ROOT / "cli").glob("*.py")), ids=lambda path: path.stem)
def test_no_command_writes_into_what_is_there(module):
    """All is written through core/files.py, which replaces."""
    calls = [node for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    said = [ast.unparse(call) for call in calls if getattr(call.func, "attr", "") in INTO_WHAT_IS_THERE]
    assert [call for call in said if call != EMBEDDINGS_SEE_TO_IT] == []
