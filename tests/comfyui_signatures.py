"""Prints the parameters of what the stand-in for ComfyUI has, of the stand-in itself or of the real one.

    python comfyui_signatures.py FOLDER [NAMES_AS_JSON]

Without names it lists all public functions and classes of the stand-in in FOLDER; with them it looks them up there.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys

MODULES = (
    *("comfy.model_management", "comfy.model_patcher", "comfy.lora", "comfy.utils", "comfy_execution.graph"),
    *("folder_paths", "server", "comfy_api.latest", "comfy_api.latest.io"),
)
NOT_OF_COMFYUI = {"ComfyType", "PromptServer"}


def members(module, owner, path, depth):
    for name, value in vars(owner).items():
        full = f"{path}.{name}"
        if name.startswith("_") or name in NOT_OF_COMFYUI:
            continue
        if inspect.isclass(value):
            if value.__module__ == module.__name__ or depth:
                yield full, value
                yield from members(module, value, full, depth + 1)
        elif inspect.isroutine(value) and getattr(value, "__module__", "") == module.__name__:
            yield full, value


def parameters(value):
    try:
        names = list(inspect.signature(value).parameters)
    except (TypeError, ValueError):
        return []
    return [name for name in names if name not in ("self", "cls", "args", "kwargs", "values")]


def find(full):
    module_name = next(name for name in sorted(MODULES, key=len, reverse=True) if full.startswith(f"{name}."))
    if module_name == "comfy_api.latest.io":
        value = importlib.import_module("comfy_api.latest").io
    else:
        value = importlib.import_module(module_name)
    for name in full[len(module_name) + 1 :].split("."):
        value = getattr(value, name, None)
    return value


if __name__ == "__main__":
    folder, wanted = sys.argv[1], sys.argv[2:]
    sys.path.insert(0, folder)
    sys.argv = [sys.argv[0], "--cpu"]
    if wanted:
        import comfy.options

        comfy.options.enable_args_parsing()
        found = {full: find(full) for full in json.loads(wanted[0])}
        answer = {full: None if value is None else parameters(value) for full, value in found.items()}
    else:
        modules = [importlib.import_module(name) for name in MODULES]
        answer = {full: parameters(value) for each in modules for full, value in members(each, each, each.__name__, 0)}
    print(json.dumps(answer))  # noqa: T201 - what it is for
