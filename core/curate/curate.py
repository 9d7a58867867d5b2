"""Looks through an indexed folder for what may be amiss; the pictures stay as they are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ImageError
from ..index.file import PictureIndex, changing, index_file, read_index, refuse_empty
from ..index.turns import with_turns
from .alignment import Look
from .captions import LEAST_CAPTIONS, caption_beside, mismatches
from .duplicates import CANDIDATES, duplicate_pairs, groups
from .findings import Finding, Report
from .neighbours import Neighbours, neighbours
from .outliers import LEAST_PICTURES as LEAST_FOR_OUTLIERS
from .outliers import outliers
from .turned import LEAST_PICTURES as LEAST_FOR_TURNS
from .turned import turned_pictures

if TYPE_CHECKING:
    from ..engine import Engine


def curate(engine: Engine, place: str | os.PathLike[str]) -> Report:
    """Duplicates, turned pictures, outliers, and captions (PICTURE.txt) that do not suit.

    place: a folder that holds its index, or the index's file, into which the turned views go that this needs.
    Raises IndexFileError (absent, damaged, made with another model), SettingsError (no pictures), ModelError, or
    Cancelled; a picture that cannot be read is told and left out where its pixels are needed."""
    path = index_file(place)
    refuse_empty(read_index(path))
    with changing(path):
        index = read_index(path)
        index.check(engine)
        index, failures = with_turns(engine, index, path)
    near = neighbours(index.features, CANDIDATES)
    beside = {row: caption_beside(index.path(row)) for row in range(len(index))}
    captions = {row: text for row, text in beside.items() if text}
    findings = [
        *_duplicates(engine, index, near, failures),
        *_turned(index),
        *_outliers(index),
        *_captions(engine, index, captions),
    ]
    remarks = _remarks(len(index), len(captions))
    return Report(index.root, index.model, len(index), tuple(findings), remarks, failures)


def _duplicates(engine: Engine, index: PictureIndex, near: Neighbours, failures: dict[str, str]) -> Iterator[Finding]:
    from ..images import open_image, original_size

    sizes: dict[int, tuple[int, int]] = {}

    def look(row: int) -> Look | None:
        try:
            picture = open_image(index.path(row))
        except ImageError as error:
            failures[index.entries[row].name] = str(error)
            return None
        sizes[row] = original_size(picture)
        return Look.at(picture)

    digests = [each.digest for each in index.entries]
    pairs = duplicate_pairs(digests, near, look, engine.progress)
    closest: dict[int, float] = {}
    for pair in pairs:
        for row in pair[:2]:
            closest[row] = min(closest.get(row, np.inf), pair.difference)
    for rows in groups(pairs):
        # the largest first: the others are likely to be made from it
        first, *copies = sorted(rows, key=lambda row: (-np.prod(sizes.get(row, (0, 0))), -index.entries[row].size))
        for row in copies:
            same = "the same bytes" if digests[row] == digests[first] else _sized(sizes.get(row), sizes.get(first))
            yield Finding("duplicate", index.entries[row].name, closest[row], same, other=index.entries[first].name)


def _sized(copy: tuple[int, int] | None, first: tuple[int, int] | None) -> str:
    if copy is None or first is None:
        return "shows the same"
    if copy == first:
        return "shows the same in the same size"
    return f"{copy[0]} x {copy[1]} beside {first[0]} x {first[1]}"


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
