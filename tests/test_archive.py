"""The archive for ComfyUI's registry: what it leaves out, and that ComfyUI needs nothing of that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import unrender
from archive_files import archive_files, lay_out, needs_git, tracked_files
from comfyui_graphs import INTERROGATE, MICRO
from comfyui_nodes import node_schemas
from comfyui_server import FOLDER_NAME

pytestmark = needs_git

TESTS = Path(__file__).parent
LEFT_OUT = {
    *(".ci", ".github", "benchmarks", "docs", "install.py", "notebooks", "run.py", "scripts", "tests", "training"),
}
SERVED = {"LICENSE", "README.md", "locales", "pyproject.toml", "requirements.txt", "subgraphs", "web", "workflows"}
PACKAGE = {"__init__.py", "__main__.py", "cli", "core", "extension", "nodes", "py.typed", "server", "style.css"}


def at_the_root(files: set[str]) -> set[str]:
    return {name.split("/")[0] for name in files}


def test_the_archive_is_the_package_and_what_comfyui_serves_beside_it():
    assert at_the_root(archive_files()) == PACKAGE | SERVED


def test_what_is_left_out_is_there_to_be_left_out():
    """A folder that was renamed would else slip into the archive, or its line outlive it."""
    assert at_the_root(tracked_files()) >= LEFT_OUT
    lines = (TESTS.parent / ".comfyignore").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    for pattern in patterns:
        assert tracked_files("--ignored", f"--exclude={pattern}"), f"{pattern} in .comfyignore leaves nothing out"


def test_nothing_is_missing_from_what_stays():
    files, kept = tracked_files(), archive_files()
    whole = {name for name in files if name.split("/")[0] in PACKAGE | SERVED}
    assert whole <= kept, "the patterns reach into a folder that ComfyUI needs"
    assert "web/docs/UnrenderInterrogate.md" in kept, "the nodes' help lies in a folder that is called docs, too"


@pytest.fixture
def unpacked(tmp_path) -> Path:
    folder = tmp_path / "custom_nodes" / FOLDER_NAME
    lay_out(folder)
    return folder


def test_the_archive_loads_and_runs_in_comfyui_under_any_name(unpacked):
    mediums_alone = dict.fromkeys(("artists", "movements", "sites", "flavors"), False)
    given = {"loader": MICRO, "interrogate": {**INTERROGATE, **mediums_alone, "mode": "fast", "max_phrases": 1}}
    done = subprocess.run(
        [sys.executable, str(TESTS / "archive_probe.py"), str(unpacked)],
        input=json.dumps(given),
        env={**os.environ, "PYTHONPATH": str(TESTS / "comfyui_standin")},
        cwd=unpacked.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["version"] == unrender.__version__
    assert told["nodes"] == sorted(node_schemas())
    assert told["prompt"]
