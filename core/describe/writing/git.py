"""How GIT is asked."""

from __future__ import annotations

from typing import Any

from ...settings import CaptionSettings
from .continuing import Continuing


class Git(Continuing):
    """It starts with BERT's first token and ends with its last."""

    def _write(self, images: list[Any], settings: CaptionSettings) -> list[str]:
        inputs = self._to_device(self._together(images))
        tokens = self._processor.tokenizer(settings.instruction, return_tensors="pt").input_ids[:, :-1]
        inputs["input_ids"] = tokens.repeat(len(images), 1).to(self._device)
        written = self._generate(inputs, settings, self._length_after(tokens, settings))
        return self._decode(written[:, 1:])

    def _begun(self, settings: CaptionSettings) -> list[int]:
        return self._processor.tokenizer(settings.instruction, return_tensors="pt").input_ids[0, 1:-1].tolist()

    def _end_tokens(self) -> frozenset[int]:
        last = self._processor.tokenizer.sep_token_id
        return super()._end_tokens() | ({last} if isinstance(last, int) else set())
