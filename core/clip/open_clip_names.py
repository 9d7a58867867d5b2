"""The models that the installed open_clip names, without importing it: torch and torchvision come with that, which is
seconds for a list of names."""

from __future__ import annotations

import ast
import copy
import importlib.util
import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

_TABLE = "_PRETRAINED"
_VALUES = (ast.Assign, ast.AnnAssign, ast.FunctionDef, ast.For, ast.Expr)

Tags = Mapping[str, Mapping[str, Mapping[str, Any]]]


def pretrained() -> Tags:
    """By architecture and tag what open_clip says of the weights. Raises ImportError where there is no open_clip, and
    whatever importing it raises where its list is not written as it has been up to now."""
    if "open_clip.pretrained" not in sys.modules:
        folder = _folder()
        table = None if folder is None else _evaluated(folder)
        if table is not None:
            return table
    from open_clip.pretrained import get_pretrained_cfg, list_pretrained

    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for architecture, tag in list_pretrained():
        found.setdefault(architecture, {})[tag] = get_pretrained_cfg(architecture, tag)
    return found


def open_clip_works() -> bool:
    """Imports it."""
    try:
        import open_clip  # noqa: F401
    except (ImportError, RuntimeError, OSError):
        return False
    return True


def _folder() -> Path | None:
    try:
        spec = importlib.util.find_spec("open_clip")
    except ValueError:  # what stands for it in this process came from no file
        return None
    return None if spec is None or not spec.origin else Path(spec.origin).parent


@lru_cache(maxsize=1)
def _evaluated(folder: Path) -> Tags | None:
    """What the lines say that make the table. None where they do not make one."""
    module = ModuleType("unrender_open_clip_names")
    vars(module)["copy"] = copy
    try:
        for file in ("constants.py", "pretrained.py"):
            _Values(module.__name__, str(folder / file)).exec_module(module)
    except Exception:  # noqa: BLE001 - another open_clip, which then is imported
        return None
    table = getattr(module, _TABLE, None)
    return table if isinstance(table, dict) and table else None


class _Values(SourceFileLoader):
    """Leaves out of a module what it imports and what it does, downloading above all."""

    def get_code(self, fullname: str) -> CodeType:
        tree = ast.parse(self.get_data(self.path))
        tree.body = [line for line in tree.body if isinstance(line, _VALUES) and not _does_something(line)]
        return compile(tree, self.path, "exec")


def _does_something(line: ast.stmt) -> bool:
    return isinstance(line, ast.FunctionDef) and not line.name.startswith("_")
