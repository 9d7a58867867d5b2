"""The nodes' functions, schemas and texts, with a stand-in for ComfyUI; test_comfyui.py has them in the real one."""

from __future__ import annotations

import gc
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
import torch
from comfyui_graphs import CAPTIONING, EMBED, INTERROGATE, MICRO, SEARCHING
from comfyui_nodes import LOCALE, ROOT, english_texts, node_schemas, use_standin
from PIL import Image

use_standin()

import comfy.model_management as standin_memory  # noqa: E402
import folder_paths  # noqa: E402
from comfy.utils import ProgressBar  # noqa: E402
from unrender.core.cures import Choose, Take  # noqa: E402
from unrender.core.embed import PromptEmbedding  # noqa: E402
from unrender.core.errors import (  # noqa: E402
    Cancelled,
    EmbeddingError,
    ModelError,
    PhraseError,
    SettingsError,
)
from unrender.core.settings import Settings  # noqa: E402

from server import PromptServer  # noqa: E402

STANDIN = Path(__file__).parent / "comfyui_standin"
EMBEDDINGS = (["first", "second"], ["embedding"])
MUTED = 2
GRAPHS = sorted((ROOT / "workflows" / "api").glob("*.json"))


@pytest.fixture
def models(tmp_path, monkeypatch):
    """ComfyUI's model folders, empty, with ours registered."""
    from unrender.nodes import host

    monkeypatch.setattr(folder_paths, "models_dir", str(tmp_path))
    monkeypatch.setattr(folder_paths, "folder_names_and_paths", {})
    monkeypatch.setattr(standin_memory, "loaded", [])
    host.register_folder()
    return tmp_path


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(PromptServer, "instance", PromptServer())
    return PromptServer.instance


@pytest.fixture
def interrupted():
    standin_memory.interrupt_current_processing(True)
    yield
    standin_memory.interrupt_current_processing(False)


def as_batch(pictures) -> torch.Tensor:
    """IMAGE as ComfyUI's LoadImage and ImageBatch make it."""
    from unrender.nodes.pictures import as_batch, as_image

    return as_batch([as_image(picture.resize((96, 96))) for picture in pictures])


def micro_setup():
    from unrender.nodes.loading import LoadInterrogator

    return LoadInterrogator.execute(**MICRO).args[0]


def listed(**values):
    """Inputs as a node that takes lists gets them."""
    return {name: value if isinstance(value, list) else [value] for name, value in values.items()}


# --- schemas and texts ---


def test_importing_the_package_imports_no_node_and_no_torch():
    code = "import sys, unrender; assert callable(unrender.comfy_entrypoint); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    import unrender

    assert not hasattr(unrender, "NODE_CLASS_MAPPINGS"), "the loader would then ignore comfy_entrypoint"
    assert (ROOT / unrender.WEB_DIRECTORY / "unrender.js").is_file()


def test_nodes_are_named_and_explained():
    for name, schema in node_schemas().items():
        assert name.startswith("Unrender") and schema.category == "unrender"
        assert schema.description.endswith(".")
        for each in [*schema.inputs, *schema.outputs]:
            assert each.tooltip and each.tooltip.endswith("."), f"{name}.{each.id} has no tooltip"
        assert not re.search(r"[a-z][A-Z]|_", schema.display_name)
        assert schema.search_aliases, "other words people look for it by"


def test_a_node_needs_nothing_but_its_picture():
    for name, schema in node_schemas().items():
        needed = [each.id for each in schema.inputs if not each.optional and not hasattr(each, "default")]
        assert needed in ([], ["image"], ["clip", "clip_vision"], ["image", "clip"], *EMBEDDINGS), name
        for each in schema.inputs:
            if hasattr(each, "options") and each.default is not None:
                assert each.default in each.options


def test_english_texts_are_those_of_the_schemas():
    stored = json.loads(LOCALE.read_text(encoding="utf-8"))
    assert stored == english_texts(), "run python tests/comfyui_nodes.py"


def test_every_node_has_a_help_page_on_every_input_and_output():
    for name, schema in node_schemas().items():
        page = (ROOT / "web" / "docs" / f"{name}.md").read_text(encoding="utf-8")
        assert page.startswith(f"# {schema.display_name}\n")
        for each in schema.inputs:
            assert f"**{each.id.replace('_', ' ')}**" in page, f"{name}.md says nothing of {each.id}"
        for each in schema.outputs:
            assert f"**{each.display_name}**" in page, f"{name}.md says nothing of {each.display_name}"


@pytest.mark.parametrize("path", GRAPHS, ids=lambda path: path.stem)
def test_workflows_fit_the_schemas(path):
    schemas = node_schemas()
    graph = json.loads(path.read_text(encoding="utf-8"))
    page = json.loads((path.parents[1] / path.name).read_text(encoding="utf-8"))
    assert (path.parents[1] / f"{path.stem}.jpg").stat().st_size < 100_000, "its thumbnail"
    drawn = {
        str(node["id"]): node for node in page["nodes"] if node["type"] != "MarkdownNote" and node["mode"] != MUTED
    }
    assert {number: node["type"] for number, node in drawn.items()} == {
        number: node["class_type"] for number, node in graph.items()
    }
    for number, node in graph.items():
        schema = schemas.get(node["class_type"])
        if schema is None:
            continue
        inputs = {each.id: each for each in schema.inputs}
        given = node["inputs"]
        assert set(given) <= set(inputs)
        assert {name for name, each in inputs.items() if not each.optional} <= set(given)
        widgets = [
            given.get(name, each.default)
            for name, each in inputs.items()
            if hasattr(each, "default") and not getattr(each, "force_input", False)
        ]
        assert drawn[number]["widgets_values"][: len(widgets)] == widgets


def test_every_shipped_workflow_has_both_forms():
    assert len(GRAPHS) == 6
    assert [path.stem for path in GRAPHS] == sorted(path.stem for path in (ROOT / "workflows").glob("*.json"))


def test_the_tests_know_every_input():
    def names(node: str) -> set[str]:
        return {each.id for each in node_schemas()[node].inputs}

    assert names("UnrenderInterrogate") == {*INTERROGATE, "image", "caption", "interrogator"}
    assert names("UnrenderLoadInterrogator") == {*MICRO, "other_clip"}
    assert names("UnrenderImageToPromptEmbedding") == {
        *EMBED,
        *("image", "clip", "clip_vision", "mask", "interrogator", "gap_pictures", "anchor"),
    }
    assert names("UnrenderInterrogatorFromClip") == {*CAPTIONING, *SEARCHING, "clip", "clip_vision"}


# --- what is installed ---


def test_nothing_that_is_installed_for_comfyui_depends_on_torch():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    waiting = [re.split(r"[<>=!~ ]", line)[0] for line in lines if line and not line.startswith("#")]
    assert waiting
    seen: set[str] = set()
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        assert name not in ("torch", "torchvision", "torchaudio", "open-clip-torch", "timm")
        if name in seen:
            continue
        seen.add(name)
        try:
            required = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        waiting += [re.split(r"[ <>=!~;\[(]", entry)[0] for entry in required if "extra ==" not in entry]


# --- the stand-in ---


@pytest.mark.skipif(
    not (os.environ.get("COMFYUI_DIR") and os.environ.get("COMFYUI_PYTHON")),
    reason="set COMFYUI_DIR to a checkout of ComfyUI and COMFYUI_PYTHON to its Python",
)
def test_the_standin_promises_nothing_that_comfyui_lacks():
    """Run in both, this file's other half prints the parameters of all that the stand-in has."""
    probe = Path(__file__).parent / "comfyui_signatures.py"
    names = subprocess.run([sys.executable, probe, STANDIN], capture_output=True, text=True, check=True).stdout
    real = subprocess.run(
        [os.environ["COMFYUI_PYTHON"], probe, os.environ["COMFYUI_DIR"], names],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    ours, theirs = json.loads(names), json.loads(real.splitlines()[-1])
    for name, parameters in ours.items():
        assert theirs[name] is not None, f"ComfyUI has no {name}"
        assert set(parameters) <= set(theirs[name]), name


# --- running ---


def test_each_picture_of_a_batch_gets_a_prompt(models, server, photographs):
    from unrender.nodes.interrogate import Interrogate

    setup = micro_setup()
    batch = as_batch(photographs[:2])
    words = listed(**{**INTERROGATE, "mode": "fast", "max_phrases": 2}, interrogator=setup)
    out = Interrogate.execute(image=[batch, batch[:1]], **words)
    prompts, similarities, captions = out.args
    assert len(prompts) == len(similarities) == len(captions) == 3
    assert prompts[0] == prompts[2] != prompts[1]
    assert out.ui == {"text": prompts}
    given = Interrogate.execute(image=[batch], caption=["(one)", "two"], **{**words, "mode": ["caption"]})
    assert given.args[0] == ["\\(one\\)", "two"] and given.args[2] == ["(one)", "two"]
    with pytest.raises(SettingsError, match="3 captions for 2 pictures"):
        Interrogate.execute(image=[batch], caption=["a", "b", "c"], **words)


def test_models_are_loaded_once_and_in_comfyuis_care(models, server, photographs):
    from unrender.nodes.interrogate import Interrogate

    first, second = micro_setup(), micro_setup()
    assert first.source is second.source and first.captioner is second.captioner
    words = listed(**{**INTERROGATE, "mode": "fast"})
    for setup in (first, second):
        Interrogate.execute(image=[as_batch(photographs[:1])], interrogator=[setup], **words)
    assert len(standin_memory.loaded) == 2, "one CLIP and one captioner"
    assert list((models / "unrender" / "tables").glob("*.safetensors"))


def test_nothing_outlives_a_run_but_what_comfyui_knows_of(models, server, photographs, monkeypatch):
    from unrender.core.clip import Clip
    from unrender.core.phrases.table import PhraseTable
    from unrender.nodes.interrogate import Interrogate

    made: list[weakref.ref] = []
    for kind in (Clip, PhraseTable):
        original = kind.__init__

        def remembering(self, *values, original=original, **named):
            original(self, *values, **named)
            made.append(weakref.ref(self))

        monkeypatch.setattr(kind, "__init__", remembering)
    setup = micro_setup()
    gc.disable()
    try:
        words = listed(**INTERROGATE, interrogator=setup)
        Interrogate.execute(image=[as_batch(photographs[:1])], **words)
    finally:
        gc.enable()
    kinds = {type(reference()).__name__ for reference in made}
    assert len(made) >= 3 and kinds == {"NoneType"}


def test_a_movable_clip_is_the_clip_it_came_from(open_clip_transform, open_clip_tokenizer, photographs):
    from conftest import random_open_clip
    from unrender.core.clip import Clip
    from unrender.core.clip.movable import MovableClip
    from unrender.core.devices import Arithmetic

    clip = Clip.from_open_clip(random_open_clip(seed=2), open_clip_transform, open_clip_tokenizer)
    texts = ["a lighthouse", "an oil painting of a lighthouse, by night"]
    expected = clip.encode_texts(texts), clip.encode_images(photographs[:2]), clip.fingerprint
    module = MovableClip(clip, Arithmetic(torch.float32, torch.float32, torch.bfloat16))
    moved = module.clip(torch.device("cpu"))
    assert torch.equal(moved.encode_texts(texts), expected[0])
    assert torch.equal(moved.encode_images(photographs[:2]), expected[1])
    assert moved.fingerprint == expected[2] and moved.text.has_rough
    weights = moved.text._exact.tower.weights
    assert all(parameter.device.type == "meta" for parameter in module.to("meta").parameters())
    assert module.clip(torch.device("meta")).text._exact.tower.weights.device.type == "meta" != weights.device.type


def test_a_movable_clip_may_have_its_librarys_text_encoder(open_clip_transform, open_clip_tokenizer, photographs):
    from conftest import random_open_clip
    from unrender.core.clip import Clip
    from unrender.core.clip.movable import MovableClip
    from unrender.core.devices import Arithmetic

    model = random_open_clip(seed=3)
    true = model.encode_text
    model.encode_text = lambda ids: true(ids) * torch.linspace(1, 1.01, 48)  # so that the own tower is not used
    clip = Clip.from_open_clip(model, open_clip_transform, open_clip_tokenizer)
    assert not clip.uses_own_tower
    expected = clip.encode_texts(["a lighthouse"]), clip.encode_images(photographs[:1]), clip.fingerprint
    module = MovableClip(clip, Arithmetic(torch.float32, torch.float32, None))
    moved = module.clip(torch.device("cpu"))
    assert torch.equal(moved.encode_texts(["a lighthouse"]), expected[0])
    assert torch.equal(moved.encode_images(photographs[:1]), expected[1])
    assert moved.fingerprint == expected[2]
    assert all(parameter.device.type == "meta" for parameter in module.to("meta").parameters())
    assert next(model.transformer.parameters()).device.type == "meta"


def test_errors_speak_of_nodes_and_leave_no_progress_behind(server):
    from unrender.nodes import host

    with pytest.raises(ModelError) as caught, host.reporting("7") as progress:
        with progress.task("Downloading x", 2_000_000, "B") as task:
            task.advance(1_000_000)
        raise ModelError("It is not here", Take("copy the model"), Choose("clip", ("micro",)))
    assert "--" not in str(caught.value) and "Load Interrogator" in str(caught.value)
    said = [data["text"] for event, data in server.sent if event == "unrender.status" and data["node"] == "7"]
    assert said[:2] == ["Downloading x: 0 of 2 MB", "Downloading x: 1 of 2 MB"] and said[-1] == ""
    assert ProgressBar.moves[-1] == ("7", 1_000_000, 2_000_000)


def test_interrupting_is_comfyuis_own_interruption(interrupted, server):
    from unrender.nodes import host

    with pytest.raises(standin_memory.InterruptProcessingException), host.reporting("7") as progress:
        with pytest.raises(Cancelled):
            progress.check()
        raise Cancelled("stop")
    assert not standin_memory.processing_interrupted(), "the next run must not stop at once"


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


def test_a_changed_phrase_file_changes_the_loader(models, photographs, server):
    from unrender.nodes.loading import LoadInterrogator

    folder = models / "unrender" / "phrases" / "mine"
    folder.mkdir(parents=True)
    (folder / "flavors.txt").write_text("one\n")
    before = LoadInterrogator.fingerprint_inputs(vocabulary="phrases/mine")
    assert before == LoadInterrogator.fingerprint_inputs(vocabulary="phrases/mine")
    (folder / "flavors.txt").write_text("two\n")
    assert before != LoadInterrogator.fingerprint_inputs(vocabulary="phrases/mine")
    assert LoadInterrogator.fingerprint_inputs(vocabulary="built-in") == ""
    setup = LoadInterrogator.execute(**{**MICRO, "vocabulary": "phrases/mine", "captioner": "none"}).args[0]
    assert setup.settings.phrases == folder and setup.captioner is None


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
    with pytest.raises(ModelError, match=r"HF_HUB_OFFLINE.*clip_l\.safetensors"):
        find_projection(model)
    original = models / "unrender" / "embed" / "projection-ViT-L-14-openai.safetensors"
    original.parent.mkdir(parents=True)
    save_file({name: random(77, 8), "text_projection.weight": random(8, 8)}, str(original))
    with pytest.raises(ModelError, match=r"original model's cannot take its place; put clip_l\.safetensors"):
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
    states, pooled = {"sd15": ((77, 768), None), "sdxl": ((77, 2048), 1280)}[family]
    generator = torch.Generator().manual_seed(seed)
    vector = None if pooled is None else torch.randn(pooled, generator=generator)
    return PromptEmbedding(family, torch.randn(states, generator=generator), vector, picture=f"p{seed}", projection="x")


@pytest.mark.parametrize("family", ["sd15", "sdxl"])
def test_an_embedding_is_a_conditioning_of_comfyuis(family):
    from unrender.nodes.conditioning import as_conditioning

    embedding = some_embedding(0, family)
    ((states, options),) = as_conditioning(embedding)
    assert torch.equal(states, embedding.states[None])
    if family == "sdxl":
        assert torch.equal(options["pooled_output"], embedding.pooled[None])
    else:
        assert options == {}


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


def test_where_nothing_is_saved_the_list_says_so(models, server):
    from unrender.nodes.embedding_files import LoadPromptEmbedding

    [choice] = LoadPromptEmbedding.define_schema().inputs[0].options
    assert choice == "nothing saved yet"
    assert "save one with Save Prompt Embedding" in str(LoadPromptEmbedding.validate_inputs(choice))


def test_several_tables_are_told_apart():
    from unrender.nodes.study import numbered

    assert numbered(["one"]) == ["one"]
    assert numbered(["one", "two"]) == ["Picture 1 of 2\none", "Picture 2 of 2\ntwo"]


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

    with pytest.raises(EmbeddingError, match="plain"):
        SavePromptEmbedding.execute(some_embedding(1), name)
    assert not list(models.rglob("*.safetensors"))


class AnyClip:
    """A CLIP with text encoders of these names."""

    def __init__(self, kind, *names: str, layer: int | None = None) -> None:
        self.cond_stage_model = kind()
        self.layer_idx, self.patcher = layer, None
        for name in names:
            encoder = torch.nn.Module()
            encoder.transformer = torch.nn.Module()
            setattr(self.cond_stage_model, name, encoder)


def test_the_family_is_told_by_the_clip_itself(models):
    from comfy.sd1_clip import SD1ClipModel
    from comfy.sdxl_clip import SDXLClipModel
    from unrender.nodes.text_encoders import family_of

    assert family_of(AnyClip(SD1ClipModel, "clip_l")).name == "sd15"
    assert family_of(AnyClip(SD1ClipModel, "clip_l", layer=-1)).name == "sd15"
    assert family_of(AnyClip(SD1ClipModel, "clip_l", layer=-2)).name == "sd15-skip2"
    assert family_of(AnyClip(SD1ClipModel, "clip_h")).name == "sd2"
    assert family_of(AnyClip(SDXLClipModel, "clip_l", "clip_g", layer=-2)).name == "sdxl"
    for other in (
        AnyClip(torch.nn.Module, "clip_l", "clip_g"),  # Stable Diffusion 3
        AnyClip(SD1ClipModel, "clip_g"),  # SDXL's refiner
        AnyClip(SD1ClipModel, "t5xxl"),
    ):
        with pytest.raises(ModelError, match="Stable Diffusion 1, 2 and XL alone"):
            family_of(other)
    with pytest.raises(ModelError, match=r"stopped at layer -5.*set -1 or -2 in CLIP Set Last Layer"):
        family_of(AnyClip(SD1ClipModel, "clip_l", layer=-5))


def test_a_mask_leaves_a_part_of_each_picture():
    from unrender.nodes.looks import shown_by

    image = torch.zeros(2, 40, 60, 3)
    image[:, 10:20, 30:40] = 1.0
    mask = torch.zeros(1, 40, 60)
    mask[:, 10:20, 30:40] = 1.0
    for part in shown_by(mask, image):
        assert part.size == (10, 10) and part.getextrema() == ((255, 255),) * 3
    with pytest.raises(SettingsError, match="3 masks for 2 pictures"):
        shown_by(mask.repeat(3, 1, 1), image)


def test_what_clip_vision_encode_saw_is_taken_as_seen():
    from unrender.core.embed.seen import Seen
    from unrender.nodes.looks import looked_at

    output = {"image_embeds": torch.tensor([[3.0, 4.0], [0.0, 2.0]])}
    seen = looked_at(output)
    assert isinstance(seen, Seen) and torch.allclose(seen.features, torch.tensor([[0.6, 0.8], [0.0, 1.0]]))
    pictures = torch.rand(2, 4, 4, 3)
    assert all(torch.equal(*pair) for pair in zip(looked_at(pictures), pictures, strict=True))
    with pytest.raises(SettingsError, match="connect the picture itself"):
        looked_at(output, torch.ones(1, 4, 4))


def test_weights_are_numbers():
    from unrender.nodes.embedding import numbers_in

    assert numbers_in("") is None and numbers_in(" 2, 1 0.5") == [2, 1, 0.5]
    with pytest.raises(SettingsError, match="a number for each picture"):
        numbers_in("2; one")


# --- the other nodes' functions ---


def test_analysis_match_and_location_as_nodes(models, server, photographs):
    from unrender.nodes.study import Analyze, Locate, MatchPhrases

    setup, batch = micro_setup(), as_batch(photographs[:2])
    analysis = Analyze.execute(batch, "mediums", 2, False, setup)
    table, values, charts = (output[0] for output in analysis.args)
    found = json.loads(values)["categories"]
    assert len(found) == 1 and len(found[0]["top"]) == 2
    assert found[0]["top"][0]["phrase"] in table and len(analysis.args[0]) == 2
    assert hasattr(charts, "message") or charts.shape[-1] == 3
    match = MatchPhrases.execute(batch, "a disc\n\na square", "", setup)
    assert match.args[1][0] in ("a disc", "a square") and 0.5 <= match.args[2][0] <= 1
    masks, overlays = Locate.execute(batch, "a disc", 0.0, setup).args
    assert masks.shape == (2, 96, 96) and overlays.shape == (2, 96, 96, 3)
    assert masks.min() >= 0 and masks.max() == pytest.approx(1)
    with pytest.raises(PhraseError):
        Analyze.execute(batch, "no such thing", 2, False, setup)


def test_seeds_are_numbers_a_sampler_takes():
    from unrender.nodes.reading import seed_number

    assert seed_number("123") == 123 and seed_number(str(2**64 - 1)) == 2**64 - 1
    assert seed_number("") == seed_number("-1") == seed_number("1e5") == seed_number(str(2**64)) == 0
    assert seed_number("9" * 5000) == 0


def test_words_become_settings():
    from unrender.nodes.inputs import with_words

    words = {**INTERROGATE, "max_phrases": 3, "artists": False, "exclude": "8k, by X\nblurry", "prefix": "p"}
    settings = with_words(Settings(limits={"mediums": 1}), words)
    assert settings.limits == {"mediums": 1, "artists": 0}
    assert (settings.min_phrases, settings.max_phrases) == (3, 3)
    assert settings.exclude == ("8k", "by X", "blurry") and settings.prefix == "p"


def test_pictures_survive_being_tensors():
    from unrender.core.images import open_image
    from unrender.nodes.pictures import as_image

    picture = Image.effect_noise((31, 17), 90).convert("RGB")
    assert open_image(as_image(picture)[0]).tobytes() == picture.tobytes()


def test_errors_of_nodes_are_the_engines_by_plain_names(models, server):
    """ComfyUI shows the class with its module, which in its process is a path."""
    from unrender.nodes.loading import LoadInterrogator

    with pytest.raises(ModelError) as caught:
        LoadInterrogator.execute(**MICRO, other_clip="ViT-Z-99/nobody")
    assert "ViT-Z-99/nobody" in str(caught.value)
    assert (type(caught.value).__module__, type(caught.value).__name__) == ("unrender", "ModelError")
