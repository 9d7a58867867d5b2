"""A Clip whose weights a host moves: everything it needs as one module, and the Clip again wherever that is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..devices import Arithmetic
from ..errors import ModelError
from .model import Clip
from .text_encoder import TowerEncoder
from .text_tower import TextTower
from .weights import TowerWeights, _map_tensors


class MovableClip(nn.Module):
    """All weights of a Clip in the arithmetic they are used in, for hosts that move models between devices.

    clip: loaded on the CPU, float32 throughout, with the project's own text tower; not to be used afterwards.
    Raises ModelError for one with another text encoder.
    """

    def __init__(self, clip: Clip, arithmetic: Arithmetic) -> None:
        super().__init__()
        if not isinstance(clip.text, TowerEncoder):
            raise ModelError(f"{clip.name} has a text encoder that cannot be moved between devices; choose another.")
        weights = clip.text._exact.tower.weights
        self.exact = _Weights(weights.to("cpu", arithmetic.text))
        self.rough = None if arithmetic.rough is None else _Weights(weights.to("cpu", arithmetic.rough))
        self.vision = clip._vision.module.to(arithmetic.vision)
        self._tokenizer = clip.text._tokenizer
        self._source = (clip._vision, clip._preprocess)
        self._arithmetic = arithmetic
        self.name = clip.name
        self.logit_scale = clip.logit_scale
        self.fingerprint = TextTower(self.exact.assembled()).weights.fingerprint()

    def clip(self, device: torch.device) -> Clip:
        """The Clip that computes on `device`, where all the weights are now; valid until they are moved again."""
        rough = None if self.rough is None else TextTower(self.rough.assembled())
        text = TowerEncoder(TextTower(self.exact.assembled()), self._tokenizer, rough)
        clip = Clip(self.name, *self._source, text, self.logit_scale, device, self._arithmetic.vision)
        # the same weights, and reading them all again takes its time
        clip.fingerprint = self.fingerprint
        return clip


class _Weights(nn.Module):
    """TowerWeights whose tensors are parameters."""

    def __init__(self, weights: TowerWeights) -> None:
        super().__init__()
        tensors: list[Tensor] = []

        def taken_out(tensor: Tensor) -> Tensor:
            tensors.append(tensor)
            return tensor.new_empty(0)

        self._frame = _map_tensors(weights, taken_out)
        self.tensors = nn.ParameterList(nn.Parameter(tensor, requires_grad=False) for tensor in tensors)

    def assembled(self) -> TowerWeights:
        tensors = iter(self.tensors)
        return _map_tensors(self._frame, lambda _: next(tensors).data)
