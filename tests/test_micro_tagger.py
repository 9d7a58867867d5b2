"""The micro tagger: the tags of its world, its folder in the published layout, and how well it reads pictures."""

from __future__ import annotations

import csv
import json
import random
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors import safe_open
from unrender.core import micro
from unrender.core.micro.pictures import render
from unrender.core.micro.tags import RATINGS, all_tags, tags_of
from unrender.core.micro.world import FACTORS, NO_ARTIST, Scene, random_scene
from unrender.core.tags import of_category, rating_of

scenes = st.builds(Scene, **{name: st.sampled_from(values) for name, values in FACTORS.items()})


@given(scenes)
def test_tags_say_a_scene_wholly_and_are_all_listed(scene):
    tags, known = tags_of(scene), all_tags()
    assert all(set(tags[category]) <= set(known[category]) for category in known)
    assert len(tags["rating"]) == 1 and len(tags["character"]) == (scene.artist != NO_ARTIST)
    for factor, values in FACTORS.items():
        for value in values:
            if value != scene.value(factor):
                assert tags_of(scene.with_value(factor, value)) != tags, factor


def test_every_listed_tag_is_some_scenes():
    rng = random.Random(0)
    said = {name for _ in range(4000) for names in tags_of(random_scene(rng)).values() for name in names}
    known = [name for names in all_tags().values() for name in names]
    assert said == set(known) and len(known) == len(said)
    assert all(re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*(_\([a-z]+\))?", name) for name in known)
    assert all_tags()["rating"] == RATINGS == ("general", "sensitive", "questionable", "explicit")


def test_the_folder_is_in_the_published_layout():
    folder = micro.TAGGER_FOLDER
    assert sorted(each.name for each in folder.iterdir()) == ["config.json", "model.safetensors", "selected_tags.csv"]
    assert sum(each.stat().st_size for each in folder.iterdir()) < 2_000_000
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    with (folder / "selected_tags.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["tag_id", "name", "category", "count"]
    numbers = {"rating": "9", "general": "0", "character": "4"}
    assert [(row["name"], row["category"]) for row in rows] == [
        (name, numbers[category]) for category, names in all_tags().items() for name in names
    ]
    assert config["num_classes"] == config["pretrained_cfg"]["num_classes"] == len(rows)
    assert all(int(row["count"]) > 0 for row in rows)
    with safe_open(str(folder / "model.safetensors"), "pt") as file:
        kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    assert {kind for name, kind in kinds.items() if not name.endswith("num_batches_tracked")} == {"F16"}


def test_the_tagger_was_measured_to_be_good_enough():
    measured = json.loads(micro.MEASURES_FILE.read_text(encoding="utf-8"))["tagger"]["test"]
    assert measured["pictures"] == 2000
    assert measured["general"]["f1"] >= 0.97 and measured["character"]["f1"] >= 0.97 and measured["rating"] >= 0.97


@pytest.fixture(scope="module")
def pictures():
    return render("validation", 200)


def _allowed(measured: float) -> float:
    """Below what was measured on many pictures by no more than two hundred of them can be."""
    return measured - 4 * (max(measured * (1 - measured), 0.005) / 200) ** 0.5


def test_the_shipped_tagger_is_the_measured_one_for_any_user_of_timm(pictures):
    pytest.importorskip("timm", reason="timm computes it")
    from unrender.training.evaluate_tagger import measure_tagger

    measured = json.loads(micro.MEASURES_FILE.read_text(encoding="utf-8"))["tagger"]["validation"]
    found = measure_tagger(micro.TAGGER_FOLDER, pictures)
    for category in ("general", "character"):
        assert found[category]["f1"] > _allowed(measured[category]["f1"])
    assert found["rating"] > _allowed(measured["rating"])


def test_the_channels_order_matters(pictures):
    pytest.importorskip("timm", reason="timm computes it")
    from unrender.training.evaluate_tagger import confidences

    right, swapped = (confidences(micro.TAGGER_FOLDER, each) for each in (pictures.pixels, pictures.pixels.flip(1)))
    column = [name for names in all_tags().values() for name in names].index("red")
    red = torch.tensor([scene.colour == "red" for scene in pictures.scenes])
    assert (right[red, column] > 0.35).float().mean() > 0.9 > 0.3 > (swapped[red, column] > 0.35).float().mean()


def test_the_program_reads_pictures_as_well_as_was_measured(pictures):
    """Files as people have them, through the engine: its own reading of the folder, its view of a picture, its
    thresholds."""
    pytest.importorskip("timm", reason="timm computes it")
    from unrender.core.engine import Engine
    from unrender.core.settings import CaptionSettings, Settings, TagSettings

    measured = json.loads(micro.MEASURES_FILE.read_text(encoding="utf-8"))["tagger"]["validation"]
    captioning = CaptionSettings(tags=TagSettings(implied=True))
    settings = Settings(clip="micro", captioner=None, tagger="micro-tagger", device="cpu", captioning=captioning)
    shown = [Image.fromarray(pixels.permute(1, 2, 0).numpy()) for pixels in pictures.pixels]
    with Engine(settings) as engine:
        found = [each.tags for each in engine.interrogate_each(shown, "tags")]
        assert engine.clip is None, "tags need no CLIP"
    rated = 0
    counts = {category: [0, 0, 0] for category in ("general", "character")}
    for tags, scene in zip(found, pictures.scenes, strict=True):
        true = tags_of(scene)
        for category, count in counts.items():
            said = {tag.name for tag in of_category(tags, category)}
            right = len(said & set(true[category]))
            count[:] = count[0] + right, count[1] + len(said), count[2] + len(true[category])
        rated += rating_of(tags) == true["rating"][0]
    for category, (right, said, true) in counts.items():
        assert 2 * right / (said + true) > _allowed(measured[category]["f1"])
    assert rated / len(found) > _allowed(measured["rating"])


def test_brackets_of_a_character_are_protected_for_hosts_alone():
    pytest.importorskip("timm", reason="timm computes it")
    from unrender.core.engine import Engine
    from unrender.core.micro.drawing import draw
    from unrender.core.prompt_syntax import escape
    from unrender.core.settings import Settings

    picture = draw(Scene("star", "red", "large", "paper", "flat", "mira"), 5).picture
    with Engine(Settings(clip="micro", captioner=None, tagger="micro-tagger", device="cpu")) as engine:
        prompt = engine.interrogate(picture, "tags").prompt
    assert {"red star", "solo", "white background", "mira sol (micro)"} <= set(prompt.split(", "))
    assert not {"star", "simple background"} & set(prompt.split(", ")), "others imply them"
    assert r"mira sol \(micro\)" in escape(prompt, "webui")
