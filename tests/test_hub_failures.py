"""The hub, against a small server: what it refuses, and hubs that refuse or do not answer."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hub_server import (  # noqa: F401
    REPO,
    FakeHub,
    Handler,
    hub_fixture,
    is_one_sentence,
    no_settings_of_this_machine_fixture,
    server_fixture,
)
from unrender.core.errors import ModelError
from unrender.core.hub import Hub

PATIENCE = 2.0

pytestmark = pytest.mark.usefixtures("no_settings_of_this_machine")


# --- refusals ---


@pytest.mark.parametrize(
    "name",
    ["pytorch_model.bin", "model.pt", "model.PTH", "x.ckpt", "x.pkl", "flax_model.msgpack", "tf_model.h5", "x.py"],
)
def test_other_formats_are_never_fetched(server: FakeHub, hub: Hub, name: str) -> None:
    server.repos[REPO][name] = b"code"
    for call in (
        lambda: hub.fetch(REPO, [name]),
        lambda: hub.fetch(REPO, ["config.json"], optional=[name]),
    ):
        with pytest.raises(ModelError, match="never fetched") as error:
            call()
        assert is_one_sentence(error)
    assert not server.asked("GET", name) and not server.asked("HEAD", name)


@pytest.mark.parametrize("name", ["../x.json", "/etc/x.json", "a/../../x.json", "..\\x.json", "C:x.json"])
def test_names_that_lead_outside_are_refused(server: FakeHub, hub: Hub, name: str) -> None:
    with pytest.raises(ModelError):
        hub.fetch(REPO, [name])


@pytest.mark.parametrize("repo", ["", "a/b/c", "../x", "a/..", "a//b", "a--b/c", "http://x/y", "C:\\x", "a b/c", "."])
def test_what_is_no_repository_name_is_refused(hub: Hub, repo: str) -> None:
    with pytest.raises(ModelError, match=r"owner/name|no hub is asked") as error:
        hub.fetch(repo, ["config.json"])
    assert is_one_sentence(error)


def test_a_repository_with_pickles_only_gets_a_sentence(server: FakeHub, hub: Hub) -> None:
    del server.repos[REPO]["model.safetensors"]
    for call in (lambda: hub.fetch_model(REPO), lambda: hub.fetch(REPO, ["model.safetensors"])):
        with pytest.raises(ModelError, match=r"only as pytorch_model\.bin.*never opened") as error:
            call()
        assert is_one_sentence(error)
    assert not server.asked("GET", "pytorch_model.bin")


def test_a_file_the_repository_lacks_is_named(server: FakeHub, hub: Hub) -> None:
    with pytest.raises(ModelError, match=r"someone/some-model has no file tokenizer\.json"):
        hub.fetch(REPO, ["tokenizer.json"])


def test_an_unknown_repository(server: FakeHub, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not say who they are is not told whether it is private."""
    wanted = ("no/such", ["config.json", "model.safetensors"])
    with pytest.raises(ModelError, match=r"model\.safetensors of no/such .*answered 401; check the name, or .*private"):
        hub.fetch(*wanted)
    monkeypatch.setenv("HF_TOKEN", "hf_valid")
    with pytest.raises(ModelError, match=r"model\.safetensors of no/such .*answered 404; check the name") as error:
        hub.fetch(*wanted)
    assert is_one_sentence(error) and server.url in str(error.value) and str(hub.models) in str(error.value)
    assert "micro as clip" in str(error.value)


def test_a_gated_repository_is_asked_for_on_its_page(
    server: FakeHub, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.gated[REPO] = {"hf_member"}
    page = f"ask for access on {server.url}/{REPO} and set HF_TOKEN"
    for token, said in (("", "401: the model is gated, for those"), ("hf_other", "403: .*no access to it")):
        monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(ModelError, match=f"answered {said}") as error:
            hub.fetch(REPO, ["model.safetensors"], instead="--captioner none")
        assert is_one_sentence(error) and page in str(error.value) and "--captioner none" in str(error.value)
    monkeypatch.setenv("HF_TOKEN", " hf_member\n")
    assert (hub.fetch(REPO, ["config.json"]) / "config.json").is_file()


def test_a_token_that_is_no_longer_one_is_said(server: FakeHub, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A saved one that has expired stands in the way of public models too."""
    server.tokens = {"hf_new"}
    monkeypatch.setenv("HF_TOKEN", "hf_old")
    with pytest.raises(ModelError, match="it does not know the token; set HF_TOKEN") as error:
        hub.fetch_model(REPO)
    assert is_one_sentence(error) and "check the name" not in str(error.value)


def test_an_unknown_revision(server: FakeHub, hub: Hub) -> None:
    with pytest.raises(ModelError, match="answered 404: it has no such revision; check the revision") as error:
        hub.fetch(REPO, ["config.json"], revision="v9")
    assert is_one_sentence(error)


def test_a_token_is_needed_for_private_ones(server: FakeHub, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    server.needs_token = "hf_secret"
    with pytest.raises(ModelError, match="HF_TOKEN"):
        hub.fetch(REPO, ["config.json"])
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert (hub.fetch(REPO, ["config.json"]) / "config.json").is_file()


@pytest.mark.parametrize("status", [429, 500, 502, 503])
@pytest.mark.parametrize("where", ["/api/", "/resolve/"])
def test_a_hub_in_trouble(server: FakeHub, hub: Hub, status: int, where: str) -> None:
    server.status[where] = status
    started = time.monotonic()
    with pytest.raises(ModelError, match=rf"answered {status}|nothing arrived") as error:
        hub.fetch(REPO, ["model.safetensors"])  # some versions of huggingface_hub ask again for minutes
    assert time.monotonic() - started < 3 * PATIENCE and is_one_sentence(error)


def test_something_that_is_no_hub(server: FakeHub, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Handler, "list_files", lambda self, path: self.refuse(200))
    with pytest.raises(ModelError) as error:
        hub.fetch(REPO, ["config.json"])
    assert is_one_sentence(error)


# --- no network ---


def test_a_refused_connection(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
    monkeypatch.setenv("HF_ENDPOINT", address)
    started = time.monotonic()
    with pytest.raises(ModelError, match="refused") as error:
        hub.fetch_model(REPO)
    assert time.monotonic() - started < 5 * PATIENCE and is_one_sentence(error)
    text = str(error.value)
    assert all(part in text for part in (address, str(hub.models), "hf-home", REPO, "micro as clip"))


def test_a_host_without_an_address(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://no-such-host.invalid")
    with pytest.raises(ModelError, match=r"could not be resolved|nothing arrived") as error:
        hub.fetch(REPO, ["config.json"])
    assert is_one_sentence(error)


def test_a_name_server_that_never_answers(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """No library limits the time of a name look-up, so only waiting elsewhere does."""
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: released.wait(30))
    monkeypatch.setenv("HF_ENDPOINT", "http://somewhere.example")
    started = time.monotonic()
    with pytest.raises(ModelError, match=f"nothing arrived within {PATIENCE:g} seconds"):
        hub.fetch(REPO, ["config.json"])
    assert time.monotonic() - started < 4 * PATIENCE
    released.set()


@pytest.mark.parametrize("where", ["/api/", "GET /someone", "GET /xet"])
def test_a_server_that_takes_the_call_and_stays_silent(server: FakeHub, hub: Hub, where: str) -> None:
    server.hangs_on = where
    started = time.monotonic()
    with pytest.raises(ModelError, match=r"nothing arrived|did not answer") as error:
        hub.fetch(REPO, ["model.safetensors"])
    assert time.monotonic() - started < 4 * PATIENCE and is_one_sentence(error)


@pytest.mark.full
@pytest.mark.parametrize("where", ["/api/", "GET /someone", "GET /xet"])
def test_silence_costs_less_than_ten_seconds(server: FakeHub, tmp_path: Path, where: str) -> None:
    server.hangs_on = where
    code = f"from unrender.core.hub import Hub; Hub({str(tmp_path)!r}).fetch({REPO!r}, ['model.safetensors'])"
    started = time.monotonic()
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert time.monotonic() - started < 10
    assert "ModelError" in finished.stderr


def test_offline_mode_asks_nobody(server: FakeHub, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = hub.fetch(REPO, ["config.json"])
    server.requests.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert hub.fetch(REPO, ["config.json"], optional=["vocab.txt"]) == folder
    for call in (lambda: hub.fetch(REPO, ["model.safetensors"]), lambda: hub.list_files(REPO)):
        with pytest.raises(ModelError, match="HF_HUB_OFFLINE") as error:
            call()
        assert is_one_sentence(error)
    assert server.requests == []


def test_an_endpoint_without_its_scheme(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "hf-mirror.com")
    with pytest.raises(ModelError, match=r"HF_ENDPOINT is 'hf-mirror\.com'.*write https://hf-mirror\.com") as error:
        hub.fetch_model(REPO)
    assert is_one_sentence(error)
