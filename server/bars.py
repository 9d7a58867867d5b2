"""Likelihoods as HTML: a bar for each phrase, which the page's style sheet draws."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from ..core.printable import visible

if TYPE_CHECKING:
    from ..core.results import Contender
    from ..core.study.analyze import Analysis
    from ..core.study.families import FamilyAnalysis
    from ..core.study.match import Match
    from ..core.tags import Tag


_TAG_HEADINGS = {"general": "Tags", "character": "Characters", "rating": "Rating"}


_LEAST = 0.005
"""Of a concept's likelihood that is shown: those of a family that is sure are mostly nothing."""


def analysis_bars(analysis: Analysis) -> str:
    """Of a tagger, where one was asked, then of the CLIP: by category, and by family."""
    return tag_bars(analysis.tags) + _categories(analysis) + family_bars(analysis.families)


def _categories(analysis: Analysis) -> str:
    return "".join(
        _bars(
            ((each.phrase, each.similarity, each.likelihood) for each in found.top),
            found.category,
            f"of {found.phrases:,}",
            found.note,
        )
        for found in analysis.categories
    )


def family_bars(families: Sequence[FamilyAnalysis]) -> str:
    """What is sure, and folded what is not."""
    sure = "".join(_family(each) for each in families if each.sure)
    unsure = [each for each in families if not each.sure]
    if not unsure:
        return sure
    questions = "1 question" if len(unsure) == 1 else f"{len(unsure)} questions"
    said = f"{questions} that the picture does not answer surely"
    return f'{sure}<details class="unrender-unsure"><summary>{said}</summary>{"".join(map(_family, unsure))}</details>'


def _family(found: FamilyAnalysis) -> str:
    rows = [
        _row(each.wording, _share(each.likelihood), each.likelihood, f"support {each.support:+.1f} deviations")
        for each in found.top
        if each.likelihood >= _LEAST
    ]
    if found.none is not None and found.none >= _LEAST:
        rows.append(_row("none of these", _share(found.none), found.none, "likelihood that no concept here is true"))
    title = f"<h2>{escape(visible(found.family))} <small>{escape(visible(found.about))}</small></h2>"
    return f'<section class="unrender-bars">{title}<ol>{"".join(rows)}</ol></section>'


def match_bars(match: Match) -> str:
    """Of the first picture."""
    ranked = match.ranked_phrases(0)
    return _bars((match.phrases[each.index], each.similarity, each.likelihood) for each in ranked)


def tag_bars(tags: Sequence[Tag]) -> str:
    """By category, the rating first."""
    from ..core.study.analyze import by_category

    return "".join(_tag_list(name, found) for name, found in by_category(tags))


def contender_bars(contenders: Sequence[Contender]) -> str:
    """The captions among which one was chosen."""
    rows = [(each.text, each.similarity, f"{each.describer}, seed {each.seed}") for each in contenders]
    return _against_the_largest("Captions, by similarity", rows, ".4f")


def _against_the_largest(heading: str, rows: Sequence[tuple[str, float, str]], form: str) -> str:
    """rows: text, cosine similarity, and what stands small behind it; the longest bar is the largest one's."""
    if not rows:
        return ""
    largest = max(abs(value) for _, value, _ in rows) or 1.0
    lines = (
        _row(
            text,
            format(value, form),
            max(value, 0.0) / largest,
            f"cosine similarity {value:{form}}",
            f" <small>{escape(visible(beside))}</small>",
        )
        for text, value, beside in rows
    )
    return f'<section class="unrender-bars"><h2>{heading}</h2><ol>{"".join(lines)}</ol></section>'


def _tag_list(category: str, tags: Sequence[Tag]) -> str:
    heading = _TAG_HEADINGS.get(category, f"{category.capitalize()} tags")
    rows = (_row(tag.name, f"{tag.confidence:.0%}", tag.confidence, f"confidence {tag.confidence:.4f}") for tag in tags)
    return f'<section class="unrender-bars"><h2>{heading}</h2><ol>{"".join(rows)}</ol></section>'


def _bars(rows: Iterable[tuple[str, float, float]], heading: str = "", beside_heading: str = "", note: str = "") -> str:
    """rows: phrase, cosine similarity, likelihood from 0 to 1."""
    title = f"<h2>{escape(visible(heading))} <small>{escape(beside_heading)}</small></h2>" if heading else ""
    remark = f"<p><small>{escape(note)}</small></p>" if note else ""
    return f'<section class="unrender-bars">{title}<ol>{"".join(_bar(*row) for row in rows)}</ol>{remark}</section>'


def _bar(phrase: str, similarity: float, likelihood: float) -> str:
    return _row(phrase, _share(likelihood), likelihood, f"cosine similarity {similarity:.4f}")


def _share(likelihood: float) -> str:
    return f"{likelihood:.1%}" if likelihood >= 0.0005 else "< 0.1%"


def _row(phrase: str, share: str, part: float, title: str, beside: str = "") -> str:
    """part: of the bar, from 0 to 1. beside: HTML behind the phrase."""
    return (
        f'<li title="{escape(visible(title))}"><span class="unrender-phrase">{escape(visible(phrase))}{beside}</span>'
        f'<span class="unrender-share">{escape(share)}</span>'
        f'<span class="unrender-bar"><span style="width: {100 * part:.2f}%"></span></span></li>'
    )
