"""`unrender batch --engine ray`, on a cluster of two nodes on this machine, with the toy model."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import tarfile
from functools import partial
from pathlib import Path

import pytest
from batch_runs import contents
from PIL import Image
from unrender.cli import main
from unrender.core.batch import Batch, RayBatch, Shard, sink_named, source_named
from unrender.core.batch.tables import JsonLinesSink
from unrender.core.batch.worker import Describer, ShardsNote, ShardWork
from unrender.core.engine import Engine
from unrender.core.errors import BatchError
from unrender.core.micro.pictures import render
from unrender.core.settings import Settings

MICRO = Settings(clip="micro", captioner="micro", device="cpu")
PICTURES = 40
SHARDS = 3  # of sixteen pictures


@pytest.fixture(scope="module")
def cluster():
    """Two nodes, each with room for one actor."""
    pytest.importorskip("ray.data", reason="needs Ray")
    import ray
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")  # else a token is written to the home folder
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))  # the workers load a sink from this module
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        ray.init(address=cluster.address, log_to_driver=False)
        try:
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()


@pytest.fixture(scope="module")
def drawings(tmp_path_factory):
    """Micro's test pictures, and a file that is none."""
    folder = tmp_path_factory.mktemp("drawings")
    for number, pixels in enumerate(render("test", PICTURES).pixels):
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(folder / f"{number:03}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def engine():
    with Engine(MICRO) as engine:
        yield engine


@pytest.fixture(scope="module")
def here(engine, drawings, tmp_path_factory):
    """What the shards leave, described one after the other by this process."""
    place = tmp_path_factory.mktemp("here")
    for number in range(1, SHARDS + 1):
        shard = Shard(number, SHARDS)
        sink = sink_named("jsonl", drawings, place / "desc.jsonl", shard=shard)
        list(Batch(engine, source_named([str(drawings)]), sink, "fast", shard=shard))
    return contents(place)


def on_ray(drawings, sink_of, **more):
    return RayBatch(MICRO, source_named([str(drawings)]), sink_of, "fast", **more)


def to_json_lines(drawings, place, kind=sink_named):
    return partial(kind, "jsonl", drawings, place / "desc.jsonl")


@pytest.mark.full
def test_workers_write_what_shards_would_and_say_what_one_run_would(cluster, engine, drawings, here, tmp_path):
    batch = on_ray(drawings, to_json_lines(drawings, tmp_path / "made"))
    done = list(batch)
    assert contents(tmp_path / "made") == here
    assert sum(shard.written for shard in done) == batch.written == PICTURES and batch.failed == 1
    assert len(done) == SHARDS and batch.total == PICTURES + 1
    rows = {row["image"]: row for text in here.values() for row in _rows(text)}
    whole = Batch(engine, source_named([str(drawings)]), sink_named("csv", drawings, tmp_path / "desc.csv"), "fast")
    described = {outcome.name: outcome.result for outcome in whole if outcome.result}
    assert rows.keys() == described.keys()
    for name, result in described.items():
        assert (rows[name]["prompt"], rows[name]["caption"]) == (result.prompt, result.caption)
        assert rows[name]["similarity"] == pytest.approx(result.similarity, abs=1e-5)


@pytest.mark.full
@pytest.mark.parametrize("output", ["txt", "csv", "parquet", "tar", "xmp"])
def test_the_command_writes_every_kind(cluster, drawings, here, tmp_path, output, capsys):
    folder = tmp_path / "drawings"
    folder.mkdir()
    for path in drawings.iterdir():
        (folder / path.name).symlink_to(path)
    more = [] if output == "txt" else ["-o", str(tmp_path / "made" / ("" if output == "xmp" else f"desc.{output}"))]
    options = ["--clip", "micro", "--device", "cpu", "--mode", "fast", "--output", output, *more]
    assert main(["batch", str(folder), "--engine", "ray", *options]) == 1
    err = capsys.readouterr().err
    assert f"{PICTURES} pictures in" in err and "broken.png" in err and "1 failed, see" in err
    expected = {row["image"]: row["prompt"] for text in here.values() for row in _rows(text)}
    assert _prompts(output, folder, tmp_path / "made") == expected


class DyingSink(JsonLinesSink):
    """Kills its process in the middle of a shard, the first time."""

    def write(self, item, outcome):
        super().write(item, outcome)
        fuse = self.path.parent / "fuse"
        if self.part == "2of3" and int(item.name[:3]) > 20 and fuse.exists():
            fuse.unlink()
            os.kill(os.getpid(), signal.SIGKILL)


def dying(output, root, place, shard):
    return DyingSink(place.with_stem(f"{place.stem}-{shard.label}") if shard.label else place)


@pytest.mark.full
def test_a_killed_worker_is_survived(cluster, drawings, here, tmp_path):
    (tmp_path / "fuse").touch()
    batch = on_ray(drawings, to_json_lines(drawings, tmp_path, dying))
    list(batch)
    assert contents(tmp_path) == here
    assert batch.written == PICTURES and batch.failed == 1


class FullSink(JsonLinesSink):
    """Has no room left."""

    def write(self, item, outcome):
        raise OSError(errno.ENOSPC, "No space left on device")


def full(output, root, place, shard):
    return FullSink(place.with_stem(f"{place.stem}-{shard.label}") if shard.label else place)


@pytest.mark.full
def test_a_worker_without_room_ends_the_run_with_a_sentence(cluster, drawings, tmp_path):
    with pytest.raises(BatchError, match="disk is full"):
        list(on_ray(drawings, to_json_lines(drawings, tmp_path, full)))


@pytest.mark.full
def test_a_stopped_run_does_not_look_again_at_complete_shards(cluster, drawings, here, tmp_path):
    sink_of = to_json_lines(drawings, tmp_path)
    first = iter(on_ray(drawings, sink_of))
    complete = next(done for done in first if not done.failures)
    first.close()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob(f"*{complete.shard.label}*.jsonl")}
    assert len(before) == 2  # the table and its journal
    batch = on_ray(drawings, sink_of, resume=True)
    assert complete.shard not in [done.shard for done in batch]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert 0 < batch.total <= PICTURES + 1 - complete.written
    assert contents(tmp_path) == here


@pytest.mark.full
def test_a_lost_node_is_survived(cluster, drawings, here, tmp_path):
    """The last test here, since the cluster has one node afterwards."""
    run = iter(on_ray(drawings, to_json_lines(drawings, tmp_path)))
    next(run)
    cluster.remove_node(sorted(cluster.worker_nodes, key=str)[0], allow_graceful=False)
    list(run)
    assert contents(tmp_path) == here


def _rows(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith(b"{")]


def _prompts(output, folder, made):
    if output == "txt":
        return {path.with_suffix(".png").name: path.read_text() for path in folder.glob("*.txt")}
    if output == "xmp":
        return {path.name: Image.open(path).info["Description"] for path in made.glob("*.png")}
    if output == "tar":
        return {name: text for path in made.glob("desc-*.tar") for name, text in _texts_in(path)}
    import pyarrow.csv
    import pyarrow.parquet

    read = pyarrow.parquet.read_table if output == "parquet" else pyarrow.csv.read_csv
    tables = [read(path).to_pylist() for path in made.glob(f"desc-*.{output}")]
    assert len(tables) == SHARDS
    return {Path(row["image"]).name: row["prompt"] for table in tables for row in table}


def describer(drawings, place):
    """A worker, called without Ray."""
    sink_of = to_json_lines(drawings, place)
    return Describer(MICRO, Path.cwd(), sink_of, "fast", 1, ShardsNote(sink_of(shard=Shard())))


def first_shard(drawings, before=0):
    shard = Shard(1, 4)
    items = tuple(item for item in source_named([str(drawings)]) if shard.holds(item.name))
    return ShardWork(shard, drawings, items, before)


def test_a_worker_says_what_became_of_a_shard(drawings, tmp_path):
    worker = describer(drawings, tmp_path)
    (tmp_path / ".unrender").mkdir()
    (tmp_path / ".unrender" / "desc.jsonl.shards").write_text("4")
    work = first_shard(drawings)
    done = worker({"item": work})["item"]
    assert done.written + len(done.failures) == len(work.items) and done.error is None
    written = contents(tmp_path)
    assert len(_rows(written["desc-1of4.jsonl"])) == done.written
    again = worker({"item": first_shard(drawings, done.written)})["item"]
    assert again.written == 0 and contents(tmp_path) == written


def test_a_worker_refuses_a_place_that_is_not_the_runs(drawings, tmp_path):
    done = describer(drawings, tmp_path)({"item": first_shard(drawings)})["item"]
    assert isinstance(done.error, BatchError) and str(tmp_path) in str(done.error)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("pictures", "shards"), [(0, 2), (16, 2), (33, 3), (10_000, 256), (10**6, 977)])
def test_shards_are_many_and_not_large_and_stay(tmp_path, pictures, shards):
    (tmp_path / ".unrender").mkdir()
    whole = sink_named("csv", tmp_path, tmp_path / "desc.csv")
    assert ShardsNote(whole).count_of_shards(pictures) == shards
    assert ShardsNote(whole).count_of_shards(pictures * 3 + 50) == shards


def _texts_in(path):
    with tarfile.open(path) as tar:
        for member in tar:
            if member.name.endswith(".txt"):
                yield member.name.replace(".txt", ".png"), tar.extractfile(member).read().decode()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--output", "rename"], "leave out --engine"),
        (["--shard", "1/2"], "--shard"),
        (["--dry-run"], "--dry-run"),
        (["--device", "cuda:1"], "cuda:1"),
    ],
)
def test_what_ray_cannot_do_is_one_line(options, said, tmp_path, capsys):
    assert main(["batch", str(tmp_path), "--engine", "ray", "--clip", "micro", *options]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1 and not list(tmp_path.iterdir())


def test_without_ray_the_command_that_installs_it_is_said(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["batch", str(tmp_path), "--engine", "ray", "--clip", "micro"]) == 1
    err = capsys.readouterr().err
    assert "pip install" in err and err.count("\n") == 1
