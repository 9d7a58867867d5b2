"""A text encoder as the projections need it: its weights, its tokenizer, and how its family pads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from ..clip import Clip
from ..clip.hidden_states import LAST, Layer, Padding, hidden_states, padded_ids
from ..clip.text_encoder import TowerEncoder
from ..clip.tokenizers import Tokenizer
from ..clip.weights import TowerWeights
from ..errors import ModelError, SettingsError

_TEXTS_AT_ONCE = 64
_SAMPLED = 64


@dataclass(frozen=True)
class TextSide:
    """The text encoder of a checkpoint, fine-tuned or patched as it is.

    known_fingerprint: of the weights, from whoever has it already and changes it with them.
    """

    weights: TowerWeights
    tokenizer: Tokenizer
    padding: Padding = "end"
    known_fingerprint: str = ""

    @classmethod
    def of(cls, clip: Clip, padding: Padding = "end") -> TextSide:
        """Raises ModelError for text encoders whose states this project cannot compute."""
        if not isinstance(clip.text, TowerEncoder):
            raise ModelError(
                f"{clip.name} has a text encoder that no supported diffusion model listens to; choose a CLIP such as "
                "ViT-L-14/openai."
            )
        return cls(clip.text.weights, clip.text.tokenizer, padding, clip.fingerprint)

    def padded(self, padding: Padding) -> TextSide:
        """The same encoder, fed in another family's way."""
        return replace(self, padding=padding, known_fingerprint=self.fingerprint)

    @property
    def fingerprint(self) -> str:
        """SHA-256 in hex of all that decides the states. Reading all weights takes up to a second, so it is done again
        only when a sample of every block has changed, as it does when a host patches weights in place."""
        if self.known_fingerprint:
            return self.known_fingerprint
        sample = _sample(self.weights)
        if sample not in self._fingerprints:
            self._fingerprints[sample] = self.weights.fingerprint()
        return self._fingerprints[sample]

    @cached_property
    def _fingerprints(self) -> dict[bytes, str]:
        return {}

    @property
    def width(self) -> int:
        return self.weights.embedding.shape[1]

    def states(self, texts: Sequence[str], layers: Sequence[Layer] = (LAST,)) -> tuple[tuple[Tensor, ...], Tensor]:
        """For each layer states [texts, 77, width], float32; and [texts] the position of each text's end."""
        ids, ends = padded_ids(self.weights, [self.tokenizer.encode(text) for text in texts], self.padding)
        return hidden_states(self.weights, ids, layers), ends

    def long_states(self, text: str, layer: Layer = LAST) -> tuple[Tensor, Tensor]:
        """A text of any length in stretches of 75 tokens each with a start and an end, as the hosts split it: states
        [stretches, 77, width] and [stretches] the position of each end."""
        room = self.weights.positions.shape[0] - 2
        tokens = self.tokenizer.encode(text)
        parts = [tokens[start : start + room] for start in range(0, len(tokens), room)] or [()]
        ids, ends = padded_ids(self.weights, parts, self.padding)
        return hidden_states(self.weights, ids, (layer,))[0], ends

    def mean_norms(self, texts: Sequence[str]) -> tuple[float, float]:
        """Mean length over the texts of the end-of-text state, and of the embedding it is projected to (0 where the
        tower has no projection). Raises SettingsError when there is no text."""
        if not texts:
            raise SettingsError("There is no prompt to measure the text encoder's norm with; give some.")
        ends = torch.cat(
            [self._end_states(texts[i : i + _TEXTS_AT_ONCE]) for i in range(0, len(texts), _TEXTS_AT_ONCE)]
        )
        projection = self.weights.projection
        projected = 0.0 if projection is None else float((ends @ projection.float().T).norm(dim=-1).mean())
        return float(ends.norm(dim=-1).mean()), projected

    def _end_states(self, texts: Sequence[str]) -> Tensor:
        ids, ends = padded_ids(self.weights, [self.tokenizer.encode(text) for text in texts], self.padding)
        (states,) = hidden_states(self.weights, ids[:, : int(ends.max()) + 1])
        return states[torch.arange(len(texts), device=states.device), ends.to(states.device)]


def _sample(weights: TowerWeights) -> bytes:
    """Some values of each matrix, evenly spread: a fine-tuning, a merge or a LoRA changes them all."""
    matrices = [
        weights.embedding,
        *(part for each in weights.blocks for part in (each.qkv, each.out, each.up, each.down)),
    ]
    parts = [matrix.reshape(-1)[:: max(1, matrix.numel() // _SAMPLED)] for matrix in matrices]
    return torch.cat(parts).float().cpu().numpy().tobytes()
