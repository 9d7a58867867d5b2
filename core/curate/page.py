"""What was found as one HTML file that needs no other, with a small copy of every picture it speaks of."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from ..errors import ImageError
from ..files import write_whole
from ..index.turns import LEFT
from ..printable import visible
from .findings import Finding, Kind, Report

_THUMBNAIL = 192
_MOST_SHOWN = 500
_SECTIONS: tuple[tuple[Kind, str, str], ...] = (
    ("duplicate", "Duplicates", "Each frame holds a picture and copies of it; the first shows all that they show."),
    (
        "near",
        "Nearly the same",
        "Each frame holds a picture and others that differ from it: bursts, video frames.",
    ),
    ("turned", "Turned", "As the picture lies, and as it would be upright; the surest first."),
    ("outlier", "Unlike the others", "Farthest from what the folder usually shows first."),
    ("caption", "Captions that may be wrong", "Where most other captions suit the picture better, first."),
)
_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #212529; --faint: #5c646b; --card: #f3f4f6; --line: #d9dde1 }
@media (prefers-color-scheme: dark) {
  :root { --paper: #181a1d; --ink: #ebedef; --faint: #a5acb2; --card: #24272b; --line: #3a3f45 }
}
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 16px/1.45 system-ui, sans-serif }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere } h2 { font-size: 1.15rem; margin: 2.2rem 0 0 }
p { margin: .2rem 0 .8rem; color: var(--faint) }
a:focus-visible { outline: 3px solid; outline-offset: 2px }
nav { margin: .8rem 0; display: flex; flex-wrap: wrap; gap: .4rem 1.2rem } a { color: inherit }
.cards { display: flex; flex-wrap: wrap; gap: .8rem; align-items: flex-start }
.group { padding: .8rem; border: 1px solid var(--line); border-radius: .5rem }
figure { margin: 0; padding: .6rem; background: var(--card); border-radius: .5rem; max-width: 26rem }
.views { display: flex; gap: .6rem; align-items: center }
img { display: block; max-width: 100%; min-width: 4rem; border-radius: .25rem }
img.small { width: 8rem; image-rendering: pixelated }
figcaption { margin-top: .4rem; width: 0; min-width: 100%; font-size: .85rem; overflow-wrap: anywhere }
figcaption span { color: var(--faint); display: block }
"""


def write_page(report: Report, path: Path) -> None:
    """Raises OSError. Names lead to the pictures where they are, seen from the page."""
    parts = [_head(report), *_sections(report, path.parent)]
    write_whole(path, "\n".join([*parts, "</main>", "</body>", "</html>", ""]).encode(errors="replace"))


def _head(report: Report) -> str:
    title = f"What was found in {_shown(report.root.resolve().name)}"
    links = "".join(
        f'<a href="#{kind}">{heading}: {len(report.of(kind))}</a>' for kind, heading, _ in _SECTIONS if report.of(kind)
    )
    failures = [f"{len(report.failures)} pictures could not be read."] if report.failures else []
    remarks = " ".join(_shown(each) for each in (*report.remarks, *failures))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{report.pictures:,} pictures, seen by {_shown(report.model)}. Nothing was changed. {remarks}</p>
{f'<nav aria-label="What was found">{links}</nav>' if links else "<p>Nothing is amiss.</p>"}"""


def _sections(report: Report, page: Path) -> Iterator[str]:
    for kind, heading, explanation in _SECTIONS:
        found = report.of(kind)
        if not found:
            continue
        yield f'<h2 id="{kind}">{heading}</h2>\n<p>{explanation}</p>'
        shown = found[:_MOST_SHOWN]
        yield '<div class="cards">'
        if kind in ("duplicate", "near"):
            for first, copies in groupby(shown, key=lambda each: each.other):
                yield _group(report, page, first, list(copies))
        else:
            for each in shown:
                yield _card(report, page, each.name, _said(each), each.left)
        yield "</div>"
        if len(found) > len(shown):
            yield f"<p>{len(found) - len(shown):,} more are in the table.</p>"


def _group(report: Report, page: Path, first: str, copies: Sequence[Finding]) -> str:
    cards = [_card(report, page, first, ""), *(_card(report, page, each.name, _said(each)) for each in copies)]
    return "\n".join(['<div class="cards group">', *cards, "</div>"])


def _said(finding: Finding) -> str:
    if finding.kind == "turned":
        turn = {90: "a quarter to the left", 180: "by half", 270: "a quarter to the right"}[finding.left]
        return f"{finding.said}; turn it {turn}"
    if finding.overlap is not None:
        return f"{finding.said}; {finding.overlap:.0%} shared"
    return finding.said


def _card(report: Report, page: Path, name: str, said: str, left: int = 0) -> str:
    path = report.root / name
    tags = ", ".join(filter(None, report.told(name)))
    lines = f"<span>{_shown(said)}</span>" + (f"<span>{_shown(tags)}</span>" if tags else "")
    return (
        f'<figure><div class="views">{_views(path, left)}</div><figcaption>'
        f'<a href="{_link(path, page)}">{_shown(name)}</a>{lines}</figcaption></figure>'
    )


def _views(path: Path, left: int) -> str:
    from ..images import open_image

    try:
        picture = open_image(path)
    except ImageError:
        return "cannot be read any more"
    small = max(picture.size) <= _THUMBNAIL // 2
    picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
    views = [picture, picture.transpose(LEFT[left // 90 - 1])] if left else [picture]
    return "".join(_inline(view, small) for view in views)


def _inline(picture: Image.Image, small: bool) -> str:
    buffer = io.BytesIO()
    if small:  # compression would show
        picture.save(buffer, "PNG")
    else:
        picture.save(buffer, "JPEG", quality=80)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    size = 'class="small"' if small else f'width="{picture.width}" height="{picture.height}"'
    return f'<img {size} alt="" src="data:image/{"png" if small else "jpeg"};base64,{data}">'


def _link(path: Path, page: Path) -> str:
    try:
        target = Path(os.path.relpath(path.resolve(), page.resolve())).as_posix()
    except ValueError:  # on another drive
        return escape(path.resolve().as_uri())
    return escape(quote(os.fsencode(target)))


def _shown(text: str) -> str:
    return escape(visible(text, "\n"))
