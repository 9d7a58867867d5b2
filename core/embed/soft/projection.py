"""The projection soft: a picture as words that have moved, and tokens after them that are no words.

Where LoRAs patch the encoder whose CLIP sees the pictures, what is known of that CLIP is as without them: a picture's
place among texts, distances, what the families say. On micro soft prompts reach their pictures all the same: with LoRAs
that move texts' ends by 0, 6, 12 and 20 % of their spread, the cosine of the end with the picture's place, about where
texts lie, is .862, .865, .857 and .852 on no words, and .840, .841, .842 and .850 on words that say nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ...evidence.likelihoods import Answer
from ...progress import SILENT, Progress
from ..conditioning import checked_length
from ..families import Encoder, Family
from ..gap import GapCorrection
from ..text_side import TextSide
from .crossing import Crossing, load_or_learn
from .descent import Descent
from .knowledge import Knowledge
from .said import told
from .softener import Softener, States, Wanted
from .space import Placing, Space, joint_space

ALONE = Descent(tokens=4, steps=40, words=0.4, added=0.13, answers=1.0, moved=0.5)
"""On the families' own words. By validation (benchmarks/soft_prompts.py), as what follows."""
AFTER_WORDS = Descent(tokens=4, steps=40)
"""On words that describe the picture, which stay as they are; what the families answer is in them: asked of the soft
prompt as well, it kept it from saying what they lack. And where nothing is asked: held near fillers, with nothing but
the distance to draw them, tokens stay there: of 48 validation pictures .16 of the factors were read, as by chance, in
place of .71."""


@dataclass(frozen=True)
class Words:
    """A prompt that describes a picture. searched: whether a search found it, which has said all that the families and
    lists tell; who gave it may have left out anything."""

    text: str
    searched: bool = False

    def left_alone(self, changed: bool) -> float:
        """By how many deviations below the mean their embedding may stay from the picture's and they are left alone;
        one farther, and the soft states take their place. A prompt that says all is no worse than the soft one, and
        mostly better; what a text is to change in it, the soft tokens know as it was. changed: whether one is."""
        return 1.0 if self.searched or changed else -1.0


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
        words: Words | None = None,
        text: str = "",
        gap: GapCorrection | None = None,
        asks: bool = True,
        tokens: int | None = None,
    ) -> States:
        """Of a picture's embedding [joint width].

        words: that describe it; where they were given, what the families tell and they leave out is said after them.
        text: that is said in the words' place, with what the picture has beyond them. asks: whether the families are
        asked. tokens: how many are added. Raises EmbeddingError, ModelError, SettingsError, or Cancelled."""
        checked_length(joint)
        joint = self._known.clip.recognised(joint)
        asks = asks and not (words and words.searched)
        answers, described = self._known.evidence.answers(joint) if asks else {}, words.text if words else ""
        begun = self._said(answers, described, described)
        said = self._said(answers, text, described) if text else begun
        descent = ALONE if answers and not words else AFTER_WORDS
        if tokens is not None:
            descent = replace(descent, tokens=tokens)
        placing = Placing(self._known.where_texts_lie, gap, descent.moved)
        share = self._share(joint, begun, words.left_alone(bool(text)), placing) if words else 1.0
        own = self._softener(placing, False).states(said) if share < 1 else None
        if own is not None and not share:
            return own
        asked = asks and descent.answers > 0
        softener = self._softener(placing, asked)
        wanted = Wanted(joint.float(), _joined(answers) if asked else None)
        soft = softener.soft(wanted, begun, descent)
        found = softener.states(said, soft)
        return found if own is None else _mixed(own, found, share)

    def _softener(self, placing: Placing, asks: bool) -> Softener:
        return Softener(self._family, self._sides, lambda encoder: self._space(encoder, placing, asks), self._progress)

    def _said(self, answers: Mapping[str, Answer], text: str, words: str) -> str:
        """A text, and what the families tell of which neither it nor the words speak."""
        if not answers:
            return text
        claims = self._known.evidence.claims
        spoken = {claim.family.name for each in (text, words) for claim in claims.read(each)}
        return ", ".join(filter(None, (text, told(answers, without=spoken))))

    def _share(self, joint: Tensor, words: str, left_alone: float, placing: Placing) -> float:
        """Of the soft states, by how far the words' embedding stays from the picture's: as far as prompts do that say
        all, or farther. Without a bank that tells how near those come it is unknown, and half is taken."""
        near = self._known.evidence.bank.trust.nearness
        if near is None or placing.gap is None:
            return 0.5
        reached = float(placing.nearness(joint, self._known.clip.encode_texts([words])[0]))
        below = (near.mean - reached) / near.deviation
        return min(1.0, max(0.0, below - left_alone))

    def _space(self, encoder: Encoder, placing: Placing, asks: bool) -> Space:
        evidence = self._known.evidence if asks else None
        side = self._sides[encoder.name]
        if encoder == self._family.seeing:
            return joint_space(side.weights, self._text_projection, placing, self._known.measure, evidence)
        return self._crossing(encoder).space(placing, evidence)

    def _crossing(self, encoder: Encoder) -> Crossing:
        if encoder.name not in self._crossings:
            known = self._known
            self._crossings[encoder.name] = load_or_learn(
                known.folder, known.clip, self._sides[encoder.name], known.evidence, known.texts, self._progress
            )
        return self._crossings[encoder.name]


def _joined(answers: Mapping[str, Answer]) -> Tensor:
    """Likelihoods [concepts], family by family as `Evidence.vectors` has them."""
    return torch.from_numpy(np.concatenate([each.likelihoods for each in answers.values()])).float()


def _mixed(own: States, soft: States, share: float) -> States:
    """Where the added tokens make a text longer by a stretch there is no position to mix with, and it is soft alone."""
    if any(own.states[name].shape != soft.states[name].shape for name in own.states):
        return soft

    def between(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: (1 - share) * a[name] + share * b[name] for name in a}

    return States(between(own.states, soft.states), between(own.ends, soft.ends))
