"""What a row of a table may hold beyond the prompt, on request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from ..results import Interrogation
from ..settings import Mode

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from ..engine import Engine

Column = Literal["analysis", "embedding"]
COLUMNS: tuple[Column, ...] = get_args(Column)


def described(
    engine: Engine, pictures: Iterator[Image], mode: Mode, columns: Sequence[Column]
) -> Iterator[tuple[Interrogation, Mapping[str, Any]]]:
    """What is found of each picture, with the columns asked for, in JSON's types. All pictures are taken
    before the first is told of, each let go of before the next.

    analysis: `Analysis.rows` of it. embedding: what the CLIP sees, float32 and normalised, a number for each dimension.
    Raises what `Engine.interrogate_each` does.
    """
    if not columns:
        yield from ((result, {}) for result in engine.interrogate_each(pictures, mode))
        return
    values: dict[str, list[Any]] = {}

    def seen(features: Tensor) -> None:
        if "analysis" in columns:
            values["analysis"] = [analysis.rows() for analysis in engine.analyze_features(features)]
        if "embedding" in columns:
            values["embedding"] = [[_shortest(value) for value in row] for row in features.tolist()]

    for row, result in enumerate(engine.interrogate_each(pictures, mode, seen=seen)):
        yield result, {name: column[row] for name, column in values.items()}


def _shortest(value: float) -> float:
    """The number with the fewest digits that is the same in float32."""
    return float(f"{value:.9g}")
