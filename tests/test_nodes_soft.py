"""Image To Prompt Embedding's qualities with the stand-in for ComfyUI: what a soft prompt is found through, and when it
is given up."""

from __future__ import annotations

import shutil

import pytest
import torch
from comfyui_graphs import EMBED, FEW_PHRASES
from comfyui_nodes import use_standin
from comfyui_server import write_phrases

use_standin()

import comfy.model_management as standin_memory  # noqa: E402
import folder_paths  # noqa: E402
from comfyui_small_models import PATCHED, small_clip, small_vision, with_lora  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from transformers import CLIPTokenizer  # noqa: E402
from unrender.core.clip import hidden_states as hidden_states_module  # noqa: E402
from unrender.core.clip.soft_tower import SoftTower  # noqa: E402
from unrender.core.embed.families import SD1  # noqa: E402
from unrender.core.embed.recommended import recommend  # noqa: E402
from unrender.core.embed.soft import knowledge  # noqa: E402
from unrender.core.engine import Engine  # noqa: E402
from unrender.core.errors import SettingsError  # noqa: E402
from unrender.core.evidence import of_engine  # noqa: E402
from unrender.core.phrases import vocabulary  # noqa: E402
from unrender.core.phrases.families import reading  # noqa: E402
from unrender.nodes import host  # noqa: E402
from unrender.nodes.embedding import ImageToPromptEmbedding  # noqa: E402
from unrender.nodes.models import Setup  # noqa: E402
from unrender.nodes.text_encoders import text_sides  # noqa: E402

from server import PromptServer  # noqa: E402

PICTURE = torch.rand(1, 16, 16, 3, generator=torch.Generator().manual_seed(0))
FEW_FAMILIES = ("colours", "weather")


@pytest.fixture(autouse=True)
def few_words(tmp_path, monkeypatch):
    """ComfyUI's model folders, empty but for the projection; and few families and phrases, for time's sake."""
    monkeypatch.setattr(folder_paths, "models_dir", str(tmp_path))
    monkeypatch.setattr(folder_paths, "folder_names_and_paths", {})
    monkeypatch.setattr(standin_memory, "loaded", [])
    monkeypatch.setattr(PromptServer, "instance", PromptServer())
    families = tmp_path / "few" / "families"
    families.mkdir(parents=True)
    for name in FEW_FAMILIES:
        shutil.copy(reading.BUILT_IN_FAMILIES / f"{name}.txt", families)
    write_phrases(tmp_path / "few" / "phrases", FEW_PHRASES)
    monkeypatch.setattr(reading, "BUILT_IN_FAMILIES", families)
    monkeypatch.setattr(vocabulary, "BUILT_IN_FOLDER", tmp_path / "few" / "phrases")
    for module in (of_engine, knowledge):
        monkeypatch.setattr(module, "TEXTS", 16)
    host.register_folder()
    yield tmp_path
    standin_memory.interrupt_current_processing(False)


@pytest.fixture
def clip(transformers_folder, few_words):
    made = small_clip(CLIPTokenizer.from_pretrained(transformers_folder))
    text = made.cond_stage_model.clip_l.transformer
    positions = "text_model.embeddings.position_embedding.weight"
    (few_words / "clip_vision").mkdir()
    save_file(
        {positions: text.state_dict()[positions], "text_projection.weight": text.text_projection.weight},
        str(few_words / "clip_vision" / "clip-vit-large-patch14.safetensors"),
    )
    return made


def made(clip, image=PICTURE, vision=True, **settings):
    seeing = {"clip_vision": small_vision()} if vision else {}
    return ImageToPromptEmbedding.execute(**{**EMBED, "image": image, "clip": clip, **seeing, **settings}).args[1]


def test_a_quality_names_the_projection_and_a_projection_takes_its_place(clip):
    assert made(clip, quality="quick").projection == "pinv"
    assert made(clip, quality="good").projection == "soft"
    assert made(clip, quality="good", projection="pinv").projection == "pinv"
    before = {name: value for name, value in EMBED.items() if name not in ("quality", "tokens")}
    saved = {**before, "image": PICTURE, "clip": clip, "clip_vision": small_vision(), "anchor": "a cup of coffee"}
    assert ImageToPromptEmbedding.execute(**saved).args[1].projection == "soft", "a graph from before is the usual"
    with pytest.raises(SettingsError, match="tokens is 76"):
        made(clip, quality="good", tokens=76)


def test_usual_is_what_verify_found_for_these_text_encoders(clip, few_words):
    fingerprint = text_sides(clip, SD1)["clip_l"].fingerprint
    recommend(few_words / "unrender" / "embed", fingerprint, "quick")
    assert made(clip, quality="usual").projection == "pinv"
    assert made(clip, quality="good").projection == "soft"


def test_best_searches_with_what_the_graph_holds_and_asks_no_captioner(clip, monkeypatch):
    """None is loaded or downloaded; of what CLIP Vision Encode saw no picture is needed either."""
    found, asked = [], []
    true = Engine._described
    monkeypatch.setattr(Engine, "_described", lambda *given: found.append(true(*given)) or found[-1])
    whole = Setup.engine

    def engine(self, settings, progress, *beside):
        asked.append(settings.captioner)
        return whole(self, settings, progress, *beside)

    monkeypatch.setattr(Setup, "engine", engine)
    expected = made(clip, quality="best")
    pixels = (PICTURE.movedim(-1, 1) * 255).round() / 255
    seen = {"image_embeds": small_vision().model((pixels - 0.5) / 0.5, -2)[2]}
    again = made(clip, image=seen, vision=False, quality="best")
    assert asked == [None, None] and len(found) == 2 and all(isinstance(prompt, str) for (prompt,) in found)
    assert torch.allclose(again.states, expected.states, atol=1e-3 * float(expected.states.abs().max()))
    made(clip, quality="best", anchor="a cup of coffee")
    made(clip, quality="good")
    assert len(found) == 2, "an anchor is the prompt, and good needs none"


def test_a_soft_prompt_is_found_in_inference_mode_too(clip):
    """In which ComfyUI runs everything, from loading the weights on."""
    expected = made(clip, quality="best", anchor="a cup of coffee").states
    with torch.inference_mode():
        text = clip.cond_stage_model.clip_l.transformer
        for parameter in text.parameters():
            parameter.data = parameter.data.clone()
        assert torch.equal(made(clip, quality="best", anchor="a cup of coffee").states, expected)
        good = made(clip, quality="good").states
    assert torch.equal(made(clip, quality="good").states, good)
    assert not good.requires_grad


def test_interrupt_is_heard_within_a_descent_and_how_far_it_is_is_said(clip, monkeypatch):
    monkeypatch.setattr(ImageToPromptEmbedding.hidden, "unique_id", "7")
    true, steps = SoftTower.ends, []

    def pressed(self, moved):
        steps.append(len(moved))
        if len(steps) == 3:
            standin_memory.interrupt_current_processing(True)
        return true(self, moved)

    monkeypatch.setattr(SoftTower, "ends", pressed)
    with pytest.raises(standin_memory.InterruptProcessingException):
        made(clip, quality="good")
    assert len(steps) == 3
    said = [data["text"] for event, data in PromptServer.instance.sent if event == "unrender.status"]
    assert any(text.startswith("Moving the soft prompt") for text in said) and said[-1] == ""


TEXT_TAKING = (
    {"projection": "pinv"},
    {"projection": "pinv", "strength": 0.5},
    {"projection": "anchored", "anchor": "a cup of coffee"},
    {"quality": "good"},
)


@pytest.mark.parametrize("settings", TEXT_TAKING)
def test_interrupt_is_heard_while_a_long_text_is_read(clip, monkeypatch, settings):
    true, lengths = hidden_states_module._states, []

    def pressed(weights, stretches, layers, check):
        if len(stretches) == 64:  # as many as go at once, and more than are learned from here
            lengths.append(len(stretches))
            standin_memory.interrupt_current_processing(True)
        return true(weights, stretches, layers, check)

    monkeypatch.setattr(hidden_states_module, "_states", pressed)
    with pytest.raises(standin_memory.InterruptProcessingException):
        made(clip, text="a cup of coffee, " * 2000, **settings)
    assert lengths == [64]


@pytest.fixture
def patched(clip):
    return with_lora(clip)


def test_a_gradient_goes_through_the_weights_as_comfyui_computes_with_them(clip, patched):
    """A LoRA that is patched in while in use moves what one in place does, and nothing of it stays."""
    plain, in_use = made(clip, quality="good").states, made(patched, quality="good").states
    assert not torch.allclose(in_use, plain, atol=1e-2)
    weight = clip.cond_stage_model.get_parameter(PATCHED)
    with torch.no_grad():
        weight *= 2
    patched.patcher.backup[PATCHED] = weight / 2
    assert torch.equal(made(patched, quality="good").states, in_use)
    with torch.no_grad():
        weight /= 2
    assert torch.equal(made(clip, quality="good").states, plain)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_a_gradient_goes_through_weights_of_few_bits(clip, dtype):
    text = clip.cond_stage_model.clip_l.transformer.text_model
    coarse = [part.weight for part in text.modules() if isinstance(part, torch.nn.Linear | torch.nn.Embedding)]
    for weight in coarse:
        weight.data = weight.data.to(dtype).float()
    expected = made(clip, quality="good")
    for weight in coarse:
        weight.data = weight.data.to(dtype)
    found = made(clip, quality="good")
    assert found.fingerprint == expected.fingerprint
    assert torch.allclose(found.states, expected.states, atol=1e-3 * float(expected.states.abs().max()))
