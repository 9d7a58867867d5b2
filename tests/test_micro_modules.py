"""Micro's own modules and tokenizers give what transformers' classes give from the same files."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer
from unrender.core.clip import Clip
from unrender.core.describe import Captioner
from unrender.core.describe.writing.loading import load_model
from unrender.core.micro import CAPTIONER_FOLDER, CLIP_FOLDER
from unrender.core.micro.drawing import draw
from unrender.core.micro.tokens import BertTokens, ClipTokens
from unrender.core.micro.world import random_scene
from unrender.core.phrases.vocabulary import load_vocabulary
from unrender.core.settings import CaptionSettings

TEXTS = ["", "a red star", "Two SMALL circles, in oil", "it's 1 café\u0301 \u2014 <|endoftext|> x", "星 🌟", "a " * 90]


@pytest.fixture(scope="module", name="pictures")
def pictures_fixture():
    dice = random.Random(5)
    return [draw(random_scene(dice), seed)[0] for seed in range(12)]


@pytest.fixture(scope="module", name="library")
def library_fixture():
    return Clip.load(str(CLIP_FOLDER), "cpu", "exact")


@pytest.fixture(scope="module", name="micro")
def micro_fixture():
    return Clip.load("micro", "cpu", "exact")


def test_the_clip_sees_and_reads_as_transformers_does(micro, library, pictures):
    assert type(library._vision.module[0]).__module__.startswith("transformers.")
    assert torch.allclose(micro.encode_images(pictures), library.encode_images(pictures), atol=2e-6)
    texts = [*TEXTS, *load_vocabulary(None).categories["artists"].phrases[:40]]
    assert torch.allclose(micro.encode_texts(texts), library.encode_texts(texts), atol=2e-6)
    assert micro.logit_scale == library.logit_scale


def test_patches_are_those_of_transformers(micro, library, pictures):
    pixels = torch.stack([micro._preprocess(picture) for picture in pictures[:3]])
    assert micro._vision.encode_patches and library._vision.encode_patches
    with torch.inference_mode():
        ours, others = micro._vision.encode_patches(pixels), library._vision.encode_patches(pixels)
    assert torch.allclose(ours, others, atol=1e-5)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=60), st.text("aeinorst ,.'-<|>0123456789é\u3000\u0301星", max_size=60)))
def test_texts_have_the_tokens_of_transformers(text):
    clip, bert = AUTO_CLIP, AUTO_BERT
    assert list(OUR_CLIP.encode(text)) == clip(text, add_special_tokens=False)["input_ids"]
    ids = bert(text)["input_ids"]
    assert OUR_BERT(text).input_ids[0].tolist() == ids
    assert OUR_BERT.batch_decode(torch.tensor([ids])) == bert.batch_decode([ids], skip_special_tokens=True)


@pytest.mark.parametrize("instruction", ["", "a drawing of", "Two"])
def test_captions_are_those_of_transformers(pictures, instruction):
    ours = Captioner.load("micro", "cpu")
    theirs = Captioner("micro", load_model("micro", CAPTIONER_FOLDER, torch.float32))
    for length in (3, 32):
        asked = CaptionSettings(instruction, max_length=length)
        assert ours.caption(pictures, asked) == theirs.caption(pictures, asked)
    assert len(set(ours.caption(pictures))) > 6


def test_a_beam_search_is_that_of_transformers(pictures):
    ours = Captioner.load("micro", "cpu")
    theirs = Captioner("micro", load_model("micro", CAPTIONER_FOLDER, torch.float32))
    beams = CaptionSettings(beams=4)
    assert ours.caption(pictures, beams) == theirs.caption(pictures, beams)


def test_loading_leaves_a_hosts_dice_alone():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    Clip.load("micro", "cpu")
    Captioner.load("micro", "cpu")
    assert torch.equal(torch.rand(4), expected)


AUTO_CLIP, AUTO_BERT = AutoTokenizer.from_pretrained(CLIP_FOLDER), AutoTokenizer.from_pretrained(CAPTIONER_FOLDER)
OUR_CLIP = ClipTokens.of(
    CLIP_FOLDER, {"max_position_embeddings": 77, "bos_token_id": 963, "eos_token_id": 964, "pad_token_id": 964}
)
OUR_BERT = BertTokens.of(CAPTIONER_FOLDER)
