"""What an interrogation returns."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .explain import HeatMap


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
class Interrogation:
    """A picture's prompt.

    prompt: the words, unescaped, with prefix, suffix and trigger word.
    similarity: cosine similarity in -1..1 of the prompt's and the picture's CLIP embeddings.
    caption: the captioner's (or caller's) text, empty when there was none.
    seconds: wall time spent on this picture, model loading not included.
    risk: an upper bound on the probability that a search in float32 throughout would have found another prompt.
    """

    prompt: str
    similarity: float
    mode: str
    caption: str
    phrases: tuple[PhraseGain, ...]
    model: str
    seconds: float
    risk: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON-ready values."""
        values = asdict(self)
        values["phrases"] = list(values["phrases"])
        return values


@dataclass(frozen=True)
class Box:
    """A part of a picture, in its pixels: left and top are inside, right and bottom just outside.

    score: by how much its best patch is more similar to the phrase than to general words, in cosine.
    """

    left: int
    top: int
    right: int
    bottom: int
    score: float


@dataclass(frozen=True)
class Location:
    """Where a phrase is in a picture: boxes, the best first, none where nothing speaks for it; and the whole map."""

    phrase: str
    boxes: tuple[Box, ...]
    heat: HeatMap
    model: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready values. `map` holds the support of each patch, and the region of the picture they cover."""
        width, height = self.heat.size
        return {
            "phrase": self.phrase,
            "width": width,
            "height": height,
            "boxes": [asdict(box) for box in self.boxes],
            "map": {
                "region": [round(edge, 2) for edge in self.heat.region],
                "support": [[round(float(value), 4) for value in row] for row in self.heat.support],
            },
            "model": self.model,
        }
