"""What a type checker sees of the package when it is installed: from a user's program, and from training/."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import unrender

pytest.importorskip("pyright")

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "tests" / "user_script.py"
CONFIG = {
    "strict": [SCRIPT.name],
    "pythonVersion": "3.10",
    "typeCheckingMode": "standard",
    "reportMissingTypeStubs": False,
    "stubPath": str(ROOT / "tests" / "typings"),
}


WRONG = "from unrender import Engine\n\nEngine().interrogate(3.5)\nEngine().absent()\nprint(Engine().clip.name)\n"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What pyright says of a user's script, one with mistakes and training/ beside it, in one process for all. It does
    not see through the finder of an editable install, so a link gives the checkout the package's name, in a folder that
    Python is told to look in."""
    place = tmp_path_factory.mktemp("user")
    installed = place / "installed"
    installed.mkdir()
    try:
        (installed / "unrender").symlink_to(ROOT, target_is_directory=True)
        (place / "training").symlink_to(ROOT / "training", target_is_directory=True)
    except OSError as error:
        pytest.skip(f"no symbolic link can be made here ({error.strerror})")
    (place / SCRIPT.name).write_text(SCRIPT.read_text(encoding="utf-8"), encoding="utf-8")
    (place / "wrong.py").write_text(WRONG, encoding="utf-8")
    config = {**CONFIG, "include": [SCRIPT.name, "wrong.py", "training"]}
    (place / "pyrightconfig.json").write_text(json.dumps(config), encoding="utf-8")
    command = [sys.executable, "-m", "pyright", "-p", str(place), "--pythonpath", sys.executable, "--outputjson"]
    paths = os.pathsep.join(path for path in (str(installed), os.environ.get("PYTHONPATH")) if path)
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths}, check=False)
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    return json.loads(done.stdout)


def complaints(found: dict[str, Any]) -> list[str]:
    return [
        f"{Path(one['file']).name}:{one['range']['start']['line'] + 1}: {one['message']}"
        for one in found["generalDiagnostics"]
    ]


def test_the_script_uses_every_public_name():
    imports = [node for node in ast.parse(SCRIPT.read_text(encoding="utf-8")).body if isinstance(node, ast.ImportFrom)]
    taken = {name.name for node in imports if node.module == "unrender" for name in node.names}
    assert taken == {*unrender.__all__}


def test_strict_users_and_training_pass(found):
    assert [line for line in complaints(found) if not line.startswith("wrong.py:")] == []
    assert found["summary"]["filesAnalyzed"] == 2 + len([*(ROOT / "training").glob("*.py")])


def test_a_wrong_call_does_not(found):
    wrong = [line for line in complaints(found) if line.startswith("wrong.py:")]
    assert {line.split(":")[1] for line in wrong} == {"3", "4", "5"}, wrong
