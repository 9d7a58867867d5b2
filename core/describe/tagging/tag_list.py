"""The list of tags that lies beside a tagger's weights: a row for each of its outputs, in their order."""

from __future__ import annotations

import csv
import io
import math
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...errors import ModelError
from ...foreign import WHOLE_AGAIN, Unreadable, read_bytes, shown
from ...published import TAG_LIST
from ...tags import TAG_CATEGORIES, TagCategory

_LARGEST = 32 * 2**20
_MOST_ROWS = 200_000
_TOO_MANY = f"it has more than {_MOST_ROWS:,} rows"
_LONGEST = 200
_UNSEEN = frozenset(["Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"])
_WANTED = ("name", "category")
_THRESHOLD = "best_threshold"
_CATEGORIES: Mapping[str, TagCategory] = {
    "0": "general",
    "1": "artist",
    "3": "copyright",
    "4": "character",
    "5": "meta",
    "9": "rating",
    **{name: name for name in TAG_CATEGORIES},
}
"""As Danbooru numbers them, and 9 as those do who publish such lists."""


@dataclass(frozen=True)
class ListedTag:
    """threshold: the publisher's own for this tag; None where the list tells none."""

    name: str
    category: TagCategory
    threshold: float | None = None


def read_tag_list(folder: Path) -> tuple[ListedTag, ...]:
    """Reads selected_tags.csv: UTF-8, with the columns name and category, which is a number or its name, and
    best_threshold, if there is one; others count for nothing. Raises ModelError, which says what is wrong and where."""
    path = folder / TAG_LIST
    try:
        tags = tuple(_rows(read_bytes(path, _LARGEST)))
        _check_names(tags)
    except Unreadable as error:
        raise ModelError(f"{path} is no list of tags ({error})", WHOLE_AGAIN) from error
    return tags


def _rows(data: bytes) -> Iterator[ListedTag]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable("it is not UTF-8 text") from error
    if "\0" in text:
        raise Unreadable("it is not UTF-8 text")
    if text.count("\n") > 2 * _MOST_ROWS:  # of which some may be empty
        raise Unreadable(_TOO_MANY)
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        heads = [head.strip().casefold() for head in next(rows, [])]
        lacking = [name for name in _WANTED if heads.count(name) != 1]
        if lacking:
            raise Unreadable(f"its first line has no column {' and '.join(lacking)}")
        for number, row in enumerate(rows, 1):
            if number > _MOST_ROWS:
                raise Unreadable(_TOO_MANY)
            if row:
                yield _tag(dict(zip(heads, row, strict=False)), len(row) == len(heads), number)
    except csv.Error as error:
        raise Unreadable(f"line {rows.line_num} cannot be told apart: {error}") from error


def _tag(row: Mapping[str, str], whole: bool, number: int) -> ListedTag:
    if not whole:
        raise Unreadable(f"row {number} has not as many cells as the first line")
    name, told = row["name"].strip(), row["category"].strip().casefold()
    if not name or len(name) > _LONGEST or not all(map(_may_be_in_a_name, name)):
        raise Unreadable(f"row {number} has {shown(name)!r} as a name")
    category = _CATEGORIES.get(told)
    if category is None:
        raise Unreadable(f"row {number} has the category {shown(told)!r}, which is none of {', '.join(_CATEGORIES)}")
    return ListedTag(name, category, _threshold(row.get(_THRESHOLD, "").strip(), number))


def _may_be_in_a_name(letter: str) -> bool:
    """What parts tags or lines, or cannot be seen, may not."""
    return letter != "," and unicodedata.category(letter) not in _UNSEEN


def _threshold(told: str, number: int) -> float | None:
    if not told:
        return None
    try:
        value = float(told)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise Unreadable(f"row {number} has {shown(told)!r} as a threshold")
    return value


def _check_names(tags: tuple[ListedTag, ...]) -> None:
    if not tags:
        raise Unreadable("it has no row")
    seen: set[str] = set()
    for tag in tags:
        if tag.name in seen:
            raise Unreadable(f"it names {shown(tag.name)} twice")
        seen.add(tag.name)
