"""Pictures decoded by threads while the models are at work on those before."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from ..errors import ImageError
from .items import Item

if TYPE_CHECKING:
    from PIL.Image import Image

    Opened = tuple[Item, Image | ImageError]

CHUNK = 16
"""Pictures looked at together, as many as a vision tower takes at once. Another chunk is being decoded meanwhile."""

_MOST_THREADS = 8


def usual_jobs() -> int:
    """Threads that decode: decoders release Python's lock."""
    return min(_MOST_THREADS, os.cpu_count() or 1)


def chunked(items: Iterable[Item]) -> Iterator[list[Item]]:
    rest = iter(items)
    while chunk := list(itertools.islice(rest, CHUNK)):
        yield chunk


def opened(chunks: Iterable[Sequence[Item]], jobs: int) -> Iterator[list[Opened]]:
    """Each chunk with its pictures, or with why they cannot be had; the next one is being decoded meanwhile."""
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="unrender-decode")
    waiting: deque[list[tuple[Item, Future[Image | ImageError]]]] = deque()
    try:
        for chunk in chunks:
            waiting.append([(item, pool.submit(_open, item)) for item in chunk])
            if len(waiting) > 1:
                yield [(item, future.result()) for item, future in waiting.popleft()]
        while waiting:
            yield [(item, future.result()) for item, future in waiting.popleft()]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _open(item: Item) -> Image | ImageError:
    try:
        return item.open()
    except ImageError as error:
        return error
    except MemoryError:
        return ImageError(f'"{item.name}" takes more memory than there is', "make it smaller")
