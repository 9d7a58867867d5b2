"""A hub and its store that fail at random: a file in the cache is whole or not there, and a sentence always comes."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest
from hub_server import (  # noqa: F401
    LARGE,
    REPO,
    FakeHub,
    Handler,
    Recorder,
    no_settings_of_this_machine_fixture,
    server_fixture,
)
from unrender.core.errors import Cancelled, ModelError
from unrender.core.hub import Hub

FILES = {
    "config.json": b'{"model_type": "blip", "words": "' + b"word " * 5000 + b'"}',
    "vocab.txt": b"[PAD]\n[UNK]\n",
    "model.safetensors": LARGE[:400_000],
}
STATUSES = (400, 401, 403, 404, 408, 416, 418, 429, 500, 502, 503, 504)
TURNS = 10
FAULTS = (
    *("refused", "hung up", "no HTTP", "a page", "broken", "broken", "other bytes", "shorter", "longer"),
    *("no ranges", "wrong range", "silent", "packed"),
)

pytestmark = pytest.mark.usefixtures("no_settings_of_this_machine")


class Faults:
    """share: how many of the requests meet one."""

    def __init__(self, seed: int, server: FakeHub, share: float) -> None:
        self.dice = random.Random(seed)
        self.server = server
        self.share = share
        self.met: list[str] = []
        self._one_at_a_time = threading.Lock()
        self._answer, self._header = Handler.answer, Handler.send_header

    def answer(self, handler: Handler) -> None:
        with self._one_at_a_time:
            fault = self.dice.choice(FAULTS) if self.dice.random() < self.share else ""
            self.met.append(f"{fault or 'fine'} {handler.path[:40]}")
            server = self.server
            server.break_after = [self.dice.randrange(300_000)] if fault == "broken" else []
            server.swapped = self._swapped(fault)
            server.ignores_ranges, server.packs_always = fault == "no ranges", fault == "packed"
            self._shifts = fault == "wrong range"
            if fault == "refused":
                waits = {"Retry-After": self.dice.choice(["0", "1", "soon"])} if self.dice.random() < 0.5 else {}
                return handler.refuse(self.dice.choice(STATUSES), waits)
            if fault == "a page":
                return handler.send_all(b"<html>Please log in to the hotel.</html>", {"Content-Type": "text/html"})
            if fault in ("hung up", "no HTTP", "silent"):
                if fault == "silent":
                    time.sleep(0.5)
                if fault == "no HTTP":
                    handler.wfile.write(bytes(self.dice.randrange(256) for _ in range(200)))
                handler.close_connection = True
                return None
            return self._answer(handler)

    def header(self, handler: Handler, name: str, value: str) -> None:
        shifted = self._shifts and name == "Content-Range"
        self._header(handler, name, "bytes 7-9/400000" if shifted else value)

    def _swapped(self, fault: str) -> dict[str, bytes]:
        changes = {
            "other bytes": lambda data: bytes([data[0] ^ 1]) + data[1:],
            "shorter": lambda data: data[: len(data) // 2],
            "longer": lambda data: data + data,
        }
        if fault not in changes or not (self.server.tells_hashes or self.server.links_tell):
            return {}  # where nobody tells a hash nobody can know
        return {name: changes[fault](data) for name, data in FILES.items()}


def spoil(dice: random.Random, part: Path) -> None:
    """What a crash of the computer leaves of a file that was being written."""
    match dice.randrange(4):
        case 0:
            part.write_bytes(part.read_bytes()[: -dice.randrange(1, 5000)])
        case 1:
            part.write_bytes(part.read_bytes() + bytes(dice.randrange(1, 500_000)))
        case 2:
            part.write_bytes(bytes(part.stat().st_size))


def check_disk(hub: Hub) -> None:
    for path in hub.models.rglob("snapshots/*/*"):
        assert path.read_bytes() == FILES[path.name], path.name
    for part in hub.models.rglob("*.incomplete"):
        assert part.stat().st_size <= 900_000, "an unfinished file grows beyond what it can be"


def live_through(seed: int, server: FakeHub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Asks until it is there, through ever fewer faults. Returns how often it came and how often it did not."""
    faults = Faults(seed, server, share=0.6)
    monkeypatch.setattr(Handler, "answer", lambda handler: faults.answer(handler))
    monkeypatch.setattr(Handler, "send_header", lambda handler, name, value: faults.header(handler, name, value))
    server.repos = {REPO: dict(FILES)}
    server.tells_hashes, server.links_tell = faults.dice.random() < 0.7, faults.dice.random() < 0.8
    hub = Hub(folder / str(seed), patience=0.2)
    failed = 0
    for turn in range(TURNS):
        faults.share = 0.6 * (1 - turn / TURNS)
        stops = Recorder(cancel_after=faults.dice.choice([None, None, 1, 100_000, 390_000]))
        try:
            found = hub.fetch(REPO, ["config.json", "model.safetensors"], stops, optional=["vocab.txt"])
            assert {path.name for path in found.iterdir()} >= {"config.json", "model.safetensors"}
            check_disk(hub)
            hub.remove(REPO)
        except ModelError as error:
            failed += 1
            text = str(error)
            assert text.endswith(".") and "\n" not in text and "Traceback" not in text and len(text) < 900, text
        except Cancelled:
            failed += 1
        check_disk(hub)
        for part in hub.models.rglob("*.incomplete"):
            spoil(faults.dice, part)
    faults.share = 0.0
    server.tells_hashes = server.links_tell = True
    hub = Hub(hub.folder, patience=20.0)
    found = hub.fetch(REPO, list(FILES))
    assert {path.name: path.read_bytes() for path in found.iterdir()} == FILES
    check_disk(hub)
    return TURNS - failed, failed


@pytest.mark.parametrize("seed", range(6))
def test_random_faults(server: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    live_through(seed, server, tmp_path, monkeypatch)


@pytest.mark.full
def test_many_random_faults(server: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = [live_through(seed, server, tmp_path, monkeypatch) for seed in range(100, 200)]
    assert sum(came for came, _ in ends) > 100 < sum(failed for _, failed in ends), "both ends are really met"
