"""Curation: what was planted in a folder is found, little else is, and what is written can be looked at."""

from __future__ import annotations

import base64
import csv
import io
import random
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from unrender.cli import main
from unrender.core.curate import curate, write_page
from unrender.core.curate.alignment import Look, difference
from unrender.core.curate.captions import mismatches
from unrender.core.curate.neighbours import neighbours
from unrender.core.curate.outliers import outliers
from unrender.core.curate.turned import LEAST_PICTURES, turned_pictures
from unrender.core.engine import Engine, Settings
from unrender.core.index import read_index, update_index
from unrender.core.micro.captions import ALL_FACTORS, caption
from unrender.core.micro.pictures import render

COUNT = 130
WITH_UP = ("meadow", "sea", "desert", "sunset")


def _recompressed(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def _cropped(picture: Image.Image, area: float, rng: random.Random) -> Image.Image:
    width, height = (round(side * area**0.5) for side in picture.size)
    left, top = rng.randint(0, picture.width - width), rng.randint(0, picture.height - height)
    return picture.crop((left, top, left + width, top + height))


def _resized(picture: Image.Image, factor: float) -> Image.Image:
    return picture.resize((round(picture.width * factor), round(picture.height * factor)), Image.Resampling.LANCZOS)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Micro's validation pictures with captions; copies, turned pictures, a photograph and wrong captions among them.
    Returns the folder and what was planted."""
    from skimage import data

    folder = tmp_path_factory.mktemp("curated") / "p & <b>"
    folder.mkdir()
    pictures = render("validation", COUNT)
    images = [Image.fromarray(pixels.permute(1, 2, 0).numpy()) for pixels in pictures.pixels]
    rng = random.Random(0)
    texts = [caption(scene, rng, ALL_FACTORS).text for scene in pictures.scenes]
    with_up = [row for row, scene in enumerate(pictures.scenes) if scene.background in WITH_UP and row > 20]
    turned = {with_up[0]: 90, with_up[1]: 180, with_up[2]: 270, with_up[3]: 180}
    texts[5], texts[9] = texts[9], texts[5]
    for row, (image, text) in enumerate(zip(images, texts, strict=True)):
        lying = image.rotate(-turned.get(row, 0))  # so many degrees to the left make it upright again
        lying.save(folder / f"{row:03}.png")
        (folder / f"{row:03}.txt").write_text(text)
    copies = {
        "copy of 000.png": images[0],
        "copy of 001.jpg": _recompressed(images[1], 70),
        "copy of 002.png": _resized(images[2], 2.5),
        "copy of 003.png": _cropped(images[3], 0.8, rng),
        "copy of 004.jpg": _recompressed(_resized(_cropped(images[4], 0.75, rng), 1.5), 80),
    }
    for name, image in copies.items():
        image.save(folder / name, quality=95)
    Image.fromarray(data.brick()).convert("RGB").resize((128, 128)).save(folder / "photo.png")
    return folder, {f"{row:03}.png": left for row, left in turned.items()}


@pytest.fixture(scope="module")
def engine():
    with Engine(Settings(clip="micro", captioner=None, device="cpu", precision="exact")) as engine:
        yield engine


@pytest.fixture(scope="module")
def report(planted, engine):
    update_index(engine, planted[0])
    return curate(engine, planted[0])


def test_copies_are_found_and_nothing_else(report):
    found = {frozenset((each.name, each.other)) for each in report.of("duplicate")}
    planted = {frozenset((f"00{row}.png", f"copy of 00{row}.{end}")) for row, end in enumerate(("png", "jpg"))}
    planted |= {frozenset(("002.png", "copy of 002.png")), frozenset(("003.png", "copy of 003.png"))}
    planted.add(frozenset(("004.png", "copy of 004.jpg")))
    assert planted <= found
    scenes = render("validation", COUNT).scenes
    for one, other in found - planted:  # drawings of one thing can be as alike as copies
        assert scenes[int(one[:3])] == scenes[int(other[:3])]
    larger = {each.other for each in report.of("duplicate")}
    assert "copy of 002.png" in larger and "003.png" in larger, "the larger one comes first"
    by_name = {each.name: each for each in report.of("duplicate")}
    assert by_name["copy of 003.png"].said == "57 x 57 beside 64 x 64"


def test_turned_pictures_are_found_with_their_turn(report, planted):
    found = {each.name: each.left for each in report.of("turned")}
    assert planted[1].items() <= found.items()
    scenes = render("validation", COUNT).scenes
    wrong = [name for name in found if name not in planted[1] and name[:3].isdecimal()]
    with_up = [name for name in wrong if scenes[int(name[:3])].background in WITH_UP]
    assert len(with_up) <= 1 and len(wrong) < COUNT / 10


def test_outliers_and_wrong_captions(report, planted):
    assert [each.name for each in report.of("outlier")] == ["photo.png"]
    found = {each.name for each in report.of("caption")}
    assert {"005.png", "009.png"} <= found
    assert found <= {"005.png", "009.png", *planted[1]}, "no caption suits what is upside down"
    assert report.remarks == () and report.failures == {}


def test_turned_views_are_kept_in_the_index(report, planted, engine):
    index = read_index(planted[0])
    assert index.turned.any(axis=(1, 2)).all()
    lying, left = next(iter(planted[1].items()))
    row = [each.name for each in index.entries].index(lying)
    with Image.open(planted[0] / lying) as picture:
        upright = engine.picture_features(picture.rotate(left)).numpy()[0]
    assert index.turned[row, left // 90 - 1].astype(np.float32) @ upright > 0.999

    class Blind(Engine):
        def picture_features(self, images):
            assert not isinstance(images, list), "nothing is looked at again"
            return super().picture_features(images)

    again = curate(Blind(engine.settings, clip=engine.clip), planted[0])
    assert again == report


class _Page(HTMLParser):
    """What a page shows and what it asks for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag not in ("img", "meta"):
            self.open.append(tag)
        if tag == "img":
            self.sources.append(values["src"])
        if tag == "a":
            self.links.append(values["href"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_needs_nothing_else_and_escapes_names(report, tmp_path, planted):
    write_page(report, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = _Page(text)
    assert page.open == [] and "p & <b>" in page.text and "57 x 57 beside 64 x 64; 79% shared" in page.text
    assert not re.search(r"https?:|@import|<script|<link", text)
    for source in page.sources:
        kind, data = re.fullmatch(r"data:image/(png|jpeg);base64,(.+)", source).groups()
        with Image.open(io.BytesIO(base64.b64decode(data))) as thumbnail:
            assert thumbnail.format.lower() == kind and max(thumbnail.size) <= 192
    shown = {each.name for each in report.findings} | {each.other for each in report.findings if each.other}
    linked = {(tmp_path / unquote(link)).resolve() for link in page.links if not link.startswith("#")}
    assert linked == {(planted[0] / name).resolve() for name in shown}


def test_the_command_writes_a_table_and_a_page_and_leaves_the_pictures(capsys, report, planted, tmp_path):
    before = {path: path.read_bytes() for path in planted[0].iterdir() if path.is_file()}
    status = main(["curate", str(planted[0]), "-o", str(tmp_path / "out"), "--device", "cpu"])
    out, error = capsys.readouterr()
    assert status == 0
    assert error.splitlines()[-1] == f"unrender: curation.csv and curation.html written to {tmp_path / 'out'}."
    least = {kind: min((each.overlap for each in report.of(kind)), default=None) for kind in ("duplicate", "near")}
    shared = {kind: f" (sharing {share:.0%} or more)" for kind, share in least.items() if share is not None}
    kinds = ("duplicate", "near", "turned", "outlier", "caption")
    counts = ", ".join(f"{kind} {len(report.of(kind))}{shared.get(kind, '')}" for kind in kinds)
    assert out == f"{tmp_path / 'out' / 'curation.html'}\t{COUNT + 6} pictures: {counts}\n"
    with (tmp_path / "out" / "curation.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    named = [(row["kind"], (tmp_path / "out" / row["image"]).resolve()) for row in rows]  # from where the table lies
    assert named == [(each.kind, (planted[0] / each.name).resolve()) for each in report.findings]
    shares = {Path(row["image"]).name: row["overlap"] for row in rows if row["kind"] == "duplicate"}
    assert float(shares["copy of 003.png"]) == pytest.approx(57**2 / 64**2, abs=0.005)
    assert {path: path.read_bytes() for path in planted[0].iterdir() if path.is_file()} == before


def test_small_folders_say_what_is_not_looked_for(engine, tmp_path, capsys):
    for row, pixels in enumerate(render("test", 3).pixels):
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(tmp_path / f"{row}.png")
    (tmp_path / "0.txt").write_text("a star")
    update_index(engine, tmp_path)
    (tmp_path / "1.png").unlink()
    found = curate(engine, tmp_path)
    assert found.findings == () and len(found.remarks) == 3 and list(found.failures) == ["1.png"]
    assert main(["curate", str(tmp_path), "-o", str(tmp_path), "--device", "cpu"]) == 1
    error = capsys.readouterr().err
    assert "1.png" in error and "Nothing is amiss" in (tmp_path / "curation.html").read_text()


def test_one_picture_alone(engine, tmp_path):
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    update_index(engine, tmp_path)
    assert curate(engine, tmp_path).findings == ()


def _noise(seed: int, size: tuple[int, int] = (96, 64)) -> Image.Image:
    """Coarse noise: details at the size that pictures have them."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (8, 12, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


@settings(max_examples=25, deadline=None)
@example(42, 0.6217989811817388, 0.8488012235489315, 60)  # from the likeliest place alone no small move leads further
@example(27, 0.6348529502376438, 1.3116024670347903, 60)
@example(378, 0.6, 0.5, 60)
@given(st.integers(0, 1000), st.floats(0.55, 1), st.floats(0.5, 3), st.integers(60, 95))
def test_a_crop_in_any_size_and_compression_is_the_same_picture(seed, area, factor, quality):
    picture = _noise(seed)
    copy = _recompressed(_resized(_cropped(picture, area, random.Random(seed)), factor), quality)
    small = max(copy.size) < 64  # than what is compared, so that compression's own patterns are
    assert difference(Look.at(picture), Look.at(copy)) < (24 if small else 16)
    assert difference(Look.at(_noise(seed + 1)), Look.at(copy)) > 32


def test_flat_and_thin_pictures_can_be_compared():
    red, blue = (Look.at(Image.new("RGB", (64, 64), colour)) for colour in ("red", "blue"))
    thin = Look.at(Image.new("RGB", (3000, 2), "red"))
    assert difference(red, blue) > 16 and difference(red, thin) > 16


def test_neighbours_are_those_of_a_sorted_table(monkeypatch):
    monkeypatch.setattr("unrender.core.curate.neighbours._ROWS_AT_ONCE", 7)
    features = np.random.default_rng(0).standard_normal((30, 8)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    found = neighbours(features, 5)
    for row, others in enumerate(found.rows):
        cosines = features @ features[row]
        cosines[row] = -2
        assert list(others) == list(np.argsort(-cosines)[:5])
        assert np.allclose(found.similarities[row], np.sort(cosines)[::-1][:5], atol=1e-6)


def _views(rng, count, width=32, strength=3.0):
    """Embeddings with a direction for each turn, as strong as told, and much else."""
    turns = np.eye(4, width) * strength
    kinds = rng.standard_normal((count, 1, width))
    views = kinds + turns + 0.3 * rng.standard_normal((count, 4, width))
    return (views / np.linalg.norm(views, axis=-1, keepdims=True)).astype(np.float16)


def test_turned_embeddings_are_told_whatever_the_model():
    rng = np.random.default_rng(0)
    views = _views(rng, 400)
    for row, left in ((7, 1), (50, 2), (99, 3)):
        views[row] = np.roll(views[row], left, axis=0)  # the upright view comes `left` quarters later
    found = turned_pictures(views)
    assert {(7, 90), (50, 180), (99, 270)} <= {(each.row, each.left) for each in found} and len(found) < 8
    assert all(each.odds > 3 for each in found)


def test_where_nothing_has_an_up_nothing_is_turned():
    rng = np.random.default_rng(1)
    assert len(turned_pictures(_views(rng, 400, strength=0.0))) <= 4
    assert turned_pictures(np.ones((200, 4, 16), np.float16) / 4) == []
    assert turned_pictures(_views(rng, LEAST_PICTURES - 1)) == []


def test_outliers_do_not_hide_one_another():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((400, 6)) @ rng.standard_normal((6, 64))
    features[:12] = rng.standard_normal((12, 64))  # in directions that the others do not know
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    features = (features + 0.03 * rng.standard_normal((400, 64))).astype(np.float32)
    found = outliers(features)
    assert {each.row for each in found} >= set(range(12)) and len(found) < 20
    assert [each.deviations for each in found] == sorted((each.deviations for each in found), reverse=True)
    assert outliers(features[:99]) == []
    assert outliers(np.ones((200, 16), np.float32) / 4) == []


def test_captions_are_compared_with_the_others():
    pictures = np.eye(40, dtype=np.float32)
    captions = 0.9 * np.eye(40, dtype=np.float32) + 0.01
    captions[[3, 8]] = captions[[8, 3]]
    # many captions suit picture 3 a little better than the one it has been given
    captions[3, 3] = 0.0
    found = mismatches(pictures, captions)
    assert [each.number for each in found] == [3]
    assert mismatches(pictures, np.ones((40, 40), np.float32)) == [], "one text for all is no mismatch"
