"""Tags in an index: what is kept and asked again, which pictures a filter lets through, and what damage is noticed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from unrender.cli import main
from unrender.core.curate import curate
from unrender.core.engine import Engine, Settings
from unrender.core.errors import Cancelled, IndexFileError, SettingsError
from unrender.core.foreign import Unreadable
from unrender.core.index import TagFilter, for_filters, read_index, search, update_index, write_index
from unrender.core.index.tags import no_tags, table_of
from unrender.core.micro.pictures import render
from unrender.core.micro.tags import tags_of
from unrender.core.progress import Progress
from unrender.core.settings import CaptionSettings, TagSettings
from unrender.core.tags import Tag

NAMES = ("1girl", "solo", "cat_ears", "star_(symbol)", ">_<")
RATINGS = ("general", "sensitive")
told = st.one_of(
    st.builds(Tag, st.sampled_from(NAMES), st.floats(0, 1, width=16), st.sampled_from(("general", "character"))),
    st.builds(Tag, st.sampled_from(RATINGS), st.floats(0, 1, width=16), st.just("rating")),
)
pictures_told = st.lists(
    st.none() | st.lists(told, max_size=6, unique_by=lambda tag: (tag.name, tag.category)), max_size=6
)


def _table(pictures):
    return no_tags(len(pictures), "x").told({row: tags for row, tags in enumerate(pictures) if tags is not None})


def _known(table):
    return [list(table.of(row)) if table.tagged[row] else None for row in range(len(table.tagged))]


@given(pictures_told, st.data())
def test_a_table_is_a_list_of_lists(pictures, data):
    table = table_of(_table(pictures).tensors(), "x")
    assert _known(table) == pictures
    rows = data.draw(st.lists(st.none() | st.sampled_from(range(len(pictures))))) if pictures else []
    taken = table_of(table.taken(rows).tensors(), "x")
    assert _known(taken) == [None if row is None else pictures[row] for row in rows]
    fresh = {row: data.draw(st.lists(told, max_size=3)) for row in range(0, len(pictures), 2)}
    assert _known(table.told(fresh)) == [fresh.get(row, tags) for row, tags in enumerate(pictures)]


@given(
    pictures_told,
    st.builds(
        TagFilter,
        st.lists(st.sampled_from(("1girl", "cat ears", "Cat_Ears", r"star \(symbol\)", "absent")), max_size=2).map(
            tuple
        ),
        st.lists(st.sampled_from(("solo", ">_<")), max_size=2).map(tuple),
        st.lists(st.sampled_from(("general", "Sensitive", "absent")), max_size=2).map(tuple),
    ),
)
def test_a_filter_lets_through_what_it_says(pictures, asked):
    def plain(name):
        return name.lower().replace(" ", "_").replace("\\", "")

    def counts(tags):
        if tags is None:
            return not asked
        names = {plain(tag.name) for tag in tags if tag.category != "rating"}
        rated = max((tag for tag in tags if tag.category == "rating"), key=lambda tag: tag.confidence, default=None)
        return (
            {plain(name) for name in asked.wanted} <= names
            and not names & {plain(name) for name in asked.unwanted}
            and (not asked.ratings or (rated is not None and rated.name in map(plain, asked.ratings)))
        )

    assert asked.rows(_table(pictures)).tolist() == [row for row, tags in enumerate(pictures) if counts(tags)]


@pytest.mark.parametrize(
    "spoil",
    [
        {"tag_ends": [2**63 - 1, -(2**63), -1, 3]},
        {"tag_ends": [1, 0, 2, 3]},
        {"tag_ends": [0, 0, 0, 2]},
        {"tag_ids": [0, 1, 2]},
        {"tag_ids": [0, -1, 1]},
        {"tag_confidences": [0.5, np.nan, 0.5]},
        {"tag_confidences": [0.5, 2, 0.5]},
        {"tag_names": b"{}"},
        {"tag_names": b'[["a", "general"], ["b", "nonsense"]]'},
        {"tag_names": b"[" * 10_000},
        {"tag_names": b'["a", "b"]'},
    ],
    ids=lambda spoil: str(spoil)[:40],
)
def test_damaged_tags_are_noticed(spoil):
    tensors = _table([[Tag("a", 0.5)], None, [Tag("a", 0.5), Tag("b", 0.5)], []]).tensors()
    assert len(_known(table_of(tensors, ""))) == 4
    for name, values in spoil.items():
        data = np.frombuffer(values, np.uint8) if isinstance(values, bytes) else values
        tensors[name] = np.array(data).astype(tensors[name].dtype)
    with pytest.raises(Unreadable):
        table_of(tensors, "")


SCENES = render("test", 8).scenes


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, pixels in enumerate(render("test", 8).pixels):
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(folder / f"{number}.png")
    return folder


class Watched(Engine):
    """Counts the pictures that are tagged."""

    tagged = 0

    def interrogate_each(self, images, mode="best", *arguments, **more):
        for found in super().interrogate_each(images, mode, *arguments, **more):
            self.tagged += mode == "tags"
            yield found


SETTINGS = Settings(clip="micro", captioner=None, tagger="micro-tagger", device="cpu", precision="exact")


@pytest.fixture(scope="module")
def lender():
    pytest.importorskip("timm", reason="timm computes the tagger")
    with Engine(SETTINGS) as engine:
        engine.picture_features(Image.new("RGB", (64, 64)))
        yield engine


@pytest.fixture
def watched(lender):
    def made(settings=SETTINGS, **parts):
        return Watched(for_filters(settings), clip=lender.clip, **parts)

    return made


def test_only_what_has_no_tags_yet_is_tagged(watched, folder):
    without = watched(replace(SETTINGS, tagger=None))
    assert update_index(without, folder).tagged == 0
    assert read_index(folder).tags is None, "as indexes were before there were tags"

    engine = watched()
    updated = update_index(engine, folder)
    assert (updated.added, updated.kept, updated.tagged, engine.tagged) == (0, 8, 8, 8)
    index = read_index(folder)
    found = list(watched().interrogate_each([str(index.path(row)) for row in range(8)], "tags"))
    for row, each in enumerate(found):
        kept = index.tags.of(row)
        assert [(tag.name, tag.category) for tag in kept] == [(tag.name, tag.category) for tag in each.tags]
        assert np.allclose([tag.confidence for tag in kept], [tag.confidence for tag in each.tags], atol=1e-3)

    (folder / "0.png").rename(folder / "renamed.png")
    Image.open(folder / "1.png").rotate(180).save(folder / "new.png")
    engine = watched()
    assert update_index(engine, folder).tagged == 9 and engine.tagged == 1, "the new one"
    assert update_index(watched(replace(SETTINGS, tagger=None)), folder).tagged == 9, "what is known stays"
    stricter = replace(SETTINGS, captioning=CaptionSettings(tags=TagSettings(general=0.9)))
    engine = watched(stricter)
    assert update_index(engine, folder).tagged == 9 == engine.tagged, "other thresholds, other tags"


def test_a_stop_keeps_what_was_told(watched, folder, monkeypatch):
    class Stopping(Progress):
        calls = 0

        def check(self):
            self.calls += 1
            if self.calls > 3:
                raise Cancelled("stopped")

    update_index(watched(replace(SETTINGS, tagger=None)), folder)
    monkeypatch.setattr("unrender.core.batch.ahead.CHUNK", 2)
    with pytest.raises(Cancelled):
        update_index(watched(progress=Stopping()), folder)
    kept = int(read_index(folder).tags.tagged.sum())
    assert 0 < kept < 8
    going_on = watched()
    assert update_index(going_on, folder).tagged == 8 and going_on.tagged == 8 - kept


def test_what_tells_no_tags_is_refused_before_anything_is_written(watched, folder):
    with pytest.raises(SettingsError, match="writes texts"):
        update_index(watched(replace(SETTINGS, tagger="micro")), folder)
    assert not (folder / ".unrender").exists()


def test_search_and_curate_by_tags(watched, lender, folder):
    index = update_index(watched(), folder).index
    wanted = tags_of(SCENES[2])["general"][-2]
    true = {f"{row}.png" for row, scene in enumerate(SCENES) if wanted in tags_of(scene)["general"]}
    found = search(index, None, 8, TagFilter((wanted,)))
    assert {each.path.name for each in found} == true
    assert all(each.similarity is None and each.confidence > 0.35 for each in found)
    assert [each.confidence for each in found] == sorted((each.confidence for each in found), reverse=True)

    features = lender.picture_features(str(folder / "2.png"))[0].numpy()
    rating = tags_of(SCENES[2])["rating"]
    others = search(index, features, 8, TagFilter(unwanted=(wanted,), ratings=rating))
    assert {each.path.name for each in others} == {
        f"{row}.png" for row, scene in enumerate(SCENES) if tags_of(scene)["rating"] == rating
    } - true
    assert [each.similarity for each in others] == sorted((each.similarity for each in others), reverse=True)

    assert curate(lender, folder, TagFilter(ratings=rating)).pictures == len(others) + len(true)
    with pytest.raises(SettingsError, match="No picture"):
        curate(lender, folder, TagFilter(("absent",)))
    write_index(folder / ".unrender/index.safetensors", replace(index, tags=None))
    with pytest.raises(IndexFileError, match="holds no tags"):
        search(read_index(folder), None, 8, TagFilter(("solo",)))


def test_the_reports_have_tags(watched, lender, folder):
    (folder / "copy.png").write_bytes((folder / "3.png").read_bytes())
    update_index(watched(), folder)
    report = curate(lender, folder)
    header, *rows = report.rows(folder)
    (row,) = [dict(zip(header, row, strict=True)) for row in rows if row[0] == "duplicate"]
    scene = SCENES[3]
    assert scene.colour in row["tags"].split(", ") and row["rating"] == tags_of(scene)["rating"][0]


def _run(capsys, *arguments):
    status = main([*map(str, arguments)])
    return status, *capsys.readouterr()


def test_the_commands(capsys, folder, monkeypatch, lender):
    options = ("--clip", "micro", "--device", "cpu")
    status, out, error = _run(capsys, "index", folder, "--tagger", "micro-tagger", *options)
    assert status == 0 and error == "" and out.endswith("8 looked at, 0 known, 0 gone, 8 tagged\n")
    rating = tags_of(SCENES[0])["rating"][0]
    true = {str(folder / f"{row}.png") for row, scene in enumerate(SCENES) if tags_of(scene)["rating"] == (rating,)}

    status, out, error = _run(capsys, "search", folder, folder / "0.png", "--rating", rating, "--json", *options)
    lines = [json.loads(line) for line in out.splitlines()]
    assert status == 0 and {line["image"] for line in lines} == true and lines[0]["image"] == str(folder / "0.png")
    assert list(lines[0]) == ["image", "similarity", "confidence"]
    status, out, _ = _run(capsys, "curate", folder, "-o", folder.parent / "report", "--rating", rating, *options)
    assert status == 0 and f"\t{len(true)} pictures: " in out

    def refused(*_, **__):
        raise AssertionError("no model is needed for tags")

    monkeypatch.setattr("unrender.core.engine.Engine.__init__", refused)
    status, out, error = _run(capsys, "search", folder, "--rating", rating, "--csv")
    assert status == 0 and error == "" and {line.split(",")[0] for line in out.splitlines()[1:]} == true
    status, out, error = _run(capsys, "search", folder, "--tag", "sollo")
    assert status == 0 and out == "" and "there is solo" in error and error.count("\n") == 1
    assert _run(capsys, "search", folder)[0] == 2
