"""Which of any phrases fits which picture, and which picture fits which phrase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import SettingsError
from ..foreign import shown
from ..progress import SILENT, Progress
from .analyze import softmax

if TYPE_CHECKING:
    from torch import Tensor

    from ..clip import Clip

_PLACE = "{}"


@dataclass(frozen=True)
class Ranked:
    """index: of the picture or phrase, as it was given. likelihood: its share among those it is ranked with, 0..1."""

    index: int
    similarity: float
    likelihood: float


@dataclass(frozen=True)
class Match:
    """Every picture with every phrase; `[picture][phrase]` in all tables.

    similarities: cosines, -1..1.
    phrase_likelihoods: each phrase's share among the phrases, for one picture; a row sums to 1.
    image_likelihoods: each picture's share among the pictures, for one phrase; a column sums to 1.
    """

    phrases: tuple[str, ...]
    templates: tuple[str, ...]
    model: str
    similarities: tuple[tuple[float, ...], ...]
    phrase_likelihoods: tuple[tuple[float, ...], ...]
    image_likelihoods: tuple[tuple[float, ...], ...]

    def ranked_phrases(self, image: int) -> tuple[Ranked, ...]:
        """All phrases for one picture, best first, equal ones in the order given."""
        return _ranked(self.similarities[image], self.phrase_likelihoods[image])

    def ranked_images(self, phrase: int) -> tuple[Ranked, ...]:
        """All pictures for one phrase, best first, equal ones in the order given."""
        similarities = [row[phrase] for row in self.similarities]
        return _ranked(similarities, [row[phrase] for row in self.image_likelihoods])

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON-ready values."""
        return {
            "phrases": list(self.phrases),
            "templates": list(self.templates),
            "model": self.model,
            "similarities": [list(row) for row in self.similarities],
            "phrase_likelihoods": [list(row) for row in self.phrase_likelihoods],
            "image_likelihoods": [list(row) for row in self.image_likelihoods],
        }


def check_question(phrases: Sequence[str], templates: Sequence[str]) -> None:
    """SettingsError when there is nothing to ask, or a template has no {} for the phrase."""
    if isinstance(phrases, str) or isinstance(templates, str):
        raise SettingsError("Phrases or templates are one text", "give a list of texts")
    if not phrases:
        raise SettingsError("There are no phrases to match", "give one or more")
    if not all(phrase.strip() for phrase in phrases):
        raise SettingsError("A phrase to match is empty", "leave it out")
    for template in templates:
        if _PLACE not in template:
            raise SettingsError(
                f"The template {shown(template)!r} has no {{}}", "put {} where the phrase goes, as in 'a photo of {}'"
            )


def match(
    clip: Clip,
    features: Tensor,
    phrases: Sequence[str],
    templates: Sequence[str] = (),
    progress: Progress = SILENT,
) -> Match:
    """features: the pictures', [pictures, width], normalised. Raises SettingsError (`check_question`).

    Several templates are averaged in the embedding space: the mean of a phrase's normalised embeddings, normalised
    again, as zero-shot classification does it (Radford et al. 2021, section 3.1.4).
    """
    check_question(phrases, templates)
    texts = phrase_features(clip, phrases, templates, progress)
    similarities = (features.float() @ texts.T).cpu().numpy().astype(np.float64)
    by_phrase = softmax(similarities, clip.logit_scale)
    by_image = softmax(similarities.T, clip.logit_scale).T
    tables = (tuple(map(tuple, table.tolist())) for table in (similarities, by_phrase, by_image))
    return Match(tuple(phrases), tuple(templates), clip.name, *tables)


def phrase_features(
    clip: Clip, phrases: Sequence[str], templates: Sequence[str] = (), progress: Progress = SILENT
) -> Tensor:
    """One normalised embedding for each phrase, [phrases, width], over all templates."""
    if not templates:
        return clip.encode_texts(list(phrases), progress)
    texts = [template.replace(_PLACE, phrase) for phrase in phrases for template in templates]
    grouped = clip.encode_texts(texts, progress).view(len(phrases), len(templates), -1)
    means = grouped.mean(dim=1)
    return means / means.norm(dim=-1, keepdim=True)


def _ranked(similarities: Sequence[float], likelihoods: Sequence[float]) -> tuple[Ranked, ...]:
    entries = [Ranked(*entry) for entry in zip(range(len(similarities)), similarities, likelihoods, strict=True)]
    return tuple(sorted(entries, key=lambda entry: -entry.similarity))
