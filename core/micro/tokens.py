"""Micro's tokenizers, built with the tokenizers library from the files that transformers reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from torch import Tensor

from ..printable import whole

_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
"""How CLIP parts a text before it looks its pieces up (github.com/openai/CLIP, simple_tokenizer.py)."""


@dataclass
class ClipTokens:
    """What core.clip.tokenizers asks of a tokenizer."""

    tokenizer: Tokenizer
    context_length: int
    start_of_text: int
    end_of_text: int

    @classmethod
    def of(cls, folder: Path, config: Mapping[str, Any]) -> ClipTokens:
        end = "<|endoftext|>"
        bpe = models.BPE.from_file(
            str(folder / "vocab.json"), str(folder / "merges.txt"), unk_token=end, end_of_word_suffix="</w>"
        )
        tokenizer = Tokenizer(bpe)
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
        )
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False),
            ]
        )
        tokenizer.add_special_tokens(["<|startoftext|>", end])
        return cls(tokenizer, config["max_position_embeddings"], config["bos_token_id"], config["eos_token_id"])

    def encode(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(whole(text), add_special_tokens=False).ids)

    def joins(self, text: str) -> bool:
        return text.isascii()

    def batch(self, texts: Sequence[str]) -> Tensor:
        ids = torch.full((len(texts), self.context_length), self.end_of_text)
        for row, text in enumerate(texts):
            whole = [self.start_of_text, *self.encode(text)[: self.context_length - 2], self.end_of_text]
            ids[row, : len(whole)] = torch.tensor(whole)
        return ids


@dataclass(frozen=True)
class BertTokens:
    """What core.describe.writing.models asks of a captioner's tokenizer."""

    tokenizer: Tokenizer

    @classmethod
    def of(cls, folder: Path) -> BertTokens:
        special = json.loads((folder / "special_tokens_map.json").read_text())
        vocabulary = models.WordPiece.read_file(str(folder / "vocab.txt"))
        tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=special["unk_token"]))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        tokenizer.add_special_tokens([*special.values()])
        return cls(tokenizer)

    def __call__(self, text: str, return_tensors: str = "pt") -> SimpleNamespace:
        inside = self.tokenizer.encode(whole(text), add_special_tokens=False).ids
        first, last = (self.tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]"))
        return SimpleNamespace(input_ids=torch.tensor([[first, *inside, last]]))

    def batch_decode(self, tokens: Tensor, skip_special_tokens: bool = True) -> list[str]:
        return self.tokenizer.decode_batch(tokens.tolist(), skip_special_tokens=skip_special_tokens)
