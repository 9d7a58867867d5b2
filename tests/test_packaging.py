"""An installed copy holds everything the program needs, and nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import unrender

ROOT = Path(__file__).parents[1]
NOT_THE_PACKAGE = {"benchmarks", "docs", "notebooks", "tests", "training"}
FOLDERS = sorted({init.parent.name for init in ROOT.glob("*/__init__.py")} - NOT_THE_PACKAGE)
DATA_AT_THE_ROOT = ("py.typed", "style.css")


def pyproject_list(name: str) -> list[str]:
    """A list of strings in pyproject.toml; the oldest Python has no parser for it."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(name)} = \[(.*?)\]", text, re.MULTILINE | re.DOTALL)
    assert found, f"pyproject.toml has no list {name}"
    return re.findall(r'"(.*?)"', found[1])


def test_the_packages_listed_are_the_folders_there_are():
    """setuptools cannot find them itself where the root is a package of another name."""
    inits = [init for folder in FOLDERS for init in (ROOT / folder).rglob("__init__.py")]
    there = {".".join(("unrender", *init.parent.relative_to(ROOT).parts)) for init in inits}
    listed = pyproject_list("packages")
    assert sorted(listed) == sorted(there | {"unrender"})


def test_the_package_says_that_it_is_typed():
    assert pyproject_list('"unrender"') == sorted(DATA_AT_THE_ROOT)
    assert all((ROOT / name).is_file() for name in DATA_AT_THE_ROOT)


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
    assert wheel.name.startswith(f"unrender-{unrender.__version__}-")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if not name.split("/")[0].endswith(".dist-info")}
    expected = {f"unrender/{name}" for name in files if name.startswith(tuple(f"{folder}/" for folder in FOLDERS))}
    expected |= {f"unrender/{name}" for name in ("__init__.py", "__main__.py", *DATA_AT_THE_ROOT)}
    assert packed - {"unrender/run.py", "unrender/install.py"} == expected
