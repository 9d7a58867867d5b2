"""Copies beside what only looks like them: crops that share too little, bursts, frames of a video."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from PIL import Image, ImageDraw
from unrender.core.curate import curate
from unrender.core.curate.alignment import Look
from unrender.core.curate.duplicates import Group, Member, Pair, groups
from unrender.core.curate.overlap import THE_SAME, Overlap, overlap
from unrender.core.engine import Engine, Settings
from unrender.core.index import update_index

PHOTOGRAPHS = ("astronaut", "coffee", "chelsea", "rocket")


@pytest.fixture(scope="module")
def photographs():
    from skimage import data

    return {name: Image.fromarray(getattr(data, name)()).convert("RGB") for name in PHOTOGRAPHS}


@pytest.fixture(scope="module")
def engine():
    with Engine(Settings(clip="micro", captioner=None, device="cpu", precision="exact")) as engine:
        yield engine


def shared(one, other):
    """Of all that two boxes cover, what both cover."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(0, width) * max(0, height)
    return common / (sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - common)


def box_in(picture, rng, least):
    width, height = (round(side * rng.uniform(least, 1)) for side in picture.size)
    left, top = rng.randint(0, picture.width - width), rng.randint(0, picture.height - height)
    return left, top, left + width, top + height


def compressed(picture, quality):
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def seen(one, other):
    return overlap(Look.at(one), Look.at(other))


def test_crops_are_told_with_what_they_share(photographs):
    rng = random.Random(0)
    told = []
    for name in PHOTOGRAPHS:
        for _ in range(12):
            one, other = (box_in(photographs[name], rng, 0.75) for _ in range(2))
            found = seen(photographs[name].crop(one), photographs[name].crop(other))
            if found is not None:
                told.append((found.share, shared(one, other)))
    assert len(told) > 8
    assert all(real > 0.745 and abs(said - real) < 0.01 for said, real in told)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize(("area", "factor", "quality"), [(1, 1, 60), (0.8, 1, 95), (1, 0.4, 90), (0.78, 1.4, 70)])
def test_a_copy_is_one_whichever_comes_first(photographs, name, area, factor, quality):
    picture = photographs[name]
    width, height = (round(side * area**0.5) for side in picture.size)
    cut = picture.crop((picture.width - width, 9, picture.width, 9 + height) if area < 1 else None)
    copy = compressed(cut.resize((round(width * factor), round(height * factor)), Image.Resampling.LANCZOS), quality)
    for found, turned in ((seen(picture, copy), False), (seen(copy, picture), True)):
        assert found is not None and found.copies and abs(found.share - area) < 0.01
        whole, part = (found.one_inside, found.other_inside)[:: -1 if turned else 1]
        assert part and whole == (area == 1)


def view(picture, number, shift):
    """The box of a frame: the camera moves by a share of the width."""
    by = round(number * shift * picture.width)
    return by, by // 2, by + round(0.9 * picture.width), by // 2 + round(0.9 * picture.height)


def frame(picture, number, shift):
    """A frame of a film: beside the camera a ball moves, and the sensor has noise."""
    drawn = picture.copy()
    size = picture.width // 25
    left = picture.width // 3 + number * size // 2
    ImageDraw.Draw(drawn).ellipse((left, picture.height // 2, left + size, picture.height // 2 + size), (230, 90, 30))
    drawn = drawn.crop(view(picture, number, shift))
    noise = np.random.default_rng(number).normal(0, 4, (drawn.height, drawn.width, 3))
    return Image.fromarray((np.asarray(drawn) + noise).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize("shift", [0, 0.005, 0.01, 0.02])
def test_the_next_frame_is_no_copy(photographs, name, shift):
    picture = photographs[name]
    found = seen(frame(picture, 0, shift), frame(picture, 1, shift))
    assert found is None or not found.copies
    if shift <= 0.01:  # farther than that, another view begins
        real = shared(view(picture, 0, shift), view(picture, 1, shift))
        assert found is not None and found.share == pytest.approx(real, abs=0.01)
    again = seen(frame(picture, 0, shift), compressed(frame(picture, 0, shift), 80))
    assert again is not None and again.copies


def test_pictures_without_details_are_no_copies():
    red, sky = Image.new("RGB", (200, 150), "red"), Image.linear_gradient("L").convert("RGB")
    assert seen(red, Image.new("RGB", (100, 75), "red")) is None
    assert seen(sky.crop((0, 0, 256, 150)), sky.crop((0, 100, 256, 250))) is None
    assert seen(red, Image.new("RGB", (3000, 2), "red")) is None


def part(share=0.8):
    """The other one is a crop of this one."""
    return Overlap(1.0, share, False, True, True)


def test_no_group_is_chained():
    """0 holds 1, 1 holds 2: what 2 shares with 0 nobody has said."""
    pairs = [Pair(0, 1, part()), Pair(1, 2, part())]
    assert groups(pairs, lambda row: row) == [Group(0, (Member(1, part().turned_round()),))]
    pairs = [Pair(row, row + 1, part()) for row in range(1000)]
    assert all(len(group.members) == 1 for group in groups(pairs, lambda row: row))
    assert groups([], lambda row: row) == []


def test_the_first_shows_all_that_its_members_show():
    """Though an enlarged crop has more pixels."""
    pairs = [Pair(0, 1, part().turned_round()), Pair(0, 2, THE_SAME)]
    found = groups(pairs, lambda row: row)
    assert [(group.first, [each.row for each in group.members]) for group in found] == [(1, [0])]
    margins = Pair(0, 1, THE_SAME._replace(one_inside=False, other_inside=False))
    assert groups([margins], lambda row: row) == []
    assert groups([margins], lambda row: -row, whole=False) == [Group(1, (Member(0, margins.overlap),))]
    circle = [Pair(0, 1, part()), Pair(1, 2, part()), Pair(0, 2, part().turned_round())]
    assert [group.first for group in groups(circle, lambda row: row)] == [0]


def test_the_best_is_kept_and_bursts_stay_apart(photographs, engine, tmp_path):
    cat, rocket = photographs["chelsea"], photographs["rocket"]
    cat.save(tmp_path / "b original.png")
    (tmp_path / "c twin.png").write_bytes((tmp_path / "b original.png").read_bytes())
    cat.save(tmp_path / "a compressed.jpg", quality=60)
    small = cat.resize((200, 133))
    small.save(tmp_path / "d small.png")
    cat.crop((0, 0, 400, 270)).resize((1200, 810)).save(tmp_path / "e enlarged crop.png")
    for number in range(5):
        frame(rocket, number, 0.01).save(tmp_path / f"frame {number}.png")
    update_index(engine, tmp_path)
    found = curate(engine, tmp_path)
    copies = {each.name: each for each in found.of("duplicate")}
    assert set(copies) == {"a compressed.jpg", "c twin.png", "d small.png", "e enlarged crop.png"}
    assert {each.other for each in copies.values()} == {"b original.png"}
    assert copies["c twin.png"].said == "the same bytes"
    assert copies["e enlarged crop.png"].overlap == pytest.approx(400 * 270 / (cat.width * cat.height), abs=0.01)
    near = found.of("near")
    assert near and all(each.name.startswith("frame") and each.other.startswith("frame") for each in near)
    assert curate(engine, tmp_path) == found


def test_crops_of_photographs_are_reported_only_where_they_share_enough(photographs, engine, tmp_path):
    rng, boxes = random.Random(1), {}
    for number in range(40):
        name = PHOTOGRAPHS[number % 2]
        boxes[f"{name} {number}.png"] = box_in(photographs[name], rng, 0.7)
        photographs[name].crop(boxes[f"{name} {number}.png"]).save(tmp_path / f"{name} {number}.png")
    update_index(engine, tmp_path)
    found = curate(engine, tmp_path)
    told = [each for each in found.findings if each.kind in ("duplicate", "near")]
    assert len(told) > 8
    for each in told:
        assert each.name[:3] == each.other[:3]
        assert shared(boxes[each.name], boxes[each.other]) > 0.745
