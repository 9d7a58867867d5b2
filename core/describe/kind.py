"""What a kind of describers is asked before there is a describer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ..hub import Hub
from ..progress import SILENT, Progress
from ..published import Published
from ..settings import Quantization
from .describer import Describer

if TYPE_CHECKING:
    import torch


class Loads(Protocol):
    def __call__(
        self,
        name: str,
        device: str | torch.device = "auto",
        dtype: torch.dtype | None = None,
        hub: Hub | None = None,
        progress: Progress = SILENT,
        wait: bool = False,
    ) -> Describer: ...


class LoadsQuantized(Protocol):
    def __call__(
        self,
        name: str,
        device: str | torch.device = "auto",
        dtype: torch.dtype | None = None,
        hub: Hub | None = None,
        progress: Progress = SILENT,
        wait: bool = False,
        quantization: Quantization = "none",
    ) -> Describer: ...


@dataclass(frozen=True)
class Kind:
    """name: what people call it. known: what can be named shortly. claims: whether a name is of this kind, told without
    a download. check: raises what is known to be wrong of a name without a network. find: the folder with its files,
    downloaded if need be; None for what has none. load: see `Describer`; wait leaves it in main memory. built_in: names
    of what is part of the package. load_quantized: the same as `load` with weights in fewer bits, for kinds that know
    such."""

    name: str
    known: Mapping[str, Published]
    claims: Callable[[str, Hub | None], bool]
    check: Callable[[str], None]
    find: Callable[[str, Hub | None, Progress], Path | None]
    load: Loads
    built_in: tuple[str, ...] = ()
    load_quantized: LoadsQuantized | None = None
