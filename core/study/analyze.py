"""What a picture is made of: per category, the phrases most like it and how likely each is among the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import SettingsError
from ..phrases import Category
from ..progress import Progress
from ..prompt.ranking import top as top_rows
from ..prompt.together import shared_features
from ..tags import TAG_CATEGORIES, Tag, TagCategory, of_category, rating_of

if TYPE_CHECKING:
    from torch import Tensor

    from ..clip import Clip
    from ..phrases.table import PhraseTable
    from .families import FamilyAnalysis

ARTIST_NOTE = (
    "Artists: what the model associates with these names, not who made the picture; model and list are biased."
)
_BINS = 48
_SMALL_CATEGORY = 64
_NEAREST = 32
"""Tables are kept in float16, which moves a logit by about 6e-4 where the logit scale is 100. So a small category is
embedded anew in float32, of a larger one this many of the nearest phrases. The errors of the others are independent,
and none of them has more than a 33rd of the likelihood: together they move one by less than 1e-4."""


@dataclass(frozen=True)
class Likelihood:
    """similarity: cosine with the picture, -1..1. likelihood: the phrase's share, 0..1, among all of its category."""

    phrase: str
    similarity: float
    likelihood: float


@dataclass(frozen=True)
class Spread:
    """How the similarities of a whole category are distributed: how many phrases lie in each of equally wide bins
    between the lowest and the highest."""

    lowest: float
    highest: float
    mean: float
    counts: tuple[int, ...]


@dataclass(frozen=True)
class CategoryAnalysis:
    """The phrases of a category that are most like a picture, best first.

    phrases: how many the category has; the likelihoods of all of them sum to 1.
    note: what a reader should know of such results, empty when there is nothing.
    """

    category: str
    phrases: int
    top: tuple[Likelihood, ...]
    spread: Spread
    note: str = ""


@dataclass(frozen=True)
class Analysis:
    """A picture's categories. pictures: how many were analysed as one. model: the CLIP's name. tags: what `tagger` told
    above its thresholds, and the ratings, where one was asked. families: what the evidence says, where it was asked."""

    categories: tuple[CategoryAnalysis, ...]
    model: str
    pictures: int = 1
    tags: tuple[Tag, ...] = ()
    tagger: str = ""
    families: tuple[FamilyAnalysis, ...] = ()

    def __getitem__(self, category: str) -> CategoryAnalysis:
        """KeyError for a category that was not asked for."""
        for found in self.categories:
            if found.category == category:
                return found
        raise KeyError(category)

    def rows(self) -> list[dict[str, Any]]:
        """One flat row per phrase: category, rank from 1, phrase, similarity, likelihood."""
        return [
            {"category": found.category, "rank": rank, **asdict(entry)}
            for found in self.categories
            for rank, entry in enumerate(found.top, 1)
        ]

    def family_rows(self) -> list[dict[str, Any]]:
        """One flat row per concept: family, rank from 1, concept, wording, likelihood, support; the surest first."""
        return [
            {"family": found.family, "rank": rank, **asdict(entry)}
            for found in self.families
            for rank, entry in enumerate(found.top, 1)
        ]

    def tag_rows(self) -> list[dict[str, Any]]:
        """One flat row per tag: category, rank from 1, name, confidence; by category, the surest first."""
        return [
            {"category": category, "rank": rank, "name": tag.name, "confidence": tag.confidence}
            for category, tags in by_category(self.tags)
            for rank, tag in enumerate(tags, 1)
        ]

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON-ready values."""
        values = asdict(self)
        tags, tagger = values.pop("tags"), values.pop("tagger")
        del values["families"]
        if self.families:
            values["families"] = [found.to_dict() for found in self.families]
        if tagger:
            values |= {"tagger": tagger, "rating": rating_of(self.tags), "tags": list(tags)}
        values["categories"] = list(values["categories"])
        for category in values["categories"]:
            category["top"] = list(category["top"])
            category["spread"]["counts"] = list(category["spread"]["counts"])
        return values


class Analyzer:
    """Analyses pictures with one model.

    load_table: gives the table of one category; called once for each.
    """

    def __init__(self, clip: Clip, load_table: Callable[[Category], PhraseTable], progress: Progress) -> None:
        self._clip = clip
        self._load_table = load_table
        self._progress = progress
        self._tables: dict[Category, PhraseTable] = {}

    def run(self, features: Tensor, categories: Sequence[Category], top: int) -> Analysis:
        """features: a picture's, [width]. Raises SettingsError when top is below 1."""
        check_top(top)
        found = []
        for category in categories:
            self._progress.check()
            found.append(self._analyse(features, category, top))
        return Analysis(tuple(found), self._clip.name)

    def _analyse(self, features: Tensor, category: Category, top: int) -> CategoryAnalysis:
        table = self._table(category)
        similarities = table.similarities(features).astype(np.float64)
        if len(similarities) > _SMALL_CATEGORY:
            nearest = sorted(top_rows(similarities, max(top, _NEAREST)))
            exact = self._clip.encode_texts([table.phrases[row] for row in nearest]) @ features
            similarities[nearest] = exact.cpu().numpy()
        shares = softmax(similarities, self._clip.logit_scale)
        best = top_rows(similarities, top)
        entries = tuple(Likelihood(table.phrases[row], float(similarities[row]), float(shares[row])) for row in best)
        note = ARTIST_NOTE if category.name.startswith("artists") else ""
        return CategoryAnalysis(category.name, len(similarities), entries, _spread(similarities), note)

    def _table(self, category: Category) -> PhraseTable:
        known = self._tables.get(category)
        if known is None:
            known = _without_second_forms(self._load_table(category))
            if len(known.phrases) <= _SMALL_CATEGORY:
                known = replace(known, embeddings=self._clip.encode_texts(known.phrases))
            self._tables[category] = known
        return known


def by_category(tags: Sequence[Tag]) -> list[tuple[TagCategory, tuple[Tag, ...]]]:
    """The rating first, then who, then all else; of each category the surest first. Without those that have none."""
    order = sorted(TAG_CATEGORIES, key=lambda category: (category != "rating", category == "general"))
    falling = tuple(sorted(tags, key=lambda tag: -tag.confidence))
    return [(category, found) for category in order if (found := of_category(falling, category))]


def shared_tags(each: Sequence[Sequence[Tag]], weights: Sequence[float] | None = None) -> tuple[Tag, ...]:
    """Those that all of several pictures have, with the mean of their confidences. weights: how much each counts."""
    known = [{(tag.name, tag.category): tag.confidence for tag in tags} for tags in each]
    return tuple(
        replace(tag, confidence=float(np.average([one[tag.name, tag.category] for one in known], weights=weights)))
        for tag in each[0]
        if all((tag.name, tag.category) in one for one in known)
    )


def analyse(
    analyzer: Analyzer,
    features: Tensor,
    categories: Sequence[Category],
    top: int,
    together: bool = False,
    weights: Sequence[float] | None = None,
    of_families: Callable[[Tensor], tuple[FamilyAnalysis, ...]] | None = None,
) -> tuple[Analysis, ...]:
    """One analysis for each of the pictures' features [pictures, width], or one of what they share. of_families: gives
    the families' of one, where they are asked."""

    def of(one: Tensor) -> Analysis:
        found = analyzer.run(one, categories, top)
        return found if of_families is None else replace(found, families=of_families(one))

    if not together:
        return tuple(map(of, features))
    return (replace(of(shared_features(features, weights)), pictures=len(features)),)


def check_top(top: int) -> None:
    """SettingsError unless top is 1 or more."""
    if top < 1:
        raise SettingsError(f"is {top}", "give 1 or more", control="top")


def softmax(similarities: np.ndarray, logit_scale: float) -> np.ndarray:
    """Relative likelihoods, float64, summing to 1 over the last axis: CLIP's own softmax over logits, each a cosine
    times the model's logit scale (Radford et al. 2021, figure 3)."""
    logits = similarities.astype(np.float64) * logit_scale
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def _without_second_forms(table: PhraseTable) -> PhraseTable:
    """Artists are in a vocabulary as "by NAME" and "inspired by NAME"; an analysis asks for each of them once."""
    known = set(table.phrases)
    kept = [row for row, phrase in enumerate(table.phrases) if not _is_second_form(phrase, known)]
    if len(kept) == len(table.phrases):
        return table
    return replace(
        table,
        phrases=tuple(table.phrases[row] for row in kept),
        categories=tuple(table.categories[row] for row in kept),
        embeddings=table.embeddings[kept],
    )


def _is_second_form(phrase: str, known: set[str]) -> bool:
    return phrase.startswith("inspired by ") and phrase.removeprefix("inspired ") in known


def _spread(similarities: np.ndarray) -> Spread:
    lowest, highest = float(similarities.min()), float(similarities.max())
    width = highest - lowest
    places = (similarities - lowest) / width * _BINS if width > 0 else np.zeros(len(similarities))
    counts = np.bincount(np.minimum(places.astype(np.int64), _BINS - 1), minlength=_BINS)
    return Spread(lowest, highest, float(similarities.mean()), tuple(counts.tolist()))
