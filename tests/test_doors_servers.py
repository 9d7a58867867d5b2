"""A visitor of the page or the API may have no server asked but those that were named by who started the program."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chat_server import WORDS, ChatServer, chat_serving
from PIL import Image
from unrender.core.describe.endpoint.allowed import NAMED
from unrender.core.errors import SettingsError, UnrenderError
from unrender.core.settings import Settings
from unrender.server.batches import BatchRequest, described
from unrender.server.choices import Request
from unrender.server.host import Host, alone
from unrender.server.jobs import Job
from unrender.server.work import interrogation

pytest.importorskip("openai", reason="the library that asks servers is not installed (extra endpoint)")
pytest_plugins = ["chat_fixtures"]
PICTURE = Image.new("RGB", (32, 32), "red")


def host(cache: Path, captioner: str | None = "micro") -> Host:
    return alone(Settings(clip="micro", captioner=captioner, device="cpu", cache=cache))


def asked(captioner: str, **more: Any) -> Request:
    return Request(PICTURE, "caption", "micro", captioner, **more)


def test_a_server_that_was_named_is_asked(chat_server: ChatServer, tmp_path: Path) -> None:
    named = host(tmp_path, chat_server.name)
    assert interrogation(named, asked(chat_server.name), Job()).prompt == WORDS
    assert interrogation(named, asked(f"{chat_server.base}#another"), Job()).prompt == WORDS
    assert [each.json["model"] for each in chat_server.chats][1] == "another"


def test_nothing_is_to_be_downloaded_of_it(chat_server: ChatServer, tmp_path: Path) -> None:
    job = Job()
    job.agreed = ()
    assert interrogation(host(tmp_path, chat_server.name), asked(chat_server.name), job).prompt == WORDS


def test_a_server_may_be_named_in_the_environment(
    chat_server: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAMED, f"https://api.example.com/v1, {chat_server.base}")
    assert interrogation(host(tmp_path), asked(chat_server.name), Job()).prompt == WORDS


@pytest.mark.parametrize("usual", ["micro", None, "https://api.example.com/v1#m", "one that was named"])
def test_no_other_server_is_asked(chat_server: ChatServer, tmp_path: Path, usual: str | None) -> None:
    with chat_serving(ChatServer()) as other:
        visited = host(tmp_path, other.name if usual == "one that was named" else usual)
        for name in (chat_server.name, f" {chat_server.base.upper()}", "http://169.254.169.254/latest#m", "http://a@b"):
            with pytest.raises(UnrenderError):
                interrogation(visited, asked(name), Job())
        with pytest.raises(SettingsError, match=f"as its captioner, or in {NAMED}"):
            interrogation(visited, asked(chat_server.name), Job())
        assert not chat_server.asked and not other.asked


def test_nor_for_a_folder_or_as_a_rival(chat_server: ChatServer, tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "one.png")
    visited = host(tmp_path)
    with pytest.raises(SettingsError, match="was not named"):
        described(visited, BatchRequest(str(tmp_path), asked(chat_server.name)), Job())
    for more in ({"rivals": (chat_server.name,)}, {"tagger": chat_server.name}):
        with (
            pytest.raises(SettingsError, match="was not named"),
            visited.lent(Job(), replace(visited.settings(), **more), True),
        ):
            pass
    assert not chat_server.asked


def test_the_api_takes_the_one_that_was_named(chat_server: ChatServer, tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="the API needs fastapi")
    pytest.importorskip("httpx", reason="its test client needs httpx")

    from fastapi import FastAPI
    from fastapi.testclient import TestClient
    from unrender.server.api import router

    stream = io.BytesIO()
    PICTURE.save(stream, "PNG")
    picture = base64.b64encode(stream.getvalue()).decode()
    app = FastAPI()
    app.include_router(router(host(tmp_path, chat_server.name)))
    client = TestClient(app)
    assert chat_server.name in client.get("/unrender/v1/status").json()["captioners"]
    other = f"{chat_server.base}#another"
    for captioner, status in ((chat_server.name, 200), (None, 200), (other, 200), ("http://127.0.0.1:9/v1#m", 422)):
        body = {"image": picture, "mode": "caption", **({} if captioner is None else {"captioner": captioner})}
        answer = client.post("/unrender/v1/interrogate", json=body)
        assert answer.status_code == status, answer.text
        assert status != 200 or answer.json()["prompt"] == WORDS
    for route, name in (("tag", "tagger"), ("describe", "captioner"), ("analyze", "tagger")):
        for asked in ("http://127.0.0.1:9/v1#m", "http://a@b"):
            assert client.post(f"/unrender/v1/{route}", json={"image": picture, name: asked}).status_code == 422
    tags = client.post("/unrender/v1/tag", json={"image": picture, "tagger": chat_server.name}).json()
    assert (tags["text"], tags["tags"], tags["rating"]) == (WORDS, [], "")
    client.post("/unrender/v1/interrogate", json={"image": picture, "mode": "caption"})
    loaded = client.get("/unrender/v1/status").json()["loaded"]
    assert {"kind": "endpoint", "name": chat_server.name, "bytes": 0} in [
        {name: value for name, value in each.items() if name != "device"} for each in loaded
    ]
