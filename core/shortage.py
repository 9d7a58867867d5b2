"""Memory that does not suffice: how it is told apart, what is done about it, and that nothing of it stays behind."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from .cures import Cure, Give
from .errors import ModelError, UnrenderError
from .published import VIT_B

T = TypeVar("T")

SMALLER_CLIP = (Give("clip", f"a smaller one such as {VIT_B}"),)

_TOLD = (
    "out of memory",  # CUDA, HIP, XPU, MPS, and their drivers
    "can't allocate memory",  # PyTorch's on Linux and macOS
    "cannot allocate memory",  # and the system's
    "not enough memory",  # and on Windows
    "paging file is too small",  # where a file of weights is opened
    "_alloc_failed",  # cuBLAS, cuDNN, cuSOLVER, hipBLAS
    "allocation_failed",  # cuDNN 9
    "statusallocfailed",  # MIOpen
    "rocblas_status_memory_error",
    "failed to allocate",  # Metal
    "error_out_of_resources",  # SYCL, on Intel's cards
    "out_of_device_memory",
    "out_of_host_memory",
    "outofmemory",
    "invalid buffer size",  # MPS, of a tensor that no memory of this kind could hold
    "bad_alloc",
    "bad allocation",
)

_PAGING_FILE = 1455  # Windows' number for one that is too small


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether a device, a library that works on it, or main memory has nothing left; by what they say, since their
    classes differ from release to release."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError) and error.errno is not None:  # whose text may hold a file's name
        return error.errno == errno.ENOMEM or getattr(error, "winerror", None) == _PAGING_FILE
    text = str(error).casefold() if isinstance(error, RuntimeError | OSError) else ""
    return any(told in text for told in _TOLD)


def is_told_of_memory(error: BaseException | None) -> bool:
    """The same, also of the sentence that it became."""
    return is_out_of_memory(error) or (isinstance(error, UnrenderError) and is_out_of_memory(error.__cause__))


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


def size(nbytes: int) -> str:
    return f"{nbytes / 10**9:.1f} GB" if nbytes >= 10**9 else f"{nbytes / 10**6:,.2f} MB"


@contextmanager
def within_memory(problem: str, *cures: Cure) -> Iterator[None]:
    """A sentence where memory does not suffice; what the failed work held is free when it is raised."""
    try:
        yield
        return
    except (RuntimeError, MemoryError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        cause = error
    let_go(cause)
    raise ModelError(problem, *cures) from cause


def let_go(error: BaseException) -> None:
    """Frees what an error's way keeps alive: the variables of all functions it has left."""
    reached: BaseException | None = error
    while reached is not None:
        traceback.clear_frames(reached.__traceback__)
        reached.__traceback__ = None
        reached = reached.__cause__ or reached.__context__
