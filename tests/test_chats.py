"""Models that talk, of every architecture, against transformers' own pipeline: the same question, the same words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_chats as tiny
import torch
import transformers
from captioner_fixtures import images  # noqa: F401
from PIL import Image
from tiny_captioners import change_json, words
from unrender.core.describe import Captioner
from unrender.core.describe.styles import STYLES
from unrender.core.describe.writing.chat import Chat
from unrender.core.errors import ModelError
from unrender.core.settings import CaptionSettings

NAMES = sorted(tiny.CHATS)
TEXTS_ALONE = ("joycaption",)
"""Whose template knows no parts of a message."""
ASKED, SYSTEM = "describe this picture in one sentence", "you are helpful"

pytestmark = pytest.mark.skipif(not NAMES, reason="their configurations are those of transformers 5")


@pytest.fixture(scope="session")
def chats(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("chats")
    return {name: maker(root / name) for name, maker in tiny.CHATS.items()}


def chat(folder: Path) -> tuple[Captioner, Chat]:
    captioner = Captioner.load(str(folder))
    assert isinstance(captioner._model, Chat)
    return captioner, captioner._model


def with_pillow(folder: Path) -> Any:
    processor = transformers.AutoProcessor.from_pretrained(str(folder))
    processor.image_processor = transformers.AutoImageProcessor.from_pretrained(str(folder), backend="pil")
    return processor


def conversation(name: str, image: Image.Image, system: str = "") -> list[dict[str, Any]]:
    alone = name in TEXTS_ALONE
    question = ASKED if alone else [{"type": "image", "image": image}, {"type": "text", "text": ASKED}]
    before = {"role": "system", "content": system if alone else [{"type": "text", "text": system}]}
    return [*([before] if system else []), {"role": "user", "content": question}]


def by_pipeline(name: str, folder: Path, image: Image.Image, tokens: int) -> str:
    pipe = transformers.pipeline("image-text-to-text", model=str(folder), processor=with_pillow(folder), device="cpu")
    options = {"do_sample": False, "max_new_tokens": tokens}
    if name in TEXTS_ALONE:
        text = pipe.processor.apply_chat_template(conversation(name, image), add_generation_prompt=True)
        once = {"processor_kwargs": {"add_special_tokens": False}}
        answer = pipe(images=image, text=text, generate_kwargs=options, return_full_text=False, **once)
    else:
        answer = pipe(text=conversation(name, image), generate_kwargs=options, return_full_text=False)
    return words(answer[0]["generated_text"])


@pytest.mark.parametrize("name", NAMES)
def test_the_words_are_those_of_transformers_pipeline(
    chats: dict[str, Path],
    images: list[Image.Image],  # noqa: F811
    name: str,
) -> None:
    captions = chat(chats[name])[0].caption(images, CaptionSettings(instruction=ASKED, max_length=9))
    assert captions == [by_pipeline(name, chats[name], image, 9) for image in images]
    assert len(set(captions)) > 1, "the pictures make no difference, so the comparison shows little"


@pytest.mark.parametrize("system", ["", SYSTEM])
@pytest.mark.parametrize("name", NAMES)
def test_the_template_is_rendered_once_with_one_start_token(
    chats: dict[str, Path],
    images: list[Image.Image],  # noqa: F811
    name: str,
    system: str,
) -> None:
    model, processor = chat(chats[name])[1], with_pillow(chats[name])
    asked = {"add_generation_prompt": True, "return_dict": True, "return_tensors": "pt"}
    made = model.inputs(images[0], model.prompt(ASKED, system))
    if name in TEXTS_ALONE:
        text = processor.apply_chat_template(conversation(name, images[0], system), add_generation_prompt=True)
        wanted = processor(images=images[0], text=text, add_special_tokens=False, return_tensors="pt")
    else:
        wanted = processor.apply_chat_template(conversation(name, images[0], system), tokenize=True, **asked)
    assert made["input_ids"].tolist() == wanted["input_ids"].tolist()
    assert all(torch.equal(made[key], wanted[key]) for key in made)
    start = processor.tokenizer.bos_token_id
    assert made["input_ids"].tolist()[0].count(start) == (1 if "{{ bos_token" in processor.chat_template else 0)
    said = processor.tokenizer.decode(made["input_ids"][0])
    assert said.count(ASKED) == 1 and said.count(SYSTEM) == (1 if system else 0)


@pytest.mark.parametrize("name", NAMES)
def test_pictures_of_one_size_are_answered_together_with_the_same_words(
    chats: dict[str, Path],
    images: list[Image.Image],  # noqa: F811
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    captioner = chat(chats[name])[0]
    settings = CaptionSettings(instruction=ASKED, max_length=9)
    mixed = [images[0], images[3], images[1], images[3].rotate(90, expand=True), images[2], images[0]]
    singly = [captioner.caption([image], settings)[0] for image in mixed]
    rows: list[int] = []
    generate = captioner.module.generate

    def counted(**inputs: Any) -> Any:
        rows.append(len(inputs["input_ids"]))
        return generate(**inputs)

    monkeypatch.setattr(captioner.module, "generate", counted)
    assert captioner.caption(mixed, settings) == singly
    assert max(rows) >= 4 and sum(rows) == len(mixed)


# --- drawn words ---


@pytest.mark.parametrize("name", ["joycaption", "qwen3-vl"])
def test_a_seed_gives_the_same_words_whatever_else_is_described_or_drawn(
    chats: dict[str, Path],
    images: list[Image.Image],  # noqa: F811
    name: str,
) -> None:
    captioner = chat(chats[name])[0]
    drawn = CaptionSettings(instruction=ASKED, max_length=12, temperature=0.6, top_p=0.9, seed=5)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    together = captioner.caption(images, drawn)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert [captioner.caption([image], drawn)[0] for image in reversed(images)] == together[::-1]
    others = {tuple(captioner.caption(images, changed(drawn, seed=seed))) for seed in range(4)}
    assert len(others) > 1
    greedy = captioner.caption(images, changed(drawn, temperature=0.0))
    assert greedy == captioner.caption(images, changed(drawn, temperature=0.0, seed=9))
    assert captioner.caption(images, changed(drawn, temperature=1e-3, top_p=1.0)) == greedy


def changed(settings: CaptionSettings, **values: Any) -> CaptionSettings:
    return CaptionSettings(**{**vars(settings), **values})


# --- system, length, ends ---


def test_a_publishers_system_message_is_the_default_and_can_be_replaced(
    chats: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    images: list[Image.Image],  # noqa: F811
) -> None:
    from unrender.core.describe.writing.loading import load_model

    model = load_model("joycaption", chats["joycaption"], torch.float32, system="you are helpful")
    asked: list[str] = []
    make = model.inputs
    monkeypatch.setattr(model, "inputs", lambda image, prompt: asked.append(prompt) or make(image, prompt))
    for system in (None, "", "this is a lake"):
        model.describe(images[:1], CaptionSettings(system=system, max_length=2))
    assert "you are helpful" in asked[0] and "system" not in asked[1] and "this is a lake" in asked[2]


def test_a_template_without_system_messages_gets_its_words_before_the_question(
    chats: dict[str, Path], tmp_path: Path
) -> None:
    folder = copied(chats["qwen3-vl"], tmp_path)
    refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}"
    path = folder / "chat_template.jinja"
    path.write_text(refusing + path.read_text())
    prompt = chat(folder)[1].prompt(ASKED, SYSTEM)
    assert f"{SYSTEM}\n\n{ASKED}" in prompt and prompt.count("<|im_start|>") == 2


def copied(folder: Path, to: Path) -> Path:
    import shutil

    return shutil.copytree(folder, to / "copy")


def lengths(captioner: Captioner, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    asked: list[int] = []

    def noted(**inputs: Any) -> torch.Tensor:
        asked.append(inputs["max_new_tokens"])
        return torch.cat([inputs["input_ids"], inputs["input_ids"][:, :1]], 1)

    monkeypatch.setattr(captioner.module, "generate", noted)
    for style in (None, *STYLES):
        captioner.caption([Image.new("RGB", (40, 40))], CaptionSettings(style=style))
        yield asked[-1]


def test_the_style_says_how_long(chats: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [STYLES["sentence"].tokens, *(ask.tokens for ask in STYLES.values())]
    assert list(lengths(chat(chats["gemma3"])[0], monkeypatch)) == wanted


def writes(captioner: Captioner, text: str, monkeypatch: pytest.MonkeyPatch, ended: bool = True) -> None:
    """From now on the model writes this, letter for letter."""
    ids = list(range(100, 100 + len(text)))
    end = captioner._model._ends[:1] if ended else []

    def decode(tokens: list[int], **_: Any) -> str:
        return "".join(text[token - 100] for token in tokens)

    def generate(**inputs: Any) -> torch.Tensor:
        row = torch.tensor([[*ids, *end]])[:, : inputs["max_new_tokens"]]
        return torch.cat([inputs["input_ids"], row.repeat(len(inputs["input_ids"]), 1)], 1)

    monkeypatch.setattr(captioner._model._processor.tokenizer, "decode", decode, raising=False)
    monkeypatch.setattr(captioner.module, "generate", generate)


@pytest.mark.parametrize(
    ("written", "ended", "said"),
    [
        ("A cat sits. It sle", False, "A cat sits."),
        ("A cat sits. It sleeps", True, "A cat sits. It sleeps"),
        ("A cat sits.", False, "A cat sits."),
        ("1girl, long hair, blu", False, "1girl, long hair"),
        ("A cat", False, "A cat"),
        ("<think>Hm. A cat?</think>\n\nA cat sits.", True, "A cat sits."),
        ("Hm. A cat?</think>A cat sits.", True, "A cat sits."),
    ],
)
def test_an_answer_is_whole_and_without_thoughts(
    chats: dict[str, Path], monkeypatch: pytest.MonkeyPatch, written: str, ended: bool, said: str
) -> None:
    captioner = chat(chats["smolvlm"])[0]
    writes(captioner, written, monkeypatch, ended)
    settings = CaptionSettings(max_length=len(written) + ended)
    assert captioner.caption([Image.new("RGB", (40, 40))], settings) == [said]


def test_thoughts_alone_are_no_answer(chats: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    captioner = chat(chats["smolvlm"])[0]
    writes(captioner, "<think>What may it be?", monkeypatch, ended=False)
    with pytest.raises(ModelError, match=r"has thought for 22 tokens and said nothing; give more as max_length\."):
        captioner.caption([Image.new("RGB", (40, 40))], CaptionSettings(max_length=22))


def test_what_is_said_of_its_being_a_picture_is_trimmed_on_request(
    chats: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    captioner, picture = chat(chats["smolvlm"])[0], [Image.new("RGB", (40, 40))]
    writes(captioner, "**The image shows** a cat.", monkeypatch)
    assert captioner.caption(picture) == ["**The image shows** a cat."]
    assert captioner.caption(picture, CaptionSettings(trim=True)) == ["A cat."]


@pytest.mark.parametrize("name", NAMES)
def test_the_end_of_a_turn_ends_the_answer_also_where_the_folder_does_not_say_so(
    chats: dict[str, Path],
    images: list[Image.Image],  # noqa: F811
    name: str,
    tmp_path: Path,
) -> None:
    folder = copied(chats[name], tmp_path)
    change_json(folder / "generation_config.json", eos_token_id=None)
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
    turn = next(
        t for t in ("<|eot_id|>", "<|im_end|>", "<end_of_turn>", "<end_of_utterance>") if t in tokenizer.get_vocab()
    )
    ends = chat(folder)[1]._ends
    assert tokenizer.convert_tokens_to_ids(turn) in ends and tokenizer.eos_token_id in ends
