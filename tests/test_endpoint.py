"""A server that behaves: what it is asked, and what becomes of its answer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from chat_server import MODEL, WORDS, Answer, ChatServer, says, whole, writes
from PIL import Image, ImageChops
from unrender.cli import main
from unrender.core.describe import load_describer
from unrender.core.describe.endpoint.endpoint import endpoint_models
from unrender.core.describe.styles import STYLES
from unrender.core.errors import ModelError
from unrender.core.settings import WRITING_STYLES, CaptionSettings, EndpointSettings, Style

pytest.importorskip("openai", reason="the library that asks servers is not installed (extra endpoint)")
pytest_plugins = ["chat_fixtures"]
PICTURE = Image.radial_gradient("L").convert("RGB")


def described(server: ChatServer, settings: CaptionSettings | None = None, count: int = 1) -> list[str]:
    return load_describer(server.name).caption([PICTURE] * count, settings)


@pytest.mark.parametrize("answer", [writes(), whole(), whole([{"type": "text", "text": WORDS}])])
def test_the_words_are_the_server_s(chat_server: ChatServer, answer: object) -> None:
    chat_server.answers = [answer]  # pyright: ignore[reportAttributeAccessIssue]
    assert described(chat_server, count=3) == [WORDS] * 3
    assert len(chat_server.chats) == 3


def test_what_is_asked_by_default_is_a_sentence_always_the_same(chat_server: ChatServer) -> None:
    described(chat_server, count=2)
    first, second = chat_server.chats
    assert first.body == second.body
    assert first.json["model"] == MODEL
    assert (first.json["temperature"], first.json["seed"]) == (0, 0)
    assert (first.text, first.json["max_tokens"]) == (STYLES["sentence"].instruction, STYLES["sentence"].tokens)
    assert {*first.json} == {"model", "messages", "stream", "max_tokens", "temperature", "seed"}


@pytest.mark.parametrize("style", WRITING_STYLES)
def test_a_style_asks_for_itself_and_its_length(chat_server: ChatServer, style: Style) -> None:
    described(chat_server, CaptionSettings(style=style))
    assert chat_server.chats[0].text == STYLES[style].instruction
    assert chat_server.chats[0].json["max_tokens"] == STYLES[style].tokens


def test_every_setting_is_sent(chat_server: ChatServer) -> None:
    settings = CaptionSettings(
        instruction="What is it?", max_length=17, system="Be brief.", temperature=0.6, top_p=0.9, seed=5, repetition=1.2
    )
    described(chat_server, settings)
    asked = chat_server.chats[0]
    assert asked.text == "What is it?"
    assert asked.json["messages"][0] == {"role": "system", "content": "Be brief."}
    sent = {name: value for name, value in asked.json.items() if name not in ("messages", "model", "stream")}
    assert sent == {
        **{"max_tokens": 17, "temperature": 0.6, "top_p": 0.9, "seed": 5},
        **{"repetition_penalty": 1.2, "repeat_penalty": 1.2},
    }


def test_the_picture_is_sent_as_it_is_or_smaller(chat_server: ChatServer) -> None:
    long = Image.linear_gradient("L").convert("RGB").resize((1500, 300))
    endpoint = EndpointSettings(longest_side=512)
    load_describer(chat_server.name).describe([PICTURE, long], CaptionSettings(endpoint=endpoint))
    same, smaller = (asked.picture for asked in chat_server.chats)
    assert same.size == PICTURE.size
    assert max(extremes[1] for extremes in ImageChops.difference(same, PICTURE).getextrema()) <= 4  # pyright: ignore
    assert smaller.size == (512, 102)


def test_nothing_is_sent_of_this_computer(chat_server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, f"told-by-{name}")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Told: told-by-headers")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    described(chat_server)
    sent = chat_server.chats[0].headers
    assert {name.lower() for name in sent} <= {
        *("host", "connection", "accept", "accept-encoding", "content-type", "content-length", "user-agent"),
        "x-stainless-raw-response",
    }
    assert sent["User-Agent"] == "unrender"
    assert "told-by" not in str(sent)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("<think>It may be\na cat.</think>\n\nA cat.", "A cat."),
        ("so it is one.</think> A cat.", "A cat."),
        ("A  cat\r\n\ton a\u202e mat\x1b[31m.", "A cat on a mat[31m."),
    ],
)
def test_thoughts_and_what_steers_a_terminal_are_left_out(chat_server: ChatServer, written: str, words: str) -> None:
    chat_server.answers = [writes(written)]
    assert described(chat_server) == [words]


@pytest.mark.parametrize(
    ("style", "written", "words"),
    [
        ("sentence", "A cat sits. It looks at a b", "A cat sits."),
        ("paragraph", 'It says "hello." Then it', 'It says "hello."'),
        ("sentence", "A cat on a mat, which looks at a", "A cat on a mat"),
        ("tags", "cat, mat, long ha", "cat, mat"),
        ("keywords", "cat", "cat"),
    ],
)
def test_what_was_cut_ends_before(chat_server: ChatServer, style: Style, written: str, words: str) -> None:
    chat_server.answers = [writes(written, end="length")]
    assert described(chat_server, CaptionSettings(style=style)) == [words]


def test_thoughts_sent_apart_are_no_words(chat_server: ChatServer) -> None:
    chat_server.answers = [writes(WORDS, reasoning_content="Let me see.")]
    assert described(chat_server) == [WORDS]


@pytest.mark.parametrize("thoughts", [writes("<think>So it is", end="length"), writes("", "length", reasoning="So")])
def test_a_model_that_thinks_is_given_room_for_it(chat_server: ChatServer, thoughts: Answer) -> None:
    chat_server.answers = [thoughts, writes()]
    assert described(chat_server, count=2) == [WORDS] * 2
    usual = STYLES["sentence"].tokens
    assert [asked.json["max_tokens"] - usual for asked in chat_server.chats] == [0, 4096, 4096]


def test_trimming(chat_server: ChatServer) -> None:
    chat_server.answers = [writes("**The image shows a red circle.**")]
    assert described(chat_server, CaptionSettings(trim=True)) == ["A red circle."]
    assert described(chat_server) == ["**The image shows a red circle.**"]


@pytest.mark.parametrize("thinking", [True, False])
def test_thinking_is_said_in_each_server_s_way(chat_server: ChatServer, thinking: bool) -> None:
    described(chat_server, CaptionSettings(endpoint=EndpointSettings(thinking=thinking)))
    sent = chat_server.chats[0].json
    assert sent["chat_template_kwargs"] == {"enable_thinking": thinking}
    assert sent["reasoning_effort"] == ("medium" if thinking else "none")


def refuses(*names: str) -> object:
    """As OpenAI's newer models and `transformers serve` do, one name at a time."""

    def answer(handler: object, asked: object) -> None:
        known = next((name for name in names if name in asked.json), None)  # pyright: ignore
        does = writes() if known is None else says({"error": {"message": f"Unsupported parameter: '{known}'"}}, 400)
        does(handler, asked)  # pyright: ignore

    return answer


def test_what_nobody_asked_for_is_left_out_where_it_is_refused(chat_server: ChatServer) -> None:
    chat_server.answers = [refuses("max_tokens", "temperature", "reasoning_effort")]  # pyright: ignore
    settings = CaptionSettings(endpoint=EndpointSettings(thinking=False))
    assert described(chat_server, settings, count=2) == [WORDS] * 2
    sent = chat_server.chats[-1].json
    assert sent["max_completion_tokens"] == STYLES["sentence"].tokens
    assert {"max_tokens", "temperature", "reasoning_effort"}.isdisjoint(sent)
    assert sent["chat_template_kwargs"] == {"enable_thinking": False}
    assert len(chat_server.chats) == 5, "what was refused once is not tried again"


@pytest.mark.parametrize(
    ("names", "settings"),
    [
        (("temperature",), CaptionSettings(temperature=0.7)),
        (
            ("reasoning_effort", "chat_template_kwargs"),
            CaptionSettings(endpoint=EndpointSettings(thinking=False)),
        ),
        (("repetition_penalty", "repeat_penalty"), CaptionSettings(repetition=1.3)),
    ],
)
def test_what_was_asked_for_is_never_left_out(
    chat_server: ChatServer, names: tuple[str, ...], settings: CaptionSettings
) -> None:
    chat_server.answers = [refuses(*names)]  # pyright: ignore
    with pytest.raises(ModelError, match=f"400.*Unsupported parameter: '{names[-1]}'"):
        described(chat_server, settings)


@pytest.mark.parametrize(
    ("keep_alive", "sent", "first"), [("5m", "5m", True), ("-1", -1, True), ("300", 300, True), ("0", 0, False)]
)
def test_keep_alive_is_told_as_ollama_is(chat_server: ChatServer, keep_alive: str, sent: object, first: bool) -> None:
    described(chat_server, CaptionSettings(endpoint=EndpointSettings(keep_alive=keep_alive)), count=2)
    paths = [asked.path for asked in chat_server.asked]
    assert paths.index("/api/generate") == (0 if first else 2)
    told = next(asked.json for asked in chat_server.asked if asked.path == "/api/generate")
    assert told == {"model": MODEL, "keep_alive": sent, "stream": False}


def test_the_only_model_needs_no_name(chat_server: ChatServer) -> None:
    assert load_describer(chat_server.base).caption([PICTURE]) == [WORDS]
    assert chat_server.chats[0].json["model"] == MODEL
    assert endpoint_models(chat_server.base) == [MODEL]


def test_an_address_without_its_v1_is_told_so(chat_server: ChatServer) -> None:
    bare = chat_server.base.removesuffix("/v1")
    with pytest.raises(ModelError, match=f"does not list its models: it answered 404.*; ask {bare}/v1"):
        endpoint_models(bare)


@pytest.mark.parametrize("models", [[], ["one", "two"], [f"model-{number}" for number in range(50)]])
def test_one_of_several_models_has_to_be_named(chat_server: ChatServer, models: list[str]) -> None:
    chat_server.models = models
    with pytest.raises(ModelError, match=f"has {len(models)} models, and none is named") as refused:
        load_describer(chat_server.base)
    assert all(f"{chat_server.base}#{name}" in str(refused.value) for name in models[:12])
    assert not chat_server.chats and len(str(refused.value)) < 1000


def test_a_model_that_is_not_there_is_told_beside_those_that_are(chat_server: ChatServer) -> None:
    chat_server.answers = [says({"error": {"message": "model not found"}}, 404)]
    with pytest.raises(ModelError, match=r"has no model 'absent'.*#someone/tiny-vl:2b"):
        load_describer(f"{chat_server.base}#absent").caption([PICTURE])


def test_an_address_without_v1_is_told_of_it(chat_server: ChatServer) -> None:
    with pytest.raises(ModelError, match=rf"404.*give {chat_server.base}#m as captioner"):
        load_describer(f"{chat_server.base.removesuffix('/v1')}#m").caption([PICTURE])


def test_pictures_are_taken_one_by_one(chat_server: ChatServer) -> None:
    def pictures() -> object:
        for number in range(3):
            assert len(chat_server.chats) == number
            yield PICTURE

    assert len(load_describer(chat_server.name).describe(pictures())) == 3  # pyright: ignore


def test_neither_torch_nor_the_library_is_imported_before_there_is_a_question() -> None:
    code = (
        "import sys; from unrender.core.describe import check_describer, load_describer;"
        "check_describer('http://127.0.0.1:9/v1#m'); load_describer('http://127.0.0.1:9/v1#m');"
        "assert not {'torch', 'openai', 'transformers'} & {*sys.modules}"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr == ""


@pytest.mark.parametrize("models", [[], ["one", "two\x1b[2J"]])
def test_the_command_line_lists_a_server_s_models(
    chat_server: ChatServer, models: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    chat_server.models = models
    assert main(["models", "--endpoint", f"{chat_server.base}/"]) == 0
    lines = capsys.readouterr().out.splitlines()
    named = [f"{chat_server.base}#one", f"{chat_server.base}#two\\x1b[2J"]
    assert lines == (named if models else [f"{chat_server.base} lists no models."])
    assert main(["models", "--endpoint", chat_server.base, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"endpoint": chat_server.base, "models": models}


def test_the_command_line_describes_with_a_server(
    chat_server: ChatServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    PICTURE.save(tmp_path / "one.png")
    command = ["interrogate", str(tmp_path / "one.png"), "--clip", "micro", "--device", "cpu", "--mode", "caption"]
    assert main([*command, "--captioner", chat_server.name]) == 0
    assert capsys.readouterr().out.strip() == WORDS
