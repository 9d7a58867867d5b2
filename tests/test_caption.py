"""Captioners against transformers itself, on small random models of the real classes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_captioners as tiny
import torch
import transformers
from hub_server import FakeHub, hub_fixture, no_settings_of_this_machine_fixture, server_fixture  # noqa: F401
from PIL import Image
from safetensors.torch import load_file, save_file
from unrender.core.caption import KNOWN_CAPTIONERS, Captioner, find_captioner, nearest_captioners
from unrender.core.caption import captioner as caption_module
from unrender.core.caption.models import CHAT_INSTRUCTION
from unrender.core.cures import Choose
from unrender.core.errors import Cancelled, MissingPackageError, ModelError, SettingsError
from unrender.core.hub import Hub
from unrender.core.hub.names import PROCESSOR_FILES
from unrender.core.progress import Progress
from unrender.core.settings import CaptionSettings

NEW = tiny.TRANSFORMERS >= (5, 0)
FLOOR = tiny.TRANSFORMERS < (4, 40)
ALL = sorted(tiny.MAKERS)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("captioners")
    return {name: maker(root / name) for name, maker in tiny.MAKERS.items()}


@pytest.fixture(scope="session")
def images() -> list[Image.Image]:
    random = np.random.default_rng(0)
    noise = [Image.fromarray(random.integers(0, 256, (40, 30, 3), dtype=np.uint8)) for _ in range(3)]
    return [*noise, Image.new("RGB", (50, 20), "red")]


def direct(folder: Path) -> tuple[Any, Any]:
    """Model and processor, loaded as transformers' documentation does it."""
    config = json.loads((folder / "config.json").read_text())
    model = getattr(transformers, config["architectures"][0]).from_pretrained(str(folder)).eval()
    processor = transformers.AutoProcessor.from_pretrained(str(folder))
    if NEW:
        processor.image_processor = transformers.AutoImageProcessor.from_pretrained(str(folder), backend="pil")
    return model, processor


def words(text: str) -> str:
    return " ".join(text.split())


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
    captions = Captioner.load(str(folders[name])).caption(images, CaptionSettings(max_length=7, beams=beams))
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
    captions = Captioner.load(str(folders[name])).caption(images, settings)
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
    prompt = f"question : <image> {instruction or CHAT_INSTRUCTION} answer :"
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
    captioner = Captioner.load(str(folders[name]))
    many = (images * 5)[: caption_module.BATCH + 2]
    for instruction in ("", "<CAPTION>" if name == "florence" else "a drawing of"):
        settings = CaptionSettings(instruction=instruction, max_length=5)
        assert captioner.caption(many, settings) == [captioner.caption([image], settings)[0] for image in many]
    assert captioner.caption([]) == []


def test_blips_attention_is_fused_and_the_same(folders: dict[str, Path], images: list[Image.Image]) -> None:
    original, processor = direct(folders["blip"])
    ours = Captioner.load(str(folders["blip"])).module
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
    captioner = Captioner.load(str(folders["blip"]))
    expected = captioner.caption(images)
    generate, room = captioner.module.generate, 1

    def limited(pixel_values: torch.Tensor, **others: Any) -> torch.Tensor:
        if len(pixel_values) > room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return generate(pixel_values=pixel_values, **others)

    monkeypatch.setattr(captioner.module, "generate", limited)
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
        "import sys; from PIL import Image; from unrender.core.caption import Captioner; "
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
        "from unrender.core.caption import Captioner; "
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


# --- folders written by other versions ---


def test_shared_weights_that_were_written_once_are_shared_again(
    folders: dict[str, Path], images: list[Image.Image], tmp_path: Path
) -> None:
    """transformers 5 writes BLIP's word embeddings once; 4.30 would leave the output layer random."""
    once, twice = (shutil.copytree(folders["blip"], tmp_path / name) for name in ("once", "twice"))
    weights = load_file(once / "model.safetensors")
    output = "text_decoder.cls.predictions.decoder.weight"
    embeddings = weights["text_decoder.bert.embeddings.word_embeddings.weight"]
    weights.pop(output, None)
    save_file(weights, once / "model.safetensors", metadata={"format": "pt"})
    save_file({**weights, output: embeddings.clone()}, twice / "model.safetensors", metadata={"format": "pt"})
    captions = [Captioner.load(str(folder)).caption(images) for folder in (once, twice)]
    assert captions[0] == captions[1]


def test_blip2_folders_from_before_image_tokens(tmp_path: Path, images: list[Image.Image]) -> None:
    folder = tiny.blip2_opt(tmp_path / "old", image_token=False)
    captioner = Captioner.load(str(folder))
    for instruction in ("", "a drawing of"):
        captions = captioner.caption(images, CaptionSettings(instruction=instruction, max_length=5))
        assert len(set(captions)) > 1


@pytest.mark.skipif(NEW, reason="what newer versions write, read by an older one")
def test_a_processor_that_a_newer_transformers_wrote(
    folders: dict[str, Path], images: list[Image.Image], tmp_path: Path
) -> None:
    folder = shutil.copytree(folders["blip"], tmp_path / "new")
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").unlink()
    described = {"image_processor": settings, "processor_class": settings.pop("processor_class")}
    (folder / "processor_config.json").write_text(json.dumps(described))
    assert Captioner.load(str(folder)).caption(images) == Captioner.load(str(folders["blip"])).caption(images)


@pytest.mark.skipif(not FLOOR, reason="newer versions read all formats of tokenizer.json")
def test_a_tokenizer_file_that_is_too_new(folders: dict[str, Path], images: list[Image.Image], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["blip"], tmp_path / "new")
    (folder / "tokenizer.json").write_text('{"version": "1.0", "model": {"type": "Unheard"}}')
    assert Captioner.load(str(folder)).caption(images) == Captioner.load(str(folders["blip"])).caption(images)


# --- names and errors ---


def sentence(error: pytest.ExceptionInfo[Exception]) -> str:
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text and len(text) < 600
    return text


@pytest.mark.parametrize(
    ("typed", "near"), [("blip-larg", "blip-large"), ("BLIP2", "blip2"), ("florence", "florence-2")]
)
def test_unknown_names_list_the_nearest(typed: str, near: str) -> None:
    with pytest.raises(ModelError, match="no captioner") as error:
        Captioner.load(typed)
    nearest = error.value.cures[0]
    assert isinstance(nearest, Choose) and any(near in name for name in nearest.values)
    assert near in sentence(error).partition(";")[2]
    assert nearest_captioners(typed)[0].startswith(near)


def test_nothing_like_it(tmp_path: Path) -> None:
    for name in ("zzzzzz", str(tmp_path / "not-there"), "./not-there"):
        with pytest.raises(ModelError, match="There is no captioner") as error:
            Captioner.load(name)
        assert all(known in sentence(error) for known in KNOWN_CAPTIONERS)


def test_a_clip_folder_is_no_captioner(transformers_folder: Path) -> None:
    with pytest.raises(ModelError, match="is a CLIPModel, which writes no captions") as error:
        Captioner.load(str(transformers_folder))
    sentence(error)


def test_a_question_answering_blip_is_no_captioner(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["blip"], tmp_path / "vqa")
    change_config(folder, architectures=["BlipForQuestionAnswering"])
    with pytest.raises(ModelError, match="BlipForQuestionAnswering, which writes no captions"):
        Captioner.load(str(folder))


def test_a_model_of_the_future_names_the_version(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["blip"], tmp_path / "future")
    change_config(
        folder, architectures=["Blip9ForEverything"], model_type="blip9", transformers_version="9.1.0", auto_map=None
    )
    with pytest.raises(MissingPackageError, match=r"pip install 'transformers>=9\.1\.0'") as error:
        Captioner.load(str(folder))
    sentence(error)


def test_code_that_comes_with_a_model_is_never_run(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["blip"], tmp_path / "code")
    (folder / "modeling_own.py").write_text("raise SystemExit('this ran')")
    for model_type in ("own", "florence2"):
        change_config(
            folder,
            architectures=["Florence2ForConditionalGeneration"],
            model_type=model_type,
            auto_map={"AutoModel": "modeling_own.Own", "AutoModelForCausalLM": "modeling_own.Own"},
        )
        with pytest.raises(ModelError, match="never done") as error:
            Captioner.load(str(folder))
        sentence(error)


@pytest.mark.skipif(not FLOOR, reason="this transformers has them all")
def test_what_needs_a_newer_transformers_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingPackageError, match=r"florence-2-base needs transformers 4\.56.*pip install") as error:
        Captioner.load("florence-2-base", hub=Hub(tmp_path))
    sentence(error)


def test_other_weights_than_safetensors_are_never_opened(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["blip"], tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"only as pytorch_model\.bin"):
        Captioner.load(str(folder))
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(ModelError, match=r"no model\.safetensors"):
        Captioner.load(str(folder))
    with pytest.raises(ModelError, match="is a file"):
        Captioner.load(str(folder / "config.json"))


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "lacking", "shape"])
def test_damaged_weights(folders: dict[str, Path], tmp_path: Path, damage: str) -> None:
    folder = shutil.copytree(folders["blip"], tmp_path / damage)
    path = folder / "model.safetensors"
    data, weights = path.read_bytes(), load_file(path)
    key = "vision_model.encoder.layers.0.mlp.fc1.weight"
    if damage == "lacking":
        del weights[key]
        save_file(weights, path, metadata={"format": "pt"})
    elif damage == "shape":
        save_file({**weights, key: torch.zeros(3, 3)}, path, metadata={"format": "pt"})
    else:
        path.write_bytes({"cut": data[: len(data) // 2], "empty": b"", "text": b"not weights at all"}[damage])
    with pytest.raises(ModelError) as error:
        Captioner.load(str(folder))
    sentence(error)


@pytest.mark.parametrize("lost", ["config.json", "preprocessor_config.json", "tokenizers"])
def test_an_incomplete_folder(folders: dict[str, Path], tmp_path: Path, lost: str) -> None:
    folder = shutil.copytree(folders["blip"], tmp_path / "part")
    for name in [lost] if lost != "tokenizers" else [name for name in PROCESSOR_FILES if name not in IMAGE_FILES]:
        (folder / name).unlink(missing_ok=True)
    with pytest.raises(ModelError) as error:
        Captioner.load(str(folder))
    sentence(error)


IMAGE_FILES = ("preprocessor_config.json", "processor_config.json")


def test_a_configuration_that_is_no_json(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["blip"], tmp_path / "part")
    for text in ("{", "[]", ""):
        (folder / "config.json").write_text(text)
        with pytest.raises(ModelError, match=r"config\.json"):
            Captioner.load(str(folder))


def change_config(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


# --- from the hub ---


@pytest.fixture
def served(no_settings_of_this_machine: None, server: FakeHub, folders: dict[str, Path]) -> FakeHub:
    server.repos = {"someone/blip": {path.name: path.read_bytes() for path in folders["blip"].iterdir()}}
    return server


def test_a_hub_id_is_downloaded_and_loaded(
    served: FakeHub, hub: Hub, folders: dict[str, Path], images: list[Image.Image]
) -> None:
    captioner = Captioner.load("someone/blip", hub=hub)
    assert captioner.name == "someone/blip"
    assert captioner.caption(images) == Captioner.load(str(folders["blip"])).caption(images)
    served.requests.clear()
    assert Captioner.load("someone/blip", hub=hub).caption(images[:1]) == captioner.caption(images[:1])
    assert served.requests == []


def test_a_hub_model_of_another_kind_is_refused_before_its_weights(
    served: FakeHub, hub: Hub, transformers_folder: Path
) -> None:
    served.repos["someone/clip"] = {path.name: path.read_bytes() for path in transformers_folder.iterdir()}
    with pytest.raises(ModelError, match="CLIPModel"):
        Captioner.load("someone/clip", hub=hub)
    assert not served.asked("GET", ".safetensors")


def test_known_names_lead_to_their_repositories(served: FakeHub, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    known = KNOWN_CAPTIONERS["blip-large"]
    served.repos[known.repo] = served.repos["someone/blip"]
    assert known.repo.replace("/", "--") in str(find_captioner("BLIP-large", hub))
    served.branches[KNOWN_CAPTIONERS["blip-base"].revision] = served.repos["someone/blip"]
    assert find_captioner("blip-base", hub).name.startswith("babe")


def test_without_a_network(hub: Hub, no_settings_of_this_machine: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match=r"Salesforce/blip-image-captioning-large.*micro or none as") as error:
        Captioner.load("blip-large", hub=hub)
    sentence(error)


def test_micro(monkeypatch: pytest.MonkeyPatch, folders: dict[str, Path], tmp_path: Path) -> None:
    import unrender.core.micro as micro

    monkeypatch.setattr(micro, "CAPTIONER_FOLDER", folders["blip"])
    captioner = Captioner.load("micro")
    assert captioner.name == "micro" and captioner.caption([Image.new("RGB", (64, 64))])
    monkeypatch.setattr(micro, "CAPTIONER_FOLDER", tmp_path)
    with pytest.raises(ModelError, match="install this package again"):
        Captioner.load("micro")
