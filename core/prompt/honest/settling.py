"""What a person insists on, in the place of what a caption says otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ...phrases.families import Claim, Claims
from ...phrases.families.claims import forms
from .in_context import replaced
from .said import of_family

_SEPARATOR = ", "


@dataclass(frozen=True)
class Settled:
    """changes: what the text said, and the wording that it has in its place."""

    text: str
    changes: tuple[tuple[Claim, str], ...] = ()


def settled(text: str, pinned: Sequence[str], claims: Claims) -> Settled:
    """text: a caption with pinned phrases behind it. Of families that exclude, a pinned concept takes the place of the
    one other that the caption names, and is not said again behind it."""
    caption, behind = _apart(text, _SEPARATOR.join(pinned).split(_SEPARATOR))
    changes: list[tuple[Claim, str]] = []
    for claim in _insisted(claims.read(_SEPARATOR.join(pinned))):
        own = of_family(claims.read(caption), claim.family.name)
        if len({each.concept.name for each in own}) == 1 and own[0].concept is not claim.concept:
            wording = _wording(claim)
            caption = replaced(caption, own, wording)
            changes.append((own[0], wording))
    placed = {form for _, wording in changes for form in forms(wording)}
    left = [phrase for phrase in behind if forms(phrase)[0] not in placed]
    return Settled(_SEPARATOR.join(filter(None, (caption, *left))), tuple(changes))


def _apart(text: str, pinned: Sequence[str]) -> tuple[str, list[str]]:
    parts = text.split(_SEPARATOR)
    count = next((row for row, part in enumerate(reversed(parts)) if part not in pinned), len(parts))
    kept = len(parts) - count
    return _SEPARATOR.join(parts[:kept]), parts[kept:]


def _insisted(pinned: Sequence[Claim]) -> list[Claim]:
    """Those that settle their family: nothing else is pinned of it, and the words mean nothing in another."""
    names = {each.family.name for each in pinned}
    concepts = {name: {each.concept.name for each in of_family(pinned, name)} for name in names}
    meanings = Counter((each.start, each.stop) for each in pinned)
    single = [each for each in pinned if len(concepts[each.family.name]) == 1 and meanings[each.start, each.stop] == 1]
    return list({each.family.name: each for each in single if each.family.excludes}.values())


def _wording(claim: Claim) -> str:
    """As the concept has it, in the singular: a caption's own number stays."""
    return next(each for each in claim.concept.wordings if claim.wording in forms(each))
