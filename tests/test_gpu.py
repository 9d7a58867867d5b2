"""Everything the engine does, on a device that does not mix with main memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from embed_settings import FEW
from PIL import Image
from pretended_cuda import REAL, device_fixture  # noqa: F401
from tiny_captioners import ALL
from unrender.core.clip import Clip
from unrender.core.clip.trie import Trie
from unrender.core.describe import Captioner
from unrender.core.embed.blend import Blend
from unrender.core.embed.kinds import PROJECTIONS
from unrender.core.engine import Engine, Settings
from unrender.core.errors import ModelError
from unrender.core.phrases.table import PhraseTable
from unrender.core.settings import MODES, SEARCHES, CaptionSettings

pytest_plugins = ["captioner_fixtures", "embed_fixtures"]

MICRO = Settings(clip="micro", captioner="micro", min_phrases=2, max_phrases=4)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return replace(MICRO, cache=tmp_path_factory.mktemp("gpu"))


@pytest.fixture(scope="module")
def on_gpu(settings: Settings, device: str) -> Iterator[Engine]:
    with Engine(replace(settings, device=device, precision="exact")) as engine:
        yield engine


@pytest.fixture(scope="module", params=SEARCHES)
def both(settings: Settings, device: str, request: pytest.FixtureRequest) -> Iterator[tuple[Engine, Engine]]:
    """An engine on the CPU and one on the device, with each of the searches."""
    exact = replace(settings, precision="exact", search=request.param)
    with Engine(replace(exact, device="cpu")) as one, Engine(replace(exact, device=device)) as other:
        yield one, other


@pytest.fixture
def pictures(photographs: list[Image.Image]) -> list[Image.Image]:
    return [picture.resize((96, 72)) for picture in photographs[:3]]


@pytest.fixture(scope="module")
def on_cpu(settings: Settings) -> Iterator[Engine]:
    with Engine(replace(settings, device="cpu", precision="exact")) as engine:
        yield engine


# --- prompts


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_finds_what_it_finds_on_the_cpu(
    both: tuple[Engine, Engine], pictures: list[Image.Image], mode: Any
) -> None:
    found = [engine.interrogate(pictures[0], mode) for engine in both]
    assert [str(engine.clip and engine.clip.device) for engine in both] == ["cpu", REAL or "cuda:0"]
    assert found[0].prompt == found[1].prompt
    assert found[0].similarity == pytest.approx(found[1].similarity, abs=1e-4)


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("precision", ["auto", "float16"])
def test_half_precision(
    settings: Settings, pictures: list[Image.Image], device: str, precision: Any, search: Any
) -> None:
    small = replace(settings, pool=100, max_phrases=2)  # CPUs, which a pretended device is made of, are slow at it
    with Engine(replace(small, device=device, precision=precision, search=search)) as engine:
        found = [engine.interrogate(pictures[0], mode) for mode in ("best", "negative")]
        assert engine.clip is not None and engine.clip.dtype is torch.float16
    assert all(each.prompt and -1 < each.similarity < 1 for each in found)


def test_many_phrases_are_screened_and_kept_in_main_memory(
    settings: Settings, pictures: list[Image.Image], device: str
) -> None:
    tight = replace(settings, device=device, memory=60_000_000)
    with Engine(tight) as engine:
        assert engine.interrogate(pictures[0], "fast").prompt
        assert engine.interrogate(pictures[0], "best").prompt


def test_several_pictures(on_gpu: Engine, on_cpu: Engine, pictures: list[Image.Image]) -> None:
    for engine in (on_gpu, on_cpu):
        engine.found = [  # type: ignore[attr-defined]
            *(each.prompt for each in engine.interrogate_each(pictures, "fast")),
            engine.interrogate_together(pictures, "fast", weights=[2, 1, 1]).prompt,
        ]
    assert on_gpu.found == on_cpu.found  # type: ignore[attr-defined]
    features = on_gpu.picture_features(pictures)
    assert features.device.type == "cpu"
    again = on_gpu.interrogate_each(pictures, "fast", ["", "", ""], features)
    assert len([each.prompt for each in again]) == 3


def test_what_is_asked_of_pictures(on_gpu: Engine, pictures: list[Image.Image]) -> None:
    analysis = on_gpu.analyze(pictures, families=False)
    assert on_gpu.analyze_features(on_gpu.picture_features(pictures))[0] == analysis[0]
    assert on_gpu.analyze_together(pictures, weights=[1, 2, 3])
    assert on_gpu.match(pictures, ["a circle", "a square"], ["a picture of {}", "{}"]).to_dict()
    assert on_gpu.explain(pictures[0], ["a red circle"])[0].boxes() is not None
    assert on_gpu.locate(pictures[0], "a circle")
    assert on_gpu.worth(pictures[0], "a circle, red")
    assert on_gpu.text_features(["a", "b"]).device.type == "cpu"


# --- captions


@pytest.mark.parametrize("name", ALL)
def test_every_kind_of_captioner(folders: dict[str, Path], images: list[Image.Image], device: str, name: str) -> None:
    settings = CaptionSettings(max_length=5, beams=2)
    texts = [
        Captioner.load(str(folders[name]), place, torch.float32).caption(images[:2], settings)
        for place in ("cpu", device)
    ]
    assert texts[0] == texts[1]
    half = Captioner.load(str(folders[name]), device)
    assert len(half.caption(images[:2], settings)) == 2
    assert half.to("cpu").caption(images[:1], settings) and half.to(device).caption(images[:1], settings)


# --- embeddings


@pytest.mark.parametrize("projection", PROJECTIONS)
@pytest.mark.usefixtures("quick_norms")
def test_every_projection(on_gpu: Engine, on_cpu: Engine, pictures: list[Image.Image], projection: str) -> None:
    blend = Blend(anchor=None if projection != "anchored" else "a circle")
    made = [engine.embed(pictures[0], "micro", projection, blend, fit=FEW) for engine in (on_cpu, on_gpu)]
    assert made[1].states is not None and made[1].states.device.type == "cpu"
    assert torch.allclose(made[0].states, made[1].states, atol=1e-3)
    text = Blend(text="a red square", anchor=blend.anchor, strength=0.5)
    assert on_gpu.embed(pictures[:2], "micro", projection, text, fit=FEW).states is not None


def test_texts_and_gaps(on_gpu: Engine, pictures: list[Image.Image], photographs: list[Image.Image]) -> None:
    assert on_gpu.embed_text("a cat", "micro").states is not None
    gap = on_gpu.measure_gap([*photographs, *(picture.rotate(90) for picture in photographs)])
    assert on_gpu.embed(pictures[0], "micro", "ridge", gap=gap, fit=FEW).states is not None


# --- a fault is found


def left_behind(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """Takes one move to the device out of the code."""
    if fault == "the trie":
        build = Trie.build
        monkeypatch.setattr(Trie, "build", classmethod(lambda cls, sequences, device="cpu": build(sequences, "cpu")))
    elif fault == "the pixels":
        monkeypatch.setattr(Clip, "_seen", lambda clip, encode, pixels: encode(pixels.to(clip.dtype)).float())
    elif fault == "the table":
        load = PhraseTable.load

        def loaded(*args: Any) -> PhraseTable:
            table = load(*args)
            return replace(table, embeddings=table.embeddings.cpu())

        monkeypatch.setattr(PhraseTable, "load", loaded)
    elif fault == "the way back":
        monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: tensor)


@pytest.mark.parametrize("fault", ["the trie", "the pixels", "the table", "the way back"])
def test_a_move_that_is_left_out_is_found(
    on_gpu: Engine, pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    with monkeypatch.context() as patch:
        on_gpu.unload()
        left_behind(patch, fault)
        with pytest.raises((RuntimeError, TypeError, ModelError), match=r"same device|convert cuda:0"):
            on_gpu.interrogate(pictures[0], "fast")
    on_gpu.unload()
    assert on_gpu.interrogate(pictures[0], "fast").prompt
