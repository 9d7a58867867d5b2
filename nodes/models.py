"""The models behind the nodes: loaded by name into ComfyUI's care, or taken from the graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import ReferenceType, WeakValueDictionary, ref

from torch import Tensor

from ..core.clip import Clip
from ..core.clip.movable import MovableClip
from ..core.describe import Describer, Description, load_describer
from ..core.devices import describing, pick_arithmetic
from ..core.embed.projection import ClosedForms
from ..core.engine import Engine
from ..core.hub import Hub
from ..core.progress import SILENT, Progress
from ..core.settings import CaptionSettings, Precision, Quantization, Settings
from . import host
from .host import io
from .kept import recall
from .links import linked


class ClipSource(Protocol):
    """projection [joint width, text width]: where it is known without the CLIP's text encoder. patchers: of what
    the CLIP consists of, once it is loaded."""

    @property
    def projection(self) -> Tensor | None: ...

    @property
    def patchers(self) -> list[Any]: ...

    def clip(self, progress: Progress, *beside: Any) -> Clip:
        """The CLIP, on the device it computes on for as long as nothing else is brought there.

        beside: patchers of other models that have to be there too."""
        ...


class NamedClip:
    """A CLIP of its own, loaded when first needed."""

    projection = None

    def __init__(self, name: str, precision: str) -> None:
        self.name = name
        self._precision = precision
        self._loaded: tuple[MovableClip, host.Resident] | None = None

    @property
    def patchers(self) -> list[Any]:
        return [] if self._loaded is None else [self._loaded[1].patcher]

    def clip(self, progress: Progress, *beside: Any) -> Clip:
        if self._loaded is None:
            arithmetic = pick_arithmetic(self._precision, host.compute_device())
            weights = MovableClip(Clip.load(self.name, "cpu", "exact", hub(), progress), arithmetic)
            self._loaded = weights, host.Resident(weights)
        weights, resident = self._loaded
        return weights.clip(resident.bring(*beside))


class _Placed(Describer):
    """Is where ComfyUI has it: an engine, which would have it wait in main memory, does not move it. bring: has it on
    the device, each time it is asked, since another model's turn may have taken it away."""

    def __init__(self, describer: Describer, bring: Callable[[], None]) -> None:
        self.name = describer.name
        self.draws = describer.draws
        self._describer = describer
        self._bring = bring

    def describe(
        self, images: Iterable[Any], settings: CaptionSettings | None = None, progress: Progress = SILENT
    ) -> list[Description]:
        self._bring()
        return self._describer.describe(images, settings, progress)

    def seen(self, image: Any) -> Any:
        return self._describer.seen(image)

    def describe_seen(
        self, seen: Sequence[Any], settings: CaptionSettings | None = None, progress: Progress = SILENT
    ) -> list[Description]:
        self._bring()
        return self._describer.describe_seen(seen, settings, progress)

    @property
    def nbytes(self) -> int:
        return self._describer.nbytes

    @property
    def module(self) -> Any:
        return self._describer.module


class NamedDescriber:
    """A describer, loaded when first needed. Weights in fewer bits are where they were read to, and ComfyUI cannot move
    them: they are not to outlive a run."""

    def __init__(self, name: str, quantization: Quantization = "none", precision: Precision = "auto") -> None:
        self.name = name
        self.moves = quantization == "none"
        self._quantization: Quantization = quantization
        self._precision: Precision = precision
        self._loaded: tuple[Describer, host.Resident | None] | None = None

    def placed(self, progress: Progress, *beside: Any) -> Describer:
        """Loaded, and on the device it computes on whenever it is asked. beside: patchers of other models that have to
        be there too."""
        if self._loaded is None:
            self._loaded = self._load(progress)
        describer, resident = self._loaded

        def bring() -> None:
            if resident is not None:
                describer.to(resident.bring(*beside))

        return _Placed(describer, bring)

    def _load(self, progress: Progress) -> tuple[Describer, host.Resident | None]:
        place, dtype = str(host.compute_device()), describing(self._precision)
        if not self.moves:
            host.make_room()
        # it waits in main memory, in what suits the device it is to go to
        describer = load_describer(self.name, place, dtype, hub(), progress, True, self._quantization)
        module = describer.module if self.moves else None
        return describer, None if module is None else host.Resident(module)

    def describe(self, pictures: Iterable[Any], settings: CaptionSettings, progress: Progress) -> list[str]:
        """A caption for each RGB picture; an iterator's are let go of one by one."""
        describer = self.placed(progress)
        # one by one: in a batch, rounding could give a picture another caption than alone
        return [describer.caption([picture], settings, progress)[0] for picture in pictures]


@dataclass(frozen=True)
class Setup:
    """What an INTERROGATOR is. Its settings' clip, device and precision are those of `source`."""

    settings: Settings
    source: ClipSource
    captioner: NamedDescriber | None
    others: dict[str, NamedDescriber] = field(default_factory=dict, compare=False)
    """Further describers that its runs have asked, such as a tagger, kept for the next."""

    @property
    def patcher(self) -> Any:
        """By this ComfyUI knows, where main memory is short, that it can free much by forgetting an INTERROGATOR."""
        return next(iter(self.source.patchers), None)

    def engine(self, settings: Settings, progress: Progress, *beside: Any) -> Engine:
        """An engine for one run, to be used in a `with` statement: after it nothing is left on the device but what
        ComfyUI knows of. beside: patchers of the graph's models that have to be there with the CLIP."""

        def clip(progress: Progress) -> Clip:
            return self.source.clip(progress, *beside)

        def describer(name: str, progress: Progress) -> Describer:
            own = self.captioner
            if own is None or own.name != name:
                own = self.others.setdefault(name, named_describer(name, precision=settings.precision))
            return own.placed(progress, *self.source.patchers, *beside)

        forms = _kept().closed_forms
        return Engine(settings, progress=progress, load_clip=clip, load_describer=describer, closed_forms=forms)


@dataclass(eq=False)
class _Kept:
    """What nodes use without an INTERROGATOR, by the CLIP's name, and what lasts longer than the engine of one run.
    chosen: the describer that a node has by its own widgets, by the node's id."""

    defaults: dict[str, Setup] = field(default_factory=dict)
    chosen: dict[str | None, NamedDescriber] = field(default_factory=dict)
    closed_forms: ClosedForms = field(default_factory=ClosedForms)


_DescriberKey = tuple[str, Quantization, Precision]


@dataclass
class _Shelf:
    """Models by name, each once, for as long as something refers to them; and what nodes keep."""

    clips: WeakValueDictionary[tuple[str, str], NamedClip] = field(default_factory=WeakValueDictionary)
    describers: WeakValueDictionary[_DescriberKey, NamedDescriber] = field(default_factory=WeakValueDictionary)
    kept: ReferenceType[_Kept] | None = None


_shelf = _Shelf()


def _kept() -> _Kept:
    """The same for as long as a node holds on to it."""
    kept = None if _shelf.kept is None else _shelf.kept()
    if kept is None:
        kept = _Kept()
        _shelf.kept = ref(kept)
    return kept


class ModelNode(io.ComfyNode):
    """A node that uses models without having been given any.

    ComfyUI makes an instance for each such node of a graph, and lets go of it when the node leaves the graph or when it
    is asked to free memory: so long the models stay in main memory.
    """

    def __init__(self) -> None:
        super().__init__()
        self._models = _kept()

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> Any:
        """Always the same: such a node runs again when its inputs change."""
        recall()


def given_setup(interrogator: Any, name: str = "interrogator") -> Setup | None:
    """What is connected to an INTERROGATOR's input of that name, None where nothing is. Raises SettingsError."""
    return None if interrogator is None else linked(interrogator, Setup, name)


def named_setup(settings: Settings) -> Setup:
    """The models that the settings name; loaded once, whoever asks for them."""
    key = (settings.clip, settings.precision)
    source = _shelf.clips.get(key) or _shelf.clips.setdefault(key, NamedClip(*key))
    return Setup(settings, source, named_captioner(settings))


def named_captioner(settings: Settings) -> NamedDescriber | None:
    name = settings.captioner
    return None if name is None else named_describer(name, precision=settings.precision)


def named_describer(name: str, quantization: Quantization = "none", precision: Precision = "auto") -> NamedDescriber:
    key = (name, quantization, precision)
    return _shelf.describers.get(key) or _shelf.describers.setdefault(key, NamedDescriber(*key))


def chosen_describer(hidden: Any, name: str, quantization: Quantization = "none") -> NamedDescriber:
    """The one that a node's widgets name, kept until they name another, or the node or its graph is left. hidden: the
    node's, with its id and the graph."""
    chosen, graph = _kept().chosen, hidden.prompt
    if isinstance(graph, dict):
        for gone in [each for each in chosen if each not in graph]:
            del chosen[gone]
    chosen.pop(hidden.unique_id, None)  # before the next is loaded
    found = named_describer(name, quantization)
    if found.moves:
        chosen[hidden.unique_id] = found
    return found


def default_setup(clip: str = Settings.clip) -> Setup:
    """For nodes without an INTERROGATOR."""
    defaults = _kept().defaults
    if clip not in defaults:
        defaults[clip] = named_setup(Settings(clip=clip, cache=host.model_folders()[0]))
    return defaults[clip]


def hub() -> Hub:
    return Hub(host.model_folders()[0])
