"""Likelihoods as HTML: a bar for each phrase, which the page's style sheet draws."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from ..core.printable import visible

if TYPE_CHECKING:
    from ..core.study.analyze import Analysis
    from ..core.study.match import Match


def analysis_bars(analysis: Analysis) -> str:
    return "".join(
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


def _bars(rows: Iterable[tuple[str, float, float]], heading: str = "", beside_heading: str = "", note: str = "") -> str:
    """rows: phrase, cosine similarity, likelihood from 0 to 1."""
    title = f"<h4>{escape(visible(heading))} <small>{escape(beside_heading)}</small></h4>" if heading else ""
    remark = f"<p><small>{escape(note)}</small></p>" if note else ""
    return f'<section class="unrender-bars">{title}<ol>{"".join(_bar(*row) for row in rows)}</ol>{remark}</section>'


def _bar(phrase: str, similarity: float, likelihood: float) -> str:
    share = f"{likelihood:.1%}" if likelihood >= 0.0005 else "< 0.1%"
    return (
        f'<li title="cosine similarity {similarity:.4f}"><span class="unrender-phrase">{escape(visible(phrase))}</span>'
        f'<span class="unrender-share">{escape(share)}</span>'
        f'<span class="unrender-bar"><span style="width: {100 * likelihood:.2f}%"></span></span></li>'
    )
