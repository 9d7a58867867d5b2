"""A bank of the user's own pictures: what a picture is compared with, and what those pictures showed of how far the
CLIP and the captioner may be believed, and how near whole prompts come to them. Made once, and kept in the cache by
what it is made of."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..cures import Give
from ..errors import ImageError, ModelError, SettingsError
from ..foreign import Unreadable, existing, read_header
from ..micro import PHRASES_FOLDER
from ..micro.toy import MICRO
from ..phrases.families import Family, families_for
from ..phrases.vocabulary import BUILT_IN_FOLDER, load_vocabulary
from ..places import check_folder
from ..progress import SILENT, Progress
from .file import PictureIndex, index_file, read_index, wherever

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..clip import Clip
    from ..engine import Engine
    from ..evidence.bank import Bank
    from ..evidence.trust import Trust
    from ..phrases import Vocabulary
    from ..phrases.category import Category
    from ..settings import Settings

MOST_CAPTIONED = 100
"""Pictures whose captions teach the trust: on micro they gave within .04 of a caption's reliability what 1,000 did."""
_VERSION = 2
_FOLDER = "banks"


def bank_file(
    place: str | os.PathLike[str], settings: Settings, progress: Progress = SILENT, captioned: bool = True
) -> Path:
    """The file for `Settings.bank` of a place: a bank's own, or where it is an index, or a folder of pictures, that of
    the bank that is made of them for these settings, at the first time.

    captioned: whether the pictures are captioned too, MOST_CAPTIONED of them, where the settings have a captioner.
    Raises SettingsError (no such place, too few pictures), IndexFileError, ModelError (no bank), and what looking at
    pictures raises; what is known to be wrong before a model is loaded."""
    from ..evidence.bank import Bank

    path = Path(place)
    if _is_bank(path):
        Bank.load(path)
        return path
    settings = _for_pictures(settings, captioned)
    source = source_of(path, settings)
    kept = banks_folder(settings) / f"{_key(source, settings)}.safetensors"
    with contextlib.suppress(ModelError):
        Bank.load(kept)
        return kept
    check_folder(kept.parent)

    from ..engine import Engine

    with Engine(settings, progress=progress) as engine:
        engine.check("caption" if settings.captioner else "classic")
        bank = _made(source, engine)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        bank.save(kept)
    except OSError as error:
        raise SettingsError(
            f"The bank cannot be kept in {kept.parent} ({error.strerror})", "make room there", Give("cache", "another")
        ) from error
    return kept


def check_bank(place: str | os.PathLike[str], settings: Settings) -> None:
    """Raises what `bank_file` does of a place before it looks at a picture."""
    from ..evidence.bank import Bank

    path = Path(place)
    if _is_bank(path):
        Bank.load(path)
    else:
        source_of(path, settings)


def bank_of(place: str | os.PathLike[str], engine: Engine, captioned: bool = True) -> Bank:
    """The same as a value, checked against the engine's CLIP; made anew where none is kept. Raises what `bank_file`
    does."""
    from ..evidence.bank import Bank

    bank = Bank.load(bank_file(place, engine.settings, engine.progress, captioned))
    if engine.clip is not None:
        bank.check(engine.clip)
    return bank


@dataclass(frozen=True)
class Source:
    """index: of the pictures, its file, which is to be made or brought up to date where `fresh`. said: what the
    pictures are, for the key."""

    folder: Path
    index: Path
    fresh: bool
    said: str


def source_of(place: Path, settings: Settings) -> Source:
    """Raises SettingsError for a place that is neither, or has too few pictures."""
    from ..evidence.bank import check_count

    if not place.exists():
        raise SettingsError(f"There is no {place}", Give("bank", "a folder of pictures, an index, or a bank's file"))
    own = index_file(place)
    if own.is_file():
        index = read_index(own)
        if place.is_file() or (index.model, index.fit) == (wherever(settings.clip), settings.fit):
            check_count(len(index))
            return Source(index.root, own, False, digest_of([each.digest for each in index.entries]))
    files = list(files_in(place))
    check_count(len(files))
    name = digest_of([str(place.resolve()), wherever(settings.clip), settings.fit])
    return Source(place, banks_folder(settings) / f"index-{name[:32]}.safetensors", True, digest_of(files))


def files_in(folder: Path) -> Iterator[tuple[str, int, int]]:
    from ..batch import FolderSource

    for item in FolderSource(folder, recursive=True):
        with contextlib.suppress(OSError):  # looking at it tells what is wrong
            found = item.file.stat()
            yield item.name, found.st_size, found.st_mtime_ns


def index_of(source: Source, engine: Engine) -> PictureIndex:
    """Raises what `update_index` does, or IndexFileError for one of another look."""
    from .update import update_index

    if source.fresh:
        return update_index(engine, source.folder, source.index).index
    index = read_index(source.index)
    index.check(engine)
    return index


def _made(source: Source, engine: Engine) -> Bank:
    import torch

    from ..evidence.bank import Bank

    index = index_of(source, engine)
    clip, features = engine.clip, torch.from_numpy(index.features)
    if clip is None:  # nothing was new, and all is known of the pictures
        engine.text_features([""])
        clip = engine.clip
    if clip is None:
        raise ModelError("The CLIP was let go of while a bank was made with it", "try again")
    bank = Bank.of_pictures(source.folder.resolve().name or "pictures", features, clip)
    if engine.settings.captioner is None:
        return bank
    return replace(bank, trust=_learned(index, engine, clip, bank))


def _learned(index: PictureIndex, engine: Engine, clip: Clip, bank: Bank) -> Trust:
    """From pictures spread over the index. Those that are gone, and those nobody has words for, teach nothing."""
    import torch

    from ..evidence.of_engine import load_evidence
    from ..phrases.table import PhraseTable
    from .nearness import MOST_PROMPTED, learned_nearness

    tables = banks_folder(engine.settings).parent / "tables"

    def load_table(category: Category) -> PhraseTable:
        return PhraseTable.load(clip, [category], tables, engine.progress, 0)

    evidence = load_evidence(clip, _families(engine.settings), load_table, bank)
    said = dict(_captions(index, engine, spread(len(index), MOST_CAPTIONED)))
    features, captions = torch.from_numpy(index.features[list(said)]), list(said.values())
    trust = evidence.learned(features, captions)
    if not captions:
        return trust
    some = spread(len(captions), MOST_PROMPTED)
    informed = load_evidence(clip, evidence.families, load_table, replace(bank, trust=trust))
    subjects, words = (features[some], [captions[row] for row in some]), _vocabulary(engine.settings)
    return replace(trust, nearness=learned_nearness(clip, informed, words, *subjects, tables, engine.progress))


def spread(count: int, most: int) -> list[int]:
    """As many places of `count`, from the first to the last."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int)).tolist()


def _captions(index: PictureIndex, engine: Engine, rows: list[int]) -> Iterator[tuple[int, str]]:
    from ..images import open_image

    opened: list[int] = []
    wordless: set[int] = set()

    def pictures() -> Iterator[Image]:
        for row in rows:
            with contextlib.suppress(ImageError):
                picture = open_image(index.path(row))
                opened.append(row)
                task.advance()
                yield picture

    with engine.progress.task("Captioning some of the bank's pictures", len(rows), "pictures") as task:
        shown = pictures()
        first = next(shown, None)
        if first is None:
            return
        found = engine.interrogate_each(
            chain([first], shown), "caption", failed=lambda place, _: wordless.add(opened[place])
        )
        captions = [each.caption for each in found]
    yield from zip((row for row in opened if row not in wordless), captions, strict=True)


def _families(settings: Settings) -> tuple[Family, ...]:
    return families_for(settings.phrases, settings.clip == MICRO)


def _vocabulary(settings: Settings) -> Vocabulary:
    return load_vocabulary(settings.phrases, PHRASES_FOLDER if settings.clip == MICRO else BUILT_IN_FOLDER)


def _for_pictures(settings: Settings, captioned: bool) -> Settings:
    """What looks at the pictures: nothing but the CLIP and what captions."""
    captioner = settings.captioner if captioned else None
    return replace(settings, captioner=captioner, rivals=settings.rivals if captioner else (), tagger=None, bank=None)


def _key(source: Source, settings: Settings) -> str:
    """Of all that the bank depends on; of models that are files, of what they are now."""
    describers = [model_as_it_is(name) for name in (settings.captioner, *settings.rivals) if name]
    words = [wording for family in _families(settings) for wording in (family.name, *family.wordings)]
    how: list[object] = []
    if describers:
        phrases = [phrase for category in _vocabulary(settings).positive() for phrase in category.phrases]
        how = [settings.candidates, settings.quantization, repr(settings.captioning), phrases]
    values = [
        _VERSION,
        source.said,
        model_as_it_is(settings.clip),
        settings.fit,
        settings.precision,
        describers,
        how,
        words,
    ]
    return digest_of(values)[:40]


def model_as_it_is(name: str) -> list[object]:
    path = existing(name)
    if path is None:
        return [name]
    files = [path, *path.iterdir()] if path.is_dir() else [path]
    return [str(path.resolve()), max(each.stat().st_mtime_ns for each in files if each.exists())]


def _is_bank(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        return {"mean", "covariance"} <= set(read_header(path).tensors)
    except Unreadable as error:
        raise SettingsError(
            f"{path} is neither a bank nor an index ({error})", Give("bank", "a folder of pictures, or either")
        ) from error


def banks_folder(settings: Settings) -> Path:
    from ..hub import Hub

    return Path(Hub(settings.cache).folder) / _FOLDER


def digest_of(values: object) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()
