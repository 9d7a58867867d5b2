"""Whatever is known to be wrong without a model is refused before one is loaded, and before anything is written: by the
engine, and by what stands on it. The doors are in test_refusals_commands.py and test_refusals_doors.py."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from refusals import forbid_models, unchanged, write_files
from unrender.core.batch import Batch, RayBatch, on_ray, sink_named, source_named
from unrender.core.curate import curate
from unrender.core.embed.blend import Blend
from unrender.core.embed.seen import Seen
from unrender.core.engine import Engine
from unrender.core.errors import ImageError, IndexFileError, ModelError, PhraseError, SettingsError, UnrenderError
from unrender.core.index import read_index, search, update_index
from unrender.core.micro import CLIP_FOLDER
from unrender.core.places import check_file
from unrender.core.settings import Settings
from unrender.core.variation.render import Sampling
from unrender.core.variation.variations import Request
from unrender.core.verify.fidelity import measure_fidelity

NOWHERE = Path("nowhere")


@dataclass(frozen=True)
class World:
    """here: the folder with the files of `write_files`."""

    here: Path

    def engine(self, **settings: Any) -> Engine:
        usual = {"clip": "micro", "captioner": "micro", "device": "cpu", "cache": self.here / "cache"}
        return Engine(Settings(**{**usual, **settings}))

    @property
    def two(self) -> list[Image.Image]:
        return [Image.open(self.here / f"{name}.png") for name in ("red", "blue")]

    def batch(self, names: Any = "pictures", output: Any = "txt", mode: Any = "fast", **more: Any) -> list[Any]:
        settings = more.pop("settings", {})
        place, existing = more.pop("place", None), more.pop("existing", None)
        source = source_named([str(self.here / names)])
        sink = sink_named(output, source.root, place and self.here / place, existing)
        return list(Batch(self.engine(**settings), source, sink, mode, **more))

    def ray(self, mode: Any = "fast", **settings: Any) -> list[Any]:
        source = source_named([str(self.here / "pictures")])

        def sink_of(*, shard: Any) -> Any:
            return sink_named("txt", source.root, shard=shard)

        return list(RayBatch(self.engine(**settings).settings, source, sink_of, mode))


@pytest.fixture
def world(tmp_path, monkeypatch):
    write_files(tmp_path)
    with tarfile.open(tmp_path / "samples.tar", "w") as tar:
        tar.add(tmp_path / "red.png", "a.png")
    monkeypatch.setattr(on_ray, "_check_package", lambda: None)
    tried = forbid_models(monkeypatch)
    with unchanged(tmp_path):
        yield World(tmp_path)
    assert tried == []


Case = tuple[Callable[[World], Any], type[UnrenderError], str]


def _seen(count: int) -> Seen:
    return Seen(torch.nn.functional.normalize(torch.ones(count, 64), dim=-1), tuple(map(str, range(count))))


INTERROGATING: dict[str, Case] = {
    "a mode": (lambda w: w.engine().interrogate(w.two[0], "worst"), SettingsError, "'worst'"),
    "no file": (lambda w: w.engine().interrogate(w.here / "absent.png"), ImageError, "absent.png"),
    "no picture": (lambda w: w.engine().interrogate(w.here / "broken.png"), ImageError, "broken.png"),
    "none": (lambda w: w.engine().interrogate_together([]), SettingsError, "no picture"),
    "phrases": (lambda w: w.engine(phrases=NOWHERE).interrogate(w.two[0]), PhraseError, "nowhere"),
    "no phrases": (lambda w: w.engine(phrases=w.here / "nothing").interrogate(w.two[0]), PhraseError, "nothing"),
    "a limit": (lambda w: w.engine(limits={"moods": 1}).interrogate(w.two[0]), PhraseError, "'moods'"),
    "no captioner": (
        lambda w: w.engine(captioner=None).interrogate(w.two[0], "caption"),
        SettingsError,
        "caption mode has no caption",
    ),
    "an empty caption": (
        lambda w: w.engine().interrogate(w.two[0], "caption", " "),
        SettingsError,
        "caption mode has no caption",
    ),
    "a captioner": (lambda w: w.engine(captioner="blip").interrogate(w.two[0]), ModelError, "'blip'"),
    "a captioner's file": (
        lambda w: w.engine(captioner=str(w.here / "red.png")).interrogate(w.two[0]),
        ModelError,
        "red.png",
    ),
    "a captioner's folder": (
        lambda w: w.engine(captioner=str(w.here / "nothing")).interrogate(w.two[0]),
        ModelError,
        "nothing holds no model.safetensors",
    ),
    "no captioner at all": (
        lambda w: w.engine(captioner=str(CLIP_FOLDER)).interrogate(w.two[0]),
        ModelError,
        "writes no captions",
    ),
    "a CLIP": (lambda w: w.engine(clip="ViT-L-14/opnai").interrogate(w.two[0]), ModelError, "ViT-L-14/openai"),
    "a CLIP's file": (lambda w: w.engine(clip=str(w.here / "red.png")).interrogate(w.two[0]), ModelError, "red.png"),
    "a device": (lambda w: w.engine(device="abacus").interrogate(w.two[0]), SettingsError, "'abacus'"),
    "an absent device": (lambda w: w.engine(device="cuda:99").interrogate(w.two[0]), SettingsError, "'cuda:99'"),
    "weights": (lambda w: w.engine().interrogate_together(w.two, weights=[1]), SettingsError, "1 weight for 2"),
    "a negative weight": (
        lambda w: w.engine().interrogate_together(w.two, weights=[1, -1]),
        SettingsError,
        "weight is",
    ),
    "no weight": (lambda w: w.engine().interrogate_together(w.two, weights=[0, 0]), SettingsError, "all are zero"),
    "captions": (
        lambda w: list(w.engine().interrogate_each(w.two, captions=["a cat"])),
        SettingsError,
        "1 caption for 2 pictures",
    ),
    "one empty caption": (
        lambda w: list(w.engine().interrogate_each(w.two, "caption", ["a cat", ""])),
        SettingsError,
        "caption mode has no caption",
    ),
    "features": (
        lambda w: list(w.engine().interrogate_each(w.two, features=torch.ones(3, 8))),
        SettingsError,
        "3 features for 2 pictures",
    ),
    "a prompt": (lambda w: w.engine().worth(w.two[0], " , "), SettingsError, "no prompt"),
    "what to weigh by": (lambda w: w.engine().worth(w.here / "absent.png", "a cat"), ImageError, "absent.png"),
    "prompts": (lambda w: w.engine().similarity(w.two[0], []), SettingsError, "list of prompts"),
    "like what": (lambda w: w.engine().similarity(w.here / "absent.png", ["a"]), ImageError, "absent.png"),
    "asked before": (lambda w: w.engine(limits={"moods": 1}).check(), PhraseError, "'moods'"),
}

LOOKING: dict[str, Case] = {
    "top": (lambda w: w.engine().analyze(w.two, top=0), SettingsError, "top is 0"),
    "top of features": (lambda w: w.engine().analyze_features(torch.ones(1, 8), top=0), SettingsError, "top is 0"),
    "a category": (lambda w: w.engine().analyze(w.two, ["moods"]), PhraseError, "'moods'"),
    "no category": (lambda w: w.engine().analyze(w.two, []), PhraseError, "No category"),
    "phrases": (lambda w: w.engine(phrases=NOWHERE).analyze(w.two), PhraseError, "nowhere"),
    "a picture": (lambda w: w.engine().analyze(w.here / "broken.png"), ImageError, "broken.png"),
    "weights": (lambda w: w.engine().analyze_together(w.two, weights=[1, 1, 1]), SettingsError, "3 weights for 2"),
    "no question": (lambda w: w.engine().match(w.two, []), SettingsError, "no phrases"),
    "an empty question": (lambda w: w.engine().match(w.two, ["a cat", " "]), SettingsError, "empty"),
    "one text": (lambda w: w.engine().match(w.two, "a cat"), SettingsError, "one text"),
    "a template": (lambda w: w.engine().match(w.two, ["a cat"], ["a photo"]), SettingsError, "'a photo'"),
    "what to match": (lambda w: w.engine().match(w.here / "absent.png", ["a cat"]), ImageError, "absent.png"),
    "nothing to explain": (lambda w: w.engine().explain(w.two[0], []), SettingsError, "no phrase"),
    "an empty phrase": (lambda w: w.engine().explain(w.two[0], ["a cat", ""]), SettingsError, "no phrase"),
    "nothing to locate": (lambda w: w.engine().locate(w.two[0], " "), SettingsError, "no phrase"),
    "where to locate": (lambda w: w.engine().locate(w.here / "absent.png", "a cat"), ImageError, "absent.png"),
    "what to see": (lambda w: w.engine().picture_features(w.here / "absent.png"), ImageError, "absent.png"),
    "a text for texts": (lambda w: w.engine().text_features("a cat"), SettingsError, "list of texts"),
    "no texts": (lambda w: w.engine().text_features([]), SettingsError, "list of texts"),
}

EMBEDDING: dict[str, Case] = {
    "a family": (lambda w: w.engine().embed(w.two, "sd9"), SettingsError, "'sd9'"),
    "a projection of a pooled vector": (
        lambda w: w.engine().embed(w.two, "sd3", "ridge"),
        SettingsError,
        "Stable Diff",
    ),
    "a projection": (lambda w: w.engine().embed(w.two, "micro", "lens"), SettingsError, "'lens'"),
    "a projection out of reach": (lambda w: w.engine().embed(w.two, "sdxl", "pinv"), SettingsError, "SDXL"),
    "a picture": (lambda w: w.engine().embed(w.here / "broken.png", "micro"), ImageError, "broken.png"),
    "weights": (lambda w: w.engine().embed(w.two, "micro", blend=Blend([1])), SettingsError, "1 weight for 2"),
    "a weight": (lambda w: w.engine().embed(w.two, "micro", blend=Blend([1, -1])), SettingsError, "weight is"),
    "weights of what was seen": (
        lambda w: w.engine().embed(_seen(3), "micro", blend=Blend([1])),
        SettingsError,
        "1 weight for 3",
    ),
    "a mix": (lambda w: Blend(mix="stirred"), SettingsError, "'stirred'"),  # pyright: ignore[reportArgumentType]
    "a text": (
        lambda w: w.engine().embed(w.two, "micro", "ridge", Blend(text="a cat")),
        SettingsError,
        "less than 1 as strength",
    ),
    "swaps": (lambda w: w.engine().embed(w.two, "micro", "bank", Blend(swaps={"a": "b"})), SettingsError, "anchored"),
    "a swap": (
        lambda w: w.engine().embed(w.two, "micro", "anchored", Blend(swaps={"moods": "calm"})),
        SettingsError,
        "'moods'",
    ),
    "words to learn from": (lambda w: w.engine(phrases=NOWHERE).embed(w.two, "micro", "ridge"), PhraseError, "nowhere"),
    "words to anchor by": (
        lambda w: w.engine(limits={"moods": 1}).embed(w.two, "micro", "anchored"),
        PhraseError,
        "'moods'",
    ),
    "asked before": (lambda w: w.engine().check_embedding(2, "micro", blend=Blend([1])), SettingsError, "1 weight"),
    "a text's family": (lambda w: w.engine().embed_text("a cat", "sd9"), SettingsError, "'sd9'"),
    "states for none": (lambda w: w.engine().embed(w.two, "flux", "ridge"), SettingsError, "FLUX"),
    "few pictures": (lambda w: w.engine().measure_gap(w.two), SettingsError, "2 pictures to measure the gap"),
    "few seen": (lambda w: w.engine().measure_gap(_seen(7)), SettingsError, "7 pictures to measure the gap"),
    "one picture": (lambda w: w.engine().measure_gap(w.two[:1] * 9), SettingsError, "all the same"),
    "no variations": (lambda w: Request(w.two, count=0), SettingsError, "pictures is 0"),
    "weights of variations": (lambda w: Request(w.two, blend=Blend([1, 2, 3])), SettingsError, "3 weights for 2"),
    "swaps of variations": (
        lambda w: Request(w.two, "pinv", Blend(swaps={"mediums": "a mosaic"})),
        SettingsError,
        "anchored",
    ),
    "the last seed": (lambda w: Request(w.two, sampling=Sampling(seed=2**63 - 1), count=2), SettingsError, "seed is"),
    "one to verify with": (
        lambda w: measure_fidelity(w.engine(), None, [], w.two[:1], None),  # pyright: ignore[reportArgumentType]
        SettingsError,
        "1 picture to verify with",
    ),
}

MANY: dict[str, Case] = {
    "a mode": (lambda w: w.batch(mode="worst"), SettingsError, "'worst'"),
    "a mode in a dry run": (lambda w: w.batch(mode="worst", dry_run=True), SettingsError, "'worst'"),
    "phrases": (lambda w: w.batch(output="csv", settings={"phrases": NOWHERE}), PhraseError, "nowhere"),
    "a limit": (lambda w: w.batch(settings={"limits": {"moods": 1}}), PhraseError, "'moods'"),
    "no captioner": (lambda w: w.batch(mode="caption", settings={"captioner": None}), SettingsError, "caption mode"),
    "a captioner": (lambda w: w.batch(settings={"captioner": "blip"}), ModelError, "'blip'"),
    "a CLIP": (lambda w: w.batch(settings={"clip": "ViT-L-14/opnai"}), ModelError, "ViT-L-14/openai"),
    "a device": (lambda w: w.batch(settings={"device": "abacus"}), SettingsError, "'abacus'"),
    "no source": (lambda w: w.batch("absent"), SettingsError, "absent"),
    "phrases on a cluster": (lambda w: w.ray(phrases=NOWHERE), PhraseError, "nowhere"),
    "a mode on a cluster": (lambda w: w.ray("worst"), SettingsError, "'worst'"),
    "a folder to index": (lambda w: update_index(w.engine(), w.here / "absent"), SettingsError, "absent"),
    "a folder for an index": (
        lambda w: update_index(w.engine(), w.here / "pictures", w.here / "nothing"),
        IndexFileError,
        "is a folder",
    ),
    "no index": (lambda w: read_index(w.here / "nothing"), IndexFileError, "no index"),
    "nothing to find": (
        lambda w: search(read_index(w.here / "pictures"), torch.ones(4).numpy(), 0),
        SettingsError,
        "top is 0",
    ),
    "nothing to curate": (lambda w: curate(w.engine(), w.here / "one"), SettingsError, "no pictures"),
    "no index to curate": (lambda w: curate(w.engine(), w.here / "nothing"), IndexFileError, "no index"),
}


@pytest.mark.parametrize("case", INTERROGATING.values(), ids=INTERROGATING)
def test_no_interrogation(world, case):
    refused(world, case)


@pytest.mark.parametrize("case", LOOKING.values(), ids=LOOKING)
def test_no_look(world, case):
    refused(world, case)


@pytest.mark.parametrize("case", EMBEDDING.values(), ids=EMBEDDING)
def test_no_embedding(world, case):
    refused(world, case)


@pytest.mark.parametrize("case", MANY.values(), ids=MANY)
def test_none_of_many(world, case):
    refused(world, case)


def refused(world: World, case: Case) -> None:
    ask, error, says = case
    with pytest.raises(error) as caught:
        ask(world)
    assert says in str(caught.value)


SOURCES_IN_THE_WAY: dict[str, tuple[dict[str, Any], str]] = {
    "a list": ({"names": "list.csv", "output": "csv", "place": "list.csv"}, "list.csv is read itself"),
    "a tar file": ({"names": "samples.tar", "output": "tar", "place": "samples.tar"}, "samples.tar is read itself"),
}


@pytest.mark.parametrize(("asked", "says"), SOURCES_IN_THE_WAY.values(), ids=SOURCES_IN_THE_WAY)
def test_no_output_replaces_what_is_read(tmp_path, monkeypatch, asked, says):
    """A run's folder is held before its source is read, so that a note of that is left."""
    write_files(tmp_path)
    with tarfile.open(tmp_path / "samples.tar", "w") as tar:
        tar.add(tmp_path / "red.png", "a.png")
    held = (tmp_path / asked["names"]).read_bytes()
    tried = forbid_models(monkeypatch)
    with pytest.raises(SettingsError, match=says):
        World(tmp_path).batch(existing="overwrite", **asked)
    assert tried == [] and (tmp_path / asked["names"]).read_bytes() == held


def test_pictures_in_a_tar_file_get_no_other_names(tmp_path, monkeypatch):
    with tarfile.open(tmp_path / "samples.tar", "w") as tar:
        Image.new("RGB", (8, 8)).save(tmp_path / "0.png")
        tar.add(tmp_path / "0.png", "a.png")
    tried = forbid_models(monkeypatch)
    with pytest.raises(SettingsError, match="no file of its own"):
        World(tmp_path).batch("samples.tar", "rename")
    assert tried == []


def test_a_file_that_is_replaced_asks_its_folder(tmp_path, monkeypatch):
    """Where a file may be written and its folder may not, as a new one beside it has to be."""
    file = tmp_path / "out.safetensors"
    file.write_bytes(b"")
    monkeypatch.setattr("unrender.core.places.os.access", lambda path, _: Path(path) == file)
    check_file(file)
    with pytest.raises(SettingsError, match="not permitted"):
        check_file(file, replaced=True)
