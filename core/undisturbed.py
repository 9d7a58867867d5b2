"""Arithmetic as it is meant, whatever a host has switched on around it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import torch

Restore = Callable[[], None]

_AUTOCASTING = ("cuda", "cpu", "xpu", "mps")


@contextmanager
def undisturbed() -> Iterator[None]:
    """Inside it float32 is float32: products are not rounded to TF32 or bfloat16 on their way, and no autocast picks
    another precision. Afterwards the host has its settings again."""
    with ExitStack() as stack:
        for kind in filter(_autocasts, _AUTOCASTING):
            stack.enter_context(torch.autocast(kind, enabled=False))
        with _rounding:
            yield


def _autocasts(kind: str) -> bool:
    """Of this thread."""
    try:
        return torch.is_autocast_enabled(kind)
    except (TypeError, RuntimeError):  # before PyTorch 2.4, and for devices that a build does not know
        before = {"cuda": torch.is_autocast_enabled, "cpu": torch.is_autocast_cpu_enabled}
        return kind in before and before[kind]()


@dataclass
class _Rounding:
    """A setting of the whole process: the first to come notes it, and the last to go restores it."""

    inside: int = 0
    restore: list[Restore] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> None:
        with self.lock:
            self.inside += 1
            if self.inside == 1:
                self.restore = _round_nothing()

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1
            while not self.inside and self.restore:
                self.restore.pop()()


_rounding = _Rounding()


def _round_nothing() -> list[Restore]:
    """Switches it off. Returns what switches it on again where it was on, the last first.

    Newer PyTorch takes two ways of saying it, and reading one raises where the other was used: so both are kept."""
    places = _newer_places()
    newer = [_noted(place, "fp32_precision") for place in places]
    try:
        older = [_noted(torch.backends.cudnn, "allow_tf32"), _noted_products()]
    except RuntimeError:  # a host has used the newer way alone
        for place in places:
            place.fp32_precision = "ieee"
        return newer
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    return [*newer, *older]


def _newer_places() -> list[Any]:
    """Before PyTorch 2.9 they are missing, all or in part, or know nothing of it."""
    found = []
    for kind, name in (("cuda", "matmul"), ("cudnn", "conv"), ("mkldnn", "matmul"), ("mkldnn", "conv")):
        with suppress(AttributeError, AssertionError):
            place = getattr(getattr(torch.backends, kind), name)
            _ = place.fp32_precision
            found.append(place)
    return found


def _noted(place: Any, name: str) -> Restore:
    before = getattr(place, name)
    return lambda: setattr(place, name, before)


def _noted_products() -> Restore:
    before = torch.get_float32_matmul_precision()
    _ = torch.backends.cuda.matmul.allow_tf32  # which says whether that is all
    return lambda: torch.set_float32_matmul_precision(before)
