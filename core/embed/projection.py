"""The closed form: a picture's joint embedding back through the text projection, to the state of a prompt's end.

Ding, Tian, Ding, Liu, "The CLIP Model is Secretly an Image-to-Prompt Converter", NeurIPS 2023, arXiv 2305.12716, with
the settings of its published script: singular values under 0.3 dropped, norm 27.5, alpha 0.6.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import torch
from torch import Tensor

from ..clip.weights import TowerWeights
from ..errors import ModelError, SettingsError
from ..progress import SILENT, Progress
from .text_projection import projection_for
from .text_side import TextSide

PUBLISHED_CUT = 0.3
PUBLISHED_NORM = 27.5
PUBLISHED_ALPHA = 0.6
_LARGEST_ALPHA = 10.0
_KEPT = 8
"""Of a few MB each."""


@dataclass(frozen=True)
class ClosedForm:
    """inverse [text width, joint width]; norm: of what it gives; start [text width]: the state of start-of-text."""

    inverse: Tensor
    norm: float
    start: Tensor

    def end_state(self, joint: Tensor) -> Tensor:
        """The state f [text width] of a prompt's end that a joint embedding [joint width], of any length, stands for.

        Raises ModelError where the embedding does not fit or leaves nothing."""
        if joint.shape != self.inverse.shape[1:]:
            raise ModelError(
                f"The picture's embedding is {joint.numel()} wide, but the projection is for {len(self.inverse.T)}",
                "take picture and text encoder from the same CLIP",
            )
        state = self.inverse @ joint.to(self.inverse)
        length = float(state.norm())
        if not (math.isfinite(length) and length > 0):
            raise ModelError(
                "The text projection leaves nothing of the picture's embedding", "check the model's weights"
            )
        return state * (self.norm / length)

    def traced(self, joints: Tensor, positions: int = 77) -> Tensor:
        """What `variation` gives of joint embeddings [pictures, joint width], [pictures, positions, text width], with a
        gradient to them."""
        ends = joints @ self.inverse.to(joints).T
        ends = ends * (self.norm / ends.norm(dim=-1, keepdim=True))
        start = self.start.to(joints).expand(len(joints), 1, -1)
        return torch.cat([start, ends[:, None].expand(-1, positions - 1, -1)], dim=1)

    def variation(self, joint: Tensor, positions: int = 77) -> Tensor:
        """[positions, text width]: the start token's state, then f everywhere."""
        return torch.cat([self.start[None], self.end_state(joint).expand(positions - 1, -1)])


def closed_form(
    side: TextSide,
    prompts: Sequence[str] = (),
    projection: Tensor | None = None,
    cut: float | None = None,
    norm: float | None = None,
    joint: int | None = None,
    progress: Progress = SILENT,
) -> ClosedForm:
    """For a text encoder; computed in float64, kept in float32, both in main memory (not every device has float64).

    prompts: to measure the norm with, where it is not the published one. projection: in place of the encoder's own.
    cut: see `default_cut`. norm: of the result; absent the published one for the published model, else the mean length
    of the end-of-text state over the prompts. joint: width of the picture's embedding, if known.
    Raises ModelError for an unusable projection, SettingsError for a cut that leaves nothing, a norm out of range, and
    where there are no prompts to measure with.
    """
    weights = side.weights
    matrix = projection_for(weights, projection, joint).cpu().double()
    left, singular, right = torch.linalg.svd(matrix, full_matrices=False)
    cut = default_cut(weights, matrix) if cut is None else cut
    if not (math.isfinite(cut) and 0 <= cut < float(singular[0])):
        raise SettingsError(f"is {cut:g}", f"give 0 or more, and less than {float(singular[0]):.3g}", control="cut")
    if norm is None:
        norm = PUBLISHED_NORM if is_published_model(weights) else side.mean_norms(prompts, progress.check)[0]
    if not (math.isfinite(norm) and norm > 0):
        raise SettingsError(f"is {norm:g}", "give a number above 0", control="norm")
    kept = singular > cut
    inverse = (right[kept].T / singular[kept]) @ left[:, kept].T
    return ClosedForm(inverse.float(), norm, side.start_state().cpu())


class ClosedForms:
    """Those of the last few text encoders, and the lengths measured on others: to make one takes far longer than to use
    it on a picture."""

    def __init__(self) -> None:
        self._made: dict[tuple, ClosedForm] = {}
        self._lengths: dict[tuple, float] = {}

    def of(
        self,
        side: TextSide,
        prompts: Sequence[str] = (),
        projection: Tensor | None = None,
        progress: Progress = SILENT,
    ) -> ClosedForm:
        """What `closed_form` gives, and raises."""
        key = (side.fingerprint, None if projection is None else _digest(projection), tuple(prompts))
        form = self._made.pop(key, None) or closed_form(side, prompts, projection, progress=progress)
        self._made[key] = form
        if len(self._made) > _KEPT:
            del self._made[next(iter(self._made))]
        return form

    def projected_length(self, side: TextSide, prompts: Sequence[str], progress: Progress = SILENT) -> float:
        """Mean length of the embeddings that the prompts' ends are projected to (see `TextSide.mean_norms`)."""
        key = (side.fingerprint, tuple(prompts))
        length = self._lengths.pop(key, None)
        self._lengths[key] = side.mean_norms(prompts, progress.check)[1] if length is None else length
        if len(self._lengths) > _KEPT:
            del self._lengths[next(iter(self._lengths))]
        return self._lengths[key]


def _digest(projection: Tensor) -> bytes:
    values = projection.detach().cpu().float().contiguous()
    return sha256(repr(tuple(values.shape)).encode() + values.numpy().tobytes()).digest()


def is_published_model(weights: TowerWeights) -> bool:
    """Whether a tower has the architecture the published numbers are for, OpenAI's CLIP ViT-L/14 (or is a checkpoint's
    fine-tuned form of it), as far as shapes and activation tell."""
    return (
        weights.embedding.shape[1] == 768
        and weights.output_width == 768
        and (len(weights.blocks), weights.heads) == (12, 12)
        and weights.quick_gelu
    )


def default_cut(weights: TowerWeights, projection: Tensor) -> float:
    """Below which singular values are dropped: the published 0.3 for the published model.

    For others 0.3 times the root mean square of the singular values. CLIP initialises the projection so that this is
    1 for a square one, whatever its width, so the rule drops the same directions of a projection that is scaled by any
    factor, and is the published one where training left the scale alone.
    """
    if is_published_model(weights):
        return PUBLISHED_CUT
    return PUBLISHED_CUT * float(projection.double().norm()) / math.sqrt(min(projection.shape))


def edited(state: Tensor, prompt: Tensor, ends: Tensor, alpha: float = PUBLISHED_ALPHA) -> Tensor:
    """A picture changed by a text: the prompt's own states before each end-of-text; there and after it the picture's
    states plus alpha times the prompt's, position by position and not renormalised.

    state: f [width], or states [77, width]. prompt [stretches, 77, width] and ends [stretches] of `long_states`.
    Returns [77 * stretches, width]. Raises SettingsError for an alpha out of 0..10.
    """
    check_alpha(alpha)
    positions = torch.arange(prompt.shape[1], device=prompt.device)
    after = positions[None, :, None] >= ends.to(prompt.device)[:, None, None]
    return torch.where(after, state.to(prompt) + alpha * prompt, prompt).flatten(0, 1)


def check_alpha(alpha: float) -> None:
    if not (math.isfinite(alpha) and 0 <= alpha <= _LARGEST_ALPHA):
        raise SettingsError(
            f"is {alpha:g}", f"give a number from 0 to {_LARGEST_ALPHA:g} (published: 0.6)", control="alpha"
        )
