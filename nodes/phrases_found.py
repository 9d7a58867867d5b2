"""What an interrogation says of a prompt's phrases: a table to be read, and what the page makes chips of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..core.printable import visible
from ..core.reasons import in_quotation_marks, why
from ..core.results import Interrogation, PhraseGain, Rejected

if TYPE_CHECKING:
    from torch import Tensor

    from ..core.engine import Engine

MOST_SHOWN = 8
"""Pictures of a batch that have chips on the node."""
_LONGEST = 400


def phrase_table(result: Interrogation) -> str:
    """A line for each phrase: gain, likelihood, support, phrase; then what was left out, and why."""
    head = [f"search: {result.search}"] if result.search else []
    head += [f"compared with: {result.bank}"] if result.bank else []
    columns = "   gain  likely  support  phrase"
    lines = [_line(phrase) for phrase in result.phrases]
    left_out = [f"{each.text}: {why(each)}{_how_likely(each)}" for each in result.rejected]
    parts = [head, [columns, *lines] if lines else [], ["left out:", *left_out] if left_out else []]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _line(phrase: PhraseGain) -> str:
    likely = "" if phrase.likelihood is None else f"{phrase.likelihood:.1%}"
    support = "" if phrase.support is None else f"{phrase.support:.1f}"
    instead = f" in place of {in_quotation_marks(phrase.instead_of)}" if phrase.instead_of else ""
    family = ", or ".join(part for part in (phrase.family, phrase.runner_up and f"{phrase.runner_up}{instead}") if part)
    return f"{phrase.gain:+7.3f}  {likely:>6}  {support:>7}  {phrase.text}{f' ({family})' if family else ''}"


def _how_likely(rejected: Rejected) -> str:
    return "" if rejected.likelihood is None else f" ({rejected.likelihood:.1%} likely)"


def texts_without(result: Interrogation) -> list[str]:
    """The prompt without each of its phrases; none where it has one phrase, or is not made of them."""
    texts = [phrase.text for phrase in result.phrases]
    whole = ", ".join(texts)
    if len(texts) < 2 or whole not in result.prompt:
        return []
    others = (", ".join(texts[:row] + texts[row + 1 :]) for row in range(len(texts)))
    return [result.prompt.replace(whole, each, 1) for each in others]


def similarities_without(engine: Engine, result: Interrogation, features: Tensor) -> list[float]:
    """Of `texts_without` to the picture, in one pass. features [width]: what the CLIP has seen of it."""
    texts = texts_without(result)
    return (engine.text_features(texts) @ features).tolist() if texts else []


def shown_phrases(results: Sequence[tuple[Interrogation, Sequence[float]]]) -> list[dict[str, Any]]:
    """What the page makes chips of, for each picture: its phrases, what was left out, and why. Texts may come from
    files, and are for display alone."""
    return [_shown(result, without) for result, without in results[:MOST_SHOWN]]


def _shown(result: Interrogation, without: Sequence[float]) -> dict[str, Any]:
    return {
        "similarity": _rounded(result.similarity),
        "search": result.search,
        "bank": visible(result.bank),
        "phrases": [
            {**_plain(phrase), "without": _rounded(value)}
            for phrase, value in zip(result.phrases, without or [None] * len(result.phrases), strict=True)
        ],
        "rejected": [
            {"text": visible(each.text[:_LONGEST]), "category": each.category, "why": visible(why(each)[:_LONGEST])}
            for each in result.rejected
        ],
    }


def _plain(phrase: PhraseGain) -> dict[str, Any]:
    return dict(_values(phrase))


def _values(phrase: PhraseGain) -> Iterator[tuple[str, Any]]:
    for name, value in asdict(phrase).items():
        yield name, visible(value[:_LONGEST]) if isinstance(value, str) else _rounded(value)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
