"""The models between two uses: kept where the person wants them, never on the device unless asked for."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.engine import Engine
from ..core.progress import Progress
from ..core.prompt.memory import WORKING_MEMORY
from ..core.settings import Quantization, Settings
from .choices import LEAVE_ON_DEVICE, UNLOAD
from .needs import SIGHT, Needs, needs_of
from .waiting import held

if TYPE_CHECKING:
    import torch
    from torch.nn import Module

    from ..core.clip import Clip
    from ..core.clip.movable import MovableClip
    from ..core.describe import Describer
    from ..core.embed.blend import Blend
    from ..core.embed.embedding import PromptEmbedding
    from ..core.embed.families import Family
    from ..core.embed.gap import GapCorrection
    from ..core.embed.kinds import Quality
    from ..core.embed.text_side import TextSide

MakeRoom = Callable[[int], AbstractContextManager[None]]
"""Has that many bytes free on the device inside the `with`, and gives the host its place back after it."""


class Loaded(NamedTuple):
    """A model in memory. kind: "clip", or a describer's. bytes: of its weights. device: where they are ("cpu")."""

    kind: str
    name: str
    bytes: int
    device: str


class _Placed(NamedTuple):
    """What one use has of the models. device: where the CLIP computes. weights: None where none is needed."""

    device: torch.device
    weights: MovableClip | None
    describers: Mapping[str, Describer]

    @property
    def nbytes(self) -> int:
        """At most at once: describers are on the device one after the other."""
        clip = 0 if self.weights is None else _nbytes(self.weights)
        return clip + max((describer.nbytes for describer in self.describers.values()), default=0)


_Key = tuple[str, "torch.dtype | None", Quantization]
"""A describer's name, and how its weights are held."""


class Models:
    """One CLIP and the describers of one use, those used last. Uses wait for each other."""

    def __init__(self) -> None:
        self._clip: tuple[str, MovableClip] | None = None
        self._describers: dict[_Key, Describer] = {}
        self._lock = threading.Lock()

    def embed(
        self,
        pictures: Sequence[Any],
        family: Family,
        encoders: Callable[[], Mapping[str, TextSide]],
        settings: Settings,
        keeping: str,
        make_room: MakeRoom,
        progress: Progress,
        projection: str | None = None,
        quality: Quality | None = None,
        blend: Blend | None = None,
        gap: Callable[[Engine], GapCorrection | None] = lambda engine: None,
    ) -> PromptEmbedding:
        """encoders: gives the checkpoint's text encoders once there is room. projection, quality, blend, gap: see
        `Engine.embed`; here what is recommended is for the caller to know. Raises what that does."""
        from ..core.embed.blend import checked_way
        from ..core.images import open_image

        opened = [open_image(picture) for picture in pictures]
        described = blend is not None and blend.anchor is not None
        searched = checked_way(family, projection, quality).searched and not described
        needs = needs_of(settings, "best") if searched else SIGHT
        with self._using(settings, needs, keeping, make_room, progress) as (engine, placed):
            engine.check_embedding(len(opened), family.name, projection, blend, quality)
            placed()
            how = (family.name, projection, blend, gap(engine))
            return engine.embed(opened, *how, quality=quality, encoders=encoders())

    @contextmanager
    def engine(
        self, settings: Settings, needs: Needs, keeping: str, make_room: MakeRoom, progress: Progress
    ) -> Iterator[Engine]:
        """An engine for one use of the models, which are put in place when it first asks for one: so it refuses what
        it can without them.

        Raises SettingsError, ModelError, MissingPackageError; the engine, Cancelled as well."""
        with self._using(settings, needs, keeping, make_room, progress) as (engine, _):
            yield engine

    @contextmanager
    def _using(
        self, settings: Settings, needs: Needs, keeping: str, make_room: MakeRoom, progress: Progress
    ) -> Iterator[tuple[Engine, Callable[[], _Placed]]]:
        """As `engine`, and what puts the models in place."""
        device = _checked(settings, needs)
        with held(self._lock, progress.check):
            try:
                with ExitStack() as room:

                    @cache
                    def placed() -> _Placed:
                        weights = self._load_clip(settings, progress) if needs.clip else None
                        describers = self._load_describers(settings, needs.describers, progress)
                        found = _Placed(device, weights, describers)
                        room.enter_context(make_room(found.nbytes + WORKING_MEMORY))
                        return found

                    with _engine(settings, placed, progress) as engine:
                        yield engine, placed
            finally:
                self._put_away(keeping)

    @property
    def loaded(self) -> list[Loaded]:
        from ..core.describe import kind_of

        clip, describers = self._clip, dict(self._describers)
        found = [] if clip is None else [Loaded("clip", clip[0], _nbytes(clip[1]), _device(clip[1]))]
        for (name, *_), describer in describers.items():
            found.append(Loaded(kind_of(name).name, name, describer.nbytes, _device(describer.module)))
        return found

    def unload(self) -> None:
        """Frees the memory of all, on the device and in RAM."""
        from ..core.devices import empty_device_cache

        with self._lock:
            self._put_away(UNLOAD)
        gc.collect()
        empty_device_cache()

    def _put_away(self, keeping: str) -> None:
        if keeping == UNLOAD:
            self._clip = None
            self._describers.clear()
        elif keeping != LEAVE_ON_DEVICE and self._clip is not None:
            self._clip[1].to("cpu")

    def _load_clip(self, settings: Settings, progress: Progress) -> MovableClip:
        from ..core.clip import Clip
        from ..core.clip.movable import MovableClip
        from ..core.devices import pick_arithmetic, pick_device
        from ..core.hub import Hub

        if self._clip is None or self._clip[0] != settings.clip:
            self._clip = None
            loaded = Clip.load(settings.clip, "cpu", "exact", Hub(settings.cache), progress)
            arithmetic = pick_arithmetic(settings.precision, pick_device(settings.device))
            self._clip = settings.clip, MovableClip(loaded, arithmetic)
        return self._clip[1]

    def _load_describers(self, settings: Settings, names: Sequence[str], progress: Progress) -> Mapping[str, Describer]:
        """Those of the last use that are not needed now make room first, where any is."""
        from ..core.describe import load_describer
        from ..core.devices import describing, empty_device_cache
        from ..core.hub import Hub

        dtype, bits = describing(settings.precision), settings.quantization
        keys: dict[str, _Key] = {name: (name, dtype, bits) for name in names}
        kept = {key: each for key, each in self._describers.items() if key in keys.values()}
        if names and len(kept) < len(self._describers):
            self._describers = kept
            gc.collect()  # models hold themselves
            empty_device_cache()
        for name, key in keys.items():
            if key not in self._describers:
                hub = Hub(settings.cache)
                loaded = load_describer(name, settings.device, dtype, hub, progress, wait=True, quantization=bits)
                self._describers[key] = loaded
        return {name: self._describers[key] for name, key in keys.items()}


def check_names(settings: Settings, needs: Needs) -> None:
    """Whether a model's name is known to be wrong. Raises ModelError, MissingPackageError."""
    from ..core.clip.naming import check_clip
    from ..core.describe import check_describer

    if needs.clip:
        check_clip(settings.clip)
    for name in needs.describers:
        check_describer(name)


def _checked(settings: Settings, needs: Needs) -> torch.device:
    """The device, where neither that nor a model's name is known to be wrong. Raises SettingsError, ModelError."""
    from ..core.devices import pick_device

    check_names(settings, needs)
    return pick_device(settings.device)


def _engine(settings: Settings, placed: Callable[[], _Placed], progress: Progress) -> Engine:
    """An engine for one run, with models that stay when it is gone."""

    def load_clip(_: Progress) -> Clip:
        found = placed()
        assert found.weights is not None
        return found.weights.to(found.device).clip(found.device)

    def load_describer(name: str, _: Progress) -> Describer:
        return placed().describers[name]

    return Engine(settings, progress=progress, load_clip=load_clip, load_describer=load_describer)


def _device(module: Module | None) -> str:
    """ "" of what runs elsewhere."""
    return "" if module is None else str(next(module.parameters()).device)


def _nbytes(weights: MovableClip) -> int:
    return sum(tensor.nbytes for tensor in weights.parameters())
