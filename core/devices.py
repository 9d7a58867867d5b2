"""Which device and which arithmetic to work with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import torch

from .cures import Give
from .errors import SettingsError

T = TypeVar("T")

_HALVES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


def pick_device(name: str = "auto") -> torch.device:
    """The named device, or for "auto" the best one present: CUDA, then Apple's MPS, then the CPU.

    Raises SettingsError when the name means nothing or no such device is here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SettingsError(
            f"The device {name!r} is not here",
            Give("device", f"auto, cpu, or one that this PyTorch ({torch.__version__}) can use"),
        ) from error
    return device


@dataclass(frozen=True)
class Arithmetic:
    """vision: of the vision tower. text: of the text tower. rough: of the text tower where a score will be computed
    again, None where nothing is faster than `text`."""

    vision: torch.dtype
    text: torch.dtype
    rough: torch.dtype | None


def pick_arithmetic(precision: str, device: torch.device) -> Arithmetic:
    """ "auto": half precision where it is faster and float32 where it decides. "exact": float32 throughout.
    A half precision by name: that throughout, its rounding included."""
    if precision == "exact":
        return Arithmetic(torch.float32, torch.float32, None)
    if precision != "auto":
        dtype = _HALVES[precision]
        return Arithmetic(dtype, dtype, None)
    half = fast_half(device)
    return Arithmetic(torch.float16 if device.type == "cuda" else torch.float32, torch.float32, half)


@cache
def fast_half(device: torch.device) -> torch.dtype | None:
    """The half precision in which the device multiplies matrices at least half as fast again as in float32, if any.
    Measured, since having the instructions does not mean that they are used."""
    if device.type == "cuda":
        return torch.float16
    if device.type != "cpu":
        return None
    return torch.bfloat16 if _seconds(torch.float32) > 1.5 * _seconds(torch.bfloat16) else None


def free_memory(device: torch.device) -> int | None:
    """Bytes that can still be allocated on the device; None where that cannot be told or is not worth asking."""
    if device.type != "cuda":
        return None
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + unused


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device, or the CPU's allocator, has no memory left."""
    text = str(error).casefold()
    return "out of memory" in text or "can't allocate memory" in text


def in_portions(work: Callable[[Any], T], items: Any) -> list[T]:
    """What `work` gives for all items, which can be counted and sliced, at once; for half of them at a time, and again
    for half of those, where the memory does not suffice. Raises the device's error where it does not for one."""
    try:
        return [work(items)]
    except RuntimeError as error:
        if len(items) == 1 or not is_out_of_memory(error):
            raise
    # outside the except clause, whose traceback would keep the failed run's tensors alive
    half = len(items) // 2
    return in_portions(work, items[:half]) + in_portions(work, items[half:])


def _seconds(dtype: torch.dtype) -> float:
    a, b = torch.ones(256, 512, dtype=dtype), torch.ones(512, 512, dtype=dtype)
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - started)
    return best


def empty_device_cache() -> None:
    """Gives back what torch keeps of a device's memory for later."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()
