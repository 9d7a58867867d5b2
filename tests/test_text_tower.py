"""The own text tower against open_clip's and transformers' own outputs."""

from __future__ import annotations

import pytest
import torch
from conftest import random_open_clip
from hypothesis import given, settings
from hypothesis import strategies as st
from unrender.core.clip import Clip
from unrender.core.clip.text_tower import TextTower
from unrender.core.clip.trie import Trie
from unrender.core.clip.weights import from_open_clip

SOT, EOT = 49406, 49407
TEXTS = [
    "",
    "a",
    "a photograph of an astronaut riding a horse, highly detailed",
    "Zürich façade, naïve art, œuvre by Ștefan Luchian",
    "赛博朋克城市 夜景, 水墨画",
    "деревня зимой, Левитан",
    "قلعة في الصحراء",
    "नमस्ते दुनिया",
    "🐱🚀 emoji 👩‍👩‍👧 sticker ☃",
    "R&amp;D &lt;tag&gt; &#39;quoted&#39; &nbsp;",
    "before <end_of_text> after",
    "before <|endoftext|> after",
    "<start_of_text> again <|startoftext|>",
    "¯\\_(ツ)_/¯ (weights:1.2) [a|b] {x}",
    *(" ".join(["word"] * count) for count in (1, 10, 40, 73, 74, 75, 76, 77, 120)),
]

SHAPES = {
    "ViT-B-32": {"width": 512, "heads": 8, "layers": 12, "joint": 512},
    "ViT-L-14": {"width": 768, "heads": 12, "layers": 12, "joint": 768},
    "ViT-L-14 quick GELU": {"width": 768, "heads": 12, "layers": 12, "joint": 768, "quick_gelu": True},
    "ViT-H-14, 2 of 24 layers": {"width": 1024, "heads": 16, "layers": 2, "joint": 1024},
}


def assert_equal_to_open_clip(model, transform, tokenizer):
    clip = Clip.from_open_clip(model, transform, tokenizer)
    assert clip.uses_own_tower
    with torch.no_grad():
        expected = torch.nn.functional.normalize(model.encode_text(tokenizer(TEXTS)), dim=-1)
    assert (clip.encode_texts(TEXTS) - expected).abs().max() < 1e-5
    for text, features in zip(TEXTS, expected, strict=True):
        assert (clip.encode_texts([text])[0] - features).abs().max() < 1e-5, text


OFTEN = [shape for shape in SHAPES if shape != "ViT-L-14"]  # its width and depth are those with quick GELU


@pytest.mark.parametrize("shape", [*OFTEN, pytest.param("ViT-L-14", marks=pytest.mark.full)])
def test_equals_open_clip(shape, open_clip_transform, open_clip_tokenizer):
    assert_equal_to_open_clip(random_open_clip(**SHAPES[shape]), open_clip_transform, open_clip_tokenizer)


@pytest.mark.full
def test_equals_open_clip_at_the_depth_of_vit_h(open_clip_transform, open_clip_tokenizer):
    model = random_open_clip(width=1024, heads=16, layers=24, joint=1024)
    assert_equal_to_open_clip(model, open_clip_transform, open_clip_tokenizer)


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
def test_equals_transformers(transformers_folder, activation):
    from transformers import CLIPModel, CLIPTokenizer

    model = CLIPModel.from_pretrained(str(transformers_folder)).eval()
    for layer in model.text_model.encoder.layers:
        layer.mlp.activation_fn = torch.nn.GELU() if activation == "gelu" else layer.mlp.activation_fn
    model.config.text_config.hidden_act = activation
    tokenizer = CLIPTokenizer.from_pretrained(str(transformers_folder))
    clip = Clip.from_transformers(model, _Processor(tokenizer))
    assert clip.uses_own_tower
    batch = tokenizer(TEXTS, padding="max_length", truncation=True, max_length=77, return_tensors="pt")
    with torch.no_grad():
        pooled = model.text_model(input_ids=batch["input_ids"]).pooler_output
        expected = torch.nn.functional.normalize(model.text_projection(pooled), dim=-1)
    assert (clip.encode_texts(TEXTS) - expected).abs().max() < 1e-5


class _Processor:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.image_processor = self

    def to_dict(self):
        return {"do_center_crop": True, "crop_size": 64, "size": 64}


def test_a_tower_that_disagrees_with_its_library_is_not_used(open_clip_transform, open_clip_tokenizer):
    """As when a library changes what its model computes: here the model's own output is made to differ slightly."""
    model = random_open_clip(seed=3)
    true = model.encode_text
    model.encode_text = lambda ids: true(ids) * torch.linspace(1, 1.01, 48)
    clip = Clip.from_open_clip(model, open_clip_transform, open_clip_tokenizer)
    assert not clip.uses_own_tower
    expected = torch.nn.functional.normalize(model.encode_text(open_clip_tokenizer(TEXTS)), dim=-1)
    assert torch.equal(clip.encode_texts(TEXTS), expected.detach())
    continued = [f"a cat, {text}" for text in TEXTS]
    assert torch.allclose(clip.text.encode_continuations("a cat", TEXTS), clip.encode_texts(continued))


PROMPTS = [
    "a painting of a woman",
    "a cat!",
    'she said "no"',
    "R&amp",
    "naïve Ã©tude",
    " ".join(["word"] * 70),
    " ".join(["word"] * 90),
    "cut <end_of_text> here",
]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_continuations_equal_whole_texts(clip, open_clip_model, open_clip_tokenizer, prompt):
    whole = [f"{prompt}, {text}" for text in TEXTS]
    with torch.no_grad():
        expected = torch.nn.functional.normalize(open_clip_model.encode_text(open_clip_tokenizer(whole)), dim=-1)
    assert (clip.text.encode_continuations(prompt, TEXTS) - expected).abs().max() < 1e-5


words = st.lists(
    st.sampled_from(["red", "sky", "cubism", "by", "monet", "4k", "naïve", "é", "&amp;", "x!", "Ã©", "猫"]), max_size=30
)
phrases = st.one_of(words.map(" ".join), st.text(max_size=20))


@settings(max_examples=60, deadline=None)
@given(
    prompts=st.lists(words.map(", ".join), min_size=1, max_size=4), suffixes=st.lists(phrases, min_size=1, max_size=8)
)
def test_any_continuation_of_any_prompt(clip, open_clip_model, open_clip_tokenizer, prompts, suffixes):
    """Whatever was evaluated before: the shared beginning is carried from one prompt to the next."""
    for prompt in prompts:
        whole = [f"{prompt}, {suffix}" if prompt else suffix for suffix in suffixes]
        with torch.no_grad():
            features = open_clip_model.encode_text(open_clip_tokenizer(whole))
        expected = torch.nn.functional.normalize(features, dim=-1)
        assert (clip.text.encode_continuations(prompt, suffixes) - expected).abs().max() < 1e-5


@settings(max_examples=200)
@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1, max_size=12))
def test_a_trie_holds_each_sequence_on_its_path(sequences):
    trie = Trie.build(sequences)
    level_start = [sum(trie.level_sizes[:depth]) for depth in range(len(trie.level_sizes))]
    for row, sequence in enumerate(sequences):
        end = int(trie.ends[trie.rows[row]])
        depth = int(trie.depths[end])
        path = trie.paths[depth][end - level_start[depth]]
        assert trie.tokens[path].tolist() == sequence
        assert trie.seen[end].nonzero().flatten().tolist() == path.tolist()
    beginnings = {tuple(sequence[: length + 1]) for sequence in sequences for length in range(len(sequence))}
    assert len(trie) == len(beginnings)


def test_the_prefix_is_not_computed_twice(open_clip_model, monkeypatch):
    tower = TextTower(from_open_clip(open_clip_model, SOT, EOT))
    short = tower.prefix([SOT, 320, 2368])
    tokens_run = []
    project = TextTower._project
    monkeypatch.setattr(
        TextTower, "_project", lambda self, block, x, *a: tokens_run.append(len(x)) or project(self, block, x, *a)
    )
    longer = tower.prefix([SOT, 320, 2368, 537, 320], short)
    assert set(tokens_run) == {2}
    fresh = tower.prefix([SOT, 320, 2368, 537, 320])
    for ours, expected in zip(longer.keys, fresh.keys, strict=True):
        assert torch.allclose(ours, expected, atol=1e-6)


def test_half_precision_is_close(open_clip_transform, open_clip_tokenizer):
    exact = Clip.from_open_clip(random_open_clip(), open_clip_transform, open_clip_tokenizer)
    half = Clip.from_open_clip(random_open_clip(), open_clip_transform, open_clip_tokenizer, precision="bfloat16")
    assert half.dtype == torch.bfloat16 and half.uses_own_tower
    assert (half.encode_texts(TEXTS) - exact.encode_texts(TEXTS)).abs().max() < 0.03
    assert half.encode_texts(TEXTS).dtype == torch.float32
    assert half.fingerprint != exact.fingerprint


def test_a_model_in_half_precision_is_used_as_it_is(open_clip_transform, open_clip_tokenizer):
    model = random_open_clip().bfloat16()
    clip = Clip.from_open_clip(model, open_clip_transform, open_clip_tokenizer)
    assert clip.dtype == torch.bfloat16 and clip.uses_own_tower
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


def test_the_fingerprint_follows_weights_and_activation(open_clip_transform, open_clip_tokenizer):
    def fingerprint(model):
        return Clip.from_open_clip(model, open_clip_transform, open_clip_tokenizer).fingerprint

    plain = fingerprint(random_open_clip())
    assert fingerprint(random_open_clip()) == plain
    changed = random_open_clip()
    with torch.no_grad():
        changed.transformer.resblocks[1].mlp.c_fc.weight[0, 0] += 1e-3
    assert fingerprint(changed) != plain
    assert fingerprint(random_open_clip(quick_gelu=True)) != plain


def test_less_memory_gives_the_same_features(open_clip_model, monkeypatch):
    """A device that can hold a few nodes only: the texts are evaluated in smaller and smaller parts."""
    tower = TextTower(from_open_clip(open_clip_model, SOT, EOT))
    prefix = tower.prefix([SOT, 320])
    suffixes = [(1000 + number, 2000) for number in range(50)]
    expected = tower.encode(prefix, suffixes)
    run, sizes = TextTower._run, []

    def small_device(self, prefix, trie, check):
        sizes.append(len(trie))
        if len(trie) > 20:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return run(self, prefix, trie, check)

    monkeypatch.setattr(TextTower, "_run", small_device)
    assert torch.allclose(tower.encode(prefix, suffixes), expected, atol=1e-6)
    assert max(sizes) > 20 >= min(sizes)
    monkeypatch.setattr(TextTower, "_run", lambda *_: (_ for _ in ()).throw(RuntimeError("a bug")))
    with pytest.raises(RuntimeError, match="a bug"):
        tower.encode(prefix, suffixes)
