"""A tagger's network: one of timm's, built by its configuration, with all weights that lie beside it or not at all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch

from ...cures import Give, Install, Take
from ...devices import named
from ...errors import MissingPackageError, ModelError
from ...foreign import WHOLE_AGAIN, Stored, Unreadable, few, first_line, library_reads, read_header, read_tensors
from ...pretrained import stored_tensors
from ...published import CONFIG, WEIGHTS_INDEX
from ...shortage import in_portions, within_memory
from .choice import rounded
from .files import TaggerFiles
from .view import View

_log = logging.getLogger(__name__)

_HALVES = (torch.float16, torch.bfloat16)


class TaggerModel:
    """On the CPU until `to` brings it elsewhere."""

    def __init__(self, name: str, module: torch.nn.Module, view: View, outputs: int, dtype: torch.dtype) -> None:
        self._name = name
        self.module = module
        self.view = view
        self._outputs = outputs
        self._dtype = torch.float32
        self._wanted = dtype
        self._device = torch.device("cpu")
        self._use(dtype)

    @property
    def nbytes(self) -> int:
        return sum(each.nbytes for each in self.module.parameters())

    def to(self, device: torch.device) -> None:
        """Moves the weights, unchanged, so that parking them on the CPU takes no more room than they had."""
        self.module.to(device)
        self._device = device

    @torch.inference_mode()
    def confidences(self, seen: Sequence[np.ndarray]) -> np.ndarray:
        """[pictures, tags], `rounded`. Raises ModelError where memory runs out, or the network gives no numbers."""
        on_cpu = self._device.type == "cpu" and self._wanted is torch.float16  # for which few CPUs have kernels
        self._use(torch.float32 if on_cpu else self._wanted)
        cures = (Give("captioner", "a smaller one"), Take("use the CPU"))
        with within_memory(f"{self._name} runs out of memory on {self._device}", *cures):
            found = self._run(seen)
            if not np.isfinite(found).all() and self._dtype in _HALVES:
                half = str(self._dtype).removeprefix("torch.")
                place = named(self._device)
                _log.warning("%s gives no numbers in %s on %s: it goes on in float32.", self._name, half, place)
                self._wanted = torch.float32
                self._use(torch.float32)
                found = self._run(seen)
        if not np.isfinite(found).all():
            raise ModelError(f"{self._name} gives values that are no numbers", WHOLE_AGAIN)
        return rounded(found)

    def _run(self, seen: Sequence[np.ndarray]) -> np.ndarray:
        def passed(some: Sequence[np.ndarray]) -> np.ndarray:
            logits = self.module(self.view.batch(some, self._device, self._dtype))
            return torch.sigmoid(logits.float()).cpu().numpy()

        return np.concatenate(in_portions(passed, seen))

    def _use(self, dtype: torch.dtype) -> None:
        if dtype is not self._dtype:
            for tensor in chain(self.module.parameters(), self.module.buffers()):
                if tensor.is_floating_point():
                    tensor.data = tensor.data.to(dtype)
            self._dtype = dtype


def load_network(name: str, files: TaggerFiles, dtype: torch.dtype) -> TaggerModel:
    """Raises ModelError (an architecture that timm does not have, weights that are others), MissingPackageError."""
    create = _timm(name)
    stored = stored_tensors(files.folder, files.weights)
    options = {**files.options, "num_classes": len(files.tags)}
    with library_reads(f"timm cannot build what {files.folder / CONFIG} describes", "upgrade timm", WHOLE_AGAIN):
        with torch.device("meta"):  # takes no memory, whatever is described
            described = create(files.architecture, pretrained=False, **options).eval()
        passing = _not_kept(described)
        _check_same(files, described.state_dict(), {key: one for key, one in stored.items() if key not in passing})
        _check_pass(files, described)
        # random weights take longer to make than the others to read
        whole = not passing and not _holds_tensors(described)
        module = described if whole else create(files.architecture, pretrained=False, **options)
        module.load_state_dict(_tensors(files, set(module.state_dict())), strict=True, assign=whole)
    return TaggerModel(name, module.eval().requires_grad_(False), files.view, len(files.tags), dtype)


def _timm(name: str) -> Callable[..., torch.nn.Module]:
    try:
        from timm.models import create_model
    except (ImportError, RuntimeError, OSError) as error:  # what does not fit its torch fails so
        problem = f"{name} needs timm, which cannot be imported ({first_line(error)})"
        raise MissingPackageError(problem, Install(("timm",)), Give("captioner")) from error
    return create_model


def _not_kept(module: torch.nn.Module) -> set[str]:
    """Tables that a module makes itself, which older versions of timm wrote with the weights."""
    return {key for key, _ in module.named_buffers()} - set(module.state_dict())


def _holds_tensors(module: torch.nn.Module) -> bool:
    """Besides its weights and tables, where nothing would give them values."""
    return any(isinstance(value, torch.Tensor) for part in module.modules() for value in vars(part).values())


def _check_same(files: TaggerFiles, wanted: Mapping[str, torch.Tensor], stored: Mapping[str, Stored]) -> None:
    model = f"{files.architecture} with {len(files.tags):,} outputs"
    if lacking := [key for key in wanted if key not in stored]:
        raise ModelError(f"{files.folder} lacks weights of {model}: {few(lacking)}", WHOLE_AGAIN)
    if others := [key for key in stored if key not in wanted]:
        raise ModelError(f"{files.folder} holds weights that are none of {model}: {few(others)}", WHOLE_AGAIN)
    if odd := [key for key, tensor in wanted.items() if tuple(tensor.shape) != stored[key].shape]:
        raise ModelError(f"{files.folder} holds weights of other shapes than {model}: {few(odd)}", WHOLE_AGAIN)


def _check_pass(files: TaggerFiles, described: torch.nn.Module) -> None:
    """That a picture of the size that is told goes through, and that each tag has an output."""
    width, height = files.view.size
    problem = f"{files.folder / CONFIG} shows pictures of {width} x {height} to a network of another size"
    with torch.inference_mode(), library_reads(problem, WHOLE_AGAIN):
        try:
            outputs = described(torch.empty(1, 3, height, width, device="meta"))
        except NotImplementedError:  # what cannot be done without values
            return
    if not isinstance(outputs, torch.Tensor) or outputs.shape != (1, len(files.tags)):
        raise ModelError(f"{files.folder / CONFIG} describes no network with an output for each tag", WHOLE_AGAIN)


def _tensors(files: TaggerFiles, wanted: set[str]) -> dict[str, Any]:
    """In float32, however they are stored."""
    tensors: dict[str, Any] = {}
    for file in files.weights:
        if file == WEIGHTS_INDEX:
            continue
        path = files.folder / file
        try:
            found = read_tensors(path, [key for key in read_header(path).tensors if key in wanted])
        except Unreadable as error:
            raise ModelError(f"{path} cannot be read as safetensors ({error})", WHOLE_AGAIN) from error
        tensors |= {key: one.float() if one.is_floating_point() else one for key, one in found.items()}
    return tensors
