"""What this program has found where it runs, for who looks for a fault: works without PyTorch, or with a broken one."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .errors import UnrenderError
from .foreign import first_line
from .installing import install_command
from .published import CLIP_L
from .shortage import size

Row = tuple[str, str]

ROOT = Path(__file__).parents[1]

EXTRAS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "lists": (("clip-interrogator", "clip_interrogator"), ("clip-gaze", "clip_gaze")),
    "heif": (("pillow-heif", "pillow_heif"),),
    "plot": (("matplotlib", "matplotlib"),),
    "parquet": (("pyarrow", "pyarrow"),),
    "ray": (("ray[data]", "ray"),),
    "render": (("diffusers", "diffusers"), ("accelerate", "accelerate")),
    "serve": (("fastapi", "fastapi"), ("uvicorn", "uvicorn")),
    "ui": (("gradio", "gradio"), ("matplotlib", "matplotlib")),
    "endpoint": (("openai", "openai"),),
    "quantized": (("bitsandbytes", "bitsandbytes"), ("accelerate", "accelerate")),
}
"""The packages of each of pyproject.toml's extras, as pip and as Python call them."""

_IMPORTED = {
    "torch": "torch",
    "torchvision": "torchvision",
    "transformers": "transformers",
    "open_clip": "open_clip_torch",
    "diffusers": "diffusers",
}
"""Packages that are imported to see whether they can be, as Python and as pip call them, in an order in which one's
failure explains the next's."""

_PACKAGES = (
    *("torch", "torchvision", "transformers", "open_clip_torch", "tokenizers", "timm", "safetensors"),
    *("huggingface_hub", "accelerate", "diffusers", "numpy", "pillow", "gradio", "fastapi"),
)
_VARIABLES = (
    *("UNRENDER_CACHE", "HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"),
    *("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ENABLE_MPS_FALLBACK"),
    *("OMP_NUM_THREADS", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
)
_SECRETS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "UNRENDER_TOKEN")
_ASKED = CLIP_L.repo
_PATIENCE = 4.0
_DRIVER_SECONDS = 5


def sections(version: str, cache: str | os.PathLike[str] | None = None) -> Iterator[tuple[str, list[Row]]]:
    """Title and rows of each, as soon as they are known. version: this program's.

    Nothing in them is a secret, and no path says whose home it lies in."""
    parts: tuple[tuple[str, Callable[[], Iterator[Row]]], ...] = (
        ("Program", lambda: _program(version)),
        ("Packages", _packages),
        ("Devices", _devices),
        ("Environment", _environment),
        ("Models", lambda: _models(cache)),
        ("Hosts", lambda: hosts(ROOT)),
        ("Extras", _extras),
    )
    for title, rows in parts:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries that are asked for nothing but their version
            yield title, [(name, discreet(value)) for name, value in _as_far_as_told(rows)]


def _as_far_as_told(rows: Callable[[], Iterator[Row]]) -> Iterator[Row]:
    """One part of a machine that is out of order hides nothing of the others."""
    try:
        yield from rows()
    except Exception as error:  # noqa: BLE001  a broken library or disk raises anything
        yield "the rest", f"cannot be told ({type(error).__name__}: {first_line(error)})"


def discreet(text: str) -> str:
    """Without passwords in addresses, whatever letters are in them, and without the home folder's name."""
    text = re.sub(r"((?<=://)\S*|^[^/\\\s]+)@", "***@", text)
    home = os.path.expanduser("~")  # noqa: PTH111  which is "~" where nobody knows it, and Path raises
    return re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text) if len(home) > 1 else text


def _program(version: str) -> Iterator[Row]:
    yield "unrender", f"{version}{commit(ROOT)}"
    environment = "in a virtual environment" if sys.prefix != sys.base_prefix else "the system's own"
    yield "python", f"{platform.python_version()} {platform.python_implementation()}, {environment}"
    yield "system", f"{platform.platform()}, {platform.machine()}, {os.cpu_count()} cores{_main_memory()}"


def commit(root: Path) -> str:
    """Of a checkout that holds this program, read as git has it on the disk."""
    try:
        own = _folder_of_git(root / ".git")
        head = _line(own / "HEAD")
        if head.startswith("ref: "):
            head = _commit_of(head.removeprefix("ref: "), own)
    except (OSError, UnicodeDecodeError):
        return ""
    return f" at {head[:9]}" if head else ""


def _folder_of_git(place: Path) -> Path:
    """A folder, or in worktrees and submodules a file that names it."""
    return place.parent / _line(place).removeprefix("gitdir: ") if place.is_file() else place


def _commit_of(branch: str, own: Path) -> str:
    """own: a worktree's, which leaves its branches to the folder that all have in common."""
    common = own / _line(own / "commondir") if (own / "commondir").is_file() else own
    for place in (own / branch, common / branch):
        if place.is_file():
            return _line(place)
    packed = (common / "packed-refs").read_text(encoding="utf-8").splitlines()
    return next((line.partition(" ")[0] for line in packed if line.endswith(f" {branch}")), "")


def _line(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip()


def _main_memory() -> str:
    try:
        pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows has none of it
        return ""
    return f", {size(pages * page)} of memory"


# --- packages


def _packages() -> Iterator[Row]:
    for name in _PACKAGES:
        yield name, installed(name) or "absent"
    for module, package in _IMPORTED.items():
        trouble = _import_trouble(module) if installed(package) else ""
        if trouble:
            yield f"import {module}", f"fails: {trouble}"


def installed(name: str) -> str | None:
    """The version of a package, as pip calls it; None where it is absent."""
    try:
        return importlib.metadata.version(name.partition("[")[0])
    except importlib.metadata.PackageNotFoundError:
        return None


def _import_trouble(module: str) -> str:
    """Why a package cannot be imported; "" where it can."""
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:  # noqa: BLE001  a broken library raises anything
        return f"{type(error).__name__}: {first_line(error)}"
    return ""


def _extras() -> Iterator[Row]:
    for extra, packages in EXTRAS.items():
        lacking = tuple(f"'{name}'" if "[" in name else name for name, _ in packages if installed(name) is None)
        yield extra, f"absent: run `{install_command(lacking)}`" if lacking else "installed"


# --- devices


def _devices() -> Iterator[Row]:
    driver = _driver()
    if driver:
        yield "driver", driver
    if _import_trouble("torch"):
        yield "none", "PyTorch is absent or broken"
        return
    from . import devices

    yield "PyTorch", _built_for()
    for kind in devices.KINDS:
        device, why = devices.found(kind)
        if device is None:
            yield kind, why or "none"
        else:
            yield from ((str(each), _described(each)) for each in devices.all_of(device))
    yield "cpu", _described(devices.CPU)
    chosen = devices.pick_device()
    arithmetic = devices.pick_arithmetic("auto", chosen)
    rough = "" if arithmetic.rough is None else f", {_plain(arithmetic.rough)} where a search tries"
    yield "auto", f"takes {chosen}, with the picture encoder in {_plain(arithmetic.vision)}{rough}"


def _described(device: Any) -> str:
    from . import devices

    trouble = devices.trouble_of(device)
    computes = f"cannot compute ({trouble})" if trouble else f"computes{_precisions(device)}"
    return ", ".join([*filter(None, [_capability(device)]), devices.roomy(device), computes])


def _precisions(device: Any) -> str:
    from . import devices

    tried = dict.fromkeys(map(_plain, devices.precisions(device)))
    return f" in {' and '.join(tried)}"


def _capability(device: Any) -> str:
    import torch

    if device.type != "cuda" or torch.version.cuda is None:
        return ""
    return f"sm_{''.join(map(str, torch.cuda.get_device_capability(device)))}"


def _plain(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def _built_for() -> str:
    import torch

    hip = getattr(torch.version, "hip", None)
    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else f"ROCm {hip}" if hip else "the CPU"
    known = torch.cuda.get_arch_list() if torch.cuda.is_available() else []
    return f"{torch.__version__}, built for {built}{f' ({chr(32).join(known)})' if known else ''}"


def _driver() -> str:
    """NVIDIA's, as its own program tells it: PyTorch knows none where it is too old for it."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    asked = [program, "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(
            asked, capture_output=True, text=True, errors="replace", timeout=_DRIVER_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"NVIDIA's does not answer ({first_line(error)})"
    lines = done.stdout.split("\n") if done.returncode == 0 else [f"nvidia-smi fails: {first_line_of(done.stdout)}"]
    return "; ".join(filter(None, map(str.strip, lines)))


def first_line_of(text: str) -> str:
    return (text.strip().splitlines() or ["it says nothing"])[0]


# --- surroundings


def _environment() -> Iterator[Row]:
    for name in _VARIABLES:
        value = os.environ.get(name) or os.environ.get(name.lower())
        if value:
            yield name, value
    for name in _SECRETS:
        if os.environ.get(name):
            yield name, "set"


def _models(cache: str | os.PathLike[str] | None) -> Iterator[Row]:
    try:
        from .hub import Hub
    except ImportError as error:
        yield "hub", f"cannot be asked ({first_line(error)})"
        return
    hub = Hub(cache, patience=_PATIENCE)
    yield "folder", f"{hub.folder}{_room(hub.folder)}"
    stored = hub.on_disk()
    shared = sum(one.bytes for one in stored if one.shared)
    own = sum(one.bytes for one in stored if not one.shared)
    yield "on disk", f"{len(stored)} models: {size(own)} there, {size(shared)} in the shared Hugging Face cache"
    yield "hub", _reached(hub)


def _room(folder: Path) -> str:
    there = next((each for each in (folder, *folder.parents) if each.is_dir()), None)
    if there is None:
        return ""
    writable = "" if os.access(there, os.W_OK) else ", which cannot be written"
    return f" ({size(shutil.disk_usage(there).free)} free{writable})"


def _reached(hub: Any) -> str:
    started = time.monotonic()
    try:
        hub.list_files(_ASKED)
    except UnrenderError as error:
        reason = getattr(error.__cause__, "reason", "") or error.problem
        return f"not reached: {reason}"
    except ImportError as error:
        return f"cannot be asked ({first_line(error)})"
    return f"answers within {time.monotonic() - started:.1f} s"


def hosts(root: Path) -> Iterator[Row]:
    """The programs that a checkout lies in. root: its folder."""
    folder = root.parent
    if folder.name == "custom_nodes":
        yield "ComfyUI", f"{_version_of(folder.parent, 'comfyui_version.py', _ASSIGNED)}{_whose(folder.parent)}"
    elif folder.name in ("extensions", "extensions-builtin"):
        host = folder.parent
        name = next((name for name, mark in _WEBUIS if (host / mark).exists()), "a webui")
        yield name, f"{_version_of(host, 'CHANGELOG.md', _HEADLINE)}{_whose(host)}"
    else:
        yield "none", "this is no folder of a host's"


_ASSIGNED = re.compile(r"__version__\s*=\s*[\"']([^\"']+)")
_HEADLINE = re.compile(r"^##\s+(?:Update for\s+)?v?(\S+)", re.MULTILINE)
_WEBUIS = (
    ("Forge", "modules_forge/forge_version.py"),
    ("Forge", "backend/memory_management.py"),
    ("reForge", "ldm_patched"),
    ("SD.Next", "html/locale_en.json"),
    ("AUTOMATIC1111", "modules/processing.py"),
)
"""By what only they have, the first that fits."""


def _version_of(host: Path, file: str, pattern: re.Pattern[str]) -> str:
    try:
        found = pattern.search((host / file).read_text(encoding="utf-8", errors="replace")[:20_000])
    except OSError:
        found = None
    return f"{found[1] if found else 'of an unknown version'}{commit(host)}"


def _whose(host: Path) -> str:
    """Whether the Python that runs is the host's, since packages that are installed for another are of no use."""
    inside = Path(sys.prefix).is_relative_to(host) or Path(sys.prefix).is_relative_to(host.parent)
    return ", with this Python" if inside else ", with another Python than this, it seems"
