"""Texts to embeddings: the project's own tower, or the library's encoder where the tower does not apply."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from ..progress import SILENT, Check
from ..undisturbed import undisturbed
from .evaluator import Continuations, Evaluator
from .text_tower import FEWEST_NODES, MOST_NODES, TextTower
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
    [texts, width of the joint space].

    nbytes: held for as long as the encoder lives.
    """

    context_length: int

    @property
    def nbytes(self) -> int: ...

    @property
    def fewest_working_bytes(self) -> int: ...

    @property
    def best_working_bytes(self) -> int: ...

    @property
    def has_rough(self) -> bool:
        """Whether continuations can be had faster in half precision."""
        ...

    def ids(self, text: str) -> tuple[int, ...]:
        """What the model sees of the text, uncut: texts with equal ids are the same text to it."""
        ...

    def length(self, text: str) -> int:
        """Tokens of the text, start and end included, before any cut."""
        ...

    def encode(self, texts: Sequence[str], check: Check = SILENT.check) -> Tensor:
        """check: called all along, to end it."""
        ...

    def encode_continuations(self, prompt: str, phrases: Sequence[str], rough: bool = False) -> Tensor:
        """Features of f"{prompt}, {phrase}" for every phrase; of the phrases alone when the prompt is empty.

        rough: half precision will do, where `has_rough` says it pays.
        """
        ...

    def work_within(self, memory: int) -> None:
        """Sets how many bytes there are to work with: `fewest_working_bytes` at least, and `best_working_bytes` are as
        good as more."""
        ...

    def forget(self) -> None:
        """Drops what earlier prompts left behind; results then depend on the texts alone, to the last bit."""
        ...

    def fingerprint(self) -> str:
        """Changes whenever weights, arithmetic or tokenization change."""
        ...


class TowerEncoder:
    """The project's own text tower with its library's tokenizer.

    rough: the same tower in half precision, for candidates that are scored again; None where it would not be faster.
    """

    def __init__(self, tower: TextTower, tokenizer: Tokenizer, rough: TextTower | None = None) -> None:
        self._exact = Evaluator(tower)
        self._rough = None if rough is None else Evaluator(rough)
        self._tokenizer = tokenizer
        self.context_length = tower.context_length
        self._known_ids: dict[str, tuple[int, ...]] = {}
        self._known_joins: dict[str, bool] = {}
        self._last_front: tuple[str, tuple[int, ...] | None] = "", None

    @property
    def weights(self) -> TowerWeights:
        return self._exact.tower.weights

    @property
    def tokenizer(self) -> Tokenizer:
        return self._tokenizer

    @property
    def has_rough(self) -> bool:
        return self._rough is not None

    @property
    def nbytes(self) -> int:
        return sum(evaluator.nbytes for evaluator in self._evaluators())

    @property
    def fewest_working_bytes(self) -> int:
        return FEWEST_NODES * self._exact.tower.bytes_per_node

    @property
    def best_working_bytes(self) -> int:
        return MOST_NODES * self._exact.tower.bytes_per_node

    def work_within(self, memory: int) -> None:
        for evaluator in self._evaluators():
            evaluator.tower.working_memory = memory

    def _evaluators(self) -> Iterator[Evaluator]:
        return filter(None, (self._exact, self._rough))

    def ids(self, text: str) -> tuple[int, ...]:
        known = self._known_ids.get(text)
        if known is None:
            known = self._known_ids[text] = self._tokenizer.encode(text)
        return known

    def length(self, text: str) -> int:
        return len(self._ids_by_parts(text)) + 2

    @undisturbed()
    def encode(self, texts: Sequence[str], check: Check = SILENT.check) -> Tensor:
        if len(texts) == 1:
            return self._exact.text(self._ids_by_parts(texts[0]))
        return self._exact.texts([self._ids_by_parts(text) for text in texts], check)

    def _ids_by_parts(self, text: str) -> tuple[int, ...]:
        """The same as tokenizing the text, which takes longer than to put known phrases' tokens together."""
        front, comma, last = text.rpartition(", ")
        ids = self._front_ids(front) if comma and self._joins(last) else None
        if comma and ids is None:
            return self._tokenizer.encode(text)
        return (*(ids or ()), *self._part_ids(last))

    def _front_ids(self, front: str) -> tuple[int, ...] | None:
        """Of a text up to its last comma, which texts that are asked of one after another share; None where it cannot
        be put together."""
        known, ids = self._last_front
        if front != known or ids is None:
            parts = [f"{part}," for part in front.split(", ")]
            joins = all(self._joins(part) for part in parts)
            ids = tuple(itertools.chain.from_iterable(map(self._part_ids, parts))) if joins else None
            self._last_front = front, ids
        return ids

    def _part_ids(self, part: str) -> tuple[int, ...]:
        """Kept for phrases alone, of which there are so many and no more."""
        known = self._known_ids.get(part)
        if known is None:
            known = self._tokenizer.encode(part)
            if part.removesuffix(",") in self._known_ids:
                self._known_ids[part] = known
        return known

    @undisturbed()
    def encode_continuations(self, prompt: str, phrases: Sequence[str], rough: bool = False) -> Tensor:
        if not prompt:
            return self.encode(phrases)
        evaluator = self._rough if rough and self._rough else self._exact
        return evaluator.continuations(self._tokenized(prompt, phrases))

    def _tokenized(self, prompt: str, phrases: Sequence[str]) -> Continuations:
        """Where it is not certain that the tokens split at the comma, the text is tokenized whole."""
        start = self._tokenizer.start_of_text
        beginning = (start, *self._tokenizer.encode(f"{prompt},"))
        prompt_joins = self._tokenizer.joins(prompt)
        suffixes: list[tuple[int, ...]] = []
        whole: dict[int, tuple[int, ...]] = {}
        for row, phrase in enumerate(phrases):
            if prompt_joins and self._joins(phrase):
                suffixes.append(self.ids(phrase))
                continue
            ids = (start, *self._tokenizer.encode(f"{prompt}, {phrase}"))
            suffixes.append(ids[len(beginning) :])
            if ids[: len(beginning)] != beginning:
                whole[row] = ids[1:]
        return Continuations(beginning, tuple(suffixes), whole)

    def _joins(self, phrase: str) -> bool:
        if phrase.isascii():
            return self._tokenizer.joins(phrase)
        known = self._known_joins.get(phrase)
        if known is None:
            known = self._tokenizer.joins(phrase)
            if phrase.removesuffix(",") in self._known_ids:
                self._known_joins[phrase] = known
        return known

    def forget(self) -> None:
        for evaluator in self._evaluators():
            evaluator.forget()

    def fingerprint(self) -> str:
        return self._exact.tower.weights.fingerprint()


class LibraryEncoder:
    """The library's own text encoder, for towers that are not causal or not understood.

    encode_batch: token tensor [n, context] -> features [n, width], not normalised.
    module: what computes them, for hosts that move models.
    """

    def __init__(
        self,
        encode_batch: Callable[[Tensor], Tensor],
        tokenizer: Tokenizer,
        context_length: int,
        device: torch.device,
        name: str,
        module: torch.nn.Module | None = None,
    ) -> None:
        self.module = module
        self._encode_batch = encode_batch
        self._tokenizer = tokenizer
        self._device = device
        self._name = name
        self.context_length = context_length
        self.has_rough = False
        # the library's own affair
        self.nbytes = self.fewest_working_bytes = self.best_working_bytes = 0

    def ids(self, text: str) -> tuple[int, ...]:
        return self._tokenizer.encode(text)

    def length(self, text: str) -> int:
        count = len(self._tokenizer.encode(text))
        if self._tokenizer.start_of_text >= 0:
            return count + 2
        return count if count < self.context_length else count + 1  # cut by the tokenizer, so far as can be known

    @torch.no_grad()
    @undisturbed()
    def encode(self, texts: Sequence[str], check: Check = SILENT.check) -> Tensor:
        features = []
        for start in range(0, len(texts), _BATCH):
            check()
            batch = self._tokenizer.batch(texts[start : start + _BATCH]).to(self._device)
            features.append(self._encode_batch(batch).float())
        return _normalised(torch.cat(features))

    def encode_continuations(self, prompt: str, phrases: Sequence[str], rough: bool = False) -> Tensor:
        return self.encode([f"{prompt}, {phrase}" for phrase in phrases] if prompt else phrases)

    def work_within(self, memory: int) -> None:
        """The library takes what it takes."""

    def forget(self) -> None:
        """Nothing is remembered."""

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
