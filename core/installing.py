"""How packages get into the environment that runs, as it is typed from anywhere."""

from __future__ import annotations

import importlib.util
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path


def install_command(packages: Sequence[str], options: str = "") -> str:
    """packages: as pip takes them, quoted for a shell where that is needed. options: pip's."""
    what = " ".join(filter(None, (options, *packages)))
    prefix = Path(sys.prefix)
    if (prefix / "pipx_metadata.json").is_file():
        return f"pipx runpip {prefix.name} install {what}"
    if importlib.util.find_spec("pip") is None and (prefix / "pyvenv.cfg").is_file():  # as uv makes them
        return f"uv pip install --python {_quoted(sys.executable)} {what}"
    return f"{_quoted(sys.executable)} -m pip install {what}"


def plain_command(packages: Sequence[str], options: str = "") -> str:
    """For who reads it on another machine."""
    return " ".join(filter(None, ("pip install", options, *packages)))


def _quoted(path: str) -> str:
    if os.name == "nt":
        return f'"{path}"' if " " in path else path
    return shlex.quote(path)
