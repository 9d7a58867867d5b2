"""The hub, against a small server: tensors that come without the rest of their file."""

from __future__ import annotations

import json
import struct
import threading
import time

import pytest
import torch
from hub_server import (  # noqa: F401
    REPO,
    FakeHub,
    Handler,
    Recorder,
    hasty_fixture,
    hub_fixture,
    is_one_sentence,
    no_settings_of_this_machine_fixture,
    server_fixture,
)
from safetensors.torch import load, save
from unrender.core.errors import Cancelled, ModelError
from unrender.core.hub import Hub

PATIENCE = 2.0

pytestmark = pytest.mark.usefixtures("no_settings_of_this_machine", "on_the_hub")

FILE = "model.safetensors"
TENSORS = {
    "a.before": torch.zeros(3 << 20),
    "b.wanted": torch.arange(6.0).reshape(2, 3),
    "c.between": torch.ones(1 << 20),
    "d.wanted": torch.arange(5.0),
    "e.after": torch.zeros(12 << 20),
}
WANTED = ["b.wanted", "d.wanted"]


@pytest.fixture(scope="module", name="content")
def content_fixture() -> bytes:
    return save(TENSORS, metadata={"format": "pt"})


@pytest.fixture(name="on_the_hub")
def on_the_hub_fixture(server: FakeHub, content: bytes) -> None:
    server.repos[REPO][FILE] = content


def is_right(found: bytes) -> bool:
    loaded = load(found)
    return loaded.keys() == set(WANTED) and all(torch.equal(loaded[name], TENSORS[name]) for name in WANTED)


def test_nothing_but_the_header_and_the_tensors_comes(server: FakeHub, hub: Hub) -> None:
    progress = Recorder()
    assert is_right(hub.fetch_tensors(REPO, FILE, WANTED, progress))
    assert sum(server.sent) < 2000
    assert all(asked[2].startswith("bytes=") for asked in server.asked("GET", FILE))
    assert (progress.total, progress.unit) == (24 + 20, "B") and "b.wanted" in progress.label and REPO in progress.label
    assert progress.threads == {threading.get_ident()}


def test_a_server_that_ignores_ranges_is_left_after_the_last_byte_wanted(
    server: FakeHub, hub: Hub, content: bytes
) -> None:
    server.ignores_ranges = True
    assert is_right(hub.fetch_tensors(REPO, FILE, WANTED))
    # what waits in the sockets' buffers besides
    assert len(server.sent) == 4 and max(server.sent) < 22 << 20 < len(content) // 2


def test_a_server_that_sends_no_parts_of_the_tensors_only(
    server: FakeHub, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind one address there may be several."""

    def serve(handler: Handler, name: str, data: bytes, commit: str) -> None:
        server.ignores_ranges = len(server.asked("GET", FILE)) >= 3
        original(handler, name, data, commit)

    original = Handler.serve
    monkeypatch.setattr(Handler, "serve", serve)
    assert is_right(hub.fetch_tensors(REPO, FILE, WANTED))


@pytest.mark.parametrize("ignores_ranges", [False, True])
def test_a_broken_connection_is_a_sentence_and_never_wrong_bytes(
    server: FakeHub, hasty: Hub, ignores_ranges: bool
) -> None:
    server.ignores_ranges = ignores_ranges
    server.break_after = [8] + [4] * 100
    with pytest.raises(ModelError, match=r"b\.wanted in model\.safetensors of someone/some-model.*broke") as error:
        hasty.fetch_tensors(REPO, FILE, WANTED)
    assert is_one_sentence(error)


def test_a_tensor_that_is_not_there(server: FakeHub, hub: Hub) -> None:
    with pytest.raises(ModelError, match=r"model\.safetensors of someone/some-model holds no text_projection") as error:
        hub.fetch_tensors(REPO, FILE, ["b.wanted", "text_projection"])
    assert is_one_sentence(error)


def _with_header(header: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + bytes(100)


@pytest.mark.parametrize(
    "content",
    [
        b"x" * 100,
        _with_header(b"{"),
        _with_header(b"[1, 2]"),
        _with_header(json.dumps({"b.wanted": {"dtype": "F32"}}).encode()),
        _with_header(json.dumps({"b.wanted": {"data_offsets": [8, 8]}}).encode()),
        _with_header(json.dumps({"b.wanted": {"data_offsets": [0, "x"]}}).encode()),
    ],
)
def test_what_is_no_safetensors_file(server: FakeHub, hub: Hub, content: bytes) -> None:
    server.repos[REPO][FILE] = content
    with pytest.raises(ModelError, match="no safetensors file") as error:
        hub.fetch_tensors(REPO, FILE, ["b.wanted"])
    assert is_one_sentence(error)


def test_a_file_that_is_not_there_or_never_fetched(server: FakeHub, hub: Hub) -> None:
    with pytest.raises(ModelError, match=r"no file other\.safetensors"):
        hub.fetch_tensors(REPO, "other.safetensors", WANTED)
    with pytest.raises(ModelError, match="never fetched"):
        hub.fetch_tensors(REPO, "pytorch_model.bin", WANTED)
    assert not server.asked("GET", ".bin")


def test_the_token_and_offline_mode(server: FakeHub, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    server.needs_token = "hf_secret"
    with pytest.raises(ModelError, match="HF_TOKEN"):
        hub.fetch_tensors(REPO, FILE, WANTED)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert is_right(hub.fetch_tensors(REPO, FILE, WANTED))
    server.requests.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE") as error:
        hub.fetch_tensors(REPO, FILE, WANTED)
    assert is_one_sentence(error) and server.requests == []


def test_silence_is_limited_in_time(server: FakeHub, hub: Hub) -> None:
    server.hangs_on = f"GET /{REPO}"
    started = time.monotonic()
    with pytest.raises(ModelError, match=r"nothing arrived|did not answer"):
        hub.fetch_tensors(REPO, FILE, WANTED)
    assert time.monotonic() - started < 4 * PATIENCE


def test_a_slow_server_is_waited_for_as_long_as_bytes_come(server: FakeHub, hub: Hub) -> None:
    server.repos[REPO][FILE] = save({"b.wanted": torch.zeros(3 << 20)})
    server.slowness = 0.25
    assert len(load(hub.fetch_tensors(REPO, FILE, ["b.wanted"]))["b.wanted"]) == 3 << 20


def test_it_can_be_stopped(server: FakeHub, hub: Hub) -> None:
    server.slowness, server.ignores_ranges = 0.02, True
    with pytest.raises(Cancelled):
        hub.fetch_tensors(REPO, FILE, WANTED, Recorder(cancel_after=1))
