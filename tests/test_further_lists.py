"""The lists that pictures are analysed with: clean, documented, and out of a search's way."""

from __future__ import annotations

import re
import unicodedata

import pytest
from unrender.core import phrases
from unrender.core.errors import PhraseError
from unrender.core.phrases import CATEGORIES, FURTHER, load_vocabulary, select_categories
from unrender.core.phrases.vocabulary import FURTHER_FOLDER, read_folder

FILES = sorted(FURTHER_FOLDER.glob("*.txt"))
LEAST = 30
LONGEST = 60


def test_every_file_is_a_value_and_documented():
    assert {path.stem for path in FILES} == {name.lower().replace("_", " ") for name in FURTHER}
    for name in (*FURTHER, "ARTISTS", "MOVEMENTS", "MEDIUMS", "SITES", "FLAVORS"):
        assert re.search(rf"^{name} +\w", phrases.__doc__, re.MULTILINE), name
        value = getattr(phrases, name)
        assert isinstance(value, tuple) and len(value) >= LEAST
        assert getattr(phrases, name) is value
        assert name in dir(phrases)
    with pytest.raises(AttributeError, match="NOTHING"):
        _ = phrases.NOTHING


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_list_is_clean(path):
    text = path.read_bytes().decode("utf-8")
    lines = text.removesuffix("\n").split("\n")
    assert text.endswith("\n") and len(lines) >= LEAST
    assert [line for line in lines if not line or line != " ".join(line.split())] == []
    assert [line for line in lines if line != unicodedata.normalize("NFC", line) or len(line) > LONGEST] == []
    assert len({line.casefold() for line in lines}) == len(lines)
    assert path.stem == "film stocks" or [line for line in lines if re.search(r"\b[A-Z][a-z]", line)] == []


def test_a_search_never_sees_them_unless_told_to():
    assert tuple(load_vocabulary().categories) == CATEGORIES
    extended = load_vocabulary("extended")
    assert set(extended.categories) == {*CATEGORIES, *read_folder(FURTHER_FOLDER)}
    assert extended.categories["artists"] == load_vocabulary().categories["artists"]


def test_all_positive_categories_are_chosen_by_default(tmp_path):
    (tmp_path / "weapons.txt").write_text("a sword\n", encoding="utf-8")
    chosen = [category.name for category in select_categories(load_vocabulary(tmp_path))]
    assert chosen == ["mediums", "artists", "movements", "sites", "flavors", "weapons"]


@pytest.mark.parametrize(
    "name, category",
    [
        ("artist", "artists"),
        ("Mediums", "mediums"),
        ("trending", "sites"),
        ("negative", "negative"),
        ("surface", "surfaces"),
        ("quality", "qualities"),
        ("lens", "lenses"),
        ("painting-materials", "painting materials"),
        ("film_stock", "film stocks"),
        ("Camera  Angle", "camera angles"),
        ("color", "colours"),
    ],
)
def test_names_people_use(name, category):
    assert [found.name for found in select_categories(load_vocabulary(), [name])] == [category]


def test_categories_come_once_in_the_order_asked_for():
    chosen = select_categories(load_vocabulary(), ["surfaces", "artist", "artists", "surface"])
    assert [category.name for category in chosen] == ["surfaces", "artists"]


def test_a_users_category_replaces_a_further_one(tmp_path):
    (tmp_path / "surfaces.txt").write_text("on my desk\n", encoding="utf-8")
    (surfaces,) = select_categories(load_vocabulary(tmp_path), ["surface"])
    assert surfaces.phrases == ("on my desk",)


def test_clip_gazes_categories_come_before_ours():
    pytest.importorskip("clip_gaze")
    vocabulary = load_vocabulary("clip-gaze")
    for name in ("sculpture-materials", "surfaces", "artists by prevalence"):
        (found,) = select_categories(vocabulary, [name])
        assert found is vocabulary.categories[found.name]
    with pytest.raises(PhraseError, match="artists by prevalence"):
        select_categories(load_vocabulary(), ["artists by prevalence"])
