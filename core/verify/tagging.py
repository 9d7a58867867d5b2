"""Whether a tagger tells what people have told of their own pictures, and from which confidence on it is right most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..batch.folders import is_picture
from ..describe.tagging.choice import plain
from ..describe.tagging.tagger import Tagger
from ..errors import SettingsError
from ..images import open_image
from ..progress import SILENT, Progress
from ..texts import read_known
from .weights import Finding

GRID = tuple(round(step / 20, 2) for step in range(1, 20))
"""Thresholds that are tried."""

_SUFFIX = ".txt"
_CLEARLY = 0.02
"""By how much the other order of channels has to be better in F1 before it is said."""


@dataclass(frozen=True)
class Scores:
    """Of all pictures and tags of one category together. threshold: from which on a tag counts as told."""

    threshold: float
    precision: float
    recall: float

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0

    def said(self) -> str:
        told = f"precision {self.precision:.3f}, recall {self.recall:.3f}, F1 {self.f1:.3f}"
        return f"{told} from {self.threshold:.2f} on"


@dataclass(frozen=True)
class Known:
    """A picture's file, and the tags that people gave it, as `plain` has them."""

    picture: Path
    tags: frozenset[str]


def known_pictures(folder: Path, most: int) -> list[Known]:
    """The first pictures of a folder, by name, beside which lies a text file of the same name with their tags, commas
    between them. Raises SettingsError where there is none, TextFileError."""
    found: list[Known] = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        beside = path.with_suffix(_SUFFIX)
        if len(found) < most and path.suffix != _SUFFIX and is_picture(path.name) and beside.is_file():
            tags = frozenset(filter(None, map(plain, read_known(beside).replace("\n", ",").split(","))))
            found.append(Known(path, tags))
    if not found:
        raise SettingsError(f"{folder} holds no picture with a text file of its tags beside it", "give another folder")
    return found


def check_tagger_with(tagger: Tagger, known: Sequence[Known], progress: Progress = SILENT) -> list[Finding]:
    """What is told of general tags and of characters, at the tagger's own thresholds and at the best; and whether the
    other order of channels would tell more, which means that its files say a wrong one."""
    seen = [tagger.seen(open_image(each.picture)) for each in progress.track(known, "Reading pictures", len(known))]
    told = tagger.confidences(seen, progress)
    named = [plain(tag.name) for tag in tagger.listed]
    truth = np.array([[name in each.tags for name in named] for each in known])
    unknown = len(frozenset().union(*(each.tags for each in known)) - set(named))
    findings = [Finding("tags that the tagger does not know", None, f"{unknown} of those given to the pictures")]
    for category, usual in (("general", tagger.usual.general), ("character", tagger.usual.character)):
        some = [tag.category == category for tag in tagger.listed]
        if truth[:, some].any():
            at_usual, at_best = scores(told[:, some], truth[:, some], usual), best(told[:, some], truth[:, some])
            findings.append(Finding(f"{category} tags, usual threshold", None, at_usual.said()))
            findings.append(Finding(f"{category} tags, best threshold", None, at_best.said()))
    if not truth.any():
        return [*findings, Finding("tags that the tagger knows", False, "none of those given to the pictures")]
    turned = tagger.confidences([np.ascontiguousarray(each[:, :, ::-1]) for each in seen], progress)
    ours, other = best(told, truth).f1, best(turned, truth).f1
    value = f"F1 {ours:.3f}, and {other:.3f} with red and blue changed"
    return [*findings, Finding("order of the colour channels", other <= ours + _CLEARLY, value)]


def scores(told: np.ndarray, truth: np.ndarray, threshold: float) -> Scores:
    """told: confidences [pictures, tags]. truth: whether each was given."""
    said = told >= threshold
    right = int((said & truth).sum())
    return Scores(threshold, right / max(1, int(said.sum())), right / max(1, int(truth.sum())))


def best(told: np.ndarray, truth: np.ndarray) -> Scores:
    """At the threshold of `GRID` with the highest F1, the lowest of equals."""
    return max((scores(told, truth, threshold) for threshold in GRID), key=lambda each: each.f1)
