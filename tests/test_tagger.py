"""A tagger from a folder, a hub, or by name, and what it says of pictures."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import timm
import tiny_taggers as tiny
import torch
from hub_server import FakeHub, hub_fixture, no_settings_of_this_machine_fixture, server_fixture  # noqa: F401
from PIL import Image
from safetensors.torch import load_file
from unrender.core.describe import kind_of, known_describers, load_describer
from unrender.core.describe.tagging.tagger import KNOWN_TAGGERS, Tagger, find_tagger
from unrender.core.errors import Cancelled, ModelError
from unrender.core.hub import Hub
from unrender.core.progress import Progress
from unrender.core.settings import CaptionSettings, TagSettings
from unrender.core.tags import of_category

ALL = CaptionSettings(tags=TagSettings(general=0, character=0, implied=True))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("taggers")
    return {name: tiny.make(root / name, name) for name in tiny.ARCHITECTURES}


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    random = np.random.default_rng(0)
    noise = [Image.fromarray(random.integers(0, 256, (40, 30, 3), dtype=np.uint8)) for _ in range(5)]
    return [*noise, Image.new("RGB", (50, 20), "red")]


def reference(folder: Path, name: str, images: list[Image.Image]) -> np.ndarray:
    """The recipe as published, with NumPy and timm alone: [pictures, tags]."""
    config = tiny.config_of(name)
    module = timm.create_model(config["architecture"], num_classes=len(tiny.ROWS), **config["model_args"]).eval()
    module.load_state_dict(load_file(folder / "model.safetensors"))
    found = []
    for image in images:
        side = max(image.size)
        square = np.full((side, side, 3), 255, np.uint8)
        left, top = (side - image.width) // 2, (side - image.height) // 2
        square[top : top + image.height, left : left + image.width] = np.asarray(image)
        small = Image.fromarray(square).resize((tiny.SIDE, tiny.SIDE), Image.Resampling.BICUBIC)
        values = (np.asarray(small, np.float64)[:, :, ::-1] / 255 - 0.5) / 0.5
        with torch.no_grad():
            logits = module(torch.from_numpy(values.transpose(2, 0, 1)[None].astype(np.float32)))
        found.append(1 / (1 + np.exp(-logits[0].double().numpy())))
    return np.array(found)


@pytest.mark.parametrize("name", tiny.ARCHITECTURES)
def test_each_architecture_tells_what_timm_tells(
    folders: dict[str, Path], images: list[Image.Image], name: str
) -> None:
    tagger = load_describer(str(folders[name]), "cpu")
    expected = reference(folders[name], name, images)
    for description, values in zip(tagger.describe(images, ALL), expected, strict=True):
        told = {tag.name: tag.confidence for tag in description.tags}
        assert [told[tag] for tag, _ in tiny.ROWS] == pytest.approx(list(values), abs=6e-5)
    assert expected.std(axis=0).max() > 0.01  # what it says differs from picture to picture


def test_what_is_said_and_what_is_told(folders: dict[str, Path], images: list[Image.Image]) -> None:
    asked = CaptionSettings(tags=TagSettings(trigger="mine", rating=True))
    for description in load_describer(str(folders["vit"]), "cpu").describe(images, asked):
        rated = of_category(description.tags, "rating")
        assert len(rated) == 4 and rated[0].confidence == max(tag.confidence for tag in rated)
        said = description.text.split(", ")
        assert said[0] == "mine" and said[-1] == rated[0].name
        assert len(said) == len(description.tags) - len(rated) + 2
        others = [tag for tag in description.tags if tag.category != "rating"]
        assert all(tag.confidence >= (0.85 if tag.category == "character" else 0.35) for tag in others)
        assert [tag.confidence for tag in others] == sorted((tag.confidence for tag in others), reverse=True)


def test_the_same_alone_and_with_others(folders: dict[str, Path], images: list[Image.Image]) -> None:
    tagger = load_describer(str(folders["swinv2"]), "cpu")
    together = tagger.describe(images, ALL)
    assert together == [tagger.describe([image], ALL)[0] for image in images]


def test_pictures_are_let_go_one_by_one(folders: dict[str, Path]) -> None:
    """Of an iterator's only what the network sees is kept."""
    import gc
    import weakref

    alive: list[weakref.ref[Image.Image]] = []

    def made():
        for number in range(9):
            gc.collect()
            assert sum(each() is not None for each in alive) <= 1
            picture = Image.new("RGB", (60, 40), (number, 0, 0))
            alive.append(weakref.ref(picture))
            yield picture
            del picture

    assert len(load_describer(str(folders["vit"]), "cpu").describe(made())) == 9


def test_stopping(folders: dict[str, Path], images: list[Image.Image]) -> None:
    class Stopped(Progress):
        def check(self) -> None:
            raise Cancelled()

    with pytest.raises(Cancelled):
        load_describer(str(folders["vit"]), "cpu").describe(images, progress=Stopped())


def test_memory_that_does_not_suffice_takes_fewer_at_once(
    folders: dict[str, Path], images: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    tagger = load_describer(str(folders["vit"]), "cpu")
    expected = tagger.describe(images, ALL)
    assert isinstance(tagger, Tagger) and tagger.module is not None
    sizes: list[int] = []

    def short(_: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
        sizes.append(len(inputs[0]))
        if len(inputs[0]) > 1:
            raise RuntimeError("CUDA out of memory")

    hook = tagger.module.register_forward_pre_hook(short)
    assert tagger.describe(images, ALL) == expected and min(sizes) == 1
    hook.remove()
    tagger.module.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("CUDA out of memory")))
    with pytest.raises(ModelError, match="runs out of memory on cpu; give a smaller one as captioner"):
        tagger.describe(images)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_says_nearly_the_same(
    folders: dict[str, Path], images: list[Image.Image], dtype: torch.dtype
) -> None:
    whole, half = (Tagger.load(str(folders["vit"]), "cpu", each) for each in (None, dtype))
    assert half.nbytes == whole.nbytes // 2
    for one, other in zip(whole.describe(images, ALL), half.describe(images, ALL), strict=True):
        told = {tag.name: tag.confidence for tag in other.tags}
        assert all(abs(tag.confidence - told[tag.name]) < 0.06 for tag in one.tags)


# --- names ---


def test_folders_are_told_apart(folders: dict[str, Path], tmp_path: Path) -> None:
    assert kind_of(str(folders["vit"])).name == "tagger"
    assert kind_of("blip-large").name == kind_of(str(tmp_path)).name == "captioner"
    unlisted = shutil.copytree(folders["vit"], tmp_path / "as-timm-has-it")
    (unlisted / "selected_tags.csv").unlink()
    assert kind_of(str(unlisted)).name == "tagger"
    with pytest.raises(ModelError, match=r"holds no selected_tags.csv"):
        load_describer(str(unlisted))


def test_known_names_are_taggers() -> None:
    assert set(KNOWN_TAGGERS) <= set(known_describers())
    assert all(kind_of(name.upper()).name == "tagger" for name in (*KNOWN_TAGGERS, "micro-tagger"))
    assert {known.licence for known in KNOWN_TAGGERS.values()} == {"Apache-2.0"}


def test_without_the_micro_tagger(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from unrender.core.describe.tagging import tagger

    monkeypatch.setattr(tagger, "TAGGER_FOLDER", tmp_path)
    with pytest.raises(ModelError, match="install this package again"):
        load_describer("micro-tagger")


# --- from the hub ---


@pytest.fixture
def served(no_settings_of_this_machine: None, server: FakeHub, folders: dict[str, Path]) -> FakeHub:
    server.repos = {"someone/tagger": {path.name: path.read_bytes() for path in folders["vit"].iterdir()}}
    return server


def test_a_hub_id_is_known_by_its_list_of_files(
    served: FakeHub, hub: Hub, folders: dict[str, Path], images: list[Image.Image]
) -> None:
    assert kind_of("someone/tagger").name == "captioner"  # nobody is asked without a hub
    assert kind_of("someone/tagger", hub).name == "tagger"
    tagger = load_describer("someone/tagger", "cpu", hub=hub)
    assert tagger.name == "someone/tagger"
    assert tagger.describe(images) == load_describer(str(folders["vit"]), "cpu").describe(images)
    served.requests.clear()
    assert load_describer("someone/tagger", "cpu", hub=hub).caption(images[:1]) and served.requests == []


def test_the_steps_of_what_is_seen_come_along(served: FakeHub, hub: Hub, tmp_path: Path) -> None:
    folder = tiny.make_with_steps(tmp_path / "steps")
    served.repos["someone/steps"] = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert (find_tagger("someone/steps", hub) / "preprocess.json").is_file()


def test_a_list_that_does_not_fit_is_refused_before_the_weights(served: FakeHub, hub: Hub) -> None:
    served.repos["someone/tagger"]["selected_tags.csv"] = b"tag_id,name,category,count\n1,one,0,1\n"
    with pytest.raises(ModelError, match=r"has 1 rows, and by its .*the tagger has 17 outputs"):
        load_describer("someone/tagger", hub=hub)
    assert not served.asked("GET", ".safetensors")


def test_known_names_lead_to_their_repositories(served: FakeHub, hub: Hub) -> None:
    known = KNOWN_TAGGERS["wd-vit"]
    served.repos[known.repo] = served.repos["someone/tagger"]
    assert known.repo.replace("/", "--") in str(find_tagger("WD-ViT", hub))


def test_without_a_network(hub: Hub, no_settings_of_this_machine: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match=r"wd-vit-tagger-v3.*micro-tagger or none as"):
        load_describer("wd-vit", hub=hub)
