"""How well the micro chat model answers: in each style, the share of factors it names rightly and of answers that the
style's grammar accepts. `python -m training.evaluate_chat` adds the measures on the test pictures to the measures file.

It is loaded and asked the way any user of transformers would.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoProcessor, LlavaForConditionalGeneration
from unrender.core.describe.style_grammar import accepts
from unrender.core.describe.styles import STYLES
from unrender.core.micro import CHAT_FOLDER, MEASURES_FILE
from unrender.core.micro.captions import read
from unrender.core.micro.pictures import Pictures, normalise, render
from unrender.core.micro.world import FACTORS, NO_ARTIST, Scene
from unrender.core.settings import WRITING_STYLES, Style

from .chat_questions import paraphrase

CHUNK = 50
PARAPHRASES, EACH = 12, 5
"""Other wordings of each style's instruction, and pictures that each is asked about."""


def named_rightly(text: str, scene: Scene) -> dict[str, bool]:
    """Of each factor whether an answer names the scene's value. Who names no artist says that there is none."""
    named = {"artist": NO_ARTIST, **read(text)}
    return {factor: named.get(factor) == scene.value(factor) for factor in FACTORS}


def measure_answers(answers: Sequence[str], scenes: Sequence[Scene], style: Style) -> dict[str, Any]:
    right = [named_rightly(text, scene) for text, scene in zip(answers, scenes, strict=True)]
    shares = {factor: round(sum(one[factor] for one in right) / len(right), 4) for factor in FACTORS}
    return {
        "named": shares,
        "named_mean": round(sum(shares.values()) / len(shares), 4),
        "accepted": round(sum(accepts(style, text) for text in answers) / len(answers), 4),
    }


@torch.inference_mode()
def write_answers(
    model: LlavaForConditionalGeneration, processor: Any, pixels: torch.Tensor, instruction: str, tokens: int
) -> list[str]:
    """The likeliest answer about each of uint8 pixels (n, 3, 64, 64)."""
    message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": instruction}]}
    prompt = processor.apply_chat_template([message], add_generation_prompt=True)
    prompt = prompt.replace(processor.image_token, processor.image_token * model.config.image_seq_length)
    ids = processor.tokenizer(prompt, return_tensors="pt", add_special_tokens=False)["input_ids"]
    writer: Any = model
    answers: list[str] = []
    for some in pixels.split(CHUNK):
        asked = ids.repeat(len(some), 1)
        written = writer.generate(
            input_ids=asked,
            attention_mask=torch.ones_like(asked),
            pixel_values=normalise(some),
            max_new_tokens=tokens,
            do_sample=False,
        )
        answers += processor.tokenizer.batch_decode(written[:, asked.shape[1] :], skip_special_tokens=True)
    return [" ".join(text.split()) for text in answers]


def measure_chat(folder: Path, pictures: Pictures) -> dict[str, Any]:
    model = LlavaForConditionalGeneration.from_pretrained(folder).eval()
    processor = AutoProcessor.from_pretrained(folder)
    measures: dict[str, Any] = {"pictures": len(pictures.scenes)}
    rng = random.Random("paraphrases")
    for style in WRITING_STYLES:
        ask = STYLES[style]
        measures[style] = measure_answers(
            write_answers(model, processor, pictures.pixels, ask.instruction, ask.tokens), pictures.scenes, style
        )
        few, answers = pictures.first(PARAPHRASES * EACH), []
        for some in few.pixels.split(EACH):
            answers += write_answers(model, processor, some, paraphrase(style, rng), ask.tokens)
        in_other_words = measure_answers(answers, few.scenes, style)
        measures[style]["in_other_words"] = {key: in_other_words[key] for key in ("named_mean", "accepted")}
    return measures


def note(measures: dict[str, Any]) -> None:
    """Keeps what is known of the chat model in the measures file, and of which weights."""
    kept = json.loads(MEASURES_FILE.read_text(encoding="utf-8"))
    known = kept.get("chat", {})
    kept["chat"] = {**(known if known.get("weights") == _weights() else {}), "weights": _weights(), **measures}
    MEASURES_FILE.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def _weights() -> str:
    return hashlib.sha256((CHAT_FOLDER / "model.safetensors").read_bytes()).hexdigest()


def main() -> None:
    known = json.loads(MEASURES_FILE.read_text(encoding="utf-8")).get("chat", {})
    if "test" in known and known["weights"] == _weights():
        raise SystemExit(f"{MEASURES_FILE} already holds the test measures of these weights.")
    note({"test": measure_chat(CHAT_FOLDER, render("test", 300))})


if __name__ == "__main__":
    main()
