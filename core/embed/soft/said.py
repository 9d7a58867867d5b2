"""What a picture answers, in the families' own words: where a soft prompt begins that stands on no others."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ...evidence.likelihoods import SURE_TO_SAY, Answer


def told(answers: Mapping[str, Answer], without: Collection[str] = ()) -> str:
    """The most usual wording of each concept that is likely enough to be said, the likeliest first. without: families
    of which nothing is."""
    likely = [
        (float(answer.likelihoods[row]), answer.concept(row).spoken[0])
        for name, answer in answers.items()
        if name not in without
        for row in (answer.ranked[:1] if answer.family.excludes else answer.ranked)
        if answer.likelihoods[row] >= SURE_TO_SAY
    ]
    likely.sort(key=lambda each: -each[0])
    return ", ".join(wording for _, wording in likely)
