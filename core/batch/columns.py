"""What a row of a table may hold beyond the prompt, on request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from ..errors import UndescribedError
from ..results import Interrogation
from ..settings import Mode, TagSettings
from ..tags import Tag, of_category, rating_of

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from ..engine import Engine

Column = Literal["analysis", "embedding", "tags", "characters", "rating"]
COLUMNS: tuple[Column, ...] = get_args(Column)

SEEN_COLUMNS: tuple[Column, ...] = ("analysis", "embedding")
"""Those that the CLIP gives; the others are of what a tagger told, which a result has already."""

TAG_COLUMNS: tuple[Column, ...] = ("tags", "characters", "rating")


def told_by_tags(result: Interrogation) -> dict[Column, str]:
    """The columns of a tagger as texts, names between commas: `tags` all but the ratings, the most certain first."""
    from ..describe.tagging.words import written  # and with it numpy

    def words(tags: Iterable[Tag]) -> str:
        return ", ".join(written(tag.name, TagSettings()) for tag in tags)

    others = sorted((tag for tag in result.tags if tag.category != "rating"), key=lambda tag: -tag.confidence)
    return {
        "tags": words(others),
        "characters": words(of_category(result.tags, "character")),
        "rating": rating_of(result.tags),
    }


def described(
    engine: Engine, pictures: Iterator[Image], mode: Mode, columns: Sequence[Column]
) -> Iterator[tuple[Interrogation | UndescribedError, Mapping[str, Any]]]:
    """What is found of each picture, or why there are no words for it, with the columns asked for, in JSON's types. All
    pictures are taken before the first is told of, each let go of before the next.

    analysis: `Analysis.rows` of it. embedding: what the CLIP sees, float32 and normalised, a number for each dimension.
    Raises what `Engine.interrogate_each` does.
    """
    failed: dict[int, UndescribedError] = {}
    if not set(columns) & set(SEEN_COLUMNS):
        found = engine.interrogate_each(pictures, mode, failed=failed.__setitem__)
        yield from ((result, {}) for result in _each(found, failed))
        return
    values: dict[str, list[Any]] = {}

    def seen(features: Tensor) -> None:
        if "analysis" in columns:
            values["analysis"] = [analysis.rows() for analysis in engine.analyze_features(features)]
        if "embedding" in columns:
            values["embedding"] = [[_shortest(value) for value in row] for row in features.tolist()]

    found = engine.interrogate_each(pictures, mode, seen=seen, failed=failed.__setitem__)
    for row, result in enumerate(_each(found, failed)):
        yield result, {name: column[row] for name, column in values.items()}


def _each(
    found: Iterator[Interrogation], failed: Mapping[int, UndescribedError]
) -> Iterator[Interrogation | UndescribedError]:
    """In the pictures' order. failed: is known when there is a result, or none to come."""
    row = 0
    for result in found:
        while row in failed:
            yield failed[row]
            row += 1
        yield result
        row += 1
    while row in failed:
        yield failed[row]
        row += 1


def _shortest(value: float) -> float:
    """The number with the fewest digits that is the same in float32."""
    return float(f"{value:.9g}")
