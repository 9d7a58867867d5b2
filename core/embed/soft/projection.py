"""The projection soft: a picture as words that have moved, and tokens after them that are no words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...evidence.likelihoods import Answer, wordings
from ...progress import SILENT, Progress
from ..families import Encoder, Family
from ..gap import GapCorrection
from ..text_side import TextSide
from .crossing import Crossing, load_or_learn
from .descent import Descent
from .knowledge import Knowledge
from .said import told
from .softener import Soft, Softener, Wanted
from .space import Placing, Space, joint_space

GAP_SHARE = 0.5
"""Of the way from where a picture lies to where texts lie: by validation (benchmarks/fidelity.py), as what follows."""
ALONE = Descent(tokens=4, steps=40, words=0.4, added=0.13, answers=1.0)
"""After the families' own words."""
AFTER_WORDS = Descent(tokens=4, steps=20, words=1.3, added=0.0, answers=0.3)
LEAST_SHARE = 0.25
"""Of the soft states in those of words that lack nothing."""


class States(NamedTuple):
    """By encoder: states [77 n, width] of the family's layer, and the last layer's state of the first end [width]."""

    states: Mapping[str, Tensor]
    ends: Mapping[str, Tensor]


class SoftProjection:
    """Of one family's text encoders. text_projection: in place of that of the encoder whose CLIP sees the pictures."""

    def __init__(
        self,
        family: Family,
        sides: Mapping[str, TextSide],
        text_projection: Tensor | None,
        knowledge: Knowledge,
        progress: Progress = SILENT,
    ) -> None:
        self._family = family
        self._sides = sides
        self._text_projection = text_projection
        self._known = knowledge
        self._progress = progress
        self._crossings: dict[str, Crossing] = {}

    def embedded(
        self,
        joint: Tensor,
        words: str = "",
        text: str = "",
        gap: GapCorrection | None = None,
        asks: bool = True,
        tokens: int | None = None,
    ) -> States:
        """Of a picture's embedding [joint width].

        words: a prompt that describes it; without one it is told in the families' own. text: that is said in the words'
        place, or beside what the families tell, with what the picture has beyond them. asks: whether the answers in
        families are looked at. tokens: how many are added. Raises ModelError, SettingsError, or Cancelled."""
        answers = self._known.evidence.answers(joint, words) if asks else {}
        begun = words or told(answers)
        said = text if words and text else begun if not text else self._beside(answers, text)
        descent = AFTER_WORDS if words else ALONE
        if tokens is not None:
            descent = replace(descent, tokens=tokens)
        placing = Placing(self._known.where_texts_lie, gap, GAP_SHARE)
        softener = Softener(
            self._family, self._sides, lambda encoder: self._space(encoder, placing, asks), self._progress
        )
        wanted = Wanted(joint.float(), _joined(answers) if asks else None)
        soft = softener.soft(wanted, begun, descent)
        found = States(*softener.states(said, soft))
        if not words:
            return found
        own = States(*softener.states(said, {name: _nothing(each) for name, each in soft.items()}))
        return _mixed(own, found, self._share(joint, words, placing))

    def _beside(self, answers: Mapping[str, Answer], text: str) -> str:
        """What the families tell, but for what the text speaks of, and the text."""
        spoken = {claim.family.name for claim in self._known.evidence.claims.read(text)} if answers else set()
        return ", ".join(filter(None, (told(answers, without=spoken), text)))

    def _share(self, joint: Tensor, words: str, placing: Placing) -> float:
        """Of the soft states, by how far the words' embedding stays from the picture's: as far as prompts do that say
        all, or farther. Without a bank that tells how near those come it is unknown, and half is taken."""
        near = self._known.evidence.bank.trust.nearness
        if near is None or placing.gap is None:
            return 0.5
        reached = float(placing.nearness(joint, self._known.clip.encode_texts([words])[0]))
        lacking = (near.mean - reached) / (2 * near.deviation)
        return LEAST_SHARE + (1 - LEAST_SHARE) * min(1.0, max(0.0, lacking))

    def _space(self, encoder: Encoder, placing: Placing, asks: bool) -> Space:
        evidence = self._known.evidence if asks else None
        side = self._sides[encoder.name]
        if encoder == self._family.seeing:
            return joint_space(side.weights, self._text_projection, placing, evidence)
        return self._crossing(encoder).space(placing, evidence)

    def _crossing(self, encoder: Encoder) -> Crossing:
        if encoder.name not in self._crossings:
            side, evidence = self._sides[encoder.name], self._known.evidence
            key = sha256(
                "\n".join((self._known.clip.fingerprint, side.fingerprint, *wordings(evidence.families))).encode()
            )
            path = self._known.folder / f"crossing-{key.hexdigest()[:32]}.safetensors"
            self._crossings[encoder.name] = load_or_learn(
                path, self._known.clip, side, evidence, self._known.texts, self._progress
            )
        return self._crossings[encoder.name]


def _joined(answers: Mapping[str, Answer]) -> Tensor:
    """Likelihoods [concepts], family by family as `Evidence.vectors` has them."""
    return torch.from_numpy(np.concatenate([each.likelihoods for each in answers.values()])).float()


def _nothing(soft: Soft) -> Soft:
    return Soft(soft.words, torch.zeros_like(soft.moved), soft.added[:0])


def _mixed(own: States, soft: States, share: float) -> States:
    """Where the added tokens make a text longer by a stretch there is no position to mix with, and it is soft alone."""
    if any(own.states[name].shape != soft.states[name].shape for name in own.states):
        return soft

    def between(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: (1 - share) * a[name] + share * b[name] for name in a}

    return States(between(own.states, soft.states), between(own.ends, soft.ends))
