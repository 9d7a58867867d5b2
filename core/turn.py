"""An engine's turn at its models."""

from __future__ import annotations

import gc
import sys
import threading
import traceback
from contextlib import ExitStack
from types import TracebackType

from .cures import Take
from .errors import ModelError
from .shortage import SMALLER_CLIP, is_out_of_memory, is_told_of_memory, let_go


class Turn:
    """One at a time, as a lock that a thread may take again. Inside it a host's autocast and rounding do not reach the
    arithmetic; where memory does not suffice a sentence comes out of it, and nothing stays behind."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._entered: list[ExitStack] = []

    def __enter__(self) -> None:
        self._lock.acquire()
        stack = ExitStack()
        self._entered.append(stack)
        if "torch" in sys.modules:  # without it a host has switched nothing on, and a refusal need not wait for it
            from .undisturbed import undisturbed

            stack.enter_context(undisturbed())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stack, outermost = self._entered.pop(), not self._entered
        try:
            stack.close()
            if is_told_of_memory(error):
                traceback.clear_frames(trace)
                if outermost:
                    _give_back()
            if error is not None and is_out_of_memory(error):
                let_go(error)
                raise ModelError(
                    "The memory does not suffice",
                    *SMALLER_CLIP,
                    Take("use the CPU"),
                ) from error
        finally:
            self._lock.release()


def _give_back() -> None:
    from .devices import empty_device_cache

    gc.collect()  # modules hold themselves
    empty_device_cache()
