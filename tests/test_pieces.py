"""Things in crowded and large pictures, found by overlapping crops."""

from __future__ import annotations

import json
import random
import tracemalloc

import numpy as np
import pytest
from PIL import Image
from unrender import cli
from unrender.core.engine import Engine, Settings
from unrender.core.errors import SettingsError
from unrender.core.micro.captions import ALL_FACTORS, caption
from unrender.core.micro.pictures import render
from unrender.core.study.cells import cells_of
from unrender.core.study.pieces import crops_of


@pytest.fixture(scope="module")
def engine():
    return Engine(Settings(clip="micro", captioner=None, device="cpu"))


@pytest.fixture(scope="module")
def pictures():
    return render("validation", 64)


def sheet(pictures, gap):
    side = 64 + gap
    whole = Image.new("RGB", (8 * side + gap, 8 * side + gap), "white")
    places = [(gap + number % 8 * side, gap + number // 8 * side) for number in range(64)]
    for pixels, place in zip(pictures.pixels, places, strict=True):
        whole.paste(Image.fromarray(pixels.permute(1, 2, 0).numpy()), place)
    return whole, places


@pytest.mark.parametrize("gap", [0, 10])
def test_a_piece_of_a_contact_sheet_of_64_is_found(engine, pictures, gap):
    whole, places = sheet(pictures, gap)
    rng, chosen = random.Random(gap), range(3, 64, 6)
    texts = [caption(pictures.scenes[each], rng, ALL_FACTORS).text for each in chosen]
    found = engine.find(whole, texts, [8])
    hits = []
    for number, each in zip(chosen, found, strict=True):
        (left, top), box = places[number], each.boxes[0]
        x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
        hits.append(left <= x < left + 64 and top <= y < top + 64)
        assert [box.score for box in each.boxes] == sorted((box.score for box in each.boxes), reverse=True)
    assert np.mean(hits) >= 0.9


def test_the_pictures_of_a_sheet_are_told_by_its_gutters(pictures):
    whole, places = sheet(pictures, 10)
    cells = cells_of(whole)
    assert len(cells) == 64  # some pictures are white at their own edges, which looks like a gutter
    assert np.abs(np.array([cell[:2] for cell in cells]) - np.array(places)).max() <= 8
    assert not cells_of(sheet(pictures, 0)[0])
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8))
    assert not cells_of(noise) and not cells_of(Image.new("RGB", (300, 200)))


@pytest.mark.parametrize(("size", "pieces"), [((512, 512), 8), ((700, 300), 3), ((50, 400), 2), ((7, 9), 5)])
def test_crops_cover_every_pixel_and_overlap_by_half(size, pieces):
    covered = np.zeros(size[::-1], int)
    for left, top, right, bottom in crops_of(size, pieces):
        assert 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]
        covered[top:bottom, left:right] += 1
    assert covered.min() >= 1
    if pieces == 8:
        assert len(crops_of(size, pieces)) == 15**2 and np.median(covered) == 4


def test_a_picture_of_20_megapixels_takes_little_more_than_itself(engine, pictures):
    """The one drawing in a grey picture is found, and no second copy of the picture is made."""
    whole = Image.fromarray(np.random.default_rng(0).integers(100, 110, (4000, 5000, 3), np.uint8))
    place = (2500, 1500)
    whole.paste(Image.fromarray(pictures.pixels[7].permute(1, 2, 0).numpy()).resize((1000, 1000)), place)
    text = caption(pictures.scenes[7], random.Random(7), ALL_FACTORS).text
    tracemalloc.start()  # NumPy's memory; that of Pillow's crops is a sixteenth of the picture's each
    (found,) = engine.find(whole, [text], [4])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    box = found.boxes[0]
    assert (
        place[0] < (box.left + box.right) / 2 < place[0] + 1000
        and place[1] < (box.top + box.bottom) / 2 < place[1] + 1000
    )
    assert peak < 4000 * 5000 * 3 / 1.5


@pytest.mark.parametrize("pieces", [[], [0], [65], [-1, 4]])
def test_numbers_of_pieces_without_sense_are_refused(engine, pieces):
    with pytest.raises(SettingsError, match="pieces along a side"):
        engine.find(Image.new("RGB", (9, 9)), ["a star"], pieces)


def test_a_strip_is_not_cut_into_a_million(engine):
    with pytest.raises(SettingsError, match="too many crops"):
        crops_of((10**7, 100), 64)


def test_the_command_prints_boxes_and_draws_them(pictures, tmp_path, capsys):
    whole, _ = sheet(pictures, 10)
    whole.save(tmp_path / "sheet.png")
    common = ["locate", str(tmp_path / "sheet.png"), "a yellow star", "--pieces", "8", "--clip", "micro"]
    assert cli.main([*common, "--plot", str(tmp_path / "found.png")]) == 0
    phrase, edges, score = capsys.readouterr().out.splitlines()[0].split("\t")
    assert phrase == "a yellow star" and len(edges.split()) == 4 and float(score) > 0
    with Image.open(tmp_path / "found.png") as drawn:
        assert drawn.width > whole.width
    assert cli.main([*common, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["boxes"][0]["left"] == int(edges.split()[0]) and told["width"] == whole.width and "map" not in told
