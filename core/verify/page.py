"""A comparison of ways to embed, on one page that a person understands and may show to others.

It holds no picture, no place on a disk, and nothing of what the pictures show.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..embed.kinds import PROJECTIONS, QUALITIES, QUALITY_SUMMARIES, SUMMARIES
from ..variation import MICRO
from .about import About, without_places
from .asked import TELLING
from .fidelity import Fidelity, Way
from .statistics import Estimate
from .ways import CAPTION, EMPTY, QUICK, SHUFFLED, words_of
from .weights import Finding

_OTHERS = {
    CAPTION: "what the captioner says, without a search",
    EMPTY: "no words at all: what chance gives",
    SHUFFLED: "quick, of another picture: what chance gives",
}


def page(about: About, fidelity: Fidelity, findings: Sequence[Finding] = ()) -> str:
    """In Markdown."""
    lines = [
        f"# Which embedding suits {_cell(about.checkpoint)}",
        "",
        *_recommended(fidelity),
        *_table(about, fidelity),
        *_unsaid(about),
        *_checks(findings),
        *_made_with(about),
    ]
    return without_places("\n".join(lines) + "\n", about.places)


def _recommended(fidelity: Fidelity) -> Iterator[str]:
    pictures = fidelity.ways[QUICK].pictures
    best = fidelity.recommended
    if best is None:
        yield f"**Nothing is recommended**: {pictures} pictures are too few to tell; give {TELLING} or more."
        yield ""
        return
    yield f"**Recommended: {best}** ({_summary(fidelity, best)})."
    if best == QUICK:
        yield "No other way comes surely nearer to the pictures: each one's interval over quick reaches zero."
    else:
        over = _said(fidelity.ways[best].over_quick)
        yield f"Its renderings are surely nearer to the pictures than quick's, by {over} on the mean,"
        yield "and no other way is above quick by more."
    over = None if "best" not in fidelity.ways else fidelity.ways["best"].over_words
    if over is not None:
        told = "is surely above" if over.low > 0 else "is surely below" if over.high < 0 else "cannot be told from"
        yield f"Best {told} the words it stands on: {_said(over)}."
    if fidelity.search is not None:
        yield f"Of the searches **{fidelity.search}** is recommended."
    yield ""
    yield "Unrender takes what is recommended for this checkpoint on this machine from now on, where nothing is chosen."
    yield ""


def _table(about: About, fidelity: Fidelity) -> Iterator[str]:
    ways, judge = fidelity.ways, _cell(about.judge)
    second = any(way.second is not None for way in ways.values())
    pictures = ways[QUICK].pictures
    yield f"{pictures} pictures were rendered in each way. **Near**: how alike {judge}, which took no part in"
    yield "that, finds pictures and renderings (1 is the same); in brackets, where the mean of all such pictures"
    yield "lies with 95 % confidence. **Colours off**: how far 8 x 8 fields are from the picture's in mean colour (0 is"
    yield "none). **Seconds**: that an embedding took, without the search for words; a rendering took"
    yield f"{fidelity.seconds:.2f}."
    yield ""
    heads = ["way", "near", "over quick", "over its words", *(["second judge"] if second else []), "colours off"]
    yield _row([*heads, "seconds", "pictures"])
    yield _row(["---"] * (len(heads) + 2))
    for way in sorted(ways.values(), key=lambda each: -each.similarity.mean):
        yield _row(_cells(fidelity, way, second))
    yield ""
    yield from (f"- **{name}**: {_summary(fidelity, name)}" for name in ways)
    yield ""


def _cells(fidelity: Fidelity, way: Way, second: bool) -> Iterator[str]:
    bold = "**" if way.name == fidelity.recommended else ""
    yield f"{bold}{way.name}{bold}"
    yield _said(way.similarity)
    yield "" if way.name == QUICK else _signed(way.over_quick)
    yield "" if way.name == words_of(fidelity.usual) else _signed(way.over_words)
    if second:
        yield "" if way.second is None else _said(way.second)
    yield _said(way.coarse)
    yield f"{way.seconds:.2f}"
    yield str(way.pictures)


def _summary(fidelity: Fidelity, name: str) -> str:
    for quality in QUALITIES:
        if quality == name:
            return QUALITY_SUMMARIES[quality]
    for projection in PROJECTIONS:
        if projection == name:
            return SUMMARIES[projection]
    usual = ", on which best stands" if name == words_of(fidelity.usual) else ""
    return _OTHERS.get(name) or f"the prompt that this search finds, as words{usual}"


def _unsaid(about: About) -> Iterator[str]:
    yield "## What this does not say"
    yield ""
    if about.checkpoint == MICRO:
        yield "- Anything of real models: micro is a toy that knows a small drawn world."
    yield "- How it is with other pictures, checkpoints, steps or guidance."
    yield "- Whether people like a rendering. The judge sees what it was trained to see, and the colours are a crude"
    yield "  measure: a grey picture is near to all."
    yield "- Which of two ways is better whose intervals overlap; of many ways one looks good by chance now and then."
    yield ""


def _checks(findings: Sequence[Finding]) -> Iterator[str]:
    if findings:
        marks = {True: "ok", False: "**failed**", None: ""}
        yield "## Checks of the models"
        yield ""
        yield _row(["check", "", "measured"])
        yield _row(["---"] * 3)
        yield from (_row([each.check, marks[each.passed], each.value]) for each in findings)
        yield ""


def _made_with(about: About) -> Iterator[str]:
    yield "## Made with"
    yield ""
    yield _row(["", "", "fingerprint"])
    yield _row(["---"] * 3)
    yield from (_row(model) for model in about.models)
    yield from (_row([what, said, ""]) for what, said in about.rows)


def _row(cells: Sequence[str] | Iterator[str]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    """A name, or what an error says, breaks no table."""
    return " ".join(text.replace("|", "\\|").split())


def _said(value: Estimate) -> str:
    return f"{value.mean:.3f} ({value.low:.3f} to {value.high:.3f})"


def _signed(value: Estimate) -> str:
    return f"{value.mean:+.3f} ({value.low:+.3f} to {value.high:+.3f})"
