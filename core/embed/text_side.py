"""A text encoder as the projections need it: its weights, its tokenizer, and how its family pads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import torch
from torch import Tensor

from ..clip import Clip
from ..clip.hidden_states import hidden_states, padded_ids
from ..clip.layers import LAST, Layer, Padding
from ..clip.text_encoder import TowerEncoder
from ..clip.tokenizers import Tokenizer
from ..clip.weights import TowerWeights, map_tensors
from ..cures import Give
from ..errors import ModelError, SettingsError
from ..progress import SILENT, Check
from ..published import VIT_L

_TEXTS_AT_ONCE = 64


@dataclass(frozen=True)
class TextSide:
    """The text encoder of a checkpoint, fine-tuned or patched as it is.

    known_fingerprint: of the weights, from whoever has it already and changes it with them.
    plain: gives the same encoder without what a host has patched it with, such as LoRAs; None where nothing is.
    """

    weights: TowerWeights
    tokenizer: Tokenizer
    padding: Padding = "end"
    known_fingerprint: str = ""
    plain: Callable[[], TextSide] | None = None

    @classmethod
    def of(cls, clip: Clip, padding: Padding = "end") -> TextSide:
        """Raises ModelError for text encoders whose states this project cannot compute."""
        if not isinstance(clip.text, TowerEncoder):
            raise ModelError(
                f"{clip.name} has a text encoder that no supported diffusion model listens to",
                Give("clip", f"one such as {VIT_L}"),
            )
        return cls(clip.text.weights, clip.text.tokenizer, padding, clip.fingerprint)

    def padded(self, padding: Padding) -> TextSide:
        """The same encoder, fed in another family's way."""
        given = self.plain
        plain = None if given is None else lambda: given().padded(padding)
        return replace(self, padding=padding, known_fingerprint=self.fingerprint, plain=plain)

    def completed(self, clip: Clip) -> TextSide:
        """With the last block, which diffusers leaves out of SD2's encoder because no state that SD2 takes has passed
        it: counted from the end a layer then is where the family says. The end's way into the joint space does lead
        through it, and it is the block of the CLIP that the encoder was taken from. Beside a CLIP of another build the
        block before holds the place."""
        last = self.weights.blocks[-1]
        if isinstance(clip.text, TowerEncoder):
            own, width = clip.text.weights.blocks, last.out.shape
            if len(own) == len(self.weights.blocks) + 1 and own[-1].out.shape == width:
                like = last.out
                last = map_tensors(own[-1], lambda tensor: tensor.to(like))
        weights = replace(self.weights, blocks=(*self.weights.blocks, last))
        return replace(self, weights=weights, known_fingerprint=self.fingerprint)

    @property
    def fingerprint(self) -> str:
        """Changes when a host patches the weights in place, so it is read from them each time (see
        `sampled_fingerprint`)."""
        return self.known_fingerprint or sampled_fingerprint(self.weights)

    @property
    def width(self) -> int:
        return self.weights.embedding.shape[1]

    @property
    def positions(self) -> int:
        return len(self.weights.positions)

    @property
    def output_width(self) -> int:
        """Of the joint space."""
        return self.weights.output_width

    def states(
        self, texts: Sequence[str], layers: Sequence[Layer] = (LAST,), check: Check = SILENT.check
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """For each layer states [texts, 77, width], float32; and [texts] the position of each text's end. check: called
        all along, to end it."""
        ids, ends = padded_ids(self.weights, [self.tokenizer.encode(text) for text in texts], self.padding)
        return hidden_states(self.weights, ids, layers, check), ends

    def states_and_embeddings(
        self, texts: Sequence[str], layers: Sequence[Layer] = (LAST,), check: Check = SILENT.check
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """The states as `states` gives them, and from the same run the texts' normalised embeddings [texts, joint
        width], float32, by the tower's own projection, which has to be there."""
        states, ends = self.states(texts, [*layers, LAST], check)
        weights = self.weights
        assert weights.projection is not None
        last = at(states[-1], ends)
        bias = None if weights.projection_bias is None else weights.projection_bias.float()
        joint = torch.nn.functional.linear(last, weights.projection.float(), bias)
        return states[:-1], torch.nn.functional.normalize(joint, dim=-1)

    def is_of(self, clip: Clip) -> bool:
        """Whether it is the CLIP's own text tower, whose embeddings are those of the joint space."""
        text = clip.text
        return isinstance(text, TowerEncoder) and text.weights is self.weights and text.weights.projection is not None

    def start_state(self, layer: Layer = LAST) -> Tensor:
        """[width], float32: the state of start-of-text, which is the same whatever follows."""
        (states,) = hidden_states(self.weights, torch.tensor([[self.weights.start_of_text]]), (layer,))
        return states[0, 0]

    def long_states(self, text: str, layer: Layer = LAST, check: Check = SILENT.check) -> tuple[Tensor, Tensor]:
        """A text of any length in stretches of 75 tokens each with a start and an end, as the hosts split it: states
        [stretches, 77, width] and [stretches] the position of each end. check: called all along, to end it."""
        room = self.positions - 2
        tokens = self.tokenizer.encode(text)
        parts = [tokens[start : start + room] for start in range(0, len(tokens), room)] or [()]
        ids, ends = padded_ids(self.weights, parts, self.padding)
        return hidden_states(self.weights, ids, (layer,), check)[0], ends

    def mean_norms(self, texts: Sequence[str], check: Check = SILENT.check) -> tuple[float, float]:
        """Mean length over the texts of the end-of-text state, and of the embedding it is projected to (0 where the
        tower has no projection). Raises SettingsError when there is no text. check: called all along, to end it."""
        if not texts:
            raise SettingsError("There is no prompt to measure the text encoder's norm with", "give some")
        ends = torch.cat(
            [self._end_states(texts[i : i + _TEXTS_AT_ONCE], check) for i in range(0, len(texts), _TEXTS_AT_ONCE)]
        )
        projection = self.weights.projection
        projected = 0.0 if projection is None else float((ends @ projection.float().T).norm(dim=-1).mean())
        return float(ends.norm(dim=-1).mean()), projected

    def _end_states(self, texts: Sequence[str], check: Check) -> Tensor:
        ids, ends = padded_ids(self.weights, [self.tokenizer.encode(text) for text in texts], self.padding)
        (states,) = hidden_states(self.weights, ids[:, : int(ends.max()) + 1], check=check)
        return at(states, ends)


def at(states: Tensor, positions: Tensor) -> Tensor:
    """Of states [texts, positions, width] one position of each text: [texts, width]."""
    return states[torch.arange(len(states), device=states.device), positions.to(states.device)]


def fingerprint_of(sides: Iterable[TextSide]) -> str:
    """Of a family's text encoders as they are, one alone or several together."""
    each = [side.fingerprint for side in sides]
    return each[0] if len(each) == 1 else sha256("\n".join(each).encode()).hexdigest()


def sampled_fingerprint(weights: TowerWeights) -> str:
    """SHA-256 in hex of one value in each row of every matrix, of every value of norms and biases, and of what else
    decides the states: a fine-tuning, a merge, a LoRA or a new word changes some of them. Takes milliseconds, where
    reading all weights takes a second. The same wherever the weights are, and in whichever precision they are held."""
    digest = sha256(repr((weights.heads, weights.quick_gelu, weights.start_of_text, weights.end_of_text)).encode())
    samples: list[Tensor] = []

    def take(tensor: Tensor) -> Tensor:
        digest.update(repr(tuple(tensor.shape)).encode())
        # one more than a row is long: from row to row another column
        step = tensor.shape[1] + 1 if tensor.ndim == 2 else 1
        samples.append(tensor.detach().reshape(-1)[::step].to(weights.device, torch.float32))
        return tensor

    map_tensors(weights, take)
    # together, because each copy waits for the device
    digest.update(torch.cat(samples).cpu().numpy().data)
    return digest.hexdigest()
