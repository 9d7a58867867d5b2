"""What the archive for ComfyUI's registry carries, worked out as the registry's own tool does it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

needs_git = pytest.mark.skipif(
    not ((ROOT / ".git").exists() and shutil.which("git")), reason="git tells which files are the project's"
)


def tracked_files(*options: str) -> set[str]:
    command = ["git", "-c", "core.quotePath=false", "ls-files", "--cached", *options]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return {name for name in listed.splitlines() if (ROOT / name).is_file()}


def archive_files() -> set[str]:
    """All that git tracks but what .comfyignore, in .gitignore's own language, leaves out."""
    return tracked_files() - tracked_files("--ignored", "--exclude-from=.comfyignore")


def lay_out(folder: Path) -> None:
    """folder: becomes what the archive unpacks to."""
    for name in archive_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
