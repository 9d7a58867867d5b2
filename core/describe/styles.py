"""What each style asks of a describer that can be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..settings import Style


@dataclass(frozen=True)
class Ask:
    """instruction: to a model that answers. task: Florence-2's. tokens: written at most."""

    instruction: str
    task: str
    tokens: int


STYLES: Mapping[Style, Ask] = MappingProxyType(
    {
        "words": Ask("Describe this picture in a few plain words, without a sentence.", "<CAPTION>", 32),
        "tags": Ask(
            "List at most fifty short tags for what is in this picture, separated by commas, and nothing else.",
            "<GENERATE_TAGS>",
            300,
        ),
        "sentence": Ask("Describe this picture in one sentence.", "<CAPTION>", 80),
        "paragraph": Ask(
            "Describe this picture in one paragraph of six to ten sentences: subject, setting, composition, light, "
            "colours and style.",
            "<MORE_DETAILED_CAPTION>",
            512,
        ),
        "training": Ask(
            "Write a plain caption of this picture to train an image model with: what is there and where, no opinion "
            "and no mood.",
            "<DETAILED_CAPTION>",
            200,
        ),
        "keywords": Ask(
            "Name the subject, the medium, the style, the light and the colours of this picture as keywords separated "
            "by commas, and nothing else.",
            "<CAPTION>",
            120,
        ),
    }
)
