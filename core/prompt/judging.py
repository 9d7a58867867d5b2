"""The CLIP as judge over several texts of one picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..cutting import cut
from ..describe.together import Words, Written
from ..results import Contender
from ..tags import Tag
from .tag_texts import beside, shared
from .together import shared_caption

if TYPE_CHECKING:
    from torch import Tensor

    from ..clip import Clip

_MOST_PARTS = 32
"""Of a text that are judged."""


@dataclass(frozen=True)
class Told:
    """What is known of a picture in words before its prompt is searched.

    caption: the text that was chosen. start: with the tags behind it, what the prompt begins with.
    contenders: see `Interrogation`. seen: what the captioner kept of the picture, for the search "written"."""

    caption: str = ""
    start: str = ""
    tags: tuple[Tag, ...] = ()
    contenders: tuple[Contender, ...] = ()
    seen: Any = None


def told(clip: Clip, features: Tensor, words: Words, compete: bool, pinned: Sequence[str] = ()) -> Told:
    """features: the picture's [width]. compete: whether several captions were asked for. pinned: phrases that every
    prompt begins with behind them."""
    contenders = judged(clip, features, words.captions) if compete else ()
    texts = [each.text for each in contenders or words.captions]
    caption = texts[0] if texts else ""
    tags = "" if words.beside is None else words.beside.text
    return Told(caption, beside(beside(caption, tags), ", ".join(pinned)), words.tags, contenders, words.seen)


def told_together(
    clip: Clip, features: Tensor, words: Sequence[Words], compete: bool, pinned: Sequence[str] = ()
) -> Told:
    """Of what was said of several pictures, what suits all of them. features: what they share [width]."""
    tags = shared([each.beside for each in words if each.beside is not None])
    captions = tuple(one for each in words for one in each.captions)
    if compete:
        return told(clip, features, Words(captions, tags, seen=words[0].seen), True, pinned)
    texts = list(dict.fromkeys(one.text for one in captions))
    best = shared_caption(clip, texts, features) if any(texts) else ""
    chosen = tuple(one for one in captions if one.text == best)[:1]
    seen = next((each.seen for each in words if set(chosen) & set(each.captions)), None)
    return told(clip, features, Words(chosen, tags, seen=seen), False, pinned)


def judged(clip: Clip, features: Tensor, written: Sequence[Written]) -> tuple[Contender, ...]:
    """The texts by their similarity to the picture, the most similar first, equals in the order given; of texts that
    are the same the first.

    All are one pass through the text encoder, which shares what they begin with. A text longer than the CLIP reads is
    taken in parts that end with sentences, and has the mean of their similarities, by their tokens: each sentence
    counts, and a longer text has no advantage of its length. An empty text comes last."""
    first: dict[str, Written] = {}
    for each in written:
        first.setdefault(each.text, each)
    clip.text.forget()
    values = likeness(clip, features, [text for text in first if text])
    similarities = dict(zip(filter(None, first), values, strict=True))
    likely = similarities.get
    found = [Contender(each.text, each.describer, each.seed, likely(each.text, 0.0)) for each in first.values()]
    return tuple(sorted(found, key=lambda each: (not each.text, -each.similarity)))


def likeness(clip: Clip, features: Tensor, texts: Sequence[str]) -> list[float]:
    """Each text's similarity to a picture's features [width], all in one pass. Of one that is longer than the CLIP
    reads the mean of its parts', by their tokens."""
    length, limit = clip.text.length, clip.text.context_length
    parts = [parts_of(text, length, limit) for text in texts]
    rows = [part for some in parts for part in some]
    values = iter((clip.encode_texts(rows) @ features).tolist() if rows else [])
    return [_mean([next(values) for _ in some], some, length) for some in parts]


def parts_of(text: str, length: Callable[[str], int], limit: int) -> list[str]:
    """Each of as many sentences, else clauses, else words, as there is room for."""
    parts: list[str] = []
    while text and len(parts) < _MOST_PARTS and (part := cut(text, length, limit)):
        parts.append(part)
        text = text[len(part) :].lstrip(" ,;")
    return parts


def _mean(values: Sequence[float], parts: Sequence[str], length: Callable[[str], int]) -> float:
    if len(parts) == 1:
        return values[0]
    around = length("")
    weights = [max(1, length(part) - around) for part in parts]
    return sum(value * weight for value, weight in zip(values, weights, strict=True)) / sum(weights)
