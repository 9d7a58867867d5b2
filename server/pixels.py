"""How many pixels the pictures of requests take, of one and of all together, while they wait for the models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from ..core.images.budget import PixelBudget
from .jobs import Job

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_OF_ALL = 128_000_000
"""Half a gigabyte. Who asks with more waits until others have their answers; the oldest request never waits."""

MOST_OF_ONE = 256_000_000
"""Beyond which a request is refused."""

_BUDGET = PixelBudget(MOST_OF_ALL)


class Opening(Protocol):
    """Opens a picture, whose pixels are then held until the request has its answer."""

    def __call__(self, source: Any, name: str | None = None) -> Image: ...


@contextmanager
def held(job: Job) -> Iterator[Opening]:
    """Raises ImageError where a request's pictures are too many pixels, Cancelled where the job is stopped."""
    ticket = _BUDGET.ticket(MOST_OF_ONE)
    ticket.check = job.check
    try:
        yield partial(_open, ticket.asked)
    finally:
        ticket.release()


def _open(asked: Any, source: Any, name: str | None = None) -> Image:
    from ..core.images import open_image

    with asked():
        return open_image(source, name)
