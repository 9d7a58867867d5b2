"""A key is shown by nothing, whatever a server says."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable

import pytest
from chat_server import (
    MODEL,
    WORDS,
    Answer,
    ChatServer,
    chat_serving,
    events,
    piece,
    says,
    writes,
)
from PIL import Image
from unrender.core.describe import load_describer
from unrender.core.describe.endpoint.address import Address
from unrender.core.describe.endpoint.endpoint import Endpoint
from unrender.core.describe.endpoint.key import KEY, Key
from unrender.core.errors import ModelError
from unrender.core.settings import CaptionSettings, EndpointSettings

pytest.importorskip("openai", reason="the library that asks servers is not installed (extra endpoint)")
pytest_plugins = ["chat_fixtures"]
PICTURE = Image.new("RGB", (32, 32), "red")
SECRET = "sk-4f1c9a77e2b8"


def echoing(make: Callable[[str], Answer]) -> Answer:
    return lambda handler, asked: make(asked.headers.get("Authorization", ""))(handler, asked)


ECHOES: dict[str, Answer] = {
    "in an error": echoing(lambda key: says({"error": {"message": f"bad key {key}"}}, 401)),
    "in a part": echoing(lambda key: says({"error": {"message": f"bad key {key[7:16]}***"}}, 401)),
    "in a plain error": echoing(lambda key: says(key.encode(), 400, "text/plain")),
    "in a page": echoing(lambda key: says(f"<html>{key}</html>".encode(), 500, "text/html")),
    "in a field": echoing(lambda key: says({key: {"error": key}}, 422)),
    "in an error inside": echoing(lambda key: says({"error": key.swapcase()})),
    "in a refusal": echoing(lambda key: events(piece(refusal=key, end="stop"))),
    "in the words": echoing(lambda key: writes(f"A picture of {key}.")),
    "in the place": echoing(lambda key: says({}, 302, Location=f"http://{key[7:]}.evil.example/{key[7:]}")),
    "in the path": echoing(lambda key: says({}, 302, Location=f"/{key[7:]}")),
}


@pytest.mark.parametrize("kind", ECHOES)
def test_a_key_that_a_server_repeats_is_not_shown(
    chat_server: ChatServer, kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(KEY, f"{chat_server.base} {SECRET}")
    chat_server.answers = [ECHOES[kind]]
    describer = load_describer(chat_server.name)
    settings = CaptionSettings(endpoint=EndpointSettings(retries=0))
    with caplog.at_level(logging.DEBUG), pytest.raises(ModelError) as refused:
        describer.caption([PICTURE], settings)
    assert chat_server.chats[0].headers["Authorization"] == f"Bearer {SECRET}"
    told = "".join(traceback.format_exception(refused.value)) + repr(describer) + repr(vars(describer))
    assert SECRET[:9] not in told.casefold()
    assert kind not in ("in an error", "in a part", "in a plain error") or "it answered 40" in str(refused.value)
    assert SECRET not in "".join(str(each.getMessage()) for each in caplog.records if "header" not in each.getMessage())


def test_a_key_is_in_no_log(
    chat_server: ChatServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(KEY, f"{chat_server.base} {SECRET}")
    monkeypatch.setenv("OPENAI_LOG", "debug")
    with caplog.at_level(logging.DEBUG):
        assert load_describer(chat_server.name).caption([PICTURE]) == [WORDS]
    assert SECRET not in caplog.text


def test_a_key_may_come_from_elsewhere(chat_server: ChatServer) -> None:
    """As from a host's secret setting."""
    describer = Endpoint(chat_server.name, Address(chat_server.base, MODEL), lambda address: Key(SECRET))
    assert describer.caption([PICTURE]) == [WORDS]
    assert chat_server.chats[0].headers["Authorization"] == f"Bearer {SECRET}"


def test_a_key_without_an_address_is_not_sent_here_and_that_is_said(
    chat_server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, SECRET)
    chat_server.answers = [says({"error": "no key"}, 401)]
    with pytest.raises(ModelError, match=rf'set {KEY} to "{chat_server.base} KEY"'):
        load_describer(chat_server.name).caption([PICTURE])
    assert "Authorization" not in chat_server.chats[0].headers


def test_a_picture_is_not_sent_on(chat_server: ChatServer) -> None:
    with chat_serving(ChatServer()) as other:
        chat_server.answers = [says({}, 307, Location=f"{other.base}/chat/completions")]
        with pytest.raises(ModelError, match="another address"):
            load_describer(chat_server.name).caption([PICTURE])
        assert not other.asked
