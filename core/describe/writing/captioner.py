"""The describers that write: any of transformers' models that describe pictures."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...cures import Choose, Give, Install, Take, either
from ...errors import MissingPackageError, ModelError
from ...foreign import existing, shown
from ...hub import Hub
from ...hub.names import check_weights, is_local_name
from ...micro.toy import MICRO, MICRO_CHAT
from ...progress import SILENT, Progress
from ...published import CAPTIONERS, CONFIG, MAIN, MICRO_TAGGER, TAGGERS, Published
from ...settings import CaptionSettings, Quantization
from ..describer import Describer, Description
from ..kind import Kind

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from ..next_words import NextWords
    from .models import Answer, CaptionModel

INSTEAD = Choose("captioner", ("micro", "none"))
BUILT_IN = (MICRO, MICRO_CHAT)
"""What is part of the package: it continues a caption, and answers in every style."""
CHAT_NEEDS = (4, 46)
"""The first transformers that reads the micro chat model with its processor and template."""

KNOWN_CAPTIONERS: dict[str, Published] = {known.name: known for known in CAPTIONERS}
"""By name; besides these, those that are built in and any hub id or folder."""


class Captioner(Describer):
    """A model that writes.

    settings.instruction: BLIP, GIT continue it as the beginning of the caption, which then contains it; Florence-2
    takes a task (<CAPTION>, <DETAILED_CAPTION>, <MORE_DETAILED_CAPTION>); the others answer it. Without one each does
    what `settings.style` asks of it, without that what it was trained for, and those that talk are asked for a
    sentence.
    settings.max_length: tokens written at most. settings.beams: of the beam search, 1 for greedy.
    """

    def __init__(self, name: str, model: CaptionModel) -> None:
        self.name = name
        self.at_once = model.at_once
        self._model = model

    @classmethod
    def load(
        cls,
        name: str,
        device: str | torch.device = "auto",
        dtype: torch.dtype | None = None,
        hub: Hub | None = None,
        progress: Progress = SILENT,
        wait: bool = False,
        quantization: Quantization = "none",
    ) -> Captioner:
        """Loads a captioner, downloading it first if it is on no disk.

        wait: leaves it in main memory, ready for the device, until `to` brings it there.

        name: "micro", "micro-chat", a folder in transformers format, a known name (KNOWN_CAPTIONERS), or a hub id.
        dtype: of its arithmetic, into which weights are read; None for half precision on CUDA and XPU, bfloat16 for
        those that were made in it, for BLIP bfloat16 on CPUs that multiply in it, float32 elsewhere. quantization: see
        `Settings`; such weights go to the device at once and stay there.
        Raises ModelError (unknown, absent, not a captioner, not safetensors), MissingPackageError (needs a newer
        transformers, or a package), SettingsError (device), Cancelled.
        """
        from ...devices import pick_device
        from .memory import announced, suiting
        from .quantized import check_quantization

        place = pick_device(str(device))
        if quantization != "none":
            check_captioner(name)
            check_quantization(name, quantization, place)
        folder = find_captioner(name, hub, progress)
        progress.check()
        dtype = dtype or suiting(name, folder, place)
        with announced(name, folder, place, dtype, quantization, progress):
            model = _load(name, folder, dtype, quantization, place)
        captioner = cls(name, model)
        return captioner if wait else captioner.to(place)

    def seen(self, image: Image.Image) -> Any:
        return self._model.seen(image)

    def describe_seen(
        self, seen: Sequence[Any], settings: CaptionSettings | None = None, progress: Progress = SILENT
    ) -> list[Description]:
        settings = settings or CaptionSettings()
        captions: list[Answer] = []
        for start in range(0, len(seen), self.at_once):
            progress.check()
            captions += self._model.describe(list(seen[start : start + self.at_once]), settings)
        return list(map(_description, captions))

    def next_words(self, seen: Any, settings: CaptionSettings | None = None) -> NextWords | None:
        return self._model.next_words(seen, settings or CaptionSettings())

    @property
    def nbytes(self) -> int:
        return self._model.nbytes

    @property
    def module(self) -> torch.nn.Module:
        """All the weights, for hosts that move them; `to` has to be told where they went."""
        return self._model.module

    def to(self, device: str | torch.device) -> Captioner:
        """Moves the model, to the CPU to make room on a GPU, say. Returns itself. Raises ModelError where it does not
        fit, and is in main memory then."""
        from ...devices import memory_of, pick_device, roomy
        from ...shortage import size, within_memory

        place = pick_device(str(device))
        problem = f"{self.name} takes {size(self.nbytes)} and does not fit on {roomy(place)}"
        smaller = _smaller(self.nbytes, memory_of(place))
        try:
            with within_memory(problem, smaller, Take("use the CPU"), Choose("captioner", ("none",))):
                self._model.to(place)
        except ModelError:
            self._model.to(pick_device("cpu"))
            raise
        return self


def _description(answer: Answer) -> Description:
    if isinstance(answer, str):
        return Description(" ".join(answer.split()))
    return Description("", failure=answer)


def _smaller(nbytes: int, memory: tuple[int, int] | None) -> Give:
    """What takes less, the largest of which all in half precision goes into half of the device's memory."""
    most = nbytes if memory is None else min(nbytes, memory[1] // 2)
    fitting = [known for known in KNOWN_CAPTIONERS.values() if known.memory and known.memory < most]
    largest = max(fitting, key=lambda known: known.memory or 0, default=None)
    return Give("captioner", "a smaller one" if largest is None else f"a smaller one such as {largest.name}")


def _published(name: str) -> Published | None:
    """By its short name, its hub id, or a folder that is called like its repository."""
    own = Path(name).name.casefold()
    known = KNOWN_CAPTIONERS.get(name.casefold())
    return known or next((each for each in CAPTIONERS if each.repo.rpartition("/")[2].casefold() == own), None)


def _load(
    name: str, folder: Path, dtype: torch.dtype, quantization: Quantization, device: torch.device
) -> CaptionModel:
    known = _published(name)

    def from_library() -> CaptionModel:
        from .loading import load_model

        return load_model(name, folder, dtype, known.system if known else "", quantization, device)

    if name != MICRO:
        return from_library()
    from .micro_captioner import load_micro

    return load_micro(name, folder, dtype, from_library)


def find_captioner(name: str, hub: Hub | None = None, progress: Progress = SILENT) -> Path:
    """The folder with the captioner's files, downloaded if need be. Loads nothing; raises as `Captioner.load`."""
    check_captioner(name)
    path = existing(name)
    if name in BUILT_IN:
        return _built_in_folder(name)
    if path is not None and path.is_dir():
        return path
    known = KNOWN_CAPTIONERS.get(name.lower())
    repo, revision = (known.repo, known.revision) if known else (name, MAIN)
    hub = hub or Hub()
    if not hub.find_model(repo, revision):
        from .classes import check_class, read_config

        folder = hub.fetch(repo, [CONFIG], progress, revision=revision, instead=INSTEAD)
        check_class(name, read_config(folder))
    return hub.fetch_model(repo, progress, revision=revision, instead=INSTEAD)


def check_captioner(name: str) -> None:
    """What is known to be wrong of a captioner's name without a network. Raises ModelError, MissingPackageError."""
    path = existing(name)
    known = KNOWN_CAPTIONERS.get(name.lower())
    if name == MICRO:
        return
    if name == MICRO_CHAT:
        return _check_version(name, CHAT_NEEDS)
    if path is not None and path.is_dir():
        from .classes import check_class, read_config

        check_weights(path)
        check_class(name, read_config(path))
    elif path is not None:
        raise ModelError(f"{name} is a file", "give the folder in transformers format that holds the captioner")
    elif known is None and ("/" not in name or is_local_name(name)):
        raise _unknown(name)
    elif known is not None and known.needs > Published.needs:
        _check_version(known.name, known.needs)


def nearest_captioners(name: str) -> list[str]:
    """The known names of describers most like `name`, best first."""
    known = [*KNOWN_CAPTIONERS, *BUILT_IN, *(tagger.name for tagger in TAGGERS), MICRO_TAGGER]
    return difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.4)


def _built_in_folder(name: str) -> Path:
    from ...micro import CAPTIONER_FOLDER, CHAT_FOLDER

    folder = CHAT_FOLDER if name == MICRO_CHAT else CAPTIONER_FOLDER
    if not (folder / CONFIG).is_file():
        raise ModelError(f"{name} is not in {folder}", "install this package again")
    return folder


def _unknown(name: str) -> ModelError:
    """It may have been meant for any control, and as any kind: this one is asked last."""
    near = nearest_captioners(name)
    nearest = (f"take {either(near)}",) if near else ()
    others = "name a hub id (owner/name), a folder or a server's model (ADDRESS#MODEL)"
    return ModelError(f"There is no describer {shown(name)!r}", *nearest, Take("list models"), others)


def _check_version(name: str, needs: tuple[int, int]) -> None:
    from ...transformers_access import transformers_version

    if transformers_version() < needs:
        needed = ".".join(map(str, needs))
        raise MissingPackageError(
            f"{name} needs transformers {needed} or newer, this is {'.'.join(map(str, transformers_version()))}",
            Install((f"'transformers>={needed}'",)),
            Give("captioner"),
        )


KIND = Kind(
    "captioner",
    KNOWN_CAPTIONERS,
    lambda name, hub: True,
    check_captioner,
    find_captioner,
    Captioner.load,
    BUILT_IN,
    Captioner.load,
)
