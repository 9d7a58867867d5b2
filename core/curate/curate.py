"""Looks through an indexed folder for what may be amiss; the pictures stay as they are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import SettingsError
from ..index.file import PictureIndex, changing, index_file, read_index, refuse_empty
from ..index.search import tags_of
from ..index.tags import TagFilter
from ..index.turns import with_turns
from ..tags import Tag
from .alike import alike_findings
from .captions import LEAST_CAPTIONS, caption_beside, mismatches
from .findings import Finding, Report
from .outliers import LEAST_PICTURES as LEAST_FOR_OUTLIERS
from .outliers import outliers
from .turned import LEAST_PICTURES as LEAST_FOR_TURNS
from .turned import turned_pictures

if TYPE_CHECKING:
    from ..engine import Engine


def curate(engine: Engine, place: str | os.PathLike[str], tags: TagFilter | None = None) -> Report:
    """Duplicates, near ones, turned pictures, outliers, and captions (PICTURE.txt) that do not suit.

    place: a folder that holds its index, or the index's file, into which the turned views go that this needs.
    tags: which pictures are looked through, as if there were no others.
    Raises IndexFileError (absent, damaged, made with another model, without tags), SettingsError (no pictures),
    ModelError, or Cancelled; a picture that cannot be read is told and left out where its pixels are needed."""
    path = index_file(place)
    index = read_index(path)
    refuse_empty(index)
    _chosen(index, tags)  # and so refuses before it looks
    with changing(path):
        index = read_index(path)
        index.check(engine)
        index, failures = with_turns(engine, index, path)
    index = _chosen(index, tags)
    known = {each.name for each in index.entries}
    failures = {name: reason for name, reason in failures.items() if name in known}
    beside = {row: caption_beside(index.path(row)) for row in range(len(index))}
    captions = {row: text for row, text in beside.items() if text}
    findings = [
        *alike_findings(engine, index, failures),
        *_turned(index),
        *_outliers(index),
        *_captions(engine, index, captions),
    ]
    remarks = _remarks(len(index), len(captions))
    return Report(index.root, index.model, len(index), tuple(findings), remarks, failures, _tags(index, findings))


def _chosen(index: PictureIndex, tags: TagFilter | None) -> PictureIndex:
    """Raises IndexFileError, SettingsError."""
    if not tags:
        return index
    rows = tags.rows(tags_of(index))
    if not len(rows):
        raise SettingsError(f"No picture in the index of {index.root} has these tags", "ask for fewer")
    return index.of_rows(rows.tolist())


def _tags(index: PictureIndex, findings: Sequence[Finding]) -> dict[str, tuple[Tag, ...]]:
    if index.tags is None:
        return {}
    rows = {entry.name: row for row, entry in enumerate(index.entries)}
    names = dict.fromkeys(name for each in findings for name in (each.name, each.other) if name)
    return {name: index.tags.of(rows[name]) for name in names}


def _turned(index: PictureIndex) -> Iterator[Finding]:
    known = np.flatnonzero(index.turned.any(axis=(1, 2)))
    views = np.concatenate([index.features[known, None].astype(np.float16), index.turned[known]], axis=1)
    for each in turned_pictures(views):
        said = "upside down" if each.left == 180 else "on its side"
        yield Finding("turned", index.entries[known[each.row]].name, each.odds, said, left=each.left)


def _outliers(index: PictureIndex) -> Iterator[Finding]:
    for each in outliers(index.features):
        said = f"{each.deviations:.1f} deviations farther than usual"
        yield Finding("outlier", index.entries[each.row].name, each.deviations, said)


def _captions(engine: Engine, index: PictureIndex, captions: dict[int, str]) -> Iterator[Finding]:
    if len(captions) < LEAST_CAPTIONS:
        return
    rows, different = list(captions), list(dict.fromkeys(captions.values()))
    features = dict(zip(different, engine.text_features(different).numpy(), strict=True))
    for each in mismatches(index.features[rows], np.stack([features[text] for text in captions.values()])):
        row = rows[each.number]
        said = f"{each.better:.0%} of the other captions suit better than: {captions[row]}"
        yield Finding("caption", index.entries[row].name, each.better, said)


def _remarks(pictures: int, captions: int) -> tuple[str, ...]:
    remarks: Sequence[tuple[bool, str]] = (
        (pictures < LEAST_FOR_TURNS, f"Turned pictures are looked for among {LEAST_FOR_TURNS} or more."),
        (pictures < LEAST_FOR_OUTLIERS, f"Outliers are looked for among {LEAST_FOR_OUTLIERS} or more."),
        (0 < captions < LEAST_CAPTIONS, f"Captions are compared where there are {LEAST_CAPTIONS} or more."),
    )
    return tuple(said for holds, said in remarks if holds)
