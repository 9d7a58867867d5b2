"""The evidence that suits a CLIP and what is known of the pictures it sees: made once, and kept beside the tables."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from ..cures import Give
from ..errors import ModelError
from ..foreign import existing, shown
from ..micro import BANK_FILE
from ..micro.toy import MICRO
from ..phrases.category import Category
from ..phrases.families import Family
from ..progress import SILENT, Progress
from .bank import Bank
from .likelihoods import Evidence, wordings

if TYPE_CHECKING:
    from ..clip import Clip
    from ..phrases.table import PhraseTable

CATEGORY = "families"
TEXTS = 512
"""Composed in pictures' place. More changed nothing on micro, and of a large CLIP each takes its time, once."""


def load_evidence(
    clip: Clip, families: Sequence[Family], load_table: Callable[[Category], PhraseTable], bank: Bank
) -> Evidence:
    """load_table: gives the table of a category, from disk where it was made before."""
    bank.check(clip)
    return Evidence(clip, families, load_table(Category(CATEGORY, wordings(families))), bank)


def load_bank(
    clip: Clip,
    place: str | PathLike[str] | None,
    folder: Path,
    compose: Callable[[int], Sequence[str]],
    progress: Progress = SILENT,
) -> Bank:
    """place: a bank's file; None for micro's own, and for other CLIPs for texts that `compose` makes, so many, whose
    bank is kept in the folder. Raises ModelError."""
    if place is not None:
        path = existing(str(place))
        if path is None or not path.is_file():
            raise ModelError(f"There is no bank {shown(str(place))}", Give("bank", "a file that was made before"))
        return Bank.load(path)
    if clip.name == MICRO and BANK_FILE.is_file():
        return Bank.load(BANK_FILE)
    return bank_of_texts(clip, compose(TEXTS), folder, progress)


def bank_of_texts(clip: Clip, texts: Sequence[str], folder: Path, progress: Progress = SILENT) -> Bank:
    """Where texts lie, kept in the folder, if that can be written."""
    key = hashlib.sha256("\n".join((clip.fingerprint, *texts)).encode()).hexdigest()[:32]
    path = folder / f"bank-{key}.safetensors"
    if path.is_file():
        try:
            return Bank.load(path)
        except ModelError:  # made again below
            pass
    bank = Bank.of_texts(clip, texts, progress=progress)
    with suppress(OSError):  # measured again next time
        folder.mkdir(parents=True, exist_ok=True)
        bank.save(path)
    return bank
