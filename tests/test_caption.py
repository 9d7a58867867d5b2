"""Captioners against transformers itself, on small random models of the real classes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny_captioners as tiny
import torch
from hub_server import FakeHub, hub_fixture, no_settings_of_this_machine_fixture, server_fixture  # noqa: F401
from PIL import Image
from tiny_captioners import ALL, direct, sentence, words
from unrender.core.describe import Captioner
from unrender.core.describe.styles import STYLES
from unrender.core.describe.writing import blip
from unrender.core.describe.writing.models import CaptionModel
from unrender.core.errors import Cancelled, ModelError, SettingsError
from unrender.core.progress import Progress
from unrender.core.settings import CaptionSettings
from unrender.core.transformers_access import transformers_version

pytest_plugins = ["captioner_fixtures"]


def exact(folder: Path) -> Captioner:
    """Whose words are float32's, as transformers' are that it is compared with."""
    return Captioner.load(str(folder), dtype=torch.float32)


# --- equal to transformers ---


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("name", [name for name in ALL if name in ("blip", "git", "blip2_opt", "blip2_t5")])
def test_without_instruction_equal_to_transformers(
    folders: dict[str, Path], images: list[Image.Image], name: str, beams: int
) -> None:
    model, processor = direct(folders[name])
    pixels = processor.image_processor(images, return_tensors="pt")
    written = model.generate(**pixels, max_new_tokens=7, num_beams=beams, do_sample=False)
    if name == "blip":
        written = written[:, 1:]  # [DEC], which real tokenizers do not have
    expected = [words(text) for text in processor.tokenizer.batch_decode(written, skip_special_tokens=True)]
    captions = exact(folders[name]).caption(images, CaptionSettings(max_length=7, beams=beams))
    assert captions == expected
    assert len(set(captions)) > 1, "the pictures make no difference, so the comparison shows little"


@pytest.mark.parametrize("name", ["blip", "git"])
def test_a_beginning_is_continued_and_kept(folders: dict[str, Path], images: list[Image.Image], name: str) -> None:
    model, processor = direct(folders[name])
    start = "a photography of"
    if name == "blip":
        inputs = processor(images=images[0], text=start, return_tensors="pt")
    else:
        tokens = processor.tokenizer(start, add_special_tokens=False).input_ids
        inputs = dict(processor.image_processor(images[0], return_tensors="pt"))
        inputs["input_ids"] = torch.tensor([[processor.tokenizer.cls_token_id, *tokens]])
    written = model.generate(**inputs, max_new_tokens=5, do_sample=False)
    expected = words(processor.tokenizer.decode(written[0, 1:], skip_special_tokens=True))
    settings = CaptionSettings(instruction=start, max_length=5)
    captions = exact(folders[name]).caption(images, settings)
    assert captions[0] == expected
    assert all(caption.startswith(start) for caption in captions)


@pytest.mark.parametrize("name", ["blip2_opt", "blip2_t5"])
def test_blip2_answers_without_repeating_the_question(
    folders: dict[str, Path], images: list[Image.Image], name: str
) -> None:
    model, processor = direct(folders[name])
    question = "question : what is it ? answer :"
    inputs = processor(images=images[0], text=question, return_tensors="pt")
    written = model.generate(**inputs, max_new_tokens=5, do_sample=False)
    expected = words(processor.tokenizer.decode(written[0], skip_special_tokens=True)).removeprefix(question).strip()
    settings = CaptionSettings(instruction=question, max_length=5)
    captions = Captioner.load(str(folders[name])).caption(images, settings)
    assert captions[0] == expected and question not in captions[0]


@pytest.mark.skipif("florence" not in tiny.MAKERS, reason="this transformers has no Florence-2")
@pytest.mark.parametrize("task", ["", "<CAPTION>", "<DETAILED_CAPTION>", "<MORE_DETAILED_CAPTION>"])
def test_florence_takes_tasks(folders: dict[str, Path], images: list[Image.Image], task: str) -> None:
    model, processor = direct(folders["florence"])
    inputs = processor(images=images[:1], text=task or "<CAPTION>", return_tensors="pt")
    written = model.generate(**inputs, max_new_tokens=6, num_beams=1, do_sample=False)
    text = processor.batch_decode(written, skip_special_tokens=False)[0]
    answer = processor.post_process_generation(text, task=task or "<CAPTION>", image_size=images[0].size)
    expected = answer[task or "<CAPTION>"].replace("<pad>", "")
    settings = CaptionSettings(instruction=task, max_length=6)
    assert Captioner.load(str(folders["florence"])).caption(images[:1], settings) == [words(expected)]


@pytest.mark.skipif("florence" not in tiny.MAKERS, reason="this transformers has no Florence-2")
def test_florence_refuses_tasks_that_give_no_text(folders: dict[str, Path], images: list[Image.Image]) -> None:
    with pytest.raises(SettingsError, match="<DETAILED_CAPTION>"):
        Captioner.load(str(folders["florence"])).caption(images, CaptionSettings(instruction="<OD>"))


@pytest.mark.skipif("llava" not in tiny.MAKERS, reason="this transformers has no chat models")
@pytest.mark.parametrize("instruction", ["", "what does the image describe ?"])
def test_chat_models_answer(folders: dict[str, Path], images: list[Image.Image], instruction: str) -> None:
    model, processor = direct(folders["llava"])
    prompt = f"question : <image> {instruction or STYLES['sentence'].instruction} answer :"
    inputs = processor(images=images[0], text=prompt, return_tensors="pt")
    written = model.generate(**inputs, max_new_tokens=6, do_sample=False)
    expected = words(processor.tokenizer.decode(written[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
    captions = Captioner.load(str(folders["llava"])).caption(
        images, CaptionSettings(instruction=instruction, max_length=6)
    )
    assert captions[0] == expected
    assert len(set(captions)) > 1


# --- batches, lengths, places ---


@pytest.mark.parametrize("name", ALL)
def test_many_at_once_equals_one_by_one(folders: dict[str, Path], images: list[Image.Image], name: str) -> None:
    captioner = exact(folders[name])
    many = (images * 5)[: CaptionModel.at_once + 2]
    for instruction in ("", "<CAPTION>" if name == "florence" else "a drawing of"):
        settings = CaptionSettings(instruction=instruction, max_length=5)
        assert captioner.caption(many, settings) == [captioner.caption([image], settings)[0] for image in many]
    assert captioner.caption([]) == []


def test_blips_attention_is_fused_and_the_same(folders: dict[str, Path], images: list[Image.Image]) -> None:
    original, processor = direct(folders["blip"])
    ours = exact(folders["blip"]).module
    pixels = processor.image_processor(images, return_tensors="pt").pixel_values
    with torch.no_grad(), torch.profiler.profile() as profile:
        states = ours.vision_model(pixel_values=pixels).last_hidden_state
    assert "aten::scaled_dot_product_attention" in {event.key for event in profile.key_averages()}
    with torch.no_grad():
        wanted = original.vision_model(pixel_values=pixels).last_hidden_state
    assert torch.allclose(states, wanted, atol=1e-5)


def test_fewer_at_once_where_the_memory_does_not_suffice(
    folders: dict[str, Path], images: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    captioner = exact(folders["blip"])
    expected = captioner.caption(images)
    look, room = blip.view, 1

    def limited(tower: Any, pixels: torch.Tensor) -> torch.Tensor:
        if len(pixels) > room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return look(tower, pixels)

    monkeypatch.setattr(blip, "view", limited)
    assert captioner.caption(images) == expected
    room = 0
    with pytest.raises(ModelError, match="runs out of memory on cpu"):
        captioner.caption(images)


@pytest.mark.parametrize("name", [name for name in ALL if name not in ("blip", "git")])
def test_no_more_tokens_than_asked_for(folders: dict[str, Path], images: list[Image.Image], name: str) -> None:
    captioner = Captioner.load(str(folders[name]))
    tokenizer = direct(folders[name])[1].tokenizer
    for length in (1, 4):
        for caption in captioner.caption(images, CaptionSettings(max_length=length)):
            assert len(tokenizer(caption, add_special_tokens=False).input_ids) <= length


def test_the_length_stays_within_the_models_positions(folders: dict[str, Path], images: list[Image.Image]) -> None:
    captioner = Captioner.load(str(folders["blip"]))
    for instruction in ("", "a red circle on a blue ground"):
        assert captioner.caption(images, CaptionSettings(instruction=instruction, max_length=1000))
    with pytest.raises(SettingsError, match="shorten"):
        captioner.caption(images, CaptionSettings(instruction="a house by the lake " * 12))


@pytest.mark.parametrize("name", ["blip2_opt", "blip2_t5"])
def test_the_token_for_a_picture_is_none_of_transformers_4_46(
    folders: dict[str, Path], images: list[Image.Image], tmp_path: Path, name: str
) -> None:
    """Which knows it, as the hub's BLIP-2 have it by now, and fails where there is no text beside the picture."""
    if transformers_version() >= (4, 47):
        pytest.skip("this transformers puts the token there itself")
    folder = shutil.copytree(folders[name], tmp_path / name)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "image_token_index": 5}))
    (folder / "processor_config.json").write_text('{"processor_class": "Blip2Processor", "num_query_tokens": 6}')
    for asked in (CaptionSettings(max_length=8), CaptionSettings(max_length=8, instruction="a house by")):
        plain = Captioner.load(str(folders[name]), "cpu").caption(images, asked)
        assert Captioner.load(str(folder), "cpu").caption(images, asked) == plain


def test_half_precision_and_moving(folders: dict[str, Path], images: list[Image.Image]) -> None:
    settings = CaptionSettings(max_length=4)
    captioner = Captioner.load(str(folders["blip"]), device="cpu", dtype=torch.bfloat16)
    assert len(captioner.to("cpu").caption(images, settings)) == len(images)
    halved = Captioner.load(str(folders["blip"]), dtype=torch.float16)
    assert len(halved.caption(images, settings)) == len(images), "float16 does not run on every CPU"
    with pytest.raises(SettingsError):
        captioner.to("nowhere")


def test_cancelling_between_batches(folders: dict[str, Path], images: list[Image.Image]) -> None:
    class Stopping(Progress):
        def check(self) -> None:
            raise Cancelled("Stopped.")

    captioner = Captioner.load(str(folders["blip"]))
    with pytest.raises(Cancelled):
        captioner.caption(images, progress=Stopping())
    with pytest.raises(Cancelled):
        Captioner.load(str(folders["blip"]), progress=Stopping())


@pytest.mark.parametrize("which", ["blip", pytest.param("all", marks=pytest.mark.full)])
def test_the_terminal_stays_clean(folders: dict[str, Path], which: str) -> None:
    chosen = [folder for name, folder in folders.items() if which in ("all", name)]
    code = (
        "import sys; from PIL import Image; from unrender.core.describe import Captioner; "
        "[print(Captioner.load(folder).caption([Image.new('RGB', (9, 9))])) for folder in sys.argv[1:]]"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, chosen)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == "" and len(finished.stdout.splitlines()) == len(chosen)


def test_a_broken_torchvision_is_not_needed(folders: dict[str, Path], tmp_path: Path) -> None:
    """What pip leaves behind when torch is replaced and torchvision is not."""
    package = tmp_path / "site" / "torchvision"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); from PIL import Image; "
        "from unrender.core.describe import Captioner; "
        "print(Captioner.load(sys.argv[1]).caption([Image.new('RGB', (9, 9))]))"
    )
    finished = subprocess.run([sys.executable, "-c", code, str(folders["blip"])], capture_output=True, text=True)
    expected = Captioner.load(str(folders["blip"])).caption([Image.new("RGB", (9, 9))])
    assert finished.stdout.strip() == str(expected), finished.stderr


@pytest.mark.skipif("paligemma" not in tiny.OTHERS, reason="for current versions")
@pytest.mark.parametrize("name", sorted(tiny.OTHERS))
def test_models_nobody_has_named(images: list[Image.Image], tmp_path: Path, name: str) -> None:
    """What the documentation calls image-text-to-text, asked by what its processor offers."""
    captioner = Captioner.load(str(tiny.OTHERS[name](tmp_path / name)))
    for instruction in ("", "a drawing of"):
        captions = captioner.caption(images, CaptionSettings(instruction=instruction, max_length=5))
        assert len(captions) == len(images) and len(set(captions)) > 1


def test_a_model_that_refuses_gets_a_sentence(
    folders: dict[str, Path], images: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    captioner = Captioner.load(str(folders["blip2_opt"]))

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise ValueError("two\nlines")

    monkeypatch.setattr(captioner._model, "_generate", refuse)
    with pytest.raises(ModelError, match="two lines") as error:
        captioner.caption(images)
    sentence(error)
