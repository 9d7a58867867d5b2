"""The architectures without a template for talks, against transformers' own pipeline: the same input, the same words.
Those with one are in `test_chats`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import tiny_captioners as tiny
import torch
import transformers
from captioner_fixtures import images  # noqa: F401
from PIL import Image
from tiny_captioners import words
from unrender.core.describe import Captioner
from unrender.core.settings import CaptionSettings

pytestmark = pytest.mark.skipif(not tiny.NEW, reason="older pipelines know few of these")
LENGTH = 7
QUESTION = "question : what is it ? answer :"
START = "a photography of"


class Asked(NamedTuple):
    """instruction: of our settings. text: to the pipeline."""

    name: str
    instruction: str
    text: str
    special_tokens: bool = True


ASKED = (
    Asked("blip", "", ""),
    Asked("blip", START, START),
    # GIT is given its first token, and not the one that would end what it is to continue
    Asked("git", "", "[CLS]", special_tokens=False),
    Asked("git", START, f"[CLS] {START}", special_tokens=False),
    Asked("blip2_opt", QUESTION, QUESTION),
    Asked("blip2_t5", QUESTION, QUESTION),
    Asked("florence", "", "<CAPTION>"),
    Asked("florence", "<MORE_DETAILED_CAPTION>", "<MORE_DETAILED_CAPTION>"),
    Asked("paligemma", "", "<image>caption en"),
    Asked("paligemma", START, f"<image>{START}"),
)


def by_pipeline(folder: Path, image: Image.Image, asked: Asked) -> str:
    processor = transformers.AutoProcessor.from_pretrained(str(folder))
    processor.image_processor = transformers.AutoImageProcessor.from_pretrained(str(folder), backend="pil")
    processor.tokenizer.model_input_names = ["input_ids", "attention_mask"]  # as in published folders of GIT
    pipe = transformers.pipeline("image-text-to-text", model=str(folder), processor=processor, device="cpu")
    how: dict[str, Any] = {"do_sample": False, "num_beams": 1, "max_new_tokens": LENGTH}
    once = {} if asked.special_tokens else {"processor_kwargs": {"add_special_tokens": False}}
    answer = pipe(images=image, text=asked.text, generate_kwargs=how, **once)[0]["generated_text"]
    # it may put the question before the answer; what BLIP and GIT continue is part of theirs
    return words(answer.removeprefix("[CLS]" if asked.name in ("blip", "git") else asked.text))


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: f"{asked.name}-{asked.text}")
def test_the_words_are_those_of_transformers_pipeline(
    tmp_path: Path,
    images: list[Image.Image],  # noqa: F811
    asked: Asked,
) -> None:
    folder = {**tiny.MAKERS, **tiny.OTHERS}[asked.name](tmp_path / asked.name)
    captioner = Captioner.load(str(folder), "cpu", dtype=torch.float32)
    captions = captioner.caption(images, CaptionSettings(instruction=asked.instruction, max_length=LENGTH))
    # random words may begin in a word's middle
    by_transformers = [by_pipeline(folder, image, asked) for image in images]
    assert [each.removeprefix("##") for each in captions] == [each.removeprefix("##") for each in by_transformers]
    assert len(set(captions)) > 1, "the pictures make no difference, so the comparison shows little"
