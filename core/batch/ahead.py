"""Pictures decoded by threads while the models are at work on those before."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from ..errors import ImageError
from .items import Item

T = TypeVar("T")
LookedAt = tuple[Item, ImageError | None]
"""An item, and why its picture cannot be had."""

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..images.budget import PixelBudget, Ticket

    _Coming = tuple[Item, Future[Image | ImageError], Ticket]
    Opened = tuple[Item, Image | ImageError]

CHUNK = 16
"""Pictures looked at together, as many as a vision tower takes at once. Another chunk is being decoded meanwhile."""

_MOST_THREADS = 8


def usual_jobs() -> int:
    """Threads that decode: decoders release Python's lock."""
    return min(_MOST_THREADS, os.cpu_count() or 1)


def chunked(items: Iterable[Item], size: int | None = None) -> Iterator[list[Item]]:
    rest = iter(items)
    while chunk := list(itertools.islice(rest, size or CHUNK)):
        yield chunk


def opened(
    chunks: Iterable[Sequence[Item]], jobs: int, budget: PixelBudget | None = None
) -> Iterator[Iterator[Opened]]:
    """Each chunk's pictures, or why they cannot be had, one by one; the next ones are being decoded meanwhile.

    A picture is to be let go of before the next is asked for: no more pixels are held than the budget has."""
    from ..images.budget import PixelBudget

    budget = budget or PixelBudget()
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="unrender-decode")
    waiting: deque[deque[_Coming]] = deque()
    try:
        for chunk in chunks:
            waiting.append(deque(_coming(item, pool, budget.ticket()) for item in chunk))
            if len(waiting) > 1:
                yield from _whole(waiting.popleft())
        while waiting:
            yield from _whole(waiting.popleft())
    finally:
        budget.close()
        pool.shutdown(wait=True, cancel_futures=True)


def readable(chunk: Iterable[Opened], looked_at: list[LookedAt]) -> Iterator[Image] | None:
    """The pictures among what was opened, None where there is none; all that was looked at is noted, in its order."""

    def pictures() -> Iterator[Image]:
        for item, picture in chunk:
            if isinstance(picture, ImageError):
                looked_at.append((item, picture))
            else:
                looked_at.append((item, None))
                yield picture
                del picture

    return with_first(pictures())


def with_first(values: Iterator[T]) -> Iterator[T] | None:
    """The same with its first value made already; None where there is none."""
    for value in values:
        return itertools.chain(iter([value]), values)
    return None


def _coming(item: Item, pool: ThreadPoolExecutor, ticket: Ticket) -> _Coming:
    return item, pool.submit(_open, item, ticket), ticket


def _whole(chunk: deque[_Coming]) -> Iterator[Iterator[Opened]]:
    """The chunk, once; what is left of it by who went on to the next is let go of."""
    one_by_one = _one_by_one(chunk)
    yield one_by_one
    for _ in one_by_one:
        pass


def _one_by_one(chunk: deque[_Coming]) -> Iterator[Opened]:
    while chunk:
        item, future, ticket = chunk.popleft()
        try:
            yield item, future.result()
        finally:
            del future  # which would keep the picture
            ticket.release()


def _open(item: Item, ticket: Ticket) -> Image | ImageError:
    try:
        with ticket.asked():
            return item.open()
    except ImageError as error:
        ticket.release()
        return error
