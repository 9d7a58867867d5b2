"""How a folder of pictures does in what others publish: Fréchet distance, CLIP score, and likeness of pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import ImageError, SettingsError, TextFileError
from ..printable import there_are
from ..progress import SILENT, Progress
from .statistics import Estimate, estimate

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..clip import Clip
    from .fidelity import Judge

_AT_ONCE = 64
_FEWEST = 2


class Likeness(NamedTuple):
    """One eye's. fid: see `frechet_distance`, of its features. pairs: the mean cosine of a picture and its reference.
    are_named: whether these were told by their names; else each picture is compared with every reference."""

    fid: float
    pairs: Estimate
    are_named: bool


@dataclass(frozen=True)
class Scores:
    """pictures, references: how many of each. clip: who judged the texts. clip_score: the mean of 100 times the cosine
    of a picture and its text, 0 at least (as torchmetrics has it; Hessel et al. 2021 multiply by 2.5), of so many
    texts; None where no picture has one. likeness: by the name of each eye, where there are references. narrow: the
    eyes with more features than there are pictures, whose distances count as high, and compare at equal numbers only.
    """

    pictures: int
    references: int
    clip: str
    texts: int
    clip_score: Estimate | None
    likeness: Mapping[str, Likeness] = field(default_factory=dict)
    narrow: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready values."""
        values = asdict(self)
        values["likeness"] = {
            name: {"fid": each.fid, "pairs": list(each.pairs), "named": each.are_named}
            for name, each in self.likeness.items()
        }
        values["clip_score"] = None if self.clip_score is None else list(self.clip_score)
        return values

    def lines(self) -> Iterator[str]:
        """Name, a tab, value, and what it is of."""
        if self.clip_score is not None:
            told = f"100 x cosine, {self.clip}, {self.texts} pictures with texts"
            yield f"CLIP score\t{_told(self.clip_score, 2)}\t{told}"
        for name, each in self.likeness.items():
            yield f"FID with features of {name}\t{each.fid:.4f}\t{self.pictures} pictures, {self.references} references"
            compared = "pairs of one name" if each.are_named else "every picture with every reference"
            yield f"likeness by {name}\t{_told(each.pairs, 4)}\tcosine, {compared}"


def _told(value: Estimate, digits: int) -> str:
    return f"{value.mean:.{digits}f} ({value.low:.{digits}f} to {value.high:.{digits}f})"


def frechet_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Between two sets of features [pictures, width], taken for normal: |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)), with
    unbiased covariances (Heusel et al. 2017, equation 6). Raises SettingsError for fewer than two of either.

    The trace of the root is that of the symmetric C^(1/2) C' C^(1/2), whose eigenvalues are real and not negative."""
    for features in (one, other):
        if len(features) < _FEWEST:
            raise SettingsError(
                f"{there_are(len(features), 'pictures')} to measure a distance with", "give two or more"
            )
    (mean, covariance), (rival, other_covariance) = _moments(one), _moments(other)
    variances, directions = np.linalg.eigh(covariance)
    root = (directions * np.sqrt(variances.clip(0))) @ directions.T
    shared = np.sqrt(np.linalg.eigvalsh(root @ other_covariance @ root).clip(0)).sum()
    apart = float(((mean - rival) ** 2).sum())
    return max(0.0, apart + float(np.trace(covariance) + np.trace(other_covariance) - 2 * shared))


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    wide = features.astype(np.float64)
    return wide.mean(axis=0), np.cov(wide, rowvar=False).reshape(wide.shape[1], wide.shape[1])


def score(
    clip: Clip,
    eyes: Sequence[Judge],
    made: Sequence[Path],
    references: Sequence[Path] = (),
    progress: Progress = SILENT,
) -> tuple[Scores, list[ImageError]]:
    """Of picture files, a batch of them at a time in memory. eyes: who compares made pictures with references, the CLIP
    or a DINOv2 for instance. Returns the scores and why some files could not be read, which are left out.

    A picture's text lies beside it (photo.txt beside photo.png), or else is the prompt that its file holds. Raises
    SettingsError where nothing is left to be scored, ModelError, or Cancelled."""
    failed: list[ImageError] = []
    made, own = _read(made, [clip, *eyes], failed, progress, "Looking at the pictures")
    if not made:
        raise SettingsError("There is no picture that can be read to score", "name another folder")
    texts = [text_of(path) for path in made]
    said = [number for number, text in enumerate(texts) if text]
    clip_score = None
    if said:
        told = clip.encode_texts([texts[number] for number in said]).cpu().numpy()
        clip_score = estimate(100 * (own[0][said] * told).sum(axis=1).clip(0))
    likeness: dict[str, Likeness] = {}
    if references:
        references, theirs = _read(references, eyes, failed, progress, "Looking at the references")
        for eye, mine, rival in zip(eyes, own[1:], theirs, strict=True):
            likeness[eye.name] = _likeness(made, references, mine, rival)
    fewest = min(len(made), len(references) or len(made))
    narrow = tuple(eye.name for eye, mine in zip(eyes, own[1:], strict=True) if likeness and mine.shape[1] >= fewest)
    return Scores(len(made), len(references), clip.name, len(said), clip_score, likeness, narrow), failed


def _likeness(made: Sequence[Path], references: Sequence[Path], mine: np.ndarray, rival: np.ndarray) -> Likeness:
    fid = frechet_distance(mine, rival)
    places = {path.stem: number for number, path in enumerate(references)}
    pairs = [(number, places[path.stem]) for number, path in enumerate(made) if path.stem in places]
    if pairs:
        rows, columns = map(list, zip(*pairs, strict=True))
        return Likeness(fid, estimate((mine[rows] * rival[columns]).sum(axis=1)), True)
    return Likeness(fid, estimate(mine @ rival.mean(axis=0)), False)


def _read(
    paths: Sequence[Path], eyes: Sequence[Judge], failed: list[ImageError], progress: Progress, label: str
) -> tuple[list[Path], list[np.ndarray]]:
    """Those that can be read, and what each eye sees of them."""
    read: list[Path] = []
    seen: list[list[np.ndarray]] = [[] for _ in eyes]
    with progress.task(label, len(paths), "pictures") as task:
        pictures = _opened(paths, read, failed)
        while batch := list(islice(pictures, _AT_ONCE)):
            for eye, parts in zip(eyes, seen, strict=True):
                parts.append(eye.encode_images(batch).float().cpu().numpy())
            task.advance(len(batch))
    return read, [np.concatenate(parts) if parts else np.zeros((0, 1), np.float32) for parts in seen]


def _opened(paths: Iterable[Path], read: list[Path], failed: list[ImageError]) -> Iterator[Image]:
    from ..images import open_image

    for path in paths:
        try:
            picture = open_image(path)
        except ImageError as error:
            failed.append(error)
            continue
        read.append(path)
        yield picture


def text_of(path: Path) -> str:
    """What a picture is to show; "" where nothing says so."""
    from ..metadata import read_metadata
    from ..texts import read_known

    beside = path.with_suffix(".txt")
    if beside.is_file():
        try:
            return " ".join(read_known(beside).split())
        except TextFileError:
            return ""
    try:
        return " ".join((read_metadata(path).prompt or "").split())
    except ImageError:
        return ""
