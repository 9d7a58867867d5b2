"""Why a phrase was left out, in words."""

from __future__ import annotations

from dataclasses import replace

from unrender.core.reasons import why
from unrender.core.results import REASONS, Rejected

NIGHT = Rejected("at night", "light", "contradicts", against="at noon")


def test_every_reason_is_said_in_words():
    said = {why(replace(NIGHT, reason=reason)) for reason in REASONS}
    assert len(said) == len(REASONS) and not any("{" in each for each in said)
    assert why(NIGHT) == 'contradicts "at noon"' and why(NIGHT, str.upper) == "contradicts AT NOON"


def test_what_is_said_already_repeats_itself():
    for against in ("", "at night"):
        assert why(replace(NIGHT, reason="repeats", against=against)) == "is said already"
