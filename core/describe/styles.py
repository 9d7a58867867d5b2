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
        "words": Ask(
            "Say in three to twelve plain words what this picture shows. Write no sentence, no comma and no full stop: "
            "the words alone.",
            "<CAPTION>",
            32,
        ),
        "tags": Ask(
            "Tag this picture as an image board would. Answer with one line of at most fifty short tags in small "
            "letters, separated by commas, the most important first: how many people or animals, who or what they are, "
            "looks, clothes, pose, action, objects, place, view, light, medium. Name only what can be seen, no tag "
            "twice, and write nothing else.",
            "<GENERATE_TAGS>",
            300,
        ),
        "sentence": Ask(
            "Describe this picture in one complete sentence of at most forty words: the main subject, what it does, "
            "where it is, and the medium. Answer with that sentence alone.",
            "<CAPTION>",
            80,
        ),
        "paragraph": Ask(
            "Describe this picture in detail, in one paragraph of six to ten complete sentences and 180 words at most: "
            "the main subject first with its looks, pose and clothes; then what else there is and where, the setting, "
            "the view and framing, the light, the colours, the medium and the style; any writing in quotation marks. "
            "State what can be seen as facts. Use no list, no heading, and no words like 'the image shows'.",
            "<MORE_DETAILED_CAPTION>",
            512,
        ),
        "training": Ask(
            "Write a caption of this picture that an image model can be trained with: one to four plain sentences on "
            "what there is, how it looks, where it is in the frame, the background, the light and the medium. Only "
            "what can be seen, no guess, no opinion, no mood, no praise, and no mention of an image or a viewer. Begin "
            "with the subject.",
            "<DETAILED_CAPTION>",
            200,
        ),
        "keywords": Ask(
            "Give five to twenty keywords for this picture on one line, separated by commas: subject, medium, style, "
            "light, colours, in this order. Each has six words at most, none comes twice, and nothing else is written.",
            "<CAPTION>",
            120,
        ),
    }
)
