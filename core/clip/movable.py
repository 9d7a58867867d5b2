"""A Clip whose weights a host moves: everything it needs as one module, and the Clip again wherever that is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..cures import Give
from ..devices import Arithmetic
from ..errors import ModelError
from .model import Clip
from .text_encoder import LibraryEncoder, TextEncoder, TowerEncoder
from .text_tower import TextTower
from .weights import TowerWeights, map_tensors


class MovableClip(nn.Module):
    """All weights of a Clip in the arithmetic they are used in, for hosts that move models between devices.

    clip: loaded on the CPU, float32 throughout; not to be used afterwards.
    Raises ModelError for one whose text encoder is no module.
    """

    def __init__(self, clip: Clip, arithmetic: Arithmetic) -> None:
        super().__init__()
        self.name = clip.name
        self.logit_scale = clip.logit_scale
        self.fingerprint = clip.fingerprint
        self.text = _movable_text(clip, arithmetic)
        self.vision = clip._vision.module.to(arithmetic.vision)
        self._source = (clip._vision, clip._preprocess)
        self._arithmetic = arithmetic

    def clip(self, device: torch.device) -> Clip:
        """The Clip that computes on `device`, where all the weights are now; valid until they are moved again."""
        text = self.text.encoder(device)
        vision = next(self.vision.parameters()).dtype  # which an earlier one may have widened
        clip = Clip(self.name, *self._source, text, self.logit_scale, device, vision, self._arithmetic.widens)
        # the same weights, and reading them all again takes its time
        clip.fingerprint = self.fingerprint
        return clip


class _Tower(nn.Module):
    """The project's own text tower, and the same in half precision where that is faster."""

    def __init__(self, encoder: TowerEncoder, arithmetic: Arithmetic) -> None:
        super().__init__()
        weights = encoder._exact.tower.weights
        self.exact = _Weights(weights.to("cpu", arithmetic.text))
        self.rough = None if arithmetic.rough is None else _Weights(weights.to("cpu", arithmetic.rough))
        self._tokenizer = encoder._tokenizer

    def encoder(self, device: torch.device) -> TextEncoder:
        rough = None if self.rough is None else TextTower(self.rough.assembled())
        return TowerEncoder(TextTower(self.exact.assembled()), self._tokenizer, rough)


class _Library(nn.Module):
    """A library's text encoder, as it is."""

    def __init__(self, encoder: LibraryEncoder, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self._source = (encoder._encode_batch, encoder._tokenizer, encoder.context_length)
        self._name = encoder._name

    def encoder(self, device: torch.device) -> TextEncoder:
        return LibraryEncoder(*self._source, device, self._name, self.module)


def _movable_text(clip: Clip, arithmetic: Arithmetic) -> _Tower | _Library:
    if isinstance(clip.text, TowerEncoder):
        return _Tower(clip.text, arithmetic)
    if isinstance(clip.text, LibraryEncoder) and clip.text.module is not None:
        return _Library(clip.text, clip.text.module)
    raise ModelError(f"{clip.name} has a text encoder that cannot be moved between devices", Give("clip"))


class _Weights(nn.Module):
    """TowerWeights whose tensors are parameters."""

    def __init__(self, weights: TowerWeights) -> None:
        super().__init__()
        tensors: list[Tensor] = []

        def taken_out(tensor: Tensor) -> Tensor:
            tensors.append(tensor)
            return tensor.new_empty(0)

        self._frame = map_tensors(weights, taken_out)
        self.tensors = nn.ParameterList(nn.Parameter(tensor, requires_grad=False) for tensor in tensors)

    def assembled(self) -> TowerWeights:
        tensors = iter(self.tensors)
        return map_tensors(self._frame, lambda _: next(tensors).data)
