"""How BLIP is asked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ...micro.blip import MicroBranches
from ...settings import CaptionSettings
from ..next_words import NextWords
from .blip_view import view
from .blip_writer import Branches, write
from .branching import Branching, Follow
from .continuing import Continuing
from .fused_attention import fuse_attention

_SAYS_NOTHING = frozenset(
    {"_from_model_config", "transformers_version", "use_cache", "output_attentions", "output_hidden_states"}
    | {"bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "max_length", "max_new_tokens"}
    | {"num_beams", "length_penalty", "early_stopping", "do_sample", "temperature", "top_p", "top_k"}
)
"""Of what a generation's settings hold: what does not change the likeliest word, or is set by us."""


class Blip(Continuing):
    def __init__(self, name: str, model: Any, processor: Any, dtype: torch.dtype) -> None:
        super().__init__(name, model, processor, dtype)
        fuse_attention(model)
        self._is_plain = type(model).__name__ == "BlipForConditionalGeneration" and _changes_no_score(model)

    def _write(self, images: list[Any], settings: CaptionSettings) -> list[str]:
        inputs = self._to_device(self._together(images))
        tokens = self._processor.tokenizer(settings.instruction, return_tensors="pt").input_ids
        if not settings.instruction:
            tokens = tokens[:, :1]
            length = self._length_after(tokens, settings)
        else:
            # generate() drops the end token and puts its own start token first
            inputs["input_ids"] = tokens.repeat(len(images), 1).to(self._device)
            length = self._length_after(tokens[:, 1:], settings)
        written = self._generate(inputs, settings, length)
        return self._decode(written[:, 1:])

    def next_words(self, seen: Any, settings: CaptionSettings) -> NextWords | None:
        if not self._has_branches or settings.repetition != 1:
            return super().next_words(seen, settings)
        said, tokens = partial(self._said, settings), partial(self._tokens_of, settings)
        return Branching(self._end_tokens(), said, tokens, partial(self._branch, seen, settings))

    def _tokens_of(self, settings: CaptionSettings, text: str) -> tuple[int, ...] | None:
        begun = self._begun(settings)
        found = self._processor.tokenizer(text, return_tensors="pt").input_ids[0, 1:-1].tolist()
        return tuple(found[len(begun) :]) if found[: len(begun)] == begun else None

    @property
    def _has_branches(self) -> bool:
        return self._is_plain

    def _branch(self, seen: Any, settings: CaptionSettings) -> tuple[int, Tensor, Follow]:
        """How many words there is room for, what is likely to be the first, and what asks for the next."""
        self._make_ready()
        start = [self._model.config.text_config.bos_token_id, *self._begun(settings)]
        begun = torch.tensor([start], device=self._device)
        room = self._length_after(begun, settings)

        @torch.no_grad()
        def begin() -> Branches | MicroBranches:
            with self._asked():
                branches = self._branches(self._to_device(self._together([seen]))["pixel_values"], begun)
                self._check_numbers(branches.next.isnan().any())
                return branches

        branches = self._in_numbers(begin)

        @torch.no_grad()
        def follow(rows: Sequence[int], words: Sequence[int]) -> Tensor:
            with self._asked():
                return branches.follow(rows, words)

        return room, branches.next, follow

    def _branches(self, pixels: Tensor, begun: Tensor) -> Branches | MicroBranches:
        return Branches(self._model.text_decoder, view(self._model.vision_model, pixels), begun)

    def _begun(self, settings: CaptionSettings) -> list[int]:
        if not settings.instruction:
            return []
        return self._processor.tokenizer(settings.instruction, return_tensors="pt").input_ids[0, 1:-1].tolist()

    def _end_tokens(self) -> frozenset[int]:
        return frozenset({self._model.config.text_config.sep_token_id})

    def _generate(
        self, inputs: dict[str, Tensor], settings: CaptionSettings, length: int, *changes: Any, **further: Any
    ) -> Tensor:
        changed = settings.beams > 1 or settings.temperature or settings.repetition != 1 or changes or further
        if changed or self._steering or not self._is_plain:
            return super()._generate(inputs, settings, length, *changes, **further)
        return self._likeliest(inputs["pixel_values"], inputs.get("input_ids"), length)

    def _likeliest(self, pixels: Tensor, prompt: Tensor | None, length: int) -> Tensor:
        """What `generate` gives."""
        config = self._model.config.text_config
        begun = torch.full((len(pixels), 1), config.bos_token_id, device=pixels.device)
        if prompt is not None:
            begun = torch.cat([begun, prompt[:, 1:-1]], 1)
        seen = view(self._model.vision_model, pixels)
        written, odd = write(self._model.text_decoder, seen, begun, length, config.sep_token_id, config.pad_token_id)
        self._check_numbers(odd)
        return written


def _changes_no_score(model: Any) -> bool:
    """Whether the folder asks for nothing of a generation that a search for the likeliest words does not do."""
    kept = [model.generation_config, model.text_decoder.generation_config]  # transformers 4.30 has none for some
    return all(each is None or each.to_diff_dict().keys() <= _SAYS_NOTHING for each in kept)
