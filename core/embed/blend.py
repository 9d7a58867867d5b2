"""What is asked of an embedding: how pictures and words become one, and in which way; checked before anything loads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..cures import Choose, Give, LeaveOut
from ..errors import SettingsError
from ..foreign import shown
from ..phrases import Vocabulary
from ..printable import quoted
from ..prompt.together import check_weights
from .composing import check_mix, check_strength
from .families import Family
from .kinds import (
    PROJECTIONS,
    QUALITIES,
    USUAL_QUALITY,
    Mix,
    Projection,
    Quality,
    Way,
    is_tuned,
    way_by,
    way_of,
)
from .projection import PUBLISHED_ALPHA, check_alpha
from .soft.descent import check_tokens

_MOST_CORRECTION = 4.0
_IN_WORDS: tuple[Projection, ...] = ("soft", "anchored")
"""That stand on a prompt which describes the pictures."""
_DESCRIBED: tuple[Quality, ...] = ("good", "best")
UNDESCRIBED = "The projection anchored needs a prompt that describes each picture"


@dataclass(frozen=True)
class Blend:
    """How pictures become one embedding.

    weights, mix: of several pictures (see `composing.mixed`).
    text: a prompt that stays in force: with "pinv" in the edit form with alpha, with "anchored" and "soft" in the
    anchor's place, with the others by a strength below 1.
    strength: from the text's own embedding (of the empty prompt where there is none) at 0 to the picture's at 1.
    anchor: with "soft" and "anchored" the prompt that describes the pictures; None for the one that a search finds
    where the way has one, "" for none. correction: with "anchored", how much of what the map sees in the picture beyond
    the anchor is added to the prompt's own states.
    temperature: of the weights of "bank"'s neighbours, by the cosine of their directions.
    swaps: with "soft" and "anchored", phrases by the category of the vocabulary whose phrases they replace in the
    prompt. tokens: with "soft", how many stand after the words; None for what was found best.
    """

    weights: Sequence[float] | None = None
    mix: Mix = "mean"
    text: str = ""
    alpha: float = PUBLISHED_ALPHA
    strength: float = 1.0
    anchor: str | None = None
    correction: float = 0.25
    temperature: float = 0.05
    swaps: Mapping[str, str] = field(default_factory=dict)
    tokens: int | None = None

    def __post_init__(self) -> None:
        check_tokens(self.tokens)
        check_mix(self.mix)
        check_alpha(self.alpha)
        check_strength(self.strength)
        if not (math.isfinite(self.correction) and 0 <= self.correction <= _MOST_CORRECTION):
            raise SettingsError(
                f"is {self.correction:g}", f"give a number from 0 to {_MOST_CORRECTION:g}", control="correction"
            )
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise SettingsError(f"is {self.temperature:g}", "give a number above 0", control="temperature")


def checked_way(family: Family, projection: str | None = None, wanted: str | None = None) -> Way:
    """Of a projection, else of a quality or a projection that is wanted, else of the best quality. Raises SettingsError
    where it does not serve the family."""
    check_quality(wanted if projection is None and wanted not in PROJECTIONS else None)
    if projection is not None and is_tuned(projection):
        return Way(_tuned_choice(family), tuned=projection)
    for quality in QUALITIES:
        if projection is None and quality == (wanted or USUAL_QUALITY):
            way = way_of(quality, family.closed_form)
            checked_choice(family, way.projection)
            return way
    return way_by(checked_choice(family, projection or wanted))


def check_quality(quality: str | None) -> None:
    if quality is not None and quality not in QUALITIES:
        raise SettingsError(f"There is no quality {quoted(quality)}", Choose("quality", QUALITIES))


def checked_choice(family: Family, projection: str | None = None) -> Projection:
    """The projection asked for, or "soft". Raises SettingsError where it does not serve the family."""
    known: dict[str, Projection] = {name: name for name in PROJECTIONS}
    chosen = known.get(projection or "soft")
    if chosen is None:
        raise SettingsError(f"There is no projection {quoted(projection)}", Choose("projection", PROJECTIONS))
    if not family.is_served_by(chosen):
        raise SettingsError(f"{chosen} cannot reach what {family.title} listens to", Choose("projection", ("soft",)))
    return chosen


def _tuned_choice(family: Family) -> Projection:
    """What comes after a tuned look. Raises SettingsError where that does not serve the family."""
    if not family.closed_form or not family.encoders:
        raise SettingsError(
            f"What is tuned on pictures is a closed form, which cannot reach what {family.title} listens to",
            Choose("projection", ("soft",)),
        )
    return "pinv"


def check_blend(blend: Blend, pictures: int, projection: str | None = None) -> None:
    """What is known to be wrong of a blend of so many pictures before they are looked at. projection: None while that
    waits for the text encoders. Raises SettingsError."""
    check_weights(pictures, blend.weights)
    if blend.text and projection in ("ridge", "bank") and blend.strength == 1:
        raise SettingsError(f"A text joins the projection {projection} by strength", Give("strength", "less than 1"))
    if projection not in (None, *_IN_WORDS):
        _check_unswapped(blend)


def check_asked(blend: Blend, projection: str | None, quality: str | None) -> None:
    """What contradicts itself in what a person asks for, where nothing is filled in for them. Raises SettingsError."""
    if projection is not None and quality is not None:
        problem = "A quality chooses a projection, and both were named"
        raise SettingsError(problem, LeaveOut("projection"), LeaveOut("quality"))
    named = "quality quick" if quality == "quick" else f"projection {projection}"
    closed = quality == "quick" or projection not in (None, *_IN_WORDS)
    if blend.anchor and closed:
        problem = f"The {named} heeds no prompt that describes the pictures"
        raise SettingsError(problem, LeaveOut("anchor"), Choose("quality", _DESCRIBED))
    if blend.tokens is not None and (closed or projection == "anchored"):
        raise SettingsError(f"The {named} adds no tokens", LeaveOut("tokens"), Choose("quality", _DESCRIBED))
    if closed:
        _check_unswapped(blend)


def _check_unswapped(blend: Blend) -> None:
    if blend.swaps:
        problem = "Phrases are swapped in a prompt, which only the projections soft and anchored have"
        raise SettingsError(problem, Choose("projection", _IN_WORDS))


def check_swaps(swaps: Mapping[str, str], vocabulary: Vocabulary) -> None:
    """SettingsError for a category that the vocabulary has not."""
    for category in swaps:
        if category not in vocabulary.categories:
            known = ", ".join(each.name for each in vocabulary.positive())
            raise SettingsError(
                f"There is no category {shown(category)!r} to swap a phrase of", f"choose one of {known}"
            )
