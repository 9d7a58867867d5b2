"""The columns that a table has on request, with the toy model."""

from __future__ import annotations

import json

import numpy as np
import pytest
from batch_runs import QuickEngine, batch, draw
from PIL import Image
from unrender.cli import main
from unrender.core.batch import Batch, sink_named, source_named
from unrender.core.engine import Engine
from unrender.core.errors import BatchError, SettingsError
from unrender.core.micro.pictures import render
from unrender.core.settings import Settings

BOTH = ("analysis", "embedding")


@pytest.fixture(scope="module")
def drawings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawings")
    for number, pixels in enumerate(render("test", 20).pixels):
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(folder / f"{number:03}.png")
    (folder / "005.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def engine():
    with Engine(Settings(clip="micro", captioner="micro", device="cpu")) as engine:
        yield engine


def table(engine, drawings, place, output, columns):
    sink = sink_named(output, drawings, place, columns=columns)
    list(Batch(engine, source_named([str(drawings)]), sink, "fast"))
    if output == "jsonl":
        return [json.loads(line) for line in place.read_text().splitlines()]
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet files need pyarrow")
    return parquet.read_table(place).to_pylist()


@pytest.mark.parametrize("output", ["jsonl", "parquet"])
def test_columns_hold_what_the_engine_says_of_each_picture_alone(engine, drawings, tmp_path, output):
    if output == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
    rows = table(engine, drawings, tmp_path / f"desc.{output}", output, BOTH)
    assert len(rows) == 19
    for row in (rows[0], rows[7], rows[18]):
        picture = drawings / row["image"]
        features = engine.picture_features(picture)[0].numpy()
        assert np.allclose(row["embedding"], features, rtol=0, atol=1e-6) and len(row["embedding"]) == len(features)
        expected = engine.analyze(picture)[0].rows()
        names = ("category", "rank", "phrase")
        assert [[each[name] for name in names] for each in row["analysis"]] == [
            [each[name] for name in names] for each in expected
        ]
        for name in ("similarity", "likelihood"):
            found = [each[name] for each in row["analysis"]]
            assert found == pytest.approx([each[name] for each in expected], abs=1e-5)


def test_an_embedding_is_written_to_the_last_bit(engine, drawings, tmp_path):
    rows = table(engine, drawings, tmp_path / "desc.jsonl", "jsonl", ("embedding",))
    pictures = [drawings / row["image"] for row in rows[:15]]  # those that were looked at together
    written = np.array([row["embedding"] for row in rows[:15]], np.float32)
    assert np.array_equal(written, engine.picture_features(pictures).numpy()) and "analysis" not in rows[0]


def test_what_is_said_without_columns_stays(engine, drawings, tmp_path):
    plain = table(engine, drawings, tmp_path / "plain.jsonl", "jsonl", ())
    more = table(engine, drawings, tmp_path / "more.jsonl", "jsonl", BOTH)
    assert plain == [{name: value for name, value in row.items() if name not in BOTH} for row in more]


class StopsAt(Engine):
    """Is ended when it is asked for so many pictures."""

    def __init__(self, settings, left):
        super().__init__(settings)
        self._left = left

    def interrogate_each(self, *arguments, **more):
        for result in super().interrogate_each(*arguments, **more):
            if not self._left:
                raise KeyboardInterrupt
            self._left -= 1
            yield result


@pytest.mark.parametrize("output", ["jsonl", "parquet"])
def test_a_run_goes_on_with_its_columns(engine, drawings, tmp_path, output, monkeypatch):
    if output == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
    for module in ("ahead", "run"):
        monkeypatch.setattr(f"unrender.core.batch.{module}.CHUNK", 8)
    undisturbed = table(engine, drawings, tmp_path / f"undisturbed.{output}", output, BOTH)

    def run(engine, columns=BOTH):
        sink = sink_named(output, drawings, tmp_path / f"desc.{output}", columns=columns)
        return list(Batch(engine, source_named([str(drawings)]), sink, "fast", resume=True))

    with pytest.raises(KeyboardInterrupt):
        run(StopsAt(engine.settings, 12))
    with pytest.raises(BatchError, match="another output"):
        run(engine, ("embedding",))
    assert len(run(engine)) < 20
    made, expected = ((tmp_path / f"{name}.{output}").read_bytes() for name in ("desc", "undisturbed"))
    assert made == expected and undisturbed


def test_the_command_takes_columns(drawings, tmp_path, capsys):
    model = ["--clip", "micro", "--device", "cpu", "--mode", "fast", "--glob", "000.png"]
    more = ["--output", "jsonl", "-o", str(tmp_path / "desc.jsonl"), "--columns", "embedding, analysis"]
    assert main(["batch", str(drawings), *model, *more]) == 0
    row = json.loads((tmp_path / "desc.jsonl").read_text())
    assert sum(value * value for value in row["embedding"]) == pytest.approx(1.0, abs=1e-5)
    assert {each["category"] for each in row["analysis"]} >= {"artists", "mediums"}


@pytest.mark.parametrize(
    ("output", "columns", "said"), [("csv", BOTH, "leave out columns"), ("jsonl", ("colour",), "colour")]
)
def test_columns_that_cannot_be_are_refused(tmp_path, output, columns, said):
    with pytest.raises(SettingsError, match=said):
        sink_named(output, tmp_path, columns=columns)


def test_nothing_more_is_computed_unasked(tmp_path):
    list(batch(QuickEngine(), draw(tmp_path / "pictures", 3), "jsonl"))  # which has no features
