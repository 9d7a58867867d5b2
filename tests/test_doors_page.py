"""The page with a password, against strangers: nothing of theirs is taken in before they log in."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import urllib.parse
from pathlib import Path

import pytest

pytest.importorskip("gradio", minversion="6", reason="pip install gradio")

from door_server import answered, ask, running, seconds_until_closed
from test_doors_folders import pressed

MIB = 2**20
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "multipart/form-data; boundary=x"}
PART = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    base = tmp_path_factory.mktemp("page")
    with running("ui", base, "--host", "0.0.0.0", token="secret") as command:
        yield command


@pytest.fixture(scope="module")
def cookie(page):
    form = urllib.parse.urlencode({"username": "unrender", "password": "secret"}).encode()
    answer = ask(page.port, "POST /login", {"Content-Type": "application/x-www-form-urlencoded"}, form)
    assert answer.status == 200
    return answer.headers["set-cookie"].partition(";")[0]


def resident(process: int) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(text.split()[1]) * 1024 for text in lines if text.startswith("VmHWM"))


def test_a_stranger_sends_nothing_in(page):
    before, uploads = resident(page.process.pid), page.uploads
    large = b"A" * (20 * MIB)
    tried = []

    def send(path: str, headers: dict[str, str], body: bytes) -> None:
        tried.append(ask(page.port, f"POST {path}", headers, body).status)

    threads = [
        threading.Thread(target=send, args=(path, headers, body))
        for path, headers, body in (
            ("/gradio_api/queue/join", JSON, large),
            ("/gradio_api/run/predict", JSON, large),
            ("/gradio_api/upload", FORM, PART + large),
            ("/gradio_api/upload", {**FORM, "Cookie": "access-token-x=y; access-token-unsecure-=None"}, PART + large),
            ("/gradio_api/vibe-code", JSON, large),
            ("/gradio_api/component_server", JSON, large),
            ("/gradio_api/cancel", JSON, large),
            ("/login/x", JSON, large),
        )
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert tried == [401] * len(threads)
    assert resident(page.process.pid) - before < 40 * MIB
    assert not uploads.exists() or not [*uploads.rglob("*.png")]


def test_a_login_is_short(page):
    for path in ("/login", "/login/"):
        answer = ask(page.port, f"POST {path}", {"Content-Type": "application/x-www-form-urlencoded"}, b"A" * 2**17)
        assert answer.status == 413 and "64 KiB" in answer.detail


def test_who_logged_in_uploads_in_bounds(page, cookie):
    known = {**FORM, "Cookie": cookie}
    sent = ask(page.port, "POST /gradio_api/upload", known, PART + b"A" * MIB + b"\r\n--x--\r\n")
    assert sent.status == 200 and str(page.uploads) in sent.body.decode()
    with socket.create_connection(("127.0.0.1", page.port), timeout=20) as client:
        head = f"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n"
        client.sendall(f"{head}Content-Length: {300 * MIB}\r\n\r\n".encode())
        assert answered(client).status == 413
    too_large = ask(page.port, "POST /gradio_api/queue/join", {**JSON, "Cookie": cookie}, b"[" + b"1," * (33 * MIB))
    assert too_large.status == 413


def test_a_stalled_header_is_hung_up_on(page):
    with socket.create_connection(("127.0.0.1", page.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: local")
        assert 5 < seconds_until_closed(client, 30) < 20


def test_strangers_batch_is_off(page, cookie):
    told = pressed(page.port, "unrender_batch_start", cookie=cookie, unrender_batch_folder=".")
    assert "--allow" in told and "in no folder" in told


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "at work"])
def test_the_page_ends_within_five_seconds(tmp_path, busy, photographs):
    launcher = "import time\nfrom unrender.core.engine import Engine\n"
    launcher += "Engine.interrogate = Engine.analyze = lambda *a, **b: time.sleep(100)"
    with running("ui", tmp_path, launcher=launcher) as command:
        if busy:
            command.uploads.mkdir(exist_ok=True)
            photographs[0].resize((48, 48)).save(command.uploads / "a.png")
            picture = {"path": str(command.uploads / "a.png"), "meta": {"_type": "gradio.FileData"}}
            asking = threading.Thread(target=_pressed, args=(command.port, picture), daemon=True)
            asking.start()
            asking.join(4)
            assert asking.is_alive()
        assert command.seconds_to_stop() < 5
        assert command.process.returncode == 130


def _pressed(port: int, picture: dict) -> None:
    with contextlib.suppress(OSError, http.client.HTTPException):
        pressed(port, "unrender_start", unrender_picture=picture, unrender_exclude="")
