"""What an interrogation returns."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from .tags import Tag


@dataclass(frozen=True)
class PhraseGain:
    """One phrase of a prompt.

    gain: by how much it raised the prompt's cosine similarity to the picture when it was appended (the first one's from
    zero); negative where it lowered it. The gains of a prompt sum to its similarity.
    category: the vocabulary category it came from, "caption" for the caption itself; the family's name for the wording
    of a concept.
    likelihood: of what it says, 0..1, among the concepts of its family; support: by how many deviations the picture is
    nearer to it than pictures are by chance; None where no family knows it, and in searches that do not ask.
    runner_up: how the prompt would say the family's next likely concept; empty for what is sure or of no family.
    instead_of: the words of the phrase that it would stand for, where that is not the whole, as in a caption.
    """

    text: str
    category: str
    gain: float
    likelihood: float | None = None
    support: float | None = None
    family: str = ""
    runner_up: str = ""
    instead_of: str = ""


Reason = Literal["corrected", "contradicts", "unlikely", "no gain", "no room", "repeats"]
REASONS: tuple[Reason, ...] = get_args(Reason)


@dataclass(frozen=True)
class Rejected:
    """A phrase that was weighed and left out, or a word of the caption that was changed ("corrected"). likelihood,
    support and gain as in `PhraseGain`, None where it was not asked for; against: what it contradicts or repeats, or
    what was said in its place."""

    text: str
    category: str
    reason: Reason
    likelihood: float | None = None
    support: float | None = None
    gain: float | None = None
    against: str = ""


@dataclass(frozen=True)
class Contender:
    """A text that might have become the caption. describer: who wrote it. seed: by which one, where words are drawn.
    similarity: cosine of its and the picture's CLIP embeddings."""

    text: str
    describer: str
    seed: int
    similarity: float


@dataclass(frozen=True)
class Rendered:
    """A prompt that was rendered, to choose among several. way: what found it, a search or mode by its name. likeness:
    how near its renderings come to the picture in the judge's eyes, the mean cosine."""

    prompt: str
    way: str
    likeness: float


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
    search: which one found it, empty in modes that do not search. rejected: what the honest search weighed and left
    out. bank: what it compared the picture with (`core.evidence.bank`).
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
    search: str = ""
    rejected: tuple[Rejected, ...] = ()
    bank: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON-ready values."""
        values = asdict(self)
        for name in ("phrases", "tags", "contenders", "rejected"):
            values[name] = list(values[name])
        return values
