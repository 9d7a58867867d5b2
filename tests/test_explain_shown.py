"""Heat maps as people see them: the overlay, the strip, and the commands that draw them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from bright_spots import BrightnessClip, phrase_for, spot
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from unrender.cli import main
from unrender.core.drawing.lettering import text_length, wrap
from unrender.core.drawing.overlay import GAP, MARGIN, PANEL, draw_overlay, draw_strip
from unrender.core.micro.pictures import render
from unrender.core.study.explain import heat_maps


def a_map(size=(200, 120), phrase="light"):
    return heat_maps(BrightnessClip(), spot(*size, 60, 40, 40), [phrase])[0]


def test_the_overlay_is_coloured_where_the_support_is():
    heat = a_map()
    drawn = np.asarray(draw_overlay(Image.new("RGB", (200, 120), "white"), heat, longest=400)).astype(int)
    assert drawn.shape == (240, 400, 3)
    saturation = drawn.max(-1) - drawn.min(-1)
    assert saturation[120, 160] > 80
    assert saturation[20, 390] == 0


def test_nothing_on_the_strip_runs_into_its_neighbour():
    phrases = ["light", "w" * 300, "many words " * 40, "漢字" * 60, "short"]
    picture = spot(200, 120, 60, 40, 40)
    for dark in (False, True):
        strip = np.asarray(draw_strip(picture, [a_map(phrase=phrase) for phrase in phrases], dark=dark))
        for column in range(3):
            left = MARGIN + (column + 1) * PANEL + column * GAP
            between = strip[:, left + 2 : left + GAP]
            assert (between == strip[0, 0]).all(), column
        assert (strip[:, -MARGIN + 2 :] == strip[0, 0]).all()
        assert (strip[-MARGIN // 2 :] == strip[0, 0]).all()


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=200))
def test_wrapped_lines_are_no_wider_than_asked(text):
    lines = wrap(text, 150, 15, 4)
    assert len(lines) <= 4
    assert all(text_length(line, 15) <= 150 for line in lines)


# The command


@pytest.fixture
def drawn(tmp_path):
    path = tmp_path / "drawn.png"
    pictures = render("test", 30)
    number = next(at for at, scene in enumerate(pictures.scenes) if scene.layout == "large")
    Image.fromarray(pictures.pixels[number].permute(1, 2, 0).numpy()).save(path)
    scene = pictures.scenes[number]
    return str(path), phrase_for(scene.shape, scene.colour), pictures.masks[number].numpy() > 127


def test_locate_prints_boxes(drawn, tmp_path, capsys):
    path, phrase, mask = drawn
    plot = tmp_path / "plot.png"
    assert main(["locate", path, phrase, "--clip", "micro", "--device", "cpu", "--plot", str(plot)]) == 0
    said, edges, score = capsys.readouterr().out.splitlines()[0].split("\t")
    left, top, right, bottom = map(int, edges.split())
    assert said == phrase
    assert mask[top:bottom, left:right].mean() > 0.3
    assert float(score) > 0.1
    with Image.open(plot) as strip:
        assert strip.width == 2 * MARGIN + 2 * PANEL + GAP


def test_locate_as_json(drawn, capsys):
    path, phrase, _ = drawn
    assert main(["locate", path, phrase, "a nothing", "--clip", "micro", "--device", "cpu", "--json"]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["image"] == path and first["phrase"] == phrase and second["phrase"] == "a nothing"
    assert first["boxes"] and {"left", "top", "right", "bottom", "score"} == set(first["boxes"][0])


def test_analyze_explains_its_best_phrases(drawn, tmp_path, capsys):
    path = drawn[0]
    folder = tmp_path / "maps"
    arguments = ["analyze", path, "--clip", "micro", "--device", "cpu", "--json", "--explain", str(folder)]
    assert main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert (folder / "drawn.png").is_file()
    assert len(list(folder.glob("drawn-*.png"))) == len(found["categories"])
    assert main([*arguments, "--categories", "mediums", "--top", "2"]) == 0
    with Image.open(folder / "drawn.png") as strip:
        assert strip.width == 2 * MARGIN + 3 * PANEL + 2 * GAP
    assert main(["analyze", path, path, "--together", *arguments[2:]]) == 0
    assert (folder / "1-drawn.png").is_file() and (folder / "2-drawn.png").is_file()
