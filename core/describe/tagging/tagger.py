"""The describers that tag: timm's networks with a list of what their outputs mean, as SmilingWolf publishes them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...cures import Choose, Give, Install, Take
from ...errors import MissingPackageError, ModelError
from ...foreign import existing
from ...hub import Hub
from ...hub.names import is_local_name
from ...micro import TAGGER_FOLDER
from ...progress import SILENT, Progress
from ...published import (
    MICRO_TAGGER,
    TAG_LIST,
    TAGGER_EXTRAS,
    TAGGER_FILES,
    TAGGERS,
    TRANSFORMERS_WEIGHTS,
    Published,
)
from ...settings import CaptionSettings, TagSettings
from ..describer import Describer, Description
from ..kind import Kind
from .choice import Thresholds, chosen, ratings
from .files import is_tagger_folder, read_tagger
from .tag_list import ListedTag
from .words import words_of

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from .model import TaggerModel

TAGGER = "tagger"
"""The kind's name."""

INSTEAD = Choose("captioner", (MICRO_TAGGER, "none"))
KNOWN_TAGGERS: dict[str, Published] = {known.name: known for known in TAGGERS}
"""By name; besides these, "micro-tagger" and any hub id or folder in their layout."""

_AT_ONCE, _AT_ONCE_ELSEWHERE = 4, 32
"""Pictures, on the CPU, where more at once are no faster, and on devices that more keep busy."""


class Tagger(Describer):
    """A network that tells of each tag of its list how sure it is that a picture has it.

    listed: the list. usual: the thresholds where none are asked for. at_once: pictures that are computed together."""

    draws = False

    def __init__(self, name: str, model: TaggerModel, listed: tuple[ListedTag, ...], usual: Thresholds) -> None:
        self.name = name
        self.listed = listed
        self.usual = usual
        self._model = model
        self.at_once = _AT_ONCE

    @classmethod
    def load(
        cls,
        name: str,
        device: str | torch.device = "auto",
        dtype: torch.dtype | None = None,
        hub: Hub | None = None,
        progress: Progress = SILENT,
        wait: bool = False,
    ) -> Tagger:
        """See `load_describer`. name: "micro-tagger", a folder, a known name (KNOWN_TAGGERS), or a hub id.
        dtype: None for float16 on CUDA and XPU, float32 elsewhere."""
        from ...devices import model_dtype, pick_device

        place = pick_device(str(device))
        folder = find_tagger(name, hub, progress)
        progress.check()
        files = read_tagger(name, folder)
        from .model import load_network

        model = load_network(name, files, dtype or model_dtype(place))
        known = KNOWN_TAGGERS.get(name.lower())
        usual = Thresholds(*known.thresholds) if known and known.thresholds else Thresholds()
        tagger = cls(name, model, files.tags, usual)
        return tagger if wait else tagger.to(place)

    def seen(self, image: Image.Image) -> np.ndarray:
        """What is kept of an RGB picture until it is described: bytes, no more than the network takes."""
        return self._model.view.seen(image)

    def describe_seen(
        self, seen: Sequence[np.ndarray], settings: CaptionSettings | None = None, progress: Progress = SILENT
    ) -> list[Description]:
        """Of the settings it takes `tags`. text: the chosen tags as words. tags: those that were chosen, the surest
        first, and all ratings."""
        asked = (settings or CaptionSettings()).tags
        return [self._description(values, asked) for values in self.confidences(seen, progress)]

    def confidences(self, seen: Sequence[np.ndarray], progress: Progress = SILENT) -> np.ndarray:
        """[pictures, tags of `listed`] in 0..1, of what `seen` kept of pictures."""
        found: list[np.ndarray] = []
        for start in range(0, len(seen), self.at_once):
            progress.check()
            found.append(self._model.confidences(seen[start : start + self.at_once]))
        return np.concatenate(found) if found else np.empty((0, len(self.listed)))

    def _description(self, values: np.ndarray, settings: TagSettings) -> Description:
        tags = chosen(self.listed, values, settings, self.usual)
        rated = ratings(self.listed, values)
        return Description(words_of(tags, rated[0] if rated else None, settings), (*tags, *rated))

    @property
    def nbytes(self) -> int:
        return self._model.nbytes

    @property
    def module(self) -> torch.nn.Module:
        return self._model.module

    def to(self, device: str | torch.device) -> Tagger:
        from ...devices import pick_device, roomy
        from ...shortage import size, within_memory

        place = pick_device(str(device))
        problem = f"{self.name} takes {size(self.nbytes)} and does not fit on {roomy(place)}"
        try:
            with within_memory(problem, Give("captioner", "a smaller one"), Take("use the CPU")):
                self._model.to(place)
            self.at_once = _AT_ONCE if place.type == "cpu" else _AT_ONCE_ELSEWHERE
        except ModelError:
            self._model.to(pick_device("cpu"))
            self.at_once = _AT_ONCE
            raise
        return self


def is_tagger(name: str, hub: Hub | None = None) -> bool:
    """Told without a download; of an id that is on no disk by the hub's list of its files, where a hub is given."""
    if name.casefold() == MICRO_TAGGER or name.lower() in KNOWN_TAGGERS:
        return True
    path = existing(name)
    if path is not None:
        return path.is_dir() and is_tagger_folder(path)
    if "/" not in name or is_local_name(name):
        return False
    try:
        disk = hub or Hub()
        folder = disk.find(name, [TAG_LIST]) or disk.find_model(name)
        if folder is not None or hub is None:
            return folder is not None and is_tagger_folder(folder)
        return TAG_LIST in hub.list_files(name)
    except ModelError:  # no name of a repository, or no hub that can be reached: the last kind says so
        return False


def find_tagger(name: str, hub: Hub | None = None, progress: Progress = SILENT) -> Path:
    """The folder with the tagger's files, downloaded if need be, and the weights last, when all else fits. Loads
    nothing; raises as `Tagger.load`."""
    check_tagger(name)
    if name.casefold() == MICRO_TAGGER:
        return TAGGER_FOLDER
    path = existing(name)
    if path is not None and path.is_dir():
        return path
    known = KNOWN_TAGGERS.get(name.lower())
    hub, repo = hub or Hub(), known.repo if known else name
    if hub.find(repo, TAGGER_FILES) is None:
        light = [name for name in TAGGER_FILES if name != TRANSFORMERS_WEIGHTS]
        read_tagger(name, hub.fetch(repo, light, progress, TAGGER_EXTRAS, instead=INSTEAD), weighted=False)
    return hub.fetch(repo, TAGGER_FILES, progress, TAGGER_EXTRAS, instead=INSTEAD)


def check_tagger(name: str) -> None:
    """What is known to be wrong of a tagger's name without a network. Raises ModelError, MissingPackageError."""
    if find_spec("timm") is None:
        raise MissingPackageError(f"{name} needs timm", Install(("timm",)), Give("captioner"))
    if name.casefold() == MICRO_TAGGER:
        if not all((TAGGER_FOLDER / file).is_file() for file in TAGGER_FILES):
            raise ModelError(f"The micro tagger is not in {TAGGER_FOLDER}", "install this package again")
        return
    path = existing(name)
    if path is not None and path.is_dir():
        read_tagger(name, path)
    elif path is not None:
        raise ModelError(f"{name} is a file", "give the folder that holds the tagger")


KIND = Kind(TAGGER, KNOWN_TAGGERS, is_tagger, check_tagger, find_tagger, Tagger.load, (MICRO_TAGGER,))
