"""Folders of strangers that talk: what would run code, take memory or time is a sentence or does nothing."""

from __future__ import annotations

import ctypes
import gc
import shutil
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
import tiny_chats as tiny
import torch
from PIL import Image
from tiny_captioners import change_config, change_json, sentence
from unrender.core.describe import Captioner, load_describer
from unrender.core.engine import Engine
from unrender.core.errors import MissingPackageError, ModelError, SettingsError
from unrender.core.progress import Progress
from unrender.core.settings import CaptionSettings, Settings

pytestmark = pytest.mark.skipif(not tiny.CHATS, reason="their configurations are those of transformers 5")
PICTURE = Image.new("RGB", (40, 40), "red")


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.qwen3(tmp_path_factory.mktemp("talker") / "qwen3")


@pytest.fixture
def folder(talker: Path, tmp_path: Path) -> Path:
    return shutil.copytree(talker, tmp_path / "talker")


def test_code_and_pickles_beside_a_known_architecture_are_left_alone(folder: Path, talker: Path) -> None:
    code = {
        "AutoModel": "own.Own",
        "AutoProcessor": "own.Own",
        "AutoConfig": "own.Own",
        "AutoTokenizer": ["own.Own", None],
    }
    change_config(folder, auto_map=code)
    for name in ("processor_config.json", "tokenizer_config.json", "preprocessor_config.json"):
        if (folder / name).is_file():
            change_json(folder / name, auto_map=code)
    (folder / "own.py").write_text("raise SystemExit('this ran')")
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").write_text("raise SystemExit('this ran')")
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nsystem\n.")
    settings = CaptionSettings(max_length=4)
    found = Captioner.load(str(folder)).caption([PICTURE], settings)
    assert found == Captioner.load(str(talker)).caption([PICTURE], settings)


@pytest.mark.parametrize(
    "wished",
    [
        {"num_return_sequences": 3, "num_beams": 3},
        {"return_dict_in_generate": True, "output_scores": True},
        {"do_sample": True, "temperature": 9.0, "top_k": 1},
        {"stop_strings": ["a"], "use_cache": False},
        {"max_length": 10**9, "max_new_tokens": 10**9, "min_new_tokens": 10**9, "max_time": 0.0},
        {"custom_generate": "someone/code"},
        {"assistant_early_exit": 1, "prompt_lookup_num_tokens": 3},
        {"penalty_alpha": 0.5, "top_k": 3},
        {"dola_layers": "high"},
    ],
)
def test_what_a_folder_wishes_of_writing_changes_neither_length_nor_number(
    folder: Path, talker: Path, wished: dict[str, Any]
) -> None:
    change_json(folder / "generation_config.json", **wished)
    settings = CaptionSettings(max_length=4)
    captions = Captioner.load(str(folder)).caption([PICTURE], settings)
    assert captions == Captioner.load(str(talker)).caption([PICTURE], settings)


@pytest.mark.parametrize(
    "template", ["{% for i in range(10**9) %}x{% endfor %}", "{% include '/etc/passwd' %}", "{{ 1/0 }}"]
)
def test_a_template_that_loops_or_reads_files(folder: Path, template: str) -> None:
    (folder / "chat_template.jinja").write_text(template)
    with pytest.raises(ModelError, match=r"chat template of .* cannot be rendered") as error:
        Captioner.load(str(folder)).caption([PICTURE])
    sentence(error)


def test_a_huge_template_is_refused(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text("x" * 300_000)
    with pytest.raises(ModelError, match=r"chat template|cannot be read"):
        Captioner.load(str(folder)).caption([PICTURE])


# --- bits, memory ---


def test_fewer_bits_are_refused_before_anything_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "model.safetensors").write_bytes(b"")
    for bits in ("8bit", "4bit"):
        with pytest.raises(
            SettingsError, match=rf"quantization is {bits}, which bitsandbytes does on CUDA alone"
        ) as error:
            load_describer(str(folder), "cpu", quantization=bits)
        sentence(error)
    with (
        pytest.raises(SettingsError, match="CUDA alone"),
        Engine(Settings(clip="micro", captioner=str(folder), quantization="4bit", device="cpu")) as engine,
    ):
        engine.interrogate(PICTURE, "caption")


def test_what_fewer_bits_need_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from unrender.core.describe.writing import quantized

    monkeypatch.setattr(quantized, "find_spec", lambda name: None)
    with pytest.raises(
        MissingPackageError, match=r"a in 4 bits needs bitsandbytes and accelerate; run `.*bitsandbytes accelerate`"
    ):
        quantized.check_quantization("a", "4bit", torch.device("cuda", 0))
    monkeypatch.setattr(quantized, "find_spec", lambda name: name)
    quantized.check_quantization("a", "8bit", torch.device("cuda", 0))
    four = quantized.quantizing("4bit", torch.device("cuda", 0), torch.bfloat16)
    assert four["device_map"] == {"": "cuda:0"} and four["quantization_config"].load_in_4bit
    assert quantized.quantizing("8bit", torch.device("cuda", 0), torch.float16)["quantization_config"].load_in_8bit


def test_the_memory_is_announced_before_it_is_taken(folder: Path) -> None:
    told: list[str] = []

    class Told(Progress):
        def task(self, label: str, total: int | None = None, unit: str = "") -> Any:
            told.append(label)
            return super().task(label, total, unit)

    captioner = Captioner.load(str(folder), "cpu", progress=Told())
    size = f"{captioner.nbytes / 1e6:,.2f} MB"
    assert told == [f"Reading {folder}, {size} for cpu"]
    told.clear()
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-9])
    with pytest.raises(ModelError):
        Captioner.load(str(folder), "cpu", progress=Told())


def resident() -> int:
    """Bytes of main memory, without what the C library keeps for later."""
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_unloading_frees_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tiny.TEXT, "intermediate_size", 300_000)
    monkeypatch.setitem(tiny.LANGUAGE, "intermediate_size", 300_000)
    folder = tiny.gemma3(tmp_path / "large")
    gc.collect()
    settings = Settings(clip="micro", captioner=str(folder), device="cpu", captioning=CaptionSettings(max_length=2))
    with Engine(settings) as engine:
        engine.interrogate(PICTURE, "caption")
        describer = engine._models._describers.named(str(folder))
        weights, took = weakref.ref(describer.module), describer.nbytes
        # none is left on the disk, where the file is mapped to memory
        assert sum(float(value.detach().abs().sum()) for value in describer.module.parameters())
        loaded = resident()
        del describer
        engine.unload()
        assert weights() is None
        assert took > 100e6 and loaded - resident() > 0.8 * took
