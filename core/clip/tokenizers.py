"""The libraries' tokenizers behind one face: text to token ids without start and end."""

from __future__ import annotations

import html
import sys
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from ..errors import ModelError
from ..printable import whole


class Tokenizer(Protocol):
    start_of_text: int
    end_of_text: int

    def encode(self, text: str) -> tuple[int, ...]:
        """Token ids of the text alone, neither cut nor padded."""
        ...

    def joins(self, text: str) -> bool:
        """Whether the text tokenizes the same after "prompt, " as alone: encode(f"{a}, {b}") ==
        encode(f"{a},") + encode(b) for every a and b that join. True only where it is certain."""
        ...

    def batch(self, texts: Sequence[str]) -> Tensor:
        """[texts, context length] as the library's own text encoder takes it."""
        ...


class OpenClipTokenizer:
    """An open_clip SimpleTokenizer, or the function `tokenize` that stands for one in open_clip 2."""

    def __init__(self, tokenizer: Any, simple: Any) -> None:
        self._tokenizer = tokenizer
        self._simple = simple
        self.start_of_text: int = simple.encoder["<start_of_text>"]
        self.end_of_text: int = simple.encoder["<end_of_text>"]

    @classmethod
    def of(cls, tokenizer: Any) -> OpenClipTokenizer | None:
        """None for a tokenizer of another kind."""
        simple = tokenizer
        if getattr(tokenizer, "__module__", "") == "open_clip.tokenizer" and not hasattr(tokenizer, "encoder"):
            simple = getattr(sys.modules["open_clip.tokenizer"], "_tokenizer", None)
        is_simple = "<start_of_text>" in getattr(simple, "encoder", ())
        return cls(tokenizer, simple) if is_simple else None

    def encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._simple.encode(whole(text)))

    def joins(self, text: str) -> bool:
        # ftfy repairs a whole line at once and entities are resolved first: only text that neither touches is certain
        if "&" in text and html.unescape(text) != text:
            return False
        return text.isascii() or _unmended(text)

    def batch(self, texts: Sequence[str]) -> Tensor:
        return self._tokenizer(list(map(whole, texts)))


class TransformersTokenizer:
    """A transformers CLIPTokenizer, slow or fast."""

    def __init__(self, tokenizer: Any, context_length: int) -> None:
        self._tokenizer = tokenizer
        self._context_length = context_length
        self.start_of_text: int = -1 if tokenizer.bos_token_id is None else tokenizer.bos_token_id
        self.end_of_text: int = -1 if tokenizer.eos_token_id is None else tokenizer.eos_token_id

    def encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(whole(text), add_special_tokens=False, verbose=False)["input_ids"])

    def joins(self, text: str) -> bool:
        return text.isascii()

    def batch(self, texts: Sequence[str]) -> Tensor:
        values = self._tokenizer(
            list(map(whole, texts)),
            padding="max_length",
            truncation=True,
            max_length=self._context_length,
            return_tensors="pt",
        )
        return values["input_ids"]


def check_tokens(tokenizer: Any, known: int | None, name: str) -> None:
    """Raises ModelError for a tokenizer whose tokens the model does not have; on a GPU one of those would end the
    program. known: how many the model has."""
    special = [tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id]
    given = [*tokenizer.get_vocab().values(), *(each for each in special if each is not None)]
    odd = next((each for each in given if type(each) is not int or each < 0), None)
    most = None if odd is not None else max(given, default=0)
    if odd is not None or (isinstance(known, int) and most is not None and most >= known):
        raise ModelError(
            f"The tokenizer of {name} has the token {most if odd is None else odd}, and the model knows {known}",
            "get the whole model again",
        )
    length = tokenizer.model_max_length
    if not isinstance(length, int | float) or length < 1:
        raise ModelError(f"The tokenizer of {name} takes no text", "get the whole model again")


class LibraryTokenizer:
    """Any other tokenizer an open_clip model comes with, known only as a function from texts to a padded tensor."""

    start_of_text = -1
    end_of_text = -1

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def encode(self, text: str) -> tuple[int, ...]:
        """With whatever start and end the tokenizer adds, but without padding."""
        padding = int(self.batch([""])[0, -1])
        ids = self.batch([text])[0].tolist()
        while ids and ids[-1] == padding:
            ids.pop()
        return tuple(ids)

    def joins(self, text: str) -> bool:
        return False

    def batch(self, texts: Sequence[str]) -> Tensor:
        return torch.as_tensor(self._tokenizer(list(map(whole, texts))))


def _unmended(text: str) -> bool:
    import ftfy

    return ftfy.fix_text(text) == text
