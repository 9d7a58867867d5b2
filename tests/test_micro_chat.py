"""The micro chat model as anyone meets it: by its name, on drawings that training has not seen."""

from __future__ import annotations

import hashlib
import json
import random

import pytest
from PIL import Image
from unrender.cli.toys import tell_if_toy
from unrender.core.describe import Describer, check_describer, load_describer
from unrender.core.describe.style_grammar import accepts
from unrender.core.errors import MissingPackageError
from unrender.core.micro import CHAT_FOLDER, MEASURES_FILE
from unrender.core.micro.captions import read
from unrender.core.micro.drawing import draw
from unrender.core.micro.toy import MICRO_CHAT
from unrender.core.micro.world import FACTORS, NO_ARTIST, Scene, random_scene
from unrender.core.settings import WRITING_STYLES, CaptionSettings, Settings
from unrender.core.transformers_access import transformers_version

FIRST_SEED = 7 * 10**8
"""That no training, validation or measuring draws with."""
MOST_BYTES = 6_000_000

old = pytest.mark.skipif(transformers_version() < (4, 46), reason="this transformers does not read the model")


def drawings(count: int) -> tuple[list[Scene], list[Image.Image]]:
    """Of combinations that are kept for testing."""
    rng = random.Random("chat tests")
    scenes = [random_scene(rng, "test") for _ in range(count)]
    return scenes, [draw(scene, FIRST_SEED + number).picture for number, scene in enumerate(scenes)]


def named(texts: list[str], scenes: list[Scene]) -> float:
    """The share of all factors that are named rightly; who names no artist says that there is none."""
    said = [{"artist": NO_ARTIST, **read(text)} for text in texts]
    pairs = zip(said, scenes, strict=True)
    right = [one.get(factor) == scene.value(factor) for one, scene in pairs for factor in FACTORS]
    return sum(right) / len(right)


@pytest.fixture(scope="module")
def chat() -> Describer:
    return load_describer(MICRO_CHAT, "cpu")


@old
@pytest.mark.parametrize("style", WRITING_STYLES)
def test_it_names_what_is_there_in_each_style(chat, style):
    scenes, pictures = drawings(8)
    texts = chat.caption(pictures, CaptionSettings(style=style))
    assert all(accepts(style, text) for text in texts), texts
    assert named(texts, scenes) >= 0.9, texts  # 48 values; the measures below are of thousands


@old
def test_what_is_asked_in_other_words_is_followed(chat):
    _, (picture, *_) = drawings(1)
    for style, instruction in (
        ("words", "Just a few words, please: what's there?"),
        ("tags", "Give me booru tags for this image."),
        ("sentence", "Write one sentence about the picture."),
        ("paragraph", "I'd like a long, detailed paragraph on this picture."),
        ("keywords", "Which keywords fit this image?"),
    ):
        (text,) = chat.caption([picture], CaptionSettings(instruction=instruction, max_length=200))
        assert accepts(style, text), (style, text)


@old
@pytest.mark.parametrize(
    ("question", "factor"),
    [
        ("What colour is it?", "colour"),
        ("Where is it?", "background"),
        ("Who made it?", "artist"),
        ("What medium is it?", "style"),
    ],
)
def test_a_question_is_answered_with_what_it_asks_for_alone(chat, question, factor):
    scenes, pictures = drawings(6)
    texts = chat.caption(pictures, CaptionSettings(instruction=question, max_length=20))
    right = [read(text).get(factor) == scene.value(factor) for text, scene in zip(texts, scenes, strict=True)]
    assert sum(right) >= len(right) - 1, texts
    assert all(set(read(text)) <= {factor} for text in texts), texts


@old
def test_it_says_the_same_with_and_without_others_beside(chat):
    _, pictures = drawings(3)
    asked = CaptionSettings(style="sentence")
    assert chat.caption(pictures, asked) == [chat.caption([one], asked)[0] for one in pictures]


@old
def test_its_words_are_those_that_transformers_itself_writes(chat):
    import torch
    from transformers import AutoProcessor, LlavaForConditionalGeneration

    _, (picture, *_) = drawings(1)
    instruction = "Describe this picture in one sentence."
    processor = AutoProcessor.from_pretrained(CHAT_FOLDER)
    model = LlavaForConditionalGeneration.from_pretrained(CHAT_FOLDER, torch_dtype=torch.float32).eval()
    message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": instruction}]}
    prompt = processor.apply_chat_template([message], add_generation_prompt=True)
    inputs = processor(images=[picture], text=[prompt], add_special_tokens=False, return_tensors="pt")
    assert inputs["input_ids"][0, :2].tolist().count(processor.tokenizer.bos_token_id) == 1
    with torch.inference_mode():
        written = model.generate(**inputs, max_new_tokens=60, do_sample=False)
    expected = processor.tokenizer.decode(written[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    (said,) = chat.caption([picture], CaptionSettings(instruction=instruction, max_length=60))
    assert said == expected.strip()


def test_the_files_are_few_small_and_no_pickles():
    sizes = {path.name: path.stat().st_size for path in CHAT_FOLDER.iterdir()}
    assert sum(sizes.values()) < MOST_BYTES
    assert all(name.endswith((".json", ".safetensors")) for name in sizes)


def test_the_measures_are_of_these_weights_and_good_enough():
    chat = json.loads(MEASURES_FILE.read_text(encoding="utf-8"))["chat"]
    weights = (CHAT_FOLDER / "model.safetensors").read_bytes()
    assert chat["weights"] == hashlib.sha256(weights).hexdigest()
    for style in WRITING_STYLES:
        assert chat["test"][style]["named_mean"] >= 0.95 and chat["test"][style]["accepted"] >= 0.99, style


def test_an_older_transformers_is_told_before_anything_is_loaded(monkeypatch):
    monkeypatch.setattr("unrender.core.transformers_access.transformers_version", lambda: (4, 30))
    with pytest.raises(MissingPackageError, match=r"micro-chat needs transformers 4\.46"):
        check_describer(MICRO_CHAT)


def test_it_is_called_a_toy_before_a_real_picture(capsys):
    settings = Settings(captioner=MICRO_CHAT)
    tell_if_toy("interrogate", settings, Image.new("RGB", (640, 480)))
    said = capsys.readouterr().err
    assert "micro-chat is a toy" in said and "no --captioner micro-chat: blip-large" in said
    tell_if_toy("interrogate", settings, drawings(1)[1][0])
    assert not capsys.readouterr().err
