"""What is known of a picture before its prompt is searched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ..describe.next_words import NextWords
    from .honest.in_context import Heard


@dataclass(frozen=True)
class Writing:
    """Who writes on. words: of the describer, of this picture. caption: what it said by itself."""

    words: NextWords
    caption: str


@dataclass(frozen=True)
class Subject:
    """Its features [width] and its caption, empty when there is none.

    similarities: of every phrase of the table, where they were computed for several pictures at once. writing: for the
    search "written". heard: how sure the captioner was of its words (`core.prompt.honest.in_context`).
    """

    features: Tensor
    caption: str
    similarities: np.ndarray | None = None
    writing: Writing | None = None
    heard: Heard | None = None
