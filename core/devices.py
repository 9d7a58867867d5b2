"""Which device and which arithmetic to work with."""

from __future__ import annotations

import logging
import shutil
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from .cures import Give
from .errors import SettingsError
from .foreign import first_line
from .shortage import is_out_of_memory, size

_log = logging.getLogger(__name__)

KINDS = ("cuda", "xpu", "mps")
"""Of devices, the best first. ROCm's are called cuda."""

CPU = torch.device("cpu")

_HALVES = {"float16": torch.float16, "bfloat16": torch.bfloat16}
_FAILS = (RuntimeError, AssertionError, NotImplementedError, ImportError, OSError)


def pick_device(name: str = "auto") -> torch.device:
    """The named device, or for "auto" the best one that computes: CUDA, Intel's XPU, Apple's MPS, then the CPU. Always
    with its index, without which it equals no tensor's, and which some of torch's functions cannot do without.

    Raises SettingsError when the name means nothing, or no such device is here or computes.
    """
    if name == "auto":
        return _best()
    trouble = ""
    try:
        device = torch.empty(0, device=name).device
        trouble = "" if device == CPU else trouble_of(device)
    except _FAILS as error:
        raise _not_here(name, error) from error
    if trouble:
        raise SettingsError(f"The device {name!r} cannot compute ({trouble})", Give("device", "auto, cpu, or another"))
    return device


def _not_here(name: str, error: BaseException) -> SettingsError:
    return SettingsError(
        f"The device {name!r} is not here ({first_line(error)})",
        Give("device", f"auto, cpu, or one that this PyTorch ({torch.__version__}) can use"),
    )


@cache
def _best() -> torch.device:
    """Says in the log what is used and why where something better seems to be there."""
    refused: list[str] = []
    for kind in KINDS:
        device, why = found(kind)
        if device is not None:
            _remark(device, refused)
            return device
        refused += filter(None, [why])
    _remark(CPU, refused)
    return CPU


def _remark(device: torch.device, refused: list[str]) -> None:
    if refused:
        _log.warning("Unrender computes on %s: %s.", device, "; ".join(refused))


@cache
def found(kind: str) -> tuple[torch.device | None, str]:
    """The machine's device of a kind, tried; or why there is none that computes, "" where there is no sign of one."""
    with _warnings_told() as told:
        try:
            there = _backend(kind).is_available()
            device = torch.empty(0, device=kind).device if there else None
            trouble = "" if device is None else trouble_of(device)
        except _FAILS as error:
            device, trouble = None, first_line(error)
    if device is None:
        return None, _absence(kind, [trouble, *told])
    if trouble:
        return None, f"{named(device)} cannot compute ({trouble})"
    for line in told:
        _log.warning("PyTorch says of %s: %s", device, line)
    return device, ""


def _backend(kind: str) -> Any:
    return torch.backends.mps if kind == "mps" else getattr(torch, kind, _Nothing)


class _Nothing:
    """In the place of a part of PyTorch that is not there yet."""

    @staticmethod
    def is_available() -> bool:
        return False


@contextmanager
def _warnings_told() -> Iterator[list[str]]:
    """What PyTorch warns of, in lines: a driver that is too old, a card it was not built for."""
    lines: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield lines
    lines += dict.fromkeys(first_line(each.message) for each in caught if isinstance(each.message, UserWarning))


def _absence(kind: str, told: list[str]) -> str:
    if lines := [line for line in told if line]:
        return f"{kind} cannot be used ({lines[0]})"
    if kind == "cuda" and not _built_for_gpus() and shutil.which("nvidia-smi"):
        return f"this PyTorch ({torch.__version__}) is built for the CPU alone, though there is a driver of NVIDIA's"
    return ""


def _built_for_gpus() -> bool:
    return bool(torch.version.cuda or getattr(torch.version, "hip", None))


def trouble_of(device: torch.device) -> str:
    """What goes wrong when the device computes in the precisions it would be used in; "" where nothing does."""
    return next(filter(None, (trouble_in(dtype, device) for dtype in precisions(device))), "")


@cache
def trouble_in(dtype: torch.dtype, device: torch.device) -> str:
    """The same in one precision. It is tried, because devices are offered whose kernels are not there. A lack of memory
    is no trouble of that kind."""
    try:
        ones = torch.ones(2, 8, 8, 8, dtype=dtype, device=device)
        seen = torch.nn.functional.conv2d(ones, ones)  # [2, 2, 1, 1] of 512
        norm = torch.nn.functional.layer_norm(ones, (8,))
        total = torch.softmax(norm, -1) @ ones  # of 1
        if float(seen.sum().cpu()) != 2048 or abs(float(total.float().mean().cpu()) - 1) > 0.01:
            return f"it computes wrongly in {str(dtype).removeprefix('torch.')}"
    except _FAILS as error:
        return "" if is_out_of_memory(error) else first_line(error)
    return ""


def precisions(device: torch.device) -> list[torch.dtype]:
    """Those that it would be used in."""
    return list(dict.fromkeys((torch.float32, model_dtype(device))))


def all_of(device: torch.device) -> list[torch.device]:
    """All the machine's devices of the same kind."""
    if device.type == "mps":
        return [device]
    return [torch.device(device.type, index) for index in range(_backend(device.type).device_count())]


def named(device: torch.device) -> str:
    """Such as cuda:0 (NVIDIA GeForce RTX 3060)."""
    try:
        name = "" if device.type in ("cpu", "mps") else _backend(device.type).get_device_name(device)
    except _FAILS:
        name = ""
    return f"{device} ({name})" if name else str(device)


def roomy(device: torch.device) -> str:
    """The same with its memory, and what is free of it."""
    memory = memory_of(device)
    if memory is None:
        return named(device)
    free, total = memory
    return f"{named(device)}, where {size(free)} of {size(total)} are free"


@dataclass(frozen=True)
class Arithmetic:
    """vision: of the vision tower. text: of the text tower. rough: of the text tower where a score will be computed
    again, None where nothing is faster than `text`."""

    vision: torch.dtype
    text: torch.dtype
    rough: torch.dtype | None

    @property
    def widens(self) -> bool:
        """Whether a vision tower whose half precision gives no numbers may be taken in the text tower's."""
        return self.vision != self.text


def pick_arithmetic(precision: str, device: torch.device) -> Arithmetic:
    """ "auto": half precision where it is faster and float32 where it decides. "exact": float32 throughout.
    A half precision by name: that throughout, its rounding included. Raises SettingsError where the device has none,
    as CPUs have no float16 before PyTorch 2.2."""
    if precision == "exact":
        return Arithmetic(torch.float32, torch.float32, None)
    if precision != "auto":
        dtype = _HALVES[precision]
        if trouble := trouble_in(dtype, device):
            raise SettingsError(
                f"{device} cannot compute in {precision} ({trouble})", Give("precision", "auto or exact")
            )
        return Arithmetic(dtype, dtype, None)
    return Arithmetic(model_dtype(device), torch.float32, fast_half(device))


def describing(precision: str) -> torch.dtype | None:
    """In which a describer is loaded; None for what suits it and the device."""
    return None if precision == "auto" else _HALVES.get(precision, torch.float32)


def model_dtype(device: torch.device) -> torch.dtype:
    """In which models are used whose rounding decides nothing: half precision where the device is made for it."""
    return torch.float16 if device.type in ("cuda", "xpu") else torch.float32


@cache
def fast_half(device: torch.device) -> torch.dtype | None:
    """The half precision in which the device multiplies matrices at least half as fast again as in float32, if any.
    Measured, since having the instructions does not mean that they are used."""
    if device.type != "cpu":
        return None if model_dtype(device) is torch.float32 else model_dtype(device)
    return torch.bfloat16 if _seconds(torch.float32) > 1.5 * _seconds(torch.bfloat16) else None


@cache
def native_half(device: torch.device) -> torch.dtype | None:
    """The half precision that the device has instructions for, if any. Asked and not measured, for what decides which
    words are written: they must not depend on how busy the machine is."""
    if device.type != "cpu":
        return None if model_dtype(device) is torch.float32 else model_dtype(device)
    told = getattr(torch.cpu, "get_capabilities", dict)()
    older = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)
    able = told.get("avx512_bf16") or told.get("amx_bf16") or older()
    return torch.bfloat16 if able and torch.backends.mkldnn.is_available() else None


def _seconds(dtype: torch.dtype) -> float:
    a, b = torch.ones(256, 512, dtype=dtype), torch.ones(512, 512, dtype=dtype)
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - started)
    return best


def free_memory(device: torch.device | str) -> int | None:
    """Bytes that can still be allocated on the device; None where that cannot be told or is not worth asking."""
    memory = memory_of(device)
    return None if memory is None else memory[0]


def memory_of(device: torch.device | str) -> tuple[int, int] | None:
    """Bytes that can still be allocated on the device, and all that it has. device: a host's may lack the index."""
    device = torch.device(device)
    if device.type not in ("cuda", "xpu") or not hasattr(_backend(device.type), "mem_get_info"):
        return None
    backend, whole = _backend(device.type), torch.empty(0, device=device).device
    try:
        free, total = backend.mem_get_info(whole)
    except _FAILS:  # graphics inside a processor tell none
        return None
    unused = backend.memory_reserved(whole) - backend.memory_allocated(whole)
    return free + unused, total


def empty_device_cache() -> None:
    """Gives back what torch keeps of a device's memory for later."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif _backend("xpu").is_available():
        torch.xpu.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()
