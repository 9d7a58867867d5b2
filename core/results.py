"""What an interrogation returns."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .tags import Tag


@dataclass(frozen=True)
class PhraseGain:
    """One phrase of a prompt.

    gain: by how much it raised the prompt's cosine similarity to the picture when it was appended (the first one's from
    zero); negative where it lowered it. The gains of a prompt sum to its similarity.
    category: the vocabulary category it came from, "caption" for the caption itself.
    """

    text: str
    category: str
    gain: float


@dataclass(frozen=True)
class Contender:
    """A text that might have become the caption. describer: who wrote it. seed: by which one, where words are drawn.
    similarity: cosine of its and the picture's CLIP embeddings."""

    text: str
    describer: str
    seed: int
    similarity: float


@dataclass(frozen=True)
class Interrogation:
    """A picture's prompt.

    prompt: the words, unescaped, with prefix, suffix and trigger word.
    similarity: cosine similarity in -1..1 of the prompt's and the picture's CLIP embeddings; None where no CLIP
    was asked, as in the mode "tags".
    caption: the captioner's (or caller's) text, without tags beside it, empty when there was none.
    model: whose eyes it was seen with, the CLIP's or where there was none the describer's name.
    seconds: wall time spent on this picture, model loading not included.
    risk: an upper bound on the probability that a search in float32 throughout would have found another prompt.
    tags: what a tagger told above its thresholds, and the ratings. contenders: the texts among which the caption was
    chosen, best first, where there were several.
    """

    prompt: str
    similarity: float | None
    mode: str
    caption: str
    phrases: tuple[PhraseGain, ...]
    model: str
    seconds: float
    risk: float = 0.0
    tags: tuple[Tag, ...] = ()
    contenders: tuple[Contender, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON-ready values."""
        values = asdict(self)
        for name in ("phrases", "tags", "contenders"):
            values[name] = list(values[name])
        return values
