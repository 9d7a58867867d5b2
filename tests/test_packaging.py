"""An installed copy holds everything the program needs, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("cli", "core", "extension", "nodes", "server")


def test_every_package_is_listed():
    listed = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for folder in FOLDERS:
        for init in (ROOT / folder).rglob("__init__.py"):
            name = ".".join(("unrender", *init.parent.relative_to(ROOT).parts))
            assert f'"{name}"' in listed, f"{name} is not among the packages in pyproject.toml"


@pytest.mark.full
def test_a_built_package_holds_code_lists_and_weights(tmp_path):
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    files = [name for name in listed if (ROOT / name).is_file()]
    for name in files:  # a copy, because building leaves a folder behind
        target = tmp_path / "source" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", str(tmp_path)]
    subprocess.run([*build, str(tmp_path / "source")], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if not name.split("/")[0].endswith(".dist-info")}
    expected = {f"unrender/{name}" for name in files if name.startswith(tuple(f"{folder}/" for folder in FOLDERS))}
    expected |= {"unrender/__init__.py", "unrender/__main__.py", "unrender/py.typed", "unrender/style.css"}
    assert packed - {"unrender/run.py", "unrender/install.py"} == expected
