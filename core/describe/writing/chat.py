"""How models are asked that talk: by their own template, to the end of their turn."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ...cures import Give
from ...errors import UndescribedError
from ...settings import CaptionSettings
from ..answers import answered, asked
from ..next_words import NextWords
from .drawing import Guard, once_only
from .models import Answer, CaptionModel, without_prompt
from .templates import Message, rendered

_MOST_SEEN = 13_000_000
"""Pixels of a picture that waits for others: as many as any of these models looks at."""
_MOST_TOKENS = 8192
"""Of pictures and questions that are answered together."""
_FOR_THOUGHTS = 1024
_TURN_ENDS = (
    "<|eot_id|>",
    "<|im_end|>",
    "<end_of_turn>",
    "<|end|>",
    "<end_of_utterance>",
    "<|endoftext|>",
    "<|end_of_text|>",
)
"""Tokens that end a turn, in the templates of those who also have one for the end of a text."""
_QUOTED = ("'type':", '"type":')
"""Where a template that knows texts alone has written out a list of parts."""

Inputs = dict[str, Tensor]


class Chat(CaptionModel):
    """Answers. system: the message that its publisher says before questions."""

    at_once = 8

    def __init__(self, name: str, model: Any, processor: Any, dtype: torch.dtype, system: str = "") -> None:
        super().__init__(name, model, processor, dtype)
        self._system = system
        self._prompts: dict[tuple[str, str], str] = {}

    def seen(self, image: Image.Image) -> Any:
        return image.reduce(2) if image.width * image.height > _MOST_SEEN and min(image.size) > 1 else image

    def _write(self, images: list[Image.Image], settings: CaptionSettings) -> list[Answer]:
        question = asked(settings).instruction
        prompt = self.prompt(question, self._system if settings.system is None else settings.system)
        ready = [self.inputs(image, prompt) for image in images]
        texts: list[Answer] = [""] * len(images)
        for rows in _alike(ready):
            together = {name: torch.cat([ready[row][name] for row in rows]) for name in ready[rows[0]]}
            for row, text in zip(rows, self._answers(together, prompt, settings), strict=True):
                texts[row] = text
        return texts

    def next_words(self, seen: Any, settings: CaptionSettings) -> NextWords | None:
        """None of a model that thinks before it speaks."""
        prompt = self.prompt(asked(settings).instruction, self._system if settings.system is None else settings.system)
        return None if prompt.rstrip().endswith("<think>") else super().next_words(seen, settings)

    def _said(self, settings: CaptionSettings, tokens: Sequence[int]) -> str:
        text = self._processor.tokenizer.decode(list(tokens), skip_special_tokens=True).strip()
        return " ".join(answered(text, settings, False).split())

    def _end_tokens(self) -> frozenset[int]:
        return frozenset(self._ends)

    def _tokens(self, settings: CaptionSettings) -> int:
        return asked(settings).tokens

    def prompt(self, instruction: str, system: str) -> str:
        """As the template has it, with the picture's place in it."""
        words = instruction.strip(), system.strip()
        if words not in self._prompts:
            texts = rendered(self._name, self._processor, list(_conversations(*words, self._marks)))
            whole = [text for text in texts if text and not any(sign in text for sign in _QUOTED)]
            said = [text for text in whole if all(each in text for each in words)]
            marked = [text for text in said if any(mark in text for mark in self._marks)]
            self._prompts[words] = next(text for text in (*marked, *said, *whole, *texts) if text)
        return self._prompts[words]

    @cached_property
    def _marks(self) -> list[str]:
        """What may stand in a text for a picture."""
        owners = (self._processor, self._processor.tokenizer)
        found = [getattr(owner, name, None) for owner in owners for name in ("image_token", "boi_token")]
        return list(dict.fromkeys(each for each in found if isinstance(each, str) and each))

    def inputs(self, image: Image.Image, prompt: str) -> Inputs:
        """One picture's and the prompt's, with one start token."""
        start = self._processor.tokenizer.bos_token
        extra: dict[str, Any] = {}
        if start and prompt.startswith(start):
            if _takes(self._processor, "add_special_tokens"):
                extra = {"add_special_tokens": False}
            else:
                prompt = prompt.removeprefix(start)
        made = self._processor(images=[image], text=[prompt], return_tensors="pt", **extra)
        return {name: value for name, value in made.items() if isinstance(value, Tensor)}

    def _answers(self, inputs: Inputs, prompt: str, settings: CaptionSettings) -> list[Answer]:
        length = self._tokens(settings) + (_FOR_THOUGHTS if prompt.rstrip().endswith("<think>") else 0)
        changes = [Guard(self._ends[0])] if self._ends and settings.beams == 1 else []
        further = {"eos_token_id": self._ends} if self._ends else {}
        inputs = self._to_device(inputs)
        written = self._generate(inputs, settings, length, *changes, **further)
        rows = without_prompt(written, inputs.get("input_ids")).tolist()
        return [self._answer(row, length, settings) for row in rows]

    def _answer(self, tokens: list[int], length: int, settings: CaptionSettings) -> Answer:
        end = next((place for place, token in enumerate(tokens) if token in self._ends), None)
        said = once_only(tokens[:end])
        text = self._processor.tokenizer.decode(said, skip_special_tokens=True).strip()
        cut = (end is None and len(tokens) >= length) or len(said) < len(tokens[:end])
        answer = answered(text, settings, cut)
        if text and not answer:
            return UndescribedError(
                f"{self._name} has thought for {length} tokens and said nothing", Give("max_length", "more")
            )
        return answer

    @cached_property
    def _ends(self) -> list[int]:
        """The tokens that end an answer."""
        config = getattr(self._model, "generation_config", None)
        own = getattr(config, "eos_token_id", None)
        tokenizer = self._processor.tokenizer
        added = tokenizer.get_added_vocab()
        turns = [added[name] for name in _TURN_ENDS if name in added]
        named = [*(own if isinstance(own, list | tuple) else [own]), tokenizer.eos_token_id, *turns]
        return list(dict.fromkeys(each for each in named if isinstance(each, int)))


def _conversations(instruction: str, system: str, marks: list[str]) -> Iterator[list[Message]]:
    """The ways to say it that templates know, the usual one first: in parts or as a text in which the template, or who
    asks, marks the picture's place; with a system message or with its words before the question."""
    for before, question in (
        [(system, instruction), ("", f"{system}\n\n{instruction}")] if system else [("", instruction)]
    ):
        parts = [{"type": "image"}, {"type": "text", "text": question}]
        opening = {"role": "system", "content": [{"type": "text", "text": before}]}
        yield [*([opening] if before else []), {"role": "user", "content": parts}]
        for text in (question, *(f"{mark}\n{question}" for mark in marks[:1])):
            yield [*([{**opening, "content": before}] if before else []), {"role": "user", "content": text}]


def _alike(ready: list[Inputs]) -> Iterator[list[int]]:
    """The places of inputs that can be joined to rows: of the same shapes, and not too many tokens together."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for place, inputs in enumerate(ready):
        shapes = tuple((name, tuple(value.shape)) for name, value in sorted(inputs.items()))
        groups.setdefault(shapes, []).append(place)
    for places in groups.values():
        tokens = ready[places[0]]["input_ids"].shape[1]
        most = max(1, _MOST_TOKENS // max(1, tokens))
        yield from (places[start : start + most] for start in range(0, len(places), most))


def _takes(processor: Any, name: str) -> bool:
    parameters = inspect.signature(processor.__call__).parameters.values()
    return any(each.name == name or each.kind is each.VAR_KEYWORD for each in parameters)
