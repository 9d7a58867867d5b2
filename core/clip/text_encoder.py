"""Texts to embeddings: the project's own tower, or the library's encoder where the tower does not apply."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from .text_tower import Prefix, TextTower
from .tokenizers import Tokenizer
from .weights import TowerWeights

LARGEST_ACCEPTED_DIFFERENCE = {torch.float32: 1e-5, torch.float16: 5e-3, torch.bfloat16: 3e-2}
_BATCH = 256

_PROBES = (
    "",
    "a",
    "a photograph of an astronaut riding a horse",
    "oil on canvas, by Vincent van Gogh, swirling night sky",
    "trending on ArtStation, 8k, highly detailed",
    "portrait of a woman with red hair, soft window light, 85mm lens",
    "Zürich façade, naïve art, œuvre",
    "赛博朋克城市 夜景",
    "деревня зимой, Левитан",
    "قلعة في الصحراء",
    "🐱🚀 emoji sticker",
    "R&amp;D &lt;tag&gt; &#39;quoted&#39;",
    "it's the 1990s: they're here!",
    "1234567890 !@#$%^&*()_+",
    "many words " * 30,
    "end <end_of_text> and <|endoftext|> inside",
)


class TextEncoder(Protocol):
    """What the search and the tables need of a CLIP's text side. Features are float32, normalised,
    [texts, width of the joint space]."""

    context_length: int

    def ids(self, text: str) -> tuple[int, ...]:
        """What the model sees of the text, uncut: texts with equal ids are the same text to it."""
        ...

    def length(self, text: str) -> int:
        """Tokens of the text, start and end included, before any cut."""
        ...

    def encode(self, texts: Sequence[str]) -> Tensor: ...

    def encode_continuations(self, prompt: str, phrases: Sequence[str]) -> Tensor:
        """Features of f"{prompt}, {phrase}" for every phrase; of the phrases alone when the prompt is empty."""
        ...

    def fingerprint(self) -> str:
        """Changes whenever weights, arithmetic or tokenization change."""
        ...


class TowerEncoder:
    """The project's own text tower with its library's tokenizer."""

    def __init__(self, tower: TextTower, tokenizer: Tokenizer) -> None:
        self._tower = tower
        self._tokenizer = tokenizer
        self.context_length = tower.context_length
        self._start = tower.prefix([tokenizer.start_of_text])
        self._latest: Prefix = self._start
        self._known_ids: dict[str, tuple[int, ...]] = {}

    def ids(self, text: str) -> tuple[int, ...]:
        known = self._known_ids.get(text)
        if known is None:
            known = self._known_ids[text] = self._tokenizer.encode(text)
        return known

    def length(self, text: str) -> int:
        return len(self._tokenizer.encode(text)) + 2

    def encode(self, texts: Sequence[str]) -> Tensor:
        if len(texts) == 1:
            ids = (self._tokenizer.start_of_text, *self._tokenizer.encode(texts[0]))
            return _normalised(self._tower.encode_whole(ids, self._latest)[None])
        ids = [self._known_ids.get(text) or self._tokenizer.encode(text) for text in texts]
        return _normalised(self._tower.encode(self._start, ids))

    def encode_continuations(self, prompt: str, phrases: Sequence[str]) -> Tensor:
        if not prompt:
            return self.encode(phrases)
        beginning = (self._tokenizer.start_of_text, *self._tokenizer.encode(f"{prompt},"))
        self._latest = self._tower.prefix(beginning, self._latest)
        prompt_joins = self._tokenizer.joins(prompt)
        joined: list[int] = []
        separate: list[int] = []
        for row, phrase in enumerate(phrases):
            (joined if prompt_joins and self._tokenizer.joins(phrase) else separate).append(row)
        suffixes = [self.ids(phrases[row]) for row in joined]
        features = torch.empty(len(phrases), self._tower.weights.output_width, device=self._tower.weights.device)
        features[joined] = self._tower.encode(self._latest, suffixes)
        if separate:
            features[separate] = self._encode_unsplit(prompt, [phrases[row] for row in separate], beginning)
        return _normalised(features)

    def _encode_unsplit(self, prompt: str, phrases: Sequence[str], beginning: tuple[int, ...]) -> Tensor:
        """Continuations whose tokens might not split at the comma: tokenized whole, then split where they do."""
        whole = [(self._tokenizer.start_of_text, *self._tokenizer.encode(f"{prompt}, {phrase}")) for phrase in phrases]
        splits = [ids[: len(beginning)] == beginning for ids in whole]
        features = torch.empty(len(whole), self._tower.weights.output_width, device=self._tower.weights.device)
        for prefix, wanted in ((self._latest, True), (self._start, False)):
            rows = [row for row, split in enumerate(splits) if split is wanted]
            skip = len(beginning) if wanted else 1
            if rows:
                features[rows] = self._tower.encode(prefix, [whole[row][skip:] for row in rows])
        return features

    def fingerprint(self) -> str:
        return self._tower.weights.fingerprint()


class LibraryEncoder:
    """The library's own text encoder, for towers that are not causal or not understood.

    encode_batch: token tensor [n, context] -> features [n, width], not normalised.
    """

    def __init__(
        self,
        encode_batch: Callable[[Tensor], Tensor],
        tokenizer: Tokenizer,
        context_length: int,
        device: torch.device,
        name: str,
    ) -> None:
        self._encode_batch = encode_batch
        self._tokenizer = tokenizer
        self._device = device
        self._name = name
        self.context_length = context_length

    def ids(self, text: str) -> tuple[int, ...]:
        return self._tokenizer.encode(text)

    def length(self, text: str) -> int:
        ids = self._tokenizer.encode(text)
        return len(ids) if self._tokenizer.start_of_text < 0 else len(ids) + 2

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> Tensor:
        batches = [texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH)]
        features = [self._encode_batch(self._tokenizer.batch(batch).to(self._device)).float() for batch in batches]
        return _normalised(torch.cat(features))

    def encode_continuations(self, prompt: str, phrases: Sequence[str]) -> Tensor:
        return self.encode([f"{prompt}, {phrase}" for phrase in phrases] if prompt else phrases)

    def fingerprint(self) -> str:
        """Of the outputs for a few texts: this encoder's weights cannot be enumerated."""
        probes = self.encode(_PROBES).cpu().contiguous()
        return hashlib.sha256(self._name.encode() + probes.numpy().tobytes()).hexdigest()


def agrees_with_library(weights: TowerWeights, library: LibraryEncoder, tokenizer: Tokenizer) -> bool:
    """Whether the own tower's features of 16 texts equal the library's, in the arithmetic the model is in now."""
    dtype = weights.blocks[0].qkv.dtype
    tower = TowerEncoder(TextTower(weights.to(weights.device, dtype)), tokenizer)
    difference = (tower.encode(_PROBES) - library.encode(_PROBES)).abs().max().item()
    # NaN compares false, as it should
    return difference <= LARGEST_ACCEPTED_DIFFERENCE[dtype]


def _normalised(features: Tensor) -> Tensor:
    return features / features.norm(dim=-1, keepdim=True)
