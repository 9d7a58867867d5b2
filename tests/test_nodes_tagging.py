"""Tag Picture with a stand-in for ComfyUI: what it gives, what it keeps, and what it says when it cannot."""

from __future__ import annotations

import gc
import json
import random
import weakref
from typing import Any

import pytest
import tiny_taggers
import torch
from comfyui_nodes import node_schemas, use_standin

use_standin()

import comfy.model_management as standin_memory  # noqa: E402
from comfy_api.latest.io import HiddenHolder  # noqa: E402
from nodes_setting import as_batch, micro_setup, models_fixture, server_fixture  # noqa: E402, F401
from PIL import Image  # noqa: E402
from unrender.core.describe import load_describer  # noqa: E402
from unrender.core.errors import MissingPackageError, ModelError  # noqa: E402
from unrender.core.micro.drawing import draw  # noqa: E402
from unrender.core.micro.tags import tags_of  # noqa: E402
from unrender.core.micro.world import random_scene  # noqa: E402
from unrender.core.settings import CaptionSettings, TagSettings  # noqa: E402

NODE = "UnrenderTagPicture"
PICTURES = [Image.effect_mandelbrot((40, 30), (-2, -1.5, 1, 1.5), 60).convert("RGB"), Image.new("RGB", (50, 20), "red")]


def defaults(node: str = NODE) -> dict[str, Any]:
    inputs = node_schemas()[node].inputs
    return {each.id: each.default for each in inputs if hasattr(each, "default")}


def tensor(picture: Image.Image) -> torch.Tensor:
    from unrender.nodes.pictures import as_image

    return as_image(picture)


def run(images: list[torch.Tensor], **values: Any) -> Any:
    from unrender.nodes.tagging import TagPicture

    inputs = {**defaults(), "tagger": "micro-tagger", **values}
    return TagPicture.execute(image=images, **{name: [value] for name, value in inputs.items()})


@pytest.fixture
def tagger(models):
    return tiny_taggers.make(models / "unrender" / "mine"), "unrender/mine"


def test_a_drawing_gets_its_tags_character_rating_and_json(models, server):
    scene = random_scene(random.Random(4))
    out = run([tensor(draw(scene, 4).picture)], rating=True)
    (words,), (characters,), (rating,), (found,) = out.args
    said = words.replace("\\", "").split(", ")
    true = {category: [tag.replace("_", " ") for tag in tags] for category, tags in tags_of(scene).items()}
    assert rating == true["rating"][0] == said[-1]
    assert characters.replace("\\", "").split(", ") == true.get("character", [""])
    assert len(set(said) & set(true["general"])) >= 0.8 * len(true["general"])
    listed = json.loads(found)
    assert {tag["category"] for tag in listed} >= {"general", "rating"}
    assert all(set(tag) == {"name", "confidence", "category"} and 0 <= tag["confidence"] <= 1 for tag in listed)
    assert out.ui == {"text": [words]}, "a toy, but of its own drawings"


def test_pictures_of_any_sizes_get_what_core_says_of_each(tagger, server):
    folder, name = tagger
    out = run([tensor(each) for each in PICTURES], tagger=name, thresholds="own", general_threshold=0.2)
    told = TagSettings(general=0.2, character=0.85, most=200)
    expected = load_describer(str(folder), "cpu").describe(PICTURES, CaptionSettings(tags=told))
    assert [text.replace("\\", "") for text in out.args[0]] == [each.text for each in expected]
    assert [json.loads(text) for text in out.args[3]] == [[vars(tag) for tag in each.tags] for each in expected]
    assert out.args[0][0] != out.args[0][1] and len(out.args[2]) == 2


def test_every_setting_reaches_the_tagger(tagger, server):
    all_of_them = {"tagger": tagger[1], "thresholds": "own", "general_threshold": 0.0, "character_threshold": 0.0}
    whole = run([tensor(PICTURES[0])], **all_of_them, implied=True).args
    assert "bow \\(weapon\\)" in whole[0][0] and ">_<" in whole[0][0] and "animal ears" in whole[0][0]
    assert "hatsune miku \\(append\\)" in whole[1][0]
    changes = [
        ({"escape": False}, "bow (weapon)", "\\"),
        ({"underscores": True, "escape": False}, "long_hair", "long hair"),
        ({"exclude": "long hair, solo"}, "1girl", "long hair"),
        ({"implied": False}, "cat ears", "animal ears"),
        ({"general_threshold": 1.0, "character_threshold": 1.0, "trigger": " mine "}, "mine", "long hair"),
    ]
    for change, there, gone in changes:
        text = run([tensor(PICTURES[0])], **{**all_of_them, "implied": True, **change}).args[0][0]
        assert there in text and gone not in text, change
    assert len(run([tensor(PICTURES[0])], **all_of_them, most=2, implied=True).args[0][0].split(", ")) == 2 + 3
    by_letter = run([tensor(PICTURES[0])], **all_of_them, order="alphabet").args[0][0].replace("\\", "").split(", ")
    assert by_letter == sorted(by_letter, key=str.casefold)
    for_noobai = run([tensor(PICTURES[0])], **all_of_them, order="noobai").args[0][0]
    assert for_noobai.startswith("masterpiece, ") and for_noobai.index("1girl") < for_noobai.index("hatsune")
    assert "\\" not in run([tensor(PICTURES[0])], **all_of_them, order="z-image").args[0][0], "which reads no weights"
    published, automatic = (run([tensor(PICTURES[0])], tagger=tagger[1], thresholds=each) for each in _OTHERS)
    assert published.args[0] != whole[0] != automatic.args[0]


_OTHERS = ("published", "automatic")


def test_micro_is_called_a_toy_beside_photographs(models, server, photographs):
    out = run([as_batch(photographs[:1])])
    assert out.ui["unrender_notes"][0].endswith("means nothing. Choose another tagger.")


# --- what it keeps ---


@pytest.fixture
def loads(monkeypatch):
    """What was asked of core's loading, and the describers it gave."""
    from unrender.nodes import models

    made = []

    def remembered(*values):
        found = load_describer(*values)
        made.append((values, weakref.ref(found)))
        return found

    monkeypatch.setattr(models, "load_describer", remembered)
    return made


def alive(loads) -> list[str]:
    gc.collect()
    return [values[0].rpartition("/")[2] for values, found in loads if found() is not None]


def test_a_tagger_is_loaded_once_and_let_go_of_with_its_node(tagger, server, loads, monkeypatch):
    from unrender.nodes.tagging import TagPicture

    tiny_taggers.make(tagger[0].parent / "other", seed=2)
    first, second = TagPicture(), TagPicture()  # as ComfyUI makes one for each node of a graph
    graph = {"1": {}, "2": {}}

    def run_as(key, name):
        monkeypatch.setattr(TagPicture, "hidden", HiddenHolder(key, graph))
        run([tensor(PICTURES[0])], tagger=f"unrender/{name}")

    for key in ("1", "2", "1"):
        run_as(key, "mine")
    assert alive(loads) == ["mine"] and len(standin_memory.loaded) == 1, "both nodes share one, in ComfyUI's care"
    run_as("1", "other")
    assert alive(loads) == ["mine", "other"]
    run_as("2", "other")
    assert alive(loads) == ["other"]
    run_as("1", "mine")
    del graph["2"]
    run_as("1", "mine")
    assert alive(loads) == ["mine"], "the other's node is gone"
    del first, second
    standin_memory.loaded.clear()
    assert alive(loads) == []


@pytest.mark.parametrize(("precision", "dtype"), [("auto", None), ("exact", torch.float32)])
def test_describers_are_read_in_what_suits_the_device_and_the_precision(
    models, server, loads, monkeypatch, precision, dtype
):
    from comfyui_graphs import INTERROGATE, MICRO
    from unrender.nodes.interrogate import Interrogate
    from unrender.nodes.loading import LoadInterrogator

    setup = LoadInterrogator.execute(**{**MICRO, "precision": precision, "tagger": "micro-tagger"}).args[0]
    words = {name: [value] for name, value in {**INTERROGATE, "mode": "fast", "interrogator": setup}.items()}
    for _ in range(2):
        Interrogate.execute(image=[tensor(PICTURES[0])], **words)
    assert [(values[0], values[1], values[2], values[5]) for values, _ in loads] == [
        ("micro", "cpu", dtype, True),
        ("micro-tagger", "cpu", dtype, True),
    ], "each once"


# --- tags in the other nodes ---


def test_mode_tags_has_tags_no_caption_and_no_similarity(models, server, photographs):
    from comfyui_graphs import INTERROGATE
    from unrender.nodes.interrogate import Interrogate

    batch = as_batch(photographs[:2])
    words = {name: [value] for name, value in {**INTERROGATE, "mode": "tags", "interrogator": micro_setup()}.items()}
    out = Interrogate.execute(image=[batch], **words)
    prompts, similarities, captions, *_ = out.args
    assert captions == ["", ""] and all(value != value for value in similarities) and all(prompts)
    assert "Choose another tagger in Load Interrogator" in out.ui["unrender_notes"][0]
    assert prompts == run([batch]).args[0], "those of Tag Picture"


def test_mode_tags_without_an_interrogator_asks_the_usual_tagger_alone(models, server, loads, monkeypatch, tmp_path):
    from comfyui_graphs import INTERROGATE
    from unrender.core.describe.tagging import tagger as taggers
    from unrender.core.published import USUAL_TAGGER
    from unrender.nodes.folder import CaptionFolder
    from unrender.nodes.interrogate import Interrogate

    folder = tiny_taggers.make(tmp_path / "tagger")
    monkeypatch.setattr(taggers, "find_tagger", lambda name, hub=None, progress=None: folder)
    node = Interrogate()
    words = {name: [value] for name, value in {**INTERROGATE, "mode": "tags"}.items()}
    assert Interrogate.execute(image=[tensor(PICTURES[0])], **words).args[0][0]
    PICTURES[0].save(tmp_path / "a.png")
    options = {"existing": "overwrite", "recursive": False, "prefix": "", "suffix": ""}
    CaptionFolder.execute(str(tmp_path), "tags", **options)
    assert [values[0] for values, _ in loads] == [USUAL_TAGGER], "no captioner, and the tagger once"
    assert (tmp_path / "a.txt").read_text().strip()
    del node


# --- what it says when it cannot ---


def test_errors_name_the_nodes_own_inputs(models, server, monkeypatch):
    with pytest.raises(ModelError, match=r"give another as tagger\.$") as caught:
        run([tensor(PICTURES[0])], tagger="unrender/gone")
    assert "Load Interrogator" not in str(caught.value)
    from unrender.core.describe.tagging import tagger as taggers

    monkeypatch.setattr(taggers, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"needs timm; run `.*timm.*` and restart ComfyUI, or .* as tagger"):
        run([tensor(PICTURES[0])])
