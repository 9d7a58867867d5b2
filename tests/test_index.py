"""Indexes of folders: what is looked at again and what is not, what is refused, and whether search finds."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from unrender.cli import main
from unrender.core.engine import Engine, Settings
from unrender.core.errors import Cancelled, IndexFileError, SettingsError
from unrender.core.index import index_file, read_index, search, update_index
from unrender.core.index.file import changing
from unrender.core.micro.captions import ALL_FACTORS, caption
from unrender.core.micro.pictures import render
from unrender.core.progress import Progress


@pytest.fixture(scope="module")
def engine():
    with Engine(Settings(clip="micro", captioner=None, device="cpu", precision="exact")) as engine:
        yield engine


@pytest.fixture
def folder(tmp_path):
    """Six pictures, two of them in a folder below, beside what is none."""
    folder = tmp_path / "pictures"
    (folder / "below").mkdir(parents=True)
    for number, pixels in enumerate(render("test", 6).pixels):
        name = f"below/{number}.png" if number > 3 else f"{number}.png"
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    return folder


class Watched(Engine):
    """Counts the pictures that are looked at."""

    looked_at = 0

    def picture_features(self, images):
        features = super().picture_features(images)
        if isinstance(images, Iterator):
            self.looked_at += len(features)
        return features


@pytest.fixture
def watched(engine):
    engine.picture_features(render("test", 1).pixels[0])
    return Watched(engine.settings, clip=engine.clip)


def test_an_index_has_every_picture_as_the_clip_sees_it(engine, folder):
    updated = update_index(engine, folder)
    index = read_index(folder)
    assert [each.name for each in index.entries] == ["0.png", "1.png", "2.png", "3.png", "below/4.png", "below/5.png"]
    assert (updated.added, updated.kept, updated.removed, updated.failures) == (6, 0, 0, {})
    assert index.root == folder and index.path(4) == folder / "below/4.png"
    seen = engine.picture_features([str(folder / each.name) for each in index.entries]).numpy()
    assert np.abs(index.features - seen).max() < 1e-3, "half precision's rounding"


def test_only_what_is_new_or_has_changed_is_looked_at(watched, folder):
    update_index(watched, folder)
    before = read_index(folder)
    watched.looked_at = 0
    assert update_index(watched, folder).kept == 6 and watched.looked_at == 0

    shutil.copy(folder / "0.png", folder / "copy of 0.png")
    (folder / "1.png").rename(folder / "renamed.png")
    os.utime(folder / "2.png", ns=(1, 1))
    (folder / "3.png").unlink()
    shutil.copy(folder / "below/5.png", folder / "below/4.png")
    Image.new("RGB", (64, 64), "red").save(folder / "below/5.png")
    updated = update_index(watched, folder)
    assert watched.looked_at == 1, "the red one"
    assert (updated.added, updated.kept, updated.removed) == (1, 5, 2)
    after = {each.name: row for row, each in enumerate(read_index(folder).entries)}
    assert sorted(after) == ["0.png", "2.png", "below/4.png", "below/5.png", "copy of 0.png", "renamed.png"]
    features = read_index(folder).features
    for new, old in (("renamed.png", 1), ("copy of 0.png", 0), ("0.png", 0), ("2.png", 2), ("below/4.png", 5)):
        assert np.array_equal(features[after[new]], before.features[old])
    assert features[after["below/5.png"]] @ before.features[5] < 0.9


def test_a_picture_that_cannot_be_read_is_told_and_tried_again(watched, folder):
    whole = (folder / "2.png").read_bytes()
    (folder / "2.png").write_bytes(whole[:200])
    updated = update_index(watched, folder)
    assert list(updated.failures) == ["2.png"] and "2.png" in updated.failures["2.png"]
    assert len(read_index(folder)) == 5
    (folder / "2.png").write_bytes(whole)
    assert update_index(watched, folder).added == 1 and len(read_index(folder)) == 6


def test_a_stop_keeps_what_was_seen(engine, folder, monkeypatch):
    class Stopping(Progress):
        def check(self):
            raise Cancelled("stopped")

    monkeypatch.setattr("unrender.core.batch.ahead.CHUNK", 2)
    stopped = Watched(engine.settings, clip=engine.clip, progress=Stopping())
    with pytest.raises(Cancelled):
        update_index(stopped, folder)
    assert len(read_index(folder)) == 2
    going_on = Watched(engine.settings, clip=engine.clip)
    assert update_index(going_on, folder).added == 4 == going_on.looked_at


def test_index_and_folder_move_together(engine, folder, tmp_path):
    path = tmp_path / "indexes" / "mine.safetensors"
    update_index(engine, folder, path)
    (tmp_path / "elsewhere").mkdir()
    folder.rename(tmp_path / "elsewhere" / "pictures")
    path.parent.rename(tmp_path / "elsewhere" / "indexes")
    index = read_index(tmp_path / "elsewhere" / "indexes" / "mine.safetensors")
    assert all(index.path(row).is_file() for row in range(6))


def test_other_weights_and_other_fits_are_refused(engine, folder, clip):
    update_index(engine, folder)
    with pytest.raises(IndexFileError, match="made with micro"):
        update_index(Engine(Settings(clip="another"), clip=clip), folder)
    with pytest.raises(IndexFileError, match="choose crop as fit"):
        update_index(Engine(Settings(clip="micro", fit="pad"), clip=engine.clip), folder)


def test_two_runs_do_not_change_one_index(engine, folder):
    path = update_index(engine, folder).path
    with changing(path), pytest.raises(IndexFileError, match="Another run"):
        update_index(engine, folder)
    assert update_index(engine, folder).kept == 6


def test_where_nothing_can_be_written(engine, folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(IndexFileError, match=r"cannot be written to .* give another place as index"):
        update_index(engine, folder, tmp_path / "file" / "index.safetensors")


@pytest.mark.parametrize("spoil", [lambda data: b"", lambda data: data[: len(data) // 2], lambda data: b"x" * 100])
def test_damaged_files_are_one_sentence(engine, folder, spoil):
    path = update_index(engine, folder).path
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(IndexFileError, match=r"damaged \(.+\); delete it"):
        read_index(folder)


def test_what_is_no_index(tmp_path):
    from safetensors.numpy import save_file

    with pytest.raises(IndexFileError, match="There is no index"):
        read_index(tmp_path)
    save_file({"features": np.zeros((1, 2), np.float32)}, tmp_path / "weights.safetensors")
    with pytest.raises(IndexFileError, match="no index of pictures"):
        read_index(tmp_path / "weights.safetensors")
    with pytest.raises(SettingsError, match="no folder"):
        update_index(Engine(Settings(clip="micro")), tmp_path / "absent")


def _share_found(engine, count, tmp_path):
    """Of captions that say all there is, each for one picture, those whose first picture has the same six factors."""
    pictures = render("test", count)
    for number, pixels in enumerate(pictures.pixels):
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(tmp_path / f"{number}.png")
    index = update_index(engine, tmp_path).index
    rng = random.Random(0)
    texts = [caption(scene, rng, ALL_FACTORS).text for scene in pictures.scenes]
    right = 0
    for scene, features in zip(pictures.scenes, engine.text_features(texts).numpy(), strict=True):
        (first,) = search(index, features, 1)
        right += pictures.scenes[int(first.path.stem)] == scene
    return right / count


def test_search_finds_by_words(engine, tmp_path):
    assert _share_found(engine, 120, tmp_path) >= 0.9


@pytest.mark.full
def test_search_finds_by_words_among_a_thousand(engine, tmp_path):
    assert _share_found(engine, 1000, tmp_path) >= 0.9


def _run(capsys, *arguments):
    status = main([*map(str, arguments)])
    return status, *capsys.readouterr()


def test_the_commands(capsys, folder, tmp_path):
    status, out, error = _run(capsys, "index", folder, "--clip", "micro", "--device", "cpu")
    assert status == 0 and error == "" and out == f"{index_file(folder)}\t6 pictures: 6 looked at, 0 known, 0 gone\n"
    picture = folder / "below/5.png"
    status, out, error = _run(capsys, "search", folder, picture, "--top", 2, "--device", "cpu")
    first, second = out.splitlines()
    assert status == 0 and error == "" and first == f"1.000\t{picture}" and float(second.split("\t")[0]) < 1
    sheet = tmp_path / "found.png"
    scene = render("test", 6).scenes[3]
    text = caption(scene, random.Random(1), ALL_FACTORS).text
    arguments = ("search", index_file(folder), text, "--json", "--sheet", sheet, "--device", "cpu")
    status, out, error = _run(capsys, *arguments)
    found = [json.loads(line) for line in out.splitlines()]
    assert status == 0 and found[0]["image"] == str(folder / "3.png") and len(found) == 6
    with Image.open(sheet) as drawn:
        assert drawn.height > 2 * 176, "six pictures in two rows"
        shown = np.asarray(drawn.convert("RGB"))
    first = np.asarray(Image.open(folder / "3.png").resize((176, 176), Image.Resampling.NEAREST))
    windows = np.lib.stride_tricks.sliding_window_view(shown[:, 28 : 28 + 176], first.shape)
    assert any((window == first).all() for window in windows[:, 0, 0]), "the first picture leads the first row"


def test_the_commands_refuse_in_a_sentence(capsys, folder, tmp_path):
    for arguments, status, said in (
        (("search", tmp_path, "a star"), 1, "There is no index"),
        (("search", folder, "a star", "--top", 0), 2, "--top"),
        (("search", folder, " "), 2, "nothing to search"),
        (("index", tmp_path / "absent"), 2, "no folder"),
    ):
        found = _run(capsys, *arguments)
        assert found[0] == status and found[1] == "" and said in found[2] and found[2].count("\n") == 1
    (tmp_path / "empty").mkdir()
    assert _run(capsys, "index", tmp_path / "empty", "--clip", "micro")[0] == 0
    status, _, error = _run(capsys, "search", tmp_path / "empty", "a star")
    assert status == 2 and "holds no pictures" in error


def test_one_bad_picture_is_a_line_and_a_status(capsys, folder):
    (folder / "broken.jpg").write_bytes(b"not a picture")
    status, out, error = _run(capsys, "index", folder, "--clip", "micro", "--device", "cpu")
    assert status == 1 and "6 pictures" in out and "broken.jpg" in error and error.count("\n") == 1
