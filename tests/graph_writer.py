"""A CLIP of ComfyUI's that writes, with the methods of comfy.sd.CLIP as its newer versions have them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


class GraphClip:
    """answers: what it writes, in turn. sees: whether its tokenizer takes pictures; others pass them over. writes:
    whether its network does; others have the methods all the same, and fail."""

    def __init__(self, *answers: str, sees: bool = True, writes: bool = True) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []
        network = SimpleNamespace(generate=lambda: None) if writes else SimpleNamespace()
        encoder = SimpleNamespace(generate=lambda: None, transformer=network)
        self.cond_stage_model = SimpleNamespace(generate=lambda: None, clip="gemma", gemma=encoder)
        self._sees = sees

    def tokenize(self, text: str, return_word_ids: bool = False, **options: Any) -> dict[str, Any]:
        self.asked.append({"text": text, **options})
        seen = [({"type": "image", "data": options["image"]}, 1.0)] if self._sees else []
        return {"gemma": [[(2, 1.0), *seen, (7, 1.0)]]}

    def generate(
        self,
        tokens: dict[str, Any],
        do_sample: bool = True,
        max_length: int = 256,
        temperature: float = 1.0,
        top_k: int = 50,
        top_p: float = 0.95,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        seed: int | None = None,
        presence_penalty: float = 0.0,
    ) -> list[int]:
        assert seed is not None, "torch.Generator takes a number"
        self.asked[-1] |= {"do_sample": do_sample, "max_length": max_length, "temperature": temperature}
        self.asked[-1] |= {"top_p": top_p, "repetition_penalty": repetition_penalty, "seed": seed}
        return [ord(letter) for letter in self.answers.pop(0)][:max_length]

    def decode(self, token_ids: list[int], skip_special_tokens: bool = True) -> str:
        return "".join(map(chr, token_ids))
