"""The kinds of describers, in the order in which they are asked whether a name is theirs. A new one is a file and an
entry here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..hub import Hub
from ..progress import SILENT, Progress
from ..published import Published
from ..settings import Quantization
from .describer import Describer
from .endpoint import endpoint
from .kind import Kind
from .tagging import tagger
from .writing import captioner

if TYPE_CHECKING:
    import torch

KINDS: tuple[Kind, ...] = (endpoint.KIND, tagger.KIND, captioner.KIND)


def kind_of(name: str, hub: Hub | None = None) -> Kind:
    """The last kind takes whatever no other claims, and says what is wrong with it."""
    *others, last = KINDS
    return next((kind for kind in others if kind.claims(name, hub)), last)


def known_describers() -> dict[str, Published]:
    """All that can be named shortly, by name."""
    return {name: published for kind in KINDS for name, published in kind.known.items()}


def known_taggers() -> list[str]:
    """Names of those that tell tags."""
    return list(tagger.KIND.known)


def known_writers() -> list[str]:
    """Names of all others."""
    return [name for name in known_describers() if name not in tagger.KIND.known]


def check_describer(name: str) -> None:
    """What is known to be wrong of a name without a network. Raises ModelError, MissingPackageError."""
    kind_of(name).check(name)


def load_describer(
    name: str,
    device: str | torch.device = "auto",
    dtype: torch.dtype | None = None,
    hub: Hub | None = None,
    progress: Progress = SILENT,
    wait: bool = False,
    quantization: Quantization = "none",
) -> Describer:
    """By any name that a kind claims, downloaded first if it is on no disk.

    dtype: of its arithmetic, into which weights are read; None for what suits the device. wait: leaves it in main
    memory, ready for the device, until `to` brings it there. quantization: see `Settings`; nothing to kinds that know
    none.
    Raises ModelError (unknown, absent, no describer, not safetensors), MissingPackageError, SettingsError (device),
    Cancelled.
    """
    hub = hub or Hub()  # without one no kind asks what is on no disk
    kind = kind_of(name, hub)
    if quantization != "none" and kind.load_quantized is not None:
        return kind.load_quantized(name, device, dtype, hub, progress, wait, quantization)
    return kind.load(name, device, dtype, hub, progress, wait)
