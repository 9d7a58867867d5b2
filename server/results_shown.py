"""A found prompt as the page shows it, and what its similarity says."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import NamedTuple

from ..core.micro.toy import TOY, is_toy
from ..core.results import Interrogation
from ..core.settings import UNCAPTIONED, Mode
from .bars import contender_bars, tag_bars
from .chips import chips, left_out
from .choices import known_mode
from .work import Found

_OF_MODES: dict[Mode, str] = {
    "negative": "here the lower the better: these words go into the negative prompt",
    "caption": "of the caption alone, which phrases would raise",
}
_OF_OPENAI = "a good prompt reaches about 0.3"
_OF_OTHERS = "each CLIP has a scale of its own, so only prompts that one CLIP judged compare"


class Shown(NamedTuple):
    """phrases, note, left_out, tags: HTML. tags: with the captions among which one was chosen. changed: what is known
    of the prompt once a person has changed it, which is nothing yet."""

    similarity: str
    tokens: str
    note: str
    phrases: str
    changed: str
    caption: str
    left_out: str
    tags: str

    @classmethod
    def of(cls, found: Found, written: Callable[[str], str]) -> Shown:
        """written: a prompt as its field has it."""
        one = found.interrogation
        return cls(
            "" if one.similarity is None else f"{one.similarity:.4f}",
            tokens_shown(found.tokens, found.room),
            f'<p class="unrender-note">{escape(similarity_note(one, found.captioner))}</p>',
            chips(one, written),
            "",
            one.caption,
            left_out(one),
            contender_bars(one.contenders) + tag_bars(one.tags),
        )


def tokens_shown(tokens: int, room: int | None) -> str:
    return f"{tokens}" if room is None else f"{tokens} of {room}"


def seen_by(model: str) -> str:
    """Whose eyes it was seen with, as the last line of a look at a picture."""
    return f"Seen by {model}. {TOY}" if is_toy(model) else f"Seen by {model}."


def similarity_note(found: Interrogation, captioner: str | None = None) -> str:
    """What the similarity says, by the CLIP whose eyes it is and by mode; or that this or the captioner is a toy."""
    name = found.model.casefold()
    if is_toy(name) or (is_toy(captioner) and found.mode not in UNCAPTIONED):
        return TOY
    if found.similarity is None:
        return "Tags have no similarity: no CLIP was asked."
    usual = _OF_OPENAI if name.endswith("/openai") else _OF_OTHERS
    return f"Similarity in this CLIP's eyes, from -1 to 1; {_OF_MODES.get(known_mode(found.mode), usual)}."
