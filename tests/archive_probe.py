"""Loads a folder as ComfyUI loads a pack, runs a node of it, and prints what came of it.

python tests/archive_probe.py FOLDER        with the stand-in for ComfyUI on PYTHONPATH
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import pkgutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

sys.modules["unrender"] = None  # type: ignore[assignment]  # an installed copy must not help out


def load(folder: Path) -> ModuleType:
    name = str(folder).replace(".", "_x_")  # ComfyUI's way with names that hold dots
    spec = importlib.util.spec_from_file_location(name, folder / "__init__.py")
    assert spec is not None and spec.loader is not None
    pack = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pack)
    return pack


def nodes_of(pack: ModuleType) -> dict[str, Any]:
    async def listed() -> list[Any]:
        return await (await pack.comfy_entrypoint()).get_node_list()

    return {node.define_schema().node_id: node for node in asyncio.run(listed())}


def import_all(pack: ModuleType, package: str) -> None:
    name = f"{pack.__name__}.{package}"
    for module in pkgutil.walk_packages([str(Path(str(pack.__file__)).parent / package)], f"{name}."):
        importlib.import_module(module.name)


def main(folder: Path) -> None:
    import folder_paths
    import torch

    from server import PromptServer

    PromptServer.instance = PromptServer()
    folder_paths.models_dir = str(folder.parent / "models")
    pack = load(folder)
    nodes = nodes_of(pack)
    for package in ("core", "nodes"):
        import_all(pack, package)
    given: dict[str, Any] = json.load(sys.stdin)
    setup = nodes["UnrenderLoadInterrogator"].execute(**given["loader"]).args[0]
    words = {name: [value] for name, value in given["interrogate"].items()}
    out = nodes["UnrenderInterrogate"].execute(image=[torch.full((1, 96, 96, 3), 0.5)], interrogator=[setup], **words)
    print(json.dumps({"version": pack.__version__, "nodes": sorted(nodes), "prompt": out.args[0][0]}))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
