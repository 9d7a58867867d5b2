"""What is learned of a text encoder lasts when LoRAs come, go and change in strength; with the stand-in for ComfyUI."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import pytest
import torch
from comfyui_graphs import EMBED
from comfyui_nodes import use_standin
from transformers import CLIPTokenizer

use_standin()

import comfy.model_management as standin_memory  # noqa: E402
from comfy.model_patcher import ModelPatcher  # noqa: E402
from comfyui_small_models import CPU, PATCHED, small_clip, small_vision, with_lora  # noqa: E402
from nodes_setting import models_fixture, server_fixture  # noqa: E402, F401
from test_nodes_embedding import write_projection  # noqa: E402
from unrender.core.embed.pruning import prune, used  # noqa: E402
from unrender.core.embed.ridge import RidgeFit  # noqa: E402
from unrender.core.embed.text_side import TextSide  # noqa: E402
from unrender.core.progress import Progress  # noqa: E402

PICTURE = torch.rand(1, 16, 16, 3, generator=torch.Generator().manual_seed(0))
TEXTS = 144


@pytest.fixture(scope="module", name="clip")
def clip_fixture(transformers_folder):
    return small_clip(CLIPTokenizer.from_pretrained(transformers_folder))


@pytest.fixture(name="folder")
def folder_fixture(models, server, clip, monkeypatch):
    monkeypatch.setattr(RidgeFit.__init__, "__defaults__", (TEXTS, *RidgeFit.__init__.__defaults__[1:]))
    write_projection(clip, models)
    return models / "unrender" / "embed"


@pytest.fixture(name="read")
def read_fixture(monkeypatch):
    """How many texts each call has read, at all positions."""
    true, counts = TextSide.states, []

    def counted(side, texts, *rest):
        counts.append(len(texts))
        return true(side, texts, *rest)

    monkeypatch.setattr(TextSide, "states", counted)
    return counts


def at_strength(clip, strength: float):
    clone = SimpleNamespace(**vars(clip))
    clone.patcher = ModelPatcher(clip.cond_stage_model, CPU, CPU)
    clone.patcher.patches = {PATCHED: [1 + strength]}
    return clone


def embedded(clip, projection: str = "ridge") -> torch.Tensor:
    from unrender.nodes.embedding import ImageToPromptEmbedding

    inputs = {**EMBED, "image": PICTURE, "clip": clip, "clip_vision": small_vision(), "projection": projection}
    return ImageToPromptEmbedding.execute(**inputs).args[1].states


def names(folder, kind: str) -> set[str]:
    return {path.name for path in folder.glob(f"{kind}-*")}


def test_a_change_of_strength_learns_from_a_few_texts_and_keeps_little(clip, folder, read):
    plain = embedded(clip)
    whole, learned = names(folder, "ridge"), sum(read)
    assert len(whole) == 1 and learned >= TEXTS
    size = sum(path.stat().st_size for path in folder.glob("ridge-*"))
    found = []
    for number, strength in enumerate((0.4, 0.9), 1):
        read.clear()
        found.append(embedded(at_strength(clip, strength)))
        assert sum(read) <= 2 * 128, "with the LoRA and without"
        assert names(folder, "ridge") == whole and len(names(folder, "correction")) == number
    assert max(path.stat().st_size for path in folder.glob("correction-*")) < size / 4
    read.clear()
    assert torch.equal(embedded(at_strength(clip, 0.4)), found[0]) and not read, "it is known"
    distances = [float((each - plain).norm()) for each in found]
    assert 0 < distances[0] < distances[1]


@pytest.mark.full
def test_the_corrected_map_is_near_the_one_that_all_texts_give(clip, folder, monkeypatch):
    from unrender.nodes import text_encoders

    plain, corrected = embedded(clip), embedded(at_strength(clip, 1.0))
    monkeypatch.setattr(text_encoders.host, "is_patched", lambda *_: False)
    whole = embedded(at_strength(clip, 1.0))
    assert float((corrected - whole).norm()) < 0.35 * float((plain - whole).norm())


def test_the_encoder_without_loras_is_the_same_wherever_comfyui_has_patched_it(clip, folder):
    from unrender.core.embed.families import SD1
    from unrender.nodes.text_encoders import text_sides

    def side_of(each) -> TextSide:
        return text_sides(each, SD1)["clip_l"]

    patched = with_lora(clip)
    before = side_of(clip)
    assert before.plain is None and side_of(patched).plain().fingerprint == before.fingerprint
    weight = clip.cond_stage_model.get_parameter(PATCHED)
    kept = weight.detach().clone()
    patched.patcher.backup[PATCHED] = kept
    with torch.no_grad():
        weight *= 2
    try:
        assert side_of(patched).fingerprint != before.fingerprint
        assert side_of(patched).plain().fingerprint == before.fingerprint
    finally:
        with torch.no_grad():
            weight /= 2


def test_a_bank_is_that_of_the_encoder_without_and_its_nearest_texts_are_read_anew(clip, folder, read):
    plain = embedded(clip, "bank")
    bank = names(folder, "bank")
    read.clear()
    found = embedded(at_strength(clip, 0.5), "bank")
    assert read == [64] and names(folder, "bank") == bank
    assert not torch.allclose(found, plain, atol=1e-3)
    assert torch.allclose(embedded(at_strength(clip, 1e-6), "bank"), plain, atol=2e-2 * float(plain.abs().max()))


@pytest.mark.parametrize("projection", ["ridge", "bank", "pinv"])
def test_reading_texts_asks_often_enough_whether_to_go_on(clip, folder, monkeypatch, projection):
    """Between the blocks of each portion: a large encoder takes many seconds for a portion where there is no GPU."""
    from unrender.core.clip import hidden_states

    through, since, longest = hidden_states._through, [0], [0]

    def counted(block, x, weights, *rest):
        since[0] += len(x)
        longest[0] = max(longest[0], since[0])
        return through(block, x, weights, *rest)

    def check(_: Progress) -> None:
        since[0] = 0

    monkeypatch.setattr(hidden_states, "_through", counted)
    from unrender.nodes import host

    monkeypatch.setattr(host.NodeProgress, "check", check)
    embedded(at_strength(clip, 0.5), projection)
    assert longest[0] <= 64 + 2  # of pinv the state of the start, too
    assert not standin_memory.processing_interrupted()


def test_what_was_used_longest_ago_goes_first_and_lessons_stay(tmp_path):
    old = time.time() - 100 * 86_400
    for number in range(6):
        path = tmp_path / f"ridge-{number}.safetensors"
        path.write_bytes(b"x" * 100)
        os.utime(path, (time.time() - number, time.time() - number))
    for name in ("learned-1.safetensors", "projection-x.safetensors", "correction-old.safetensors"):
        (tmp_path / name).write_bytes(b"x" * 100)
        os.utime(tmp_path / name, (old, old))
    used(tmp_path / "ridge-5.safetensors")
    prune(tmp_path, most_bytes=350)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("ridge-5.safetensors", "ridge-0.safetensors", "ridge-1.safetensors"),
        *("learned-1.safetensors", "projection-x.safetensors"),
    }
    prune(tmp_path, most_bytes=1)
    assert (tmp_path / "ridge-5.safetensors").is_file(), "the one in use"


def test_what_was_found_to_suit_a_checkpoint_suits_it_with_loras_too(clip, folder):
    from unrender.core.embed.families import SD1
    from unrender.core.embed.recommended import recommend
    from unrender.nodes.text_encoders import text_sides

    expected = embedded(at_strength(clip, 0.3), "pinv")
    recommend(folder, text_sides(clip, SD1)["clip_l"].fingerprint, "pinv")
    found = usual(at_strength(clip, 0.3))
    assert torch.equal(found, expected)


def usual(clip) -> torch.Tensor:
    from unrender.nodes.embedding import ImageToPromptEmbedding

    inputs = {**EMBED, "image": PICTURE, "clip": clip, "clip_vision": small_vision(), "quality": "usual"}
    return ImageToPromptEmbedding.execute(**inputs).args[1].states
