"""Page and API start whatever proxies the environment names: they ask nobody, themselves least."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from proxy_server import dead_port, proxying
from unrender.server.direct import without_proxies

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def answers(command: str, environment: dict[str, str]) -> bool:
    """Whether it starts and serves something to who asks directly."""
    port = dead_port()
    arguments = f"-m unrender {command} --port {port} --clip micro --captioner none".split()
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    with subprocess.Popen(
        [sys.executable, *arguments],
        env={**clean, **environment},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stderr
        try:
            for line in process.stderr:
                if re.search(rf"http://[\w.]+:{port}", line):
                    break
            return status_of(f"http://127.0.0.1:{port}/", process) in (200, 404)  # the API has nothing at its root
        finally:
            process.terminate()


def status_of(address: str, process: subprocess.Popen[str]) -> int:
    """Asked for directly, until it answers or has ended: some say where they are before they listen."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while process.poll() is None:
        try:
            return direct.open(address, timeout=60).status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            time.sleep(0.2)
    return 0


@pytest.mark.parametrize(("command", "scheme"), [("ui", "http"), ("ui", "socks5"), ("serve", "socks5")])
def test_a_dead_proxy_is_no_hindrance(command: str, scheme: str) -> None:
    pytest.importorskip("gradio" if command == "ui" else "uvicorn", reason="what serves it is not installed")
    assert answers(command, dict.fromkeys(NAMES, f"{scheme}://127.0.0.1:{dead_port()}"))


def test_a_proxy_that_refuses_localhost_is_not_asked() -> None:
    pytest.importorskip("gradio", reason="the page is not installed")
    with proxying() as proxy:
        proxy.refuses = 403
        assert answers("ui", dict.fromkeys(NAMES, proxy.url))
        assert proxy.asked == []


@pytest.mark.parametrize("before", [None, "localhost"])
def test_what_is_told_of_proxies_stays_as_it_was(monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        if before is not None:
            monkeypatch.setenv(name, before)
    with pytest.raises(KeyError), without_proxies():
        assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == "*"
        raise KeyError
    assert os.environ.get("NO_PROXY") == os.environ.get("no_proxy") == before
