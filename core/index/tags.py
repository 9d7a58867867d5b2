"""What a tagger said of an index's pictures, and which of them a filter lets through."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..foreign import Header, Unreadable, parsed_json
from ..tags import TAG_CATEGORIES, Tag, TagCategory

TENSORS = ("tag_names", "tagged", "tag_ends", "tag_ids", "tag_confidences")
"""In the index's file. An index without them holds no tags."""

_LONGEST_NAME, _MOST_BRACKETS = 2_000, 20  # bytes of a name, in JSON; in names there are few
_CLOSE = 0.6  # of two names that one may have been meant for the other, as difflib measures it


@dataclass(frozen=True)
class TagTable:
    """told_by: the tagger and its thresholds, as JSON. names: of all tags that a picture has. tagged: [pictures] bool,
    whether the tagger saw it. ends: [pictures] int64, where a picture's tags end in ids, into names, and in
    confidences, float16; they begin where those of the picture before it end."""

    told_by: str
    names: tuple[tuple[str, TagCategory], ...]
    tagged: np.ndarray
    ends: np.ndarray
    ids: np.ndarray
    confidences: np.ndarray

    def of(self, row: int) -> tuple[Tag, ...]:
        """A picture's tags; none where no tagger saw it."""
        part = self._part(row)
        told = zip(self.ids[part].tolist(), self.confidences[part].tolist(), strict=True)
        return tuple(Tag(self.names[number][0], confidence, self.names[number][1]) for number, confidence in told)

    def taken(self, rows: Sequence[int | None]) -> TagTable:
        """The same of other pictures: each one of these, or None for one that no tagger saw."""
        parts = [slice(0, 0) if row is None else self._part(row) for row in rows]
        return TagTable(
            self.told_by,
            self.names,
            np.array([row is not None and bool(self.tagged[row]) for row in rows], bool),
            np.cumsum([part.stop - part.start for part in parts], dtype=np.int64),
            np.concatenate([self.ids[:0], *(self.ids[part] for part in parts)]),
            np.concatenate([self.confidences[:0], *(self.confidences[part] for part in parts)]),
        )

    def told(self, fresh: Mapping[int, Sequence[Tag]]) -> TagTable:
        """With what was told of some pictures, by row, in place of what was known of them."""
        numbers = {each: number for number, each in enumerate(self.names)}
        ids: list[np.ndarray] = [self.ids[:0]]
        confidences: list[np.ndarray] = [self.confidences[:0]]
        for row in range(len(self.tagged)):
            part = self._part(row)
            if row not in fresh:
                ids.append(self.ids[part])
                confidences.append(self.confidences[part])
                continue
            tags = fresh[row]
            each_id = [numbers.setdefault((tag.name, tag.category), len(numbers)) for tag in tags]
            ids.append(np.array(each_id, np.int32))
            confidences.append(np.array([tag.confidence for tag in tags], np.float16))
        tagged = self.tagged.copy()
        tagged[list(fresh)] = True
        ends = np.cumsum([len(each) for each in ids[1:]], dtype=np.int64)
        return TagTable(self.told_by, tuple(numbers), tagged, ends, np.concatenate(ids), np.concatenate(confidences))

    def tensors(self) -> dict[str, np.ndarray]:
        """Without the names that no picture has any more."""
        used, ids = np.unique(self.ids, return_inverse=True)
        names = json.dumps([self.names[number] for number in used.tolist()])
        return {
            # a tensor, since the header that holds metadata has a greatest size
            "tag_names": np.frombuffer(names.encode("ascii"), np.uint8),
            "tagged": self.tagged.astype(np.uint8),
            "tag_ends": self.ends.astype(np.int64),
            "tag_ids": ids.astype(np.int32),
            "tag_confidences": self.confidences.astype(np.float16),
        }

    def _part(self, row: int) -> slice:
        return slice(int(self.ends[row - 1]) if row else 0, int(self.ends[row]))


def no_tags(pictures: int, told_by: str) -> TagTable:
    counted = np.zeros(pictures, np.int64)
    return TagTable(told_by, (), counted.astype(bool), counted, np.zeros(0, np.int32), np.zeros(0, np.float16))


def check_tag_tensors(header: Header, pictures: int) -> None:
    """Raises Unreadable."""
    stored = {name: header.tensors.get(name) for name in TENSORS}
    found = {name: (each.dtype, each.shape) for name, each in stored.items() if each is not None}
    count = stored["tag_ids"].numel if stored["tag_ids"] is not None else 0
    names = stored["tag_names"].numel if stored["tag_names"] is not None else 0
    needed = {
        "tag_names": ("U8", (names,)),
        "tagged": ("U8", (pictures,)),
        "tag_ends": ("I64", (pictures,)),
        "tag_ids": ("I32", (count,)),
        "tag_confidences": ("F16", (count,)),
    }
    if found != needed:
        raise Unreadable("its tags do not fit")


def table_of(tensors: Mapping[str, np.ndarray], told_by: str) -> TagTable:
    """Of tensors that were checked. Raises Unreadable."""
    ends, ids = tensors["tag_ends"], tensors["tag_ids"]
    confidences, tagged = tensors["tag_confidences"], tensors["tagged"]
    data = tensors["tag_names"].tobytes()
    most = max(1, len(ids))
    rows = parsed_json(data, _LONGEST_NAME * most, _MOST_BRACKETS * most)
    bounds = np.concatenate([[0], ends, [len(ids)]])
    within = bounds.min() >= 0 and bounds.max() == len(ids)  # before differences, which may overflow
    ends_fit = within and (np.diff(bounds) >= 0).all() and bounds[-2] == len(ids)
    if not ends_fit or not isinstance(rows, list) or ((ids < 0) | (ids >= len(rows))).any():
        raise Unreadable("its tags do not fit")
    if not ((confidences >= 0) & (confidences <= 1)).all():
        raise Unreadable("a tag's confidence is none")
    return TagTable(told_by, tuple(_name(row) for row in rows), tagged.astype(bool), ends, ids, confidences)


def _name(row: Any) -> tuple[str, TagCategory]:
    if not isinstance(row, list) or len(row) != 2 or not isinstance(row[0], str) or row[1] not in TAG_CATEGORIES:
        raise Unreadable("what it says of a tag is not understood")
    return row[0], row[1]


@dataclass(frozen=True)
class TagFilter:
    """Which pictures count: those that have all of `wanted` and none of `unwanted`, whose likeliest rating is one of
    `ratings`, where some are given. Blanks are as good as underscores, escaped brackets as plain ones, and letter case
    does not matter. A picture that no tagger saw counts only where nothing is asked."""

    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()
    ratings: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.wanted or self.unwanted or self.ratings)

    def rows(self, table: TagTable) -> np.ndarray:
        """Of the pictures that count, in their order."""
        return np.flatnonzero(np.isfinite(self.confidences(table)))

    def confidences(self, table: TagTable) -> np.ndarray:
        """[pictures] float64: of each picture that counts the least confidence of what is wanted of it, 1 where nothing
        is; -inf for the others."""
        found = np.where(table.tagged, 1.0, -np.inf) if self else np.ones(len(table.tagged))
        for name in self.wanted:
            found = np.minimum(found, _confidence(table, name))
        for name in self.unwanted:
            found[np.isfinite(_confidence(table, name))] = -np.inf
        if self.ratings:
            found = np.minimum(found, _rated(table, self.ratings))
        return found

    def unknown(self, table: TagTable) -> dict[str, str]:
        """What no picture has of all that is wanted or rated so, and what may have been meant; "" where nothing is
        like it."""
        names = {category: {} for category in ("tag", "rating")}
        for name, category in table.names:
            names["rating" if category == "rating" else "tag"][_plain(name)] = name
        asked = [("tag", name) for name in self.wanted] + [("rating", name) for name in self.ratings]
        found = {}
        for kind, name in asked:
            if _plain(name) not in names[kind]:
                close = difflib.get_close_matches(_plain(name), names[kind], 1, _CLOSE)
                found[name] = names[kind][close[0]] if close else ""
        return found


@dataclass
class Told:
    """Tags of pictures as they come, by row, into a table that grows now and then."""

    table: TagTable
    fresh: dict[int, Sequence[Tag]] = field(default_factory=dict)

    def kept(self) -> TagTable:
        if self.fresh:
            self.table = self.table.told(self.fresh)
            self.fresh = {}
        return self.table


def _plain(name: str) -> str:
    return "_".join(name.replace("\\", "").casefold().split())


def _numbers(table: TagTable, names: Sequence[str], ratings: bool) -> list[int]:
    plain = {_plain(name) for name in names}
    return [
        number
        for number, (name, category) in enumerate(table.names)
        if (category == "rating") == ratings and _plain(name) in plain
    ]


def _confidence(table: TagTable, name: str) -> np.ndarray:
    """[pictures]: -inf where a picture has no such tag."""
    found = np.full(len(table.tagged), -np.inf)
    said = np.isin(table.ids, _numbers(table, (name,), ratings=False))
    np.maximum.at(found, _rows(table)[said], table.confidences[said].astype(np.float64))
    return found


def _rated(table: TagTable, ratings: Sequence[str]) -> np.ndarray:
    """[pictures]: the likeliest rating's confidence where it is one of these, else -inf."""
    found = np.full(len(table.tagged), -np.inf)
    is_rating = np.array([category == "rating" for _, category in table.names], bool)
    told = np.flatnonzero(is_rating[table.ids])
    rows, confidences = _rows(table)[told], table.confidences[told].astype(np.float64)
    falling = np.lexsort((-confidences, rows))  # by picture; stable, so that of equal ones the first counts
    rows, first = np.unique(rows[falling], return_index=True)
    likeliest = falling[first]
    wanted = np.isin(table.ids[told[likeliest]], _numbers(table, ratings, ratings=True))
    found[rows[wanted]] = confidences[likeliest[wanted]]
    return found


def _rows(table: TagTable) -> np.ndarray:
    """The picture of each entry of `ids`."""
    return np.repeat(np.arange(len(table.ends)), np.diff(table.ends, prepend=0))
