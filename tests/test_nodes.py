"""The nodes at work, with a stand-in for ComfyUI; test_comfyui.py has them in the real one."""

from __future__ import annotations

import gc
import json
import weakref

import pytest
import torch
from comfyui_graphs import INTERROGATE, MICRO
from comfyui_nodes import use_standin
from PIL import Image

use_standin()

import comfy.model_management as standin_memory  # noqa: E402
from comfy.utils import ProgressBar  # noqa: E402
from nodes_setting import as_batch, micro_setup, models_fixture, server_fixture  # noqa: E402, F401
from unrender.core.cures import Choose, Take  # noqa: E402
from unrender.core.errors import (  # noqa: E402
    Cancelled,
    ModelError,
    PhraseError,
    SettingsError,
)
from unrender.core.settings import Settings  # noqa: E402


@pytest.fixture
def interrupted():
    standin_memory.interrupt_current_processing(True)
    yield
    standin_memory.interrupt_current_processing(False)


def listed(**values):
    """Inputs as a node that takes lists gets them."""
    return {name: value if isinstance(value, list) else [value] for name, value in values.items()}


# --- running ---


def test_each_picture_of_a_batch_gets_a_prompt(models, server, photographs):
    from unrender.nodes.interrogate import Interrogate

    setup = micro_setup()
    batch = as_batch(photographs[:2])
    words = listed(**{**INTERROGATE, "mode": "fast", "max_phrases": 2}, interrogator=setup)
    out = Interrogate.execute(image=[batch, batch[:1]], **words)
    prompts, similarities, captions, tables, texts = out.args
    assert len(prompts) == len(similarities) == len(captions) == len(tables) == len(texts) == 3
    assert prompts[0] == prompts[2] != prompts[1]
    assert (
        out.ui["text"] == prompts and "Micro is a toy" in out.ui["unrender_notes"][0]
    )  # it knows nothing of photographs
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


def test_several_tables_are_told_apart():
    from unrender.nodes.study import numbered

    assert numbered(["one"]) == ["one"]
    assert numbered(["one", "two"]) == ["Picture 1 of 2\none", "Picture 2 of 2\ntwo"]


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
    from unrender.nodes.looks import looked_at, opened_looks

    output = {"image_embeds": torch.tensor([[3.0, 4.0], [0.0, 2.0]])}
    seen = looked_at(output)
    assert isinstance(seen, Seen) and torch.allclose(seen.features, torch.tensor([[0.6, 0.8], [0.0, 1.0]]))
    pictures = torch.rand(2, 4, 4, 3)
    assert all(torch.equal(*pair) for pair in zip(looked_at(pictures), pictures, strict=True))
    with pytest.raises(SettingsError, match="connect the picture itself"):
        opened_looks(output, "image", torch.ones(1, 4, 4))


def test_weights_are_numbers():
    from unrender.nodes.embedding import numbers_in

    assert numbers_in("") is None and numbers_in(" 2, 1 0.5") == [2, 1, 0.5]
    with pytest.raises(SettingsError, match="a number for each picture"):
        numbers_in("2; one")


# --- the other nodes' functions ---


def test_micro_is_called_a_toy_beside_all_but_its_own_drawings(models, server, photographs):
    from unrender.nodes.study import Analyze, Locate, MatchPhrases

    def texts(batch):
        setup = micro_setup()
        yield Analyze.execute(batch, "mediums", 2, False, setup).ui
        yield MatchPhrases.execute(batch, "a disc", "", setup).ui
        yield Locate.execute(batch, "a disc", 0.0, setup).ui

    for ui in texts(as_batch(photographs[:1])):
        assert "Micro is a toy" in ui["unrender_notes"][0] and "Load Interrogator" in ui["unrender_notes"][0]
    for ui in texts(as_batch(photographs[:1])[:, :64, :64]):
        assert "toy" not in str(ui)


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
