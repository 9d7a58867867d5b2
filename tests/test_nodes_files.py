"""The files that nodes offer and save: CLIPs, phrases, text projections, prompt embeddings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from comfyui_graphs import MICRO
from comfyui_nodes import use_standin

use_standin()

from nodes_setting import models_fixture, server_fixture  # noqa: E402, F401
from unrender.core.embed import PromptEmbedding  # noqa: E402
from unrender.core.errors import (  # noqa: E402
    EmbeddingError,
    ModelError,
)

# --- files ---


def test_only_whole_clips_and_folders_are_offered(models, transformers_folder):
    from safetensors.torch import save_file
    from unrender.nodes import files

    (models / "clip_vision").mkdir()
    half = {"vision_model.embeddings.class_embedding": torch.ones(2)}
    whole = {**half, "text_model.embeddings.token_embedding.weight": torch.ones(2)}
    save_file(half, str(models / "clip_vision" / "vision.safetensors"))
    save_file(whole, str(models / "clip_vision" / "whole.safetensors"))
    (models / "clip_vision" / "broken.safetensors").write_bytes(b"\xff" * 40)
    (models / "unrender" / "models").mkdir(parents=True)
    save_file(whole, str(models / "unrender" / "models" / "downloaded.safetensors"))
    assert list(files.clip_files()) == ["clip_vision/whole.safetensors"]
    captioner = models / "unrender" / "my captioner"
    captioner.mkdir()
    (captioner / "config.json").write_text('{"model_type": "blip"}')
    assert files.captioner_folders() == {"unrender/my captioner": captioner}
    assert files.path_of("unrender/my captioner", files.captioner_folders()) == str(captioner)
    assert files.path_of("blip-large", files.captioner_folders()) == "blip-large"


def test_one_odd_file_breaks_no_list(models):
    """Of safetensors files and configurations in every form that once raised, or might."""
    from safetensors.torch import save_file
    from unrender.nodes import files

    folder = models / "unrender"
    folder.mkdir(exist_ok=True)
    whole = {"visual.conv1.weight": torch.ones(2), "token_embedding.weight": torch.ones(2)}
    save_file(whole, str(folder / "whole.safetensors"))
    odd = [
        b"",
        b"{}",
        b"7",
        b"null",
        b"[" * 100_000,
        b'{"a": 1}',
        b'["visual.conv1.weight"]',
        b'{"\\ud800": {}}',
        b"\xff",
    ]
    for number, header in enumerate(odd):
        data = len(header).to_bytes(8, "little") + header
        (folder / f"odd{number}.safetensors").write_bytes(data)
        (folder / f"folder{number}").mkdir()
        (folder / f"folder{number}" / "config.json").write_bytes(header)
    (folder / "folder.safetensors").mkdir()
    (folder / "dangling.safetensors").symlink_to(folder / "nowhere")
    assert list(files.clip_files()) == ["unrender/whole.safetensors"]
    assert len(files.captioner_folders()) == len(odd)


@pytest.mark.parametrize(
    ("inputs", "where"),
    [
        ({"clip": "unrender/gone.safetensors"}, "unrender/gone.safetensors"),
        ({"clip": "clip_vision/gone.safetensors"}, "clip_vision/gone.safetensors"),
        ({"other_clip": "unrender/gone"}, "unrender/gone"),
        ({"captioner": "unrender/my captioner"}, "unrender/my captioner"),
        ({"captioner": "unrender/gone"}, "unrender/gone"),
        ({"captioner": "UNRENDER/Gone"}, "unrender/Gone"),
        ({"clip": " Clip_Vision/gone "}, "clip_vision/gone"),
        ({"tagger": "phrases/gone"}, "unrender/phrases/gone"),
        ({"vocabulary": "phrases/gone"}, "unrender/phrases/gone"),
    ],
)
def test_what_a_saved_workflow_names_and_is_gone_is_not_looked_for_elsewhere(models, monkeypatch, inputs, where):
    from unrender.core.errors import UnrenderError
    from unrender.core.hub import Hub
    from unrender.nodes.loading import LoadInterrogator

    monkeypatch.setattr(Hub, "_remote", lambda *_: pytest.fail("a hub was asked"))
    with pytest.raises(UnrenderError, match="not here any more") as error:
        LoadInterrogator.execute(**{**MICRO, **inputs})
    assert str(models / where) in str(error.value) and "KeyError" not in str(error.value)


def test_a_changed_phrase_file_changes_the_loader(models, photographs, server):
    from unrender.nodes.loading import LoadInterrogator

    folder = models / "unrender" / "phrases" / "mine"
    folder.mkdir(parents=True)
    (folder / "families").mkdir()
    seen = []
    for name, text in (("flavors", "one\n"), ("flavors", "two\n"), ("families/weather", "x\n")):
        (folder / f"{name}.txt").write_text(text)
        seen.append(LoadInterrogator.fingerprint_inputs(vocabulary="phrases/mine"))
        assert seen[-1] == LoadInterrogator.fingerprint_inputs(vocabulary="phrases/mine")
    assert len(set(seen)) == 3
    (folder / "families/weather.txt").unlink()
    assert LoadInterrogator.fingerprint_inputs(vocabulary="built-in") == ""
    setup = LoadInterrogator.execute(**{**MICRO, "vocabulary": "phrases/mine", "captioner": "none"}).args[0]
    assert setup.settings.phrases == folder and setup.captioner is None


def encoder_alone_as_published(positions: torch.Tensor) -> dict[str, torch.Tensor]:
    """The names that comfyanonymous/flux_text_encoders has in clip_l.safetensors, which are those of transformers'
    CLIPTextModel: no text projection is among them (ComfyUI #5222)."""
    width = positions.shape[1]
    names = ["embeddings.position_embedding.weight", "embeddings.token_embedding.weight"]
    for layer in range(12):
        for part in ("layer_norm1", "layer_norm2", "mlp.fc1", "mlp.fc2", *map("self_attn.{}_proj".format, "kqv")):
            names += [f"encoder.layers.{layer}.{part}.{kind}" for kind in ("weight", "bias")]
    names += ["final_layer_norm.weight", "final_layer_norm.bias"]
    return {f"text_model.{name}": torch.zeros(1, width) for name in names} | {f"text_model.{names[0]}": positions}


def test_the_text_projection_is_that_of_the_nearest_encoder(models, monkeypatch):
    from safetensors.torch import save_file
    from unrender.nodes.text_projection import find_projection

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embeddings = torch.nn.Module()
            self.embeddings.position_embedding = torch.nn.Embedding(77, 8)

    model = Model()
    positions = model.embeddings.position_embedding.weight.detach()
    name = "text_model.embeddings.position_embedding.weight"
    folder = models / "text_encoders"
    folder.mkdir()
    save_file({name: random(77, 8), "text_projection.weight": random(8, 8)}, str(folder / "a stranger.safetensors"))
    save_file(encoder_alone_as_published(positions), str(folder / "clip_l.safetensors"))
    with pytest.raises(ModelError, match=r"HF_HUB_OFFLINE.*put a whole CLIP-L into models/clip_vision") as error:
        find_projection(model)
    assert "as clip_l.safetensors does" in str(error.value)
    original = models / "unrender" / "embed" / "projection-ViT-L-14-openai.safetensors"
    original.parent.mkdir(parents=True)
    save_file({name: random(77, 8), "text_projection.weight": random(8, 8)}, str(original))
    with pytest.raises(ModelError, match=r"original model's cannot take its place; put a whole CLIP-L"):
        find_projection(model)
    projection = random(8, 8)
    save_file({name: 0.9 * positions, "text_projection.weight": projection}, str(original))
    assert torch.equal(find_projection(model), projection)
    own = random(8, 8)
    save_file(
        {"positional_embedding": positions + 0.05 * random(77, 8), "text_projection": own.T.contiguous()},
        str(folder / "fine-tuned.safetensors"),
    )
    assert torch.equal(find_projection(model), own)


# --- prompt embeddings ---


def some_embedding(seed: int, family: str = "sd15") -> PromptEmbedding:
    states, pooled = {"sd15": ((77, 768), 768), "sdxl": ((77, 2048), 1280)}[family]
    generator = torch.Generator().manual_seed(seed)
    vector = torch.randn(pooled, generator=generator)
    return PromptEmbedding(family, torch.randn(states, generator=generator), vector, picture=f"p{seed}", projection="x")


@pytest.mark.parametrize("family", ["sd15", "sdxl"])
def test_an_embedding_is_a_conditioning_of_comfyuis(family):
    from unrender.nodes.conditioning import as_conditioning

    embedding = some_embedding(0, family)
    ((states, options),) = as_conditioning(embedding)
    assert torch.equal(states, embedding.states[None])
    assert list(options) == ["pooled_output"] and torch.equal(options["pooled_output"], embedding.pooled[None])
    if family == "sd15":
        ((_, options),) = as_conditioning(replace(embedding, pooled=None))
        assert options == {}, "of a file that an earlier version wrote"


def test_embeddings_are_saved_loaded_and_blended(models, server):
    from unrender.nodes.embedding_files import BlendPromptEmbeddings, LoadPromptEmbedding, SavePromptEmbedding
    from unrender.nodes.files import embedding_files

    first, second = some_embedding(1), some_embedding(2)
    path = SavePromptEmbedding.execute(first, "mine/one").args[0]
    assert Path(path) == models / "unrender" / "prompt_embeddings" / "mine" / "one.safetensors"
    assert list(embedding_files()) == ["mine/one.safetensors"]
    before = LoadPromptEmbedding.fingerprint_inputs("mine/one.safetensors")
    conditioning, loaded = LoadPromptEmbedding.execute("mine/one.safetensors").args
    assert torch.equal(loaded.states, first.states) and loaded.picture == "p1"
    assert torch.equal(conditioning[0][0][0], first.states)
    blended = BlendPromptEmbeddings.execute(first, second, 0.25, "mean").args[1]
    assert torch.allclose(blended.states, 0.75 * first.states + 0.25 * second.states, atol=1e-6)
    assert torch.equal(BlendPromptEmbeddings.execute(first, second, 0.0, "mean").args[1].states, first.states)
    SavePromptEmbedding.execute(some_embedding(1, "sdxl"), "mine/one.safetensors")
    assert LoadPromptEmbedding.fingerprint_inputs("mine/one.safetensors") != before
    with pytest.raises(EmbeddingError, match="same family"):
        BlendPromptEmbeddings.execute(first, some_embedding(2, "sdxl"), 0.5, "mean")
    assert LoadPromptEmbedding.validate_inputs("mine/one.safetensors") is True
    assert "choose another" in str(LoadPromptEmbedding.validate_inputs("gone.safetensors"))
    with pytest.raises(EmbeddingError, match="choose another"):
        LoadPromptEmbedding.execute("gone.safetensors")


def test_an_embedding_that_was_saved_and_is_gone_is_saved_again(models, server):
    from unrender.nodes.embedding_files import SavePromptEmbedding

    before = SavePromptEmbedding.fingerprint_inputs(name="mine")
    path = Path(SavePromptEmbedding.execute(some_embedding(1), "mine").args[0])
    assert SavePromptEmbedding.fingerprint_inputs(name="mine", embedding=None) == before
    path.unlink()
    gone = SavePromptEmbedding.fingerprint_inputs(name="mine")
    assert gone != before
    SavePromptEmbedding.execute(some_embedding(1), "mine")
    assert SavePromptEmbedding.fingerprint_inputs(name="mine") == gone
    assert SavePromptEmbedding.fingerprint_inputs(name="..") is None


def test_where_nothing_is_saved_the_list_says_so(models, server):
    from unrender.nodes.embedding_files import LoadPromptEmbedding

    [choice] = LoadPromptEmbedding.define_schema().inputs[0].options
    assert choice == "nothing saved yet"
    assert "save one with Save Prompt Embedding" in str(LoadPromptEmbedding.validate_inputs(choice))


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells which files are mapped")
def test_a_loaded_embeddings_file_can_be_replaced_on_windows(models, server):
    """Which replaces no file that is mapped into memory, and ComfyUI keeps what nodes gave."""
    from unrender.nodes.embedding_files import LoadPromptEmbedding, SavePromptEmbedding

    path = SavePromptEmbedding.execute(some_embedding(1), "mine").args[0]
    loaded = LoadPromptEmbedding.execute("mine.safetensors").args[1]
    assert path not in Path("/proc/self/maps").read_text(encoding="utf-8")
    assert loaded.states is not None


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "", "  "])
def test_an_embedding_stays_in_its_folder(models, server, name):
    from unrender.nodes.embedding_files import SavePromptEmbedding

    with pytest.raises(EmbeddingError, match="no name"):
        SavePromptEmbedding.execute(some_embedding(1), name)
    assert not list(models.rglob("*.safetensors"))
