"""The demo's pictures in words of other kinds: a tagger's tags, and what a chat model says in two styles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..core.errors import MissingPackageError
from ..core.micro.toy import MICRO_CHAT
from ..core.published import MICRO_TAGGER
from ..core.settings import CaptionSettings, Style
from .streams import complain

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..core.progress import Progress

STYLES: tuple[Style, ...] = ("sentence", "keywords")
Words = tuple[tuple[str, str], ...]
"""Texts, each behind what it is."""


def describe_all(pictures: Sequence[Image], progress: Progress) -> list[Words]:
    """Each picture's words. Where a package is missing that is said, and there are fewer."""
    from ..core.describe import load_describer

    styles_of: dict[str, tuple[Style, ...]] = {MICRO_TAGGER: ("tags",), MICRO_CHAT: STYLES}
    found: list[Words] = [()] * len(pictures)
    with progress.task("Describing", len(styles_of), "describers") as task:
        for name, styles in styles_of.items():
            try:
                describer = load_describer(name, "cpu")
            except MissingPackageError as error:
                complain(error)
                continue
            for style in styles:
                texts = describer.caption(pictures, CaptionSettings(style=style))
                found = [(*words, (style, text)) for words, text in zip(found, texts, strict=True)]
            task.advance()
    return found
