"""Likelihoods as HTML: a bar for each phrase, which the page's style sheet draws."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from ..core.printable import visible

if TYPE_CHECKING:
    from ..core.results import Contender, PhraseGain
    from ..core.study.analyze import Analysis
    from ..core.study.match import Match
    from ..core.tags import Tag


_TAG_HEADINGS = {"general": "Tags", "character": "Characters", "rating": "Rating"}


def analysis_bars(analysis: Analysis) -> str:
    """Of a tagger, where one was asked, and then of the CLIP."""
    return tag_bars(analysis.tags) + "".join(
        _bars(
            ((each.phrase, each.similarity, each.likelihood) for each in found.top),
            found.category,
            f"of {found.phrases:,}",
            found.note,
        )
        for found in analysis.categories
    )


def match_bars(match: Match) -> str:
    """Of the first picture."""
    ranked = match.ranked_phrases(0)
    return _bars((match.phrases[each.index], each.similarity, each.likelihood) for each in ranked)


def gain_bars(phrases: Sequence[PhraseGain]) -> str:
    """Of a prompt, in its order; the longest bar is the largest gain's."""
    if not phrases:
        return ""
    largest = max(abs(each.gain) for each in phrases) or 1.0
    rows = (
        _row(
            each.text,
            f"{each.gain:+.4f}",
            max(each.gain, 0.0) / largest,
            f"cosine similarity {each.gain:+.4f}",
            f" <small>{escape(visible(each.category))}</small>",
        )
        for each in phrases
    )
    return f'<section class="unrender-bars"><h2>Phrases, and what each adds</h2><ol>{"".join(rows)}</ol></section>'


def tag_bars(tags: Sequence[Tag]) -> str:
    """By category, the rating first."""
    from ..core.study.analyze import by_category

    return "".join(_tag_list(name, found) for name, found in by_category(tags))


def contender_bars(contenders: Sequence[Contender]) -> str:
    """The captions among which one was chosen."""
    if not contenders:
        return ""
    most = max(abs(each.similarity) for each in contenders) or 1.0
    rows = (
        _row(
            each.text,
            f"{each.similarity:.4f}",
            max(each.similarity, 0.0) / most,
            f"cosine similarity {each.similarity:.4f}",
            f" <small>{escape(visible(each.describer))}, seed {each.seed}</small>",
        )
        for each in contenders
    )
    return f'<section class="unrender-bars"><h2>Captions, by similarity</h2><ol>{"".join(rows)}</ol></section>'


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
    share = f"{likelihood:.1%}" if likelihood >= 0.0005 else "< 0.1%"
    return _row(phrase, share, likelihood, f"cosine similarity {similarity:.4f}")


def _row(phrase: str, share: str, part: float, title: str, beside: str = "") -> str:
    """part: of the bar, from 0 to 1. beside: HTML behind the phrase."""
    return (
        f'<li title="{escape(visible(title))}"><span class="unrender-phrase">{escape(visible(phrase))}{beside}</span>'
        f'<span class="unrender-share">{escape(share)}</span>'
        f'<span class="unrender-bar"><span style="width: {100 * part:.2f}%"></span></span></li>'
    )
