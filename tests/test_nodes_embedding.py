"""Image To Prompt Embedding with the stand-in for ComfyUI: memory, interruption, progress, and what stays."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from comfyui_graphs import EMBED
from comfyui_nodes import use_standin

use_standin()

import comfy.model_management as standin_memory  # noqa: E402
import folder_paths  # noqa: E402
from comfyui_small_models import PATCHED, WIDTH, small_clip, small_vision, with_lora  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from transformers import CLIPTokenizer  # noqa: E402
from unrender.core.clip import Clip  # noqa: E402
from unrender.core.clip import hidden_states as hidden_states_module  # noqa: E402
from unrender.core.embed.families import SD1  # noqa: E402
from unrender.core.embed.ridge import RidgeFit  # noqa: E402
from unrender.core.embed.text_side import TextSide  # noqa: E402
from unrender.core.errors import ModelError, SettingsError  # noqa: E402
from unrender.core.progress import SILENT  # noqa: E402
from unrender.nodes import host, models, text_projection  # noqa: E402
from unrender.nodes.embedding import ImageToPromptEmbedding  # noqa: E402
from unrender.nodes.text_encoders import text_sides  # noqa: E402

from server import PromptServer  # noqa: E402

FIVE = torch.rand(5, 16, 16, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """ComfyUI's model folders, empty, with ours registered; and few texts to learn from."""
    monkeypatch.setattr(folder_paths, "models_dir", str(tmp_path))
    monkeypatch.setattr(folder_paths, "folder_names_and_paths", {})
    monkeypatch.setattr(standin_memory, "loaded", [])
    monkeypatch.setattr(PromptServer, "instance", PromptServer())
    monkeypatch.setattr(RidgeFit.__init__, "__defaults__", (16, *RidgeFit.__init__.__defaults__[1:]))
    host.register_folder()
    yield tmp_path
    standin_memory.interrupt_current_processing(False)


@pytest.fixture(scope="module")
def clip(transformers_folder):
    return small_clip(CLIPTokenizer.from_pretrained(transformers_folder))


@pytest.fixture
def projection_file(clip, folders):
    """Where a user has the checkpoint's text projection."""
    write_projection(clip, folders)


def write_projection(clip, folders) -> None:
    text = clip.cond_stage_model.clip_l.transformer
    positions = "text_model.embeddings.position_embedding.weight"
    (folders / "clip_vision").mkdir()
    save_file(
        {positions: text.state_dict()[positions], "text_projection.weight": text.text_projection.weight},
        str(folders / "clip_vision" / "clip-vit-large-patch14.safetensors"),
    )


def states(clip, vision, image=FIVE, **settings) -> torch.Tensor:
    inputs = {**EMBED, "image": image, "clip": clip, "clip_vision": vision, **settings}
    return ImageToPromptEmbedding.execute(**inputs).args[1].states


def test_pictures_are_seen_in_smaller_portions_where_memory_is_short(clip, projection_file):
    vision, short = small_vision(), small_vision(room=2)
    expected = states(clip, vision)
    assert torch.allclose(states(clip, short), expected, atol=1e-5)
    assert vision.model.runs == [5] and short.model.runs == [2, 1, 2]
    standin_memory.loaded.append("what else ComfyUI has there")
    with pytest.raises(ModelError, match="The memory does not suffice"):
        states(clip, small_vision(room=0))
    assert not standin_memory.loaded, "ComfyUI makes room for the next try, as it does after its own errors"


def test_texts_are_learned_from_in_smaller_portions_where_memory_is_short(clip, projection_file, monkeypatch, folders):
    expected = states(clip, small_vision(), projection="ridge")
    for path in (folders / "unrender" / "embed").glob("ridge-*"):
        path.unlink()
    true, rows = hidden_states_module._states, []

    def short(weights, ids, layers, check):
        if len(ids) > 5:
            raise RuntimeError("CUDA out of memory.")
        rows.append(len(ids))
        return true(weights, ids, layers, check)

    monkeypatch.setattr(hidden_states_module, "_states", short)
    found = states(clip, small_vision(), projection="ridge")
    assert rows == [4, 4, 4, 4]
    assert torch.allclose(found, expected, atol=2e-2 * float(expected.abs().max()))


def test_what_was_seen_elsewhere_needs_no_vision_model(clip, projection_file):
    vision = small_vision()
    expected = states(clip, vision, projection="ridge")
    pixels = (FIVE.movedim(-1, 1) * 255).round() / 255
    seen = {"image_embeds": vision.model((pixels - 0.5) / 0.5, -2)[2]}
    found = states(clip, None, image=seen, projection="ridge")
    assert torch.allclose(found, expected, atol=1e-3 * float(expected.abs().max()))
    with pytest.raises(ModelError, match="no vision model is at hand"):
        states(clip, None, image=seen, projection="ridge", gap_pictures=torch.rand(9, 16, 16, 3))
    with pytest.raises(ModelError, match="load ViT-L/14"):
        states(clip, None, image={"image_embeds": torch.ones(1, 1024)})


def test_pictures_to_measure_the_gap_with_change_what_was_learned(clip, projection_file):
    vision, several = small_vision(), torch.rand(9, 16, 16, 3, generator=torch.Generator().manual_seed(1))
    plain = states(clip, vision, projection="ridge")
    corrected = states(clip, vision, projection="ridge", gap_pictures=several)
    assert not torch.allclose(corrected, plain, atol=1e-2)
    with pytest.raises(SettingsError, match="5 pictures to measure the gap"):
        states(clip, vision, projection="ridge", gap_pictures=FIVE)


@pytest.mark.parametrize("projection", ["pinv", "ridge", "bank"])
def test_interrupt_ends_the_node_and_leaves_no_half_file(clip, projection_file, projection, folders, monkeypatch):
    """Pressed while the texts are learned from, or at the beginning where there is nothing to learn."""
    true = hidden_states_module._states

    def pressed(weights, ids, layers, check):
        standin_memory.interrupt_current_processing(True)
        return true(weights, ids, layers, check)

    if projection == "pinv":
        standin_memory.interrupt_current_processing(True)
    else:
        monkeypatch.setattr(hidden_states_module, "_states", pressed)
    with pytest.raises(standin_memory.InterruptProcessingException):
        states(clip, small_vision(), projection=projection)
    assert not standin_memory.processing_interrupted()
    assert not list((folders / "unrender").glob("embed/*"))


@pytest.fixture
def patched(clip):
    return with_lora(clip)


def test_interrupt_is_heard_while_a_patched_encoders_texts_are_seen_by_the_clip(
    clip, patched, projection_file, monkeypatch
):
    """As the texts' own states are, where both are not one text encoder's."""
    true, texts_seen = Clip.encode_texts, []

    def pressed(self, texts, progress=SILENT):
        if len(texts) > 1:
            texts_seen.append(len(texts))
            standin_memory.interrupt_current_processing(True)
        seen = true(self, texts, progress)
        assert len(texts) == 1, "it ended in there"
        return seen

    monkeypatch.setattr(Clip, "encode_texts", pressed)
    with pytest.raises(standin_memory.InterruptProcessingException):
        states(patched, small_vision(), projection="ridge")
    assert texts_seen


def test_loras_take_part_wherever_comfyui_has_patched_the_weights(clip, patched):
    """In the model itself, or, for what is left in main memory or always in newer ComfyUIs, only while in use."""
    plain, in_use = side_of(clip), side_of(patched)
    assert not torch.allclose(in_use.states(["boat"])[0][0], plain.states(["boat"])[0][0], atol=1e-2)
    weight = clip.cond_stage_model.get_parameter(PATCHED)
    with torch.no_grad():
        weight *= 2
    patched.patcher.backup[PATCHED] = weight / 2
    try:
        in_place = side_of(patched)
        assert (in_place.states(["boat"])[0][0] == in_use.states(["boat"])[0][0]).all()
        assert in_place.fingerprint == in_use.fingerprint != plain.fingerprint
    finally:
        with torch.no_grad():
            weight /= 2


class Halves(torch.Tensor):
    """Quantised, by no good method."""

    def dequantize(self) -> torch.Tensor:
        return self.as_subclass(torch.Tensor).float() * 2


def test_quantised_weights_and_those_kept_in_another_type_are_as_comfyui_uses_them(clip):
    expected = side_of(clip)
    layer = clip.cond_stage_model.clip_l.transformer.text_model.encoder.layers[0].mlp
    weight, norm = layer.fc1.weight, layer.fc2.bias
    try:
        layer.fc1.weight = torch.nn.Parameter((weight.detach() / 2).as_subclass(Halves))
        layer.fc2.bias = torch.nn.Parameter(norm.detach().double())
        layer.fc2.bias_comfy_model_dtype = torch.float32
        found = side_of(clip)
    finally:
        layer.fc1.weight, layer.fc2.bias = weight, norm
        del layer.fc2.bias_comfy_model_dtype
    assert (found.states(["boat"])[0][0] == expected.states(["boat"])[0][0]).all()
    assert found.fingerprint == expected.fingerprint


def side_of(clip) -> TextSide:
    return text_sides(clip, SD1)["clip_l"]


def test_a_projection_in_eight_bits_is_passed_over(clip, projection_file, folders):
    expected = states(clip, small_vision())
    text = clip.cond_stage_model.clip_l.transformer
    positions = "text_model.embeddings.position_embedding.weight"
    coarse = (text.text_projection.weight * 100).to(torch.float8_e4m3fn)
    first = folders / "text_encoders" / "a.safetensors"
    first.parent.mkdir()
    save_file({positions: text.state_dict()[positions], "text_projection.weight": coarse}, str(first))
    assert torch.equal(states(clip, small_vision()), expected)


def test_the_download_of_a_projection_shows_how_far_it_is(clip, monkeypatch):
    def download(name, hub, progress):
        with progress.task("Downloading text_projection.weight", 2_600_000, "B") as task:
            task.advance(2_600_000)
        raise ModelError("It could not be had.")

    monkeypatch.setattr(text_projection, "projection_file", download)
    monkeypatch.setattr(ImageToPromptEmbedding.hidden, "unique_id", "7")
    with pytest.raises(ModelError, match="without its text projection"):
        states(clip, small_vision())
    said = [data["text"] for event, data in PromptServer.instance.sent if event == "unrender.status"]
    assert "Downloading text_projection.weight: 3 of 3 MB" in said and said[-1] == ""
    standin_memory.interrupt_current_processing(True)
    with pytest.raises(standin_memory.InterruptProcessingException):
        states(clip, small_vision())


def test_graphs_models_are_on_the_device_together_with_the_nodes_own(clip, monkeypatch):
    """Were they brought one after the other, the second could drive out the first, whose weights are in use."""
    brought: list[set] = []
    monkeypatch.setattr(standin_memory, "load_models_gpu", lambda models, **_: brought.append(set(models)))
    setup = models.default_setup("micro")
    with setup.engine(setup.settings, host.NodeProgress(None), clip.patcher) as engine:
        engine.measure_gap(torch.rand(8, 16, 16, 3).unbind())
    assert len(brought) == 1 and clip.patcher in brought[0] and len(brought[0]) == 2


def test_default_models_stay_as_long_as_a_node_that_uses_them():
    first, second = ImageToPromptEmbedding(), ImageToPromptEmbedding()
    source = weakref.ref(models.default_setup("micro").source)
    form = weakref.ref(models._kept().closed_forms)
    del first
    gc.collect()
    assert source() is models.default_setup("micro").source is not None
    del second
    gc.collect()
    assert source() is None and form() is None


def test_nothing_of_a_graphs_models_stays_behind(transformers_folder, folders):
    clip = small_clip(CLIPTokenizer.from_pretrained(transformers_folder))
    vision, node = small_vision(), ImageToPromptEmbedding()
    seen = {"image_embeds": torch.rand(1, WIDTH)}
    write_projection(clip, folders)
    text = clip.cond_stage_model.clip_l.transformer
    for image in (FIVE, seen):
        states(clip, vision, image=image, projection="ridge")
    weights = [weakref.ref(text), weakref.ref(vision.model)]
    del clip, text, vision
    standin_memory.loaded.clear()
    gc.collect()
    assert [reference() for reference in weights] == [None, None]
    del node
