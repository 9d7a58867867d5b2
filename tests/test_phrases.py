"""Vocabularies from the package, from folders, and their tables on disk."""

from __future__ import annotations

import importlib.util
import multiprocessing
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from unrender.core.errors import Cancelled, MissingPackageError, PhraseError
from unrender.core.phrases import CATEGORIES, load_vocabulary
from unrender.core.phrases.table import PhraseTable
from unrender.core.phrases.vocabulary import Category
from unrender.core.progress import SILENT, Progress
from unrender.core.prompt.ranking import top

WORDS = Category("flavors", ("a cat", "by night", "A Cat", "猫", "soft light, 85mm", "x" * 200))


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name.replace('__', '.')}.txt").write_text(text, encoding="utf-8")
    return folder


def test_built_in_categories_come_in_the_order_of_merging():
    vocabulary = load_vocabulary()
    assert tuple(vocabulary.categories) == CATEGORIES
    assert "negative" not in {category.name for category in vocabulary.positive()}
    artists = vocabulary.phrases("artists")
    assert "by Vincent van Gogh" in artists and "inspired by Vincent van Gogh" in artists
    assert vocabulary.phrases("no such category") == ()


def test_a_folder_adds_and_replaces(tmp_path):
    folder = write(tmp_path / "mine", flavors="one\n two \n\none\n", weapons="a sword\n", trending="on my site")
    vocabulary = load_vocabulary(folder)
    assert vocabulary.phrases("flavors") == ("one", "two")
    assert vocabulary.phrases("weapons") == ("a sword",)
    assert vocabulary.phrases("sites") == ("on my site",)
    assert vocabulary.phrases("movements") == load_vocabulary().phrases("movements")
    assert list(vocabulary.categories)[-1] == "weapons"


def test_the_webuis_file_names_say_how_many(tmp_path):
    folder = write(tmp_path / "webui", flavors__top3="a\nb\nc\nd", mediums__top1="oil", Lenses="85mm")
    categories = load_vocabulary(folder).categories
    assert (categories["flavors"].per_prompt, categories["mediums"].per_prompt) == (3, 1)
    assert categories["lenses"].per_prompt is None


def test_artists_with_their_form_keep_it(tmp_path):
    folder = write(tmp_path / "own", artists="by Ada\nBo Li\nInspired by Cy")
    assert load_vocabulary(folder).phrases("artists") == ("by Ada", "Inspired by Cy", "by Bo Li", "inspired by Bo Li")


def test_a_byte_order_mark_is_no_part_of_a_phrase(tmp_path):
    folder = write(tmp_path / "bom")
    (folder / "flavors.txt").write_bytes("﻿misty\r\nsunny\r\n".encode())
    assert load_vocabulary(folder).phrases("flavors") == ("misty", "sunny")


def test_unusable_folders_get_a_sentence(tmp_path):
    with pytest.raises(PhraseError, match="no folder of phrase files"):
        load_vocabulary(tmp_path / "absent")
    with pytest.raises(PhraseError, match=r"holds no NAME\.txt"):
        load_vocabulary(write(tmp_path / "empty"))
    with pytest.raises(PhraseError, match="holds no phrase"):
        load_vocabulary(write(tmp_path / "blank", flavors="\n \n"))
    latin = write(tmp_path / "latin")
    (latin / "flavors.txt").write_bytes("кошка".encode("cp1251"))
    with pytest.raises(PhraseError, match="UTF-8"):
        load_vocabulary(latin)


def test_an_absent_peer_gets_a_sentence(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "clip_interrogator", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match="pip install"):
        load_vocabulary("peer")


@pytest.fixture
def clip_gaze_not_imported(monkeypatch):
    """Other tests import it."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "clip_gaze"]:
        monkeypatch.delitem(sys.modules, name)


def test_clip_gazes_lists_are_read_from_its_files(clip_gaze_not_imported):
    spec = importlib.util.find_spec("clip_gaze")
    if spec is None:
        pytest.skip("clip-gaze is not installed")
    package = Path(spec.submodule_search_locations[0])
    lists = load_vocabulary("clip-gaze").categories
    media = runpy.run_path(str(package / "media.py"))
    assert lists["surfaces"].phrases == tuple(media["SURFACES"])
    assert lists["sculpture materials"].phrases == tuple(media["SCULTPURE_MATERIALS"])
    names = runpy.run_path(str(package / "artists_by_name.py"))["ARTISTS_BY_NAME"]
    assert lists["artists"].phrases[0] == f"by {names[0]}"
    assert "clip_gaze" not in sys.modules


def test_a_changed_peer_gets_a_sentence(tmp_path, monkeypatch, clip_gaze_not_imported):
    (tmp_path / "clip_gaze").mkdir()
    (tmp_path / "clip_gaze" / "__init__.py").write_text("raise SystemExit('imported')")
    (tmp_path / "clip_gaze" / "artists_by_name.py").write_text("ARTISTS_BY_NAME = [open('x').read()]")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    importlib.invalidate_caches()
    with pytest.raises(MissingPackageError, match="not as expected"):
        load_vocabulary("clip-gaze")


def test_rows_equal_each_text_encoded_alone(clip, tmp_path):
    table = PhraseTable.load(clip, [WORDS], tmp_path, SILENT)
    for phrase, row in zip(WORDS.phrases, table.embeddings, strict=True):
        # float16 on disk: 2^-11 of a value below 1
        assert (clip.encode_texts([phrase])[0] - row).abs().max() < 5e-4
    again = PhraseTable.load(clip, [WORDS], tmp_path, SILENT)
    assert torch.equal(again.embeddings, table.embeddings)


def test_a_table_is_built_once(clip, tmp_path, monkeypatch):
    PhraseTable.load(clip, [WORDS], tmp_path, SILENT)
    monkeypatch.setattr(type(clip), "encode_texts", lambda *_: pytest.fail("built again"))
    PhraseTable.load(clip, [WORDS], tmp_path, SILENT)


def test_other_weights_or_phrases_have_other_tables(clip, tmp_path, open_clip_transform, open_clip_tokenizer):
    from conftest import random_open_clip
    from unrender.core.clip import Clip

    other = Clip.from_open_clip(random_open_clip(seed=9), open_clip_transform, open_clip_tokenizer)
    PhraseTable.load(clip, [WORDS], tmp_path, SILENT)
    PhraseTable.load(other, [WORDS], tmp_path, SILENT)
    PhraseTable.load(clip, [Category("flavors", WORDS.phrases[::-1])], tmp_path, SILENT)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("damage", ["truncate", "garbage", "zeros", "shape", "nan"])
def test_a_damaged_table_is_built_again(clip, tmp_path, damage):
    whole = PhraseTable.load(clip, [WORDS], tmp_path, SILENT).embeddings
    (path,) = tmp_path.iterdir()
    key = _metadata(path)
    if damage == "truncate":
        path.write_bytes(path.read_bytes()[:-10])
    elif damage == "garbage":
        path.write_bytes(b"\x00" * 500)
    else:
        embeddings = load_file(path)["embeddings"].clone()
        changed = {"zeros": embeddings * 0, "shape": embeddings[:-1], "nan": embeddings * float("nan")}[damage]
        save_file({"embeddings": changed.contiguous()}, path, metadata=key)
    assert torch.equal(PhraseTable.load(clip, [WORDS], tmp_path, SILENT).embeddings, whole)
    assert len(list(tmp_path.iterdir())) == 1


def _metadata(path):
    from safetensors import safe_open

    with safe_open(str(path), "pt") as file:
        return file.metadata()


def test_a_folder_that_cannot_be_written_only_costs_time(clip, tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    table = PhraseTable.load(clip, [WORDS], blocked, SILENT)
    assert table.embeddings.shape == (len(WORDS.phrases), 48)
    assert "cannot be kept" in caplog.text


def test_an_unfinished_table_leaves_nothing_behind(clip, tmp_path):
    class Impatient(Progress):
        def check(self):
            raise Cancelled("stop")

    many = Category("flavors", tuple(f"phrase {number}" for number in range(1500)))
    with pytest.raises(Cancelled):
        PhraseTable.load(clip, [many], tmp_path, Impatient())
    assert not list(tmp_path.glob("*.safetensors"))


def _build_in_a_process(folder):
    torch.set_num_threads(1)
    import open_clip
    from conftest import random_open_clip
    from unrender.core.clip import Clip

    clip = Clip.from_open_clip(
        random_open_clip(), open_clip.image_transform(64, is_train=False), open_clip.get_tokenizer("ViT-B-32")
    )
    return PhraseTable.load(clip, [WORDS], folder, SILENT).embeddings.numpy()


def test_two_processes_may_build_at_once(tmp_path):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        first, second = pool.map(_build_in_a_process, [tmp_path, tmp_path])
    assert np.array_equal(first, second)
    assert not list(tmp_path.glob("*.part"))


@given(
    st.lists(st.one_of(st.floats(-1, 1, width=32), st.just(float("-inf")), st.sampled_from([0.0, 0.5])), max_size=60),
    st.integers(0, 70),
)
def test_top_is_a_stable_sort(values, count):
    array = np.array(values, dtype=np.float32)
    expected = [row for row in np.argsort(-array, kind="stable").tolist() if np.isfinite(array[row])]
    assert top(array, count) == expected[:count]
