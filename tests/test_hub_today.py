"""The hub as it is in 2026, mirrors of it, and what they do in the middle of a download."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from hub_server import (  # noqa: F401
    LARGE,
    REPO,
    STORE,
    FakeHub,
    Handler,
    Recorder,
    Refusal,
    hasty_fixture,
    hub_fixture,
    is_one_sentence,
    no_settings_of_this_machine_fixture,
    server_fixture,
)
from unrender.core.errors import Cancelled, ModelError
from unrender.core.hub import Hub
from unrender.core.hub.failures import Unreachable
from unrender.core.hub.patience import LONGEST_TOLD, Patience, told_wait

WEIGHTS = "model.safetensors"

pytestmark = pytest.mark.usefixtures("no_settings_of_this_machine")


def is_whole(hub: Hub, name: str = WEIGHTS, data: bytes = LARGE) -> bool:
    return (hub.fetch(REPO, [name]) / name).read_bytes() == data


class Labels(Recorder):
    """Remembers what was said, and cancels once a label holds `last`."""

    def __init__(self, last: str | None = None) -> None:
        super().__init__()
        self.labels: list[str] = []
        self._last = last

    def task(self, label: str, total: int | None = None, unit: str = ""):
        self.labels.append(f"{label} / {total} {unit}")
        return super().task(label, total, unit)

    def check(self) -> None:
        if self._last and any(self._last in label for label in self.labels):
            raise Cancelled("Stopped.")


# --- where bytes lie, and under which name ---


def test_the_token_is_for_the_hub_alone(server: FakeHub, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert is_whole(hub) and is_whole(hub, "config.json", server.repos[REPO]["config.json"])
    assert {token for is_store, token in server.tokens_seen if not is_store} == {"Bearer hf_secret"}
    assert [token for is_store, token in server.tokens_seen if is_store] == [""]
    paths = [path for _, path, _ in server.requests]
    assert len(paths) == 6 and not [path for path in paths if REPO not in path and STORE not in path], "nothing else"


def test_a_saved_token_is_used(server: FakeHub, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `hf auth login` leaves it; read by huggingface_hub, which knows where."""
    (tmp_path / "hf-home").mkdir()
    (tmp_path / "hf-home" / "token").write_text("hf_saved\n")
    server.needs_token = "hf_saved"
    code = f"from unrender.core.hub import Hub; Hub({str(hub.folder)!r}).fetch({REPO!r}, ['config.json'])"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert hub.find(REPO, ["config.json"])


@pytest.mark.parametrize("token", ["hf_se\ncret", "hf_se cret", "hf_sécret"])
def test_a_token_that_is_none_is_not_shown(
    server: FakeHub, hub: Hub, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(ModelError, match="the token holds signs that no token has; set HF_TOKEN") as error:
        hub.fetch_model(REPO)
    assert is_one_sentence(error) and "cret" not in str(error.value) and server.requests == []


def test_a_file_without_a_byte(server: FakeHub, hub: Hub) -> None:
    server.repos[REPO]["vocab.txt"] = b""
    assert is_whole(hub, "vocab.txt", b"")


def test_a_repository_that_was_renamed(server: FakeHub, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    server.needs_token = "hf_secret"
    server.repos["new-owner/new-name"] = server.repos.pop(REPO)
    server.renamed[REPO] = "new-owner/new-name"
    folder = hub.fetch_model(REPO)
    assert (folder / WEIGHTS).read_bytes() == LARGE and REPO.replace("/", "--") in str(folder)
    assert hub.missing_model_files(REPO) == {}


def test_what_is_packed_on_the_way_has_its_own_size(server: FakeHub, hub: Hub) -> None:
    """The answer's length is that of the packed bytes, or it has none."""
    text = b'{"words": [' + b'"cat", ' * 9000 + b'"dog"]}'
    server.repos[REPO]["tokenizer.json"] = text
    server.packs_always = True
    progress = Recorder()
    assert hub.list_files(REPO)["tokenizer.json"] == len(text)
    folder = hub.fetch(REPO, ["tokenizer.json"], progress)
    assert (folder / "tokenizer.json").read_bytes() == text
    assert progress.seen == progress.total == len(text)


@pytest.mark.parametrize("links_tell", [True, False])
@pytest.mark.parametrize("packs", [True, False])
def test_a_mirror_that_tells_little(server: FakeHub, hub: Hub, links_tell: bool, packs: bool) -> None:
    """Without sizes and hashes in its list, the address of a file says them; or, where it leads elsewhere, nobody: the
    other host's own name for the bytes is no hash of them."""
    server.tells_hashes, server.links_tell, server.packs_always = False, links_tell, packs
    small = server.repos[REPO]["vocab.txt"]
    assert is_whole(hub) and is_whole(hub, "vocab.txt", small)
    blobs = {path.name for path in hub.models.rglob("blobs/*")}
    assert hashlib.sha1(b"blob %d\0" % len(small) + small).hexdigest() in blobs
    assert (hashlib.sha256(LARGE).hexdigest() in blobs) == links_tell
    assert not list(hub.models.rglob("*.incomplete"))


def test_an_early_end_of_unknown_length_is_never_kept(
    server: FakeHub, hasty: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signed address is for GET alone, so nobody tells the size before; and the token stays at home there too."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    server.tells_hashes = server.links_tell = False
    server.refusals = [Refusal(f"HEAD {STORE}", 403, times=9)]
    server.break_after = [5 << 20, 5 << 20]
    assert is_whole(hasty)
    assert {token for is_store, token in server.tokens_seen if is_store} == {""}


def test_a_page_to_log_in_is_no_file(server: FakeHub, hasty: Hub) -> None:
    server.tells_hashes = server.links_tell = False
    server.refusals = [Refusal(f"GET {STORE}", 200, {"Content-Type": "text/html; charset=utf-8"})]
    with pytest.raises(ModelError, match="a page to be read answers there") as error:
        hasty.fetch(REPO, [WEIGHTS])
    assert is_one_sentence(error) and is_whole(hasty)


def test_what_came_whole_is_not_asked_for_again(server: FakeHub, hub: Hub) -> None:
    """Asking for what follows the last byte would be answered by 416."""
    part = hub.models / "models--someone--some-model" / "blobs" / f"{hashlib.sha256(LARGE).hexdigest()}.incomplete"
    part.parent.mkdir(parents=True)
    part.write_bytes(LARGE)
    assert is_whole(hub) and not server.asked("GET", WEIGHTS)


def test_a_store_that_cannot_go_on_is_asked_from_the_beginning(server: FakeHub, hasty: Hub) -> None:
    server.break_after = [5 << 20]
    original = Refusal(f"GET {STORE}", 416, times=0)
    server.refusals = [original]
    with pytest.raises(Cancelled):
        hasty.fetch(REPO, [WEIGHTS], Recorder(cancel_after=1 << 20))
    original.times = 1
    assert is_whole(hasty) and original.times == 0


def test_where_it_leads_from_one_address_to_another_without_end(server: FakeHub, hub: Hub) -> None:
    server.renamed[REPO] = REPO
    with pytest.raises(ModelError, match="without end") as error:
        hub.fetch_model(REPO)
    assert is_one_sentence(error)


# --- in the middle of a download ---


def test_a_signed_address_that_has_expired_is_asked_for_anew(server: FakeHub, hasty: Hub) -> None:
    server.break_after = [11 << 20, 5 << 20]
    server.refusals = [Refusal(f"GET {STORE}", 403, {"Content-Type": "application/xml"}, times=2)]
    assert is_whole(hasty)
    assert len(server.asked("GET", WEIGHTS)) == 5


def test_a_store_that_is_closed_is_named(server: FakeHub, hasty: Hub) -> None:
    server.refusals = [Refusal(f"GET {STORE}", 403, times=99)]
    with pytest.raises(ModelError, match=r"127\.0\.0\.1, where its files lie, answered 403") as error:
        hasty.fetch(REPO, [WEIGHTS])
    assert is_one_sentence(error)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("part", ["GET /api/models", "GET /someone", f"GET {STORE}", "GET /api/resolve-cache"])
def test_trouble_that_passes_is_waited_for(server: FakeHub, hasty: Hub, status: int, part: str) -> None:
    server.refusals = [Refusal(part, status, times=2)]
    assert is_whole(hasty) and is_whole(hasty, "config.json", server.repos[REPO]["config.json"])
    assert server.refusals[0].times == 0


@pytest.mark.parametrize("pieces", [1, 70_000])
def test_a_connection_that_breaks_early_again_and_again(server: FakeHub, hasty: Hub, pieces: int) -> None:
    """What came of a piece is never lost: each attempt begins where the last one ended."""
    server.repos[REPO][WEIGHTS] = data = LARGE[: 6 * 70_000]
    server.break_after = [pieces] * 5
    assert is_whole(hasty, WEIGHTS, data)
    starts = [int(asked[2][6:-1] or 0) for asked in server.asked("GET", WEIGHTS) if asked[2]]
    assert starts == [pieces * turn for turn in range(1, 6)]


def test_another_part_than_was_asked_for_is_not_appended(
    server: FakeHub, hasty: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from caches on the way that answer with what they have; here without a hash that would tell."""
    server.tells_hashes = server.links_tell = False
    server.break_after = [(11 << 20) + 7]
    header, part = Handler.send_header, Handler.send_part

    def of_another(handler: Handler, name: str, value: str) -> None:
        header(handler, name, "bytes 0-9/10" if name == "Content-Range" and len(server.sent) == 1 else value)

    def another(handler: Handler, data: bytes, start: int, stop: int) -> None:
        begin = 0 if len(server.sent) == 1 else start
        part(handler, data, begin, begin + stop - start)

    monkeypatch.setattr(Handler, "send_header", of_another)
    monkeypatch.setattr(Handler, "send_part", another)
    assert is_whole(hasty)


def test_a_part_that_is_longer_than_what_is_there_now(server: FakeHub, hub: Hub) -> None:
    """Answered by 416; nothing is left that would stand in the way the next time."""
    etag = hashlib.sha256(LARGE).hexdigest()
    part = hub.models / "models--someone--some-model" / "blobs" / f"{etag}.incomplete"
    part.parent.mkdir(parents=True)
    part.write_bytes(LARGE[: 20 << 20])
    server.swapped[WEIGHTS] = LARGE[: 10 << 20]
    with pytest.raises(ModelError) as error:
        hub.fetch(REPO, [WEIGHTS])
    assert is_one_sentence(error)
    server.swapped = {}
    assert is_whole(hub)


def test_a_server_that_does_not_stop_sending_fills_no_disk(server: FakeHub, hub: Hub) -> None:
    server.tells_hashes = True
    server.repos[REPO][WEIGHTS] = data = LARGE[: 1 << 20]
    server.swapped[WEIGHTS] = data + LARGE
    progress = Recorder()
    with pytest.raises(ModelError, match="not those of the file"):
        hub.fetch(REPO, [WEIGHTS], progress)
    assert progress.seen < 2 << 20 and not list(hub.models.rglob("*.incomplete"))


def test_a_slow_but_steady_download_outlasts_any_patience(server: FakeHub, hasty: Hub) -> None:
    server.repos[REPO][WEIGHTS] = data = LARGE[: 1 << 20]
    server.slowness, server.piece = 0.1, 1 << 15
    started = time.monotonic()
    assert is_whole(hasty, WEIGHTS, data)
    assert time.monotonic() - started > 5 * 0.6 and len(server.asked("GET", WEIGHTS)) == 1


def test_a_download_that_stalls_is_given_up_in_words(
    server: FakeHub, hasty: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection stands, and nothing comes through it any more, nor when it is taken up again."""

    def stall(handler: Handler, data: bytes, start: int, stop: int) -> None:
        if start == 0:
            handler.wfile.write(data[: 5 << 20])
        server.release.wait(30)
        handler.close_connection = True

    monkeypatch.setattr(Handler, "send_part", stall)
    progress = Labels()
    with pytest.raises(ModelError, match=r"nothing more came for \d+ seconds after 5 MB, from which the next") as error:
        hasty.fetch(REPO, [WEIGHTS], progress)
    assert is_one_sentence(error) and sum("Waiting" in label for label in progress.labels) == 7


def test_a_full_disk_is_no_fault_of_the_hub(server: FakeHub, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    from unrender.core.hub import transfer

    def full(job: object, answer: object, sink: object, stop: threading.Event, have: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(transfer._Job, "_write", full)
    with pytest.raises(ModelError, match=r"cannot be kept in .*No space left.*; make room, or") as error:
        hub.fetch(REPO, [WEIGHTS])
    assert is_one_sentence(error) and len(server.asked("GET", WEIGHTS)) == 1


def test_what_came_before_a_disk_was_full_is_not_needed_again(
    server: FakeHub, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = hub.models / "models--someone--some-model" / "blobs" / f"{hashlib.sha256(LARGE).hexdigest()}.incomplete"
    part.parent.mkdir(parents=True)
    part.write_bytes(LARGE[: 20 << 20])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=(4 << 20) + 100))
    assert is_whole(hub)


# --- waiting as it is told to ---


@pytest.mark.parametrize("told", ["seconds", "date", "window"])
def test_a_hub_is_given_the_time_it_asks_for(server: FakeHub, hub: Hub, told: str) -> None:
    then = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=2.9), usegmt=True)
    headers = {
        "seconds": {"Retry-After": "2"},
        "date": {"Retry-After": then},
        "window": {"RateLimit": '"resolvers";r=0;t=2'},
    }[told]
    server.refusals = [Refusal("GET /someone", 429, headers)]
    progress = Labels()
    started = time.monotonic()
    assert (hub.fetch(REPO, [WEIGHTS], progress) / WEIGHTS).is_file()
    assert time.monotonic() - started > 0.9
    (waited,) = [label for label in progress.labels if "Waiting" in label]
    assert re.fullmatch(r"Waiting for 127\.0\.0\.1, as the hub answered 429 / [123] seconds", waited)


def test_waiting_can_be_stopped(server: FakeHub, hub: Hub) -> None:
    server.refusals = [Refusal("GET /someone", 503, {"Retry-After": "300"})]
    started = time.monotonic()
    with pytest.raises(Cancelled):
        hub.fetch(REPO, [WEIGHTS], Labels(last="the hub answered 503 / 300 seconds"))
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("told", ["86400", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_a_hub_that_wants_another_day_is_not_waited_for(server: FakeHub, hub: Hub, told: str) -> None:
    server.refusals = [Refusal("/", 429, {"Retry-After": told}, times=9)]
    with pytest.raises(ModelError, match=r"answered 429 and asks to wait for \d+ hours") as error:
        hub.fetch(REPO, [WEIGHTS])
    assert is_one_sentence(error) and len(server.requests) == 1


def test_a_size_that_is_only_shown_is_not_waited_for(server: FakeHub, hasty: Hub) -> None:
    server.refusals = [Refusal("/", 429, {"Retry-After": "60"}, times=9)]
    with pytest.raises(ModelError, match="asks to wait for 60 seconds"):
        hasty.missing_files(REPO, [WEIGHTS])


def test_what_will_do_is_not_waited_for(server: FakeHub, hasty: Hub) -> None:
    folder = hasty.fetch(REPO, ["config.json"])
    server.refusals = [Refusal("/", 429, {"Retry-After": "60"}, times=9)]
    assert hasty.fetch(REPO, ["config.json"], optional=["vocab.txt"]) == folder


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "1e9"}, None),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": " 120 "}, 120.0),
        ({"Retry-After": "9" * 400}, 1e9),
        ({"Retry-After": "1.5, 30"}, 1.5),  # where a proxy joins two headers
        ({"Retry-After": "2015-10-21T07:28:30Z", "Date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 30.0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:30 GMT", "Date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 30.0),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:30 -0000", "Date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 30.0),
        ({"Retry-After": "Wed, 99 Oct 2015 07:28:30 GMT"}, None),
        ({"RateLimit": '"api";r=0;t=55'}, 55.0),
        ({"RateLimit": '"api";r=12;t=55'}, None),
        ({"RateLimit": '"api"; r=0; t=55', "Retry-After": "7"}, 7.0),
        ({"RateLimit": "limit=5, remaining=0, reset=9"}, None),
    ],
)
def test_what_headers_ask_for(headers: dict[str, str], seconds: float | None) -> None:
    assert told_wait(headers) == seconds


def test_patience_is_bounded_and_counts_from_the_last_byte() -> None:
    patience = Patience(8.0)
    passing, silent = Unreachable("503", passes=True), Unreachable("silence", may_pass=True)
    assert patience.wait_after(silent) is None, "without a network the answer comes at once"
    waits = [patience.wait_after(passing) for _ in range(5)]
    assert waits == [0.5, 1, 2, 4, None]
    patience.deliver(100)
    again = [patience.wait_after(silent) for _ in range(8)]
    assert again == [0.5, 1, 2, 4, 8, 16, 32, None]
    patience.deliver(100)
    assert patience.wait_after(silent) is None, "the same bytes once more are no progress"
    patience.deliver(101)
    assert patience.wait_after(silent) == 0.5
    told = [patience.wait_after(Unreachable("429", told_wait=LONGEST_TOLD, passes=True)) for _ in range(4)]
    assert told == [LONGEST_TOLD] * 3 + [None]
    assert Patience(8.0, obliging=False).wait_after(Unreachable("429", told_wait=9.0)) is None
