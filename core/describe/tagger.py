"""The describers that tag: timm's networks with a list of what their outputs mean, as SmilingWolf publishes them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ..cures import Choose, Give, Install, Take
from ..errors import MissingPackageError, ModelError
from ..foreign import existing
from ..hub import Hub
from ..hub.names import is_local_name
from ..micro import TAGGER_FOLDER
from ..progress import SILENT, Progress
from ..published import CONFIG, PREPROCESS, TAG_LIST, TAGGERS, TRANSFORMERS_WEIGHTS, Published
from ..settings import CaptionSettings
from .describer import Describer, Description
from .kind import Kind
from .tag_choice import Thresholds, chosen, ratings
from .tag_list import ListedTag
from .tag_words import words_of
from .tagger_files import is_tagger_folder, read_tagger

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL import Image

    from .tagger_model import TaggerModel

MICRO_TAGGER = "micro-tagger"
INSTEAD = Choose("captioner", (MICRO_TAGGER, "none"))
KNOWN_TAGGERS: dict[str, Published] = {known.name: known for known in TAGGERS}
"""By name; besides these, "micro-tagger" and any hub id or folder in their layout."""


class Tagger(Describer):
    """A network that tells of each tag of its list how sure it is that a picture has it."""

    draws = False

    def __init__(self, name: str, model: TaggerModel, listed: tuple[ListedTag, ...], usual: Thresholds) -> None:
        self.name = name
        self.listed = listed
        self._model = model
        self._usual = usual

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
        from ..devices import model_dtype, pick_device

        place = pick_device(str(device))
        folder = find_tagger(name, hub, progress)
        progress.check()
        files = read_tagger(name, folder)
        from .tagger_model import load_network

        model = load_network(name, files, dtype or model_dtype(place))
        known = KNOWN_TAGGERS.get(name.lower())
        usual = Thresholds(*known.thresholds) if known and known.thresholds else Thresholds()
        tagger = cls(name, model, files.tags, usual)
        return tagger if wait else tagger.to(place)

    def describe(
        self, images: Iterable[Image.Image], settings: CaptionSettings | None = None, progress: Progress = SILENT
    ) -> list[Description]:
        """See `Describer`; of the settings it takes `tags`. text: the chosen tags as words. tags: those that were
        chosen, the surest first, and all ratings."""
        found: list[Description] = []
        rest = map(self.seen, images)  # one by one, so that an iterator's are not held
        while some := list(itertools.islice(rest, self._model.at_once)):
            found += self.describe_seen(some, settings, progress)
            del some
        return found

    def seen(self, image: Image.Image) -> np.ndarray:
        return self._model.view.seen(image)

    def describe_seen(
        self, seen: Sequence[np.ndarray], settings: CaptionSettings | None = None, progress: Progress = SILENT
    ) -> list[Description]:
        asked = (settings or CaptionSettings()).tags
        found: list[Description] = []
        for start in range(0, len(seen), self._model.at_once):
            progress.check()
            for values in self._model.confidences(seen[start : start + self._model.at_once]):
                tags = chosen(self.listed, values, asked, self._usual)
                rated = ratings(self.listed, values)
                text = words_of(tags, rated[0] if rated else None, asked)
                found.append(Description(text, (*tags, *rated)))
        return found

    @property
    def nbytes(self) -> int:
        return self._model.nbytes

    @property
    def module(self) -> torch.nn.Module:
        return self._model.module

    def to(self, device: str | torch.device) -> Tagger:
        from ..devices import pick_device, roomy
        from ..shortage import size, within_memory

        place = pick_device(str(device))
        problem = f"{self.name} takes {size(self.nbytes)} and does not fit on {roomy(place)}"
        try:
            with within_memory(problem, Give("captioner", "a smaller one"), Take("use the CPU")):
                self._model.to(place)
        except ModelError:
            self._model.to(pick_device("cpu"))
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
    if hub.find(repo, [CONFIG, TAG_LIST, TRANSFORMERS_WEIGHTS]) is None:
        read_tagger(name, hub.fetch(repo, [CONFIG, TAG_LIST], progress, [PREPROCESS], instead=INSTEAD), weighted=False)
    files = [CONFIG, TAG_LIST, TRANSFORMERS_WEIGHTS]
    return hub.fetch(repo, files, progress, [PREPROCESS], instead=INSTEAD)


def check_tagger(name: str) -> None:
    """What is known to be wrong of a tagger's name without a network. Raises ModelError, MissingPackageError."""
    if find_spec("timm") is None:
        raise MissingPackageError(f"{name} needs timm", Install(("timm",)), Give("captioner"))
    if name.casefold() == MICRO_TAGGER:
        if not (TAGGER_FOLDER / CONFIG).is_file():
            raise ModelError(f"The micro tagger is not in {TAGGER_FOLDER}", "install this package again")
        return
    path = existing(name)
    if path is not None and path.is_dir():
        read_tagger(name, path)
    elif path is not None:
        raise ModelError(f"{name} is a file", "give the folder that holds the tagger")


KIND = Kind("tagger", KNOWN_TAGGERS, is_tagger, check_tagger, find_tagger, Tagger.load)
