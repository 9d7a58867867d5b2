"""The page alone, as `unrender ui` serves it by any Python, and that page in a real browser.

This Python is taken if it has gradio, and those named in UNRENDER_GRADIO_PYTHONS. Chromium is looked for on the PATH,
or named in CHROMIUM.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from interrupts import heeding_interrupts
from PIL import Image

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
_START_SECONDS = 180


def gradio_pythons() -> list[str]:
    own = [sys.executable] if importlib.util.find_spec("gradio") else []
    return own + [python for python in os.environ.get("UNRENDER_GRADIO_PYTHONS", "").split(os.pathsep) if python]


def can_browse() -> bool:
    return CHROMIUM is not None and importlib.util.find_spec("playwright") is not None


def in_a_browser() -> list[pytest.MarkDecorator]:
    """The marks of a file whose tests look at a page under every gradio there is."""
    return [
        pytest.mark.skipif(not gradio_pythons(), reason="install gradio, or name Pythons with it"),
        pytest.mark.skipif(not can_browse(), reason="install playwright and Chromium"),
    ]


class PageServer:
    """base: for the cache and the log. options: further ones of the command's."""

    def __init__(self, python: str, base: Path, *options: str) -> None:
        self._python, self.cache, self._log = python, base / "cache", base / "log.txt"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        own = {
            "OMP_NUM_THREADS": "1",  # as the tests themselves: other work shares the cores
            "BROWSER": "true",  # instead of one that would open
            "GRADIO_TEMP_DIR": str(base / "uploads"),
        }
        command = [python, "-W", "ignore", "-m", "unrender", "ui", "--clip", "micro", "--port", str(port)]
        with self._log.open("wb") as log, heeding_interrupts():
            self._process = subprocess.Popen(
                [*command, "--cache", str(self.cache), *options],
                env={**os.environ, **own},
                cwd=base,
                stdout=log,
                stderr=log,
            )

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while "has the page" not in self.log:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The page did not start: {self.log[-3000:]}")
            time.sleep(0.3)

    def has(self, package: str, major: int, minor: int) -> bool:
        """That version of it, or a newer one."""
        asked = [self._python, "-c", f"import importlib.metadata as m; print(m.version({package!r}))"]
        told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        return tuple(int(part) for part in told.split(".")[:2]) >= (major, minor)

    def interrupt(self) -> int:
        """As Ctrl-C does; returns the exit status."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(60)

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(15)


@contextmanager
def page_served(python: str, base: Path, *options: str) -> Iterator[PageServer]:
    server = PageServer(python, base, *options)
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.fixture(name="chromium", scope="module")
def chromium_fixture() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(name="browser", scope="module")
def browser_fixture(server: PageServer, chromium: Any) -> Browser:
    """The page of the module's server in a window of a desktop."""
    return Browser(chromium.new_page(viewport={"width": 1400, "height": 1000}), server.url)


@pytest.fixture(name="photograph", scope="module")
def photograph_fixture(tmp_path_factory: pytest.TempPathFactory, photographs: list[Image.Image]) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "coffee.png"
    photographs[1].save(path)
    return path


class Browser:
    """The page, as a person uses it."""

    def __init__(self, page: Any, url: str) -> None:
        self.page, self._url = page, url
        page.set_default_timeout(30_000)

    def open(self, tab: str = "Prompt") -> None:
        self.page.goto(self._url, timeout=60_000)
        self.page.wait_for_selector("#unrender_start", timeout=60_000)
        self.choose_tab(tab)

    def choose_tab(self, name: str, within: str = "body") -> None:
        """In gradio 3 a tab is a button of that class; newer ones have a hidden copy of each, and on a narrow screen
        some of them in a menu."""
        tabs = f"{within} button[role=tab]:text-is('{name}'):visible, {within} .tab-nav > button:text-is('{name}')"
        if self.page.locator(tabs).count() == 0:
            self.page.locator(f"{within} .overflow-menu > button:visible").first.click()
            tabs = f"{within} .overflow-dropdown button:has-text('{name}'):visible"
        self.page.locator(tabs).first.click()

    def put(self, elem_id: str, file: Path, shown: bool = True) -> None:
        self.page.set_input_files(f"#{elem_id} input[type=file]", str(file))
        if shown:
            self.page.wait_for_selector(f"#{elem_id} img")

    def fill(self, elem_id: str, text: str) -> None:
        self.page.fill(f"#{elem_id} textarea, #{elem_id} input", text)

    def choose(self, elem_id: str, name: str) -> None:
        """In a list."""
        self.page.click(f"#{elem_id} input")
        self.page.locator(f"[role=option]:has-text('{name}'), ul.options li:has-text('{name}')").first.click()

    def press(self, name: str) -> str:
        """Presses the button that starts a piece of work and returns the last line of its status."""
        old = self._status(name)
        self.page.click(f"#{name}_start")
        deadline = time.monotonic() + 120
        line = changed = ""
        while time.monotonic() < deadline:
            line = self._status(name)
            changed = changed or (line if line != old else "")
            if changed and line and not line.endswith("…"):
                return line
            self.page.wait_for_timeout(30)
        raise TimeoutError(f"The status of {name} stayed {line!r}.")

    def _status(self, name: str) -> str:
        """gradio writes a time of its own beside it."""
        return self.text(f"{name}_status p")

    def text(self, elem_id: str) -> str:
        return self.page.evaluate(f"document.querySelector('#{elem_id}')?.innerText || ''").strip()

    def value(self, elem_id: str) -> str:
        return self.page.input_value(f"#{elem_id} textarea, #{elem_id} input")

    def unfold(self, elem_id: str) -> None:
        """An accordion, or folds it."""
        self.page.click(f"#{elem_id} > .label-wrap")

    def wait_for_text(self, elem_id: str, text: str) -> None:
        given = {"selector": f"#{elem_id}", "text": text}
        has = "given => document.querySelector(given.selector)?.innerText.includes(given.text)"
        self.page.wait_for_function(has, arg=given)

    def wait_for_no_text(self, elem_id: str) -> None:
        nothing = "id => !document.getElementById(id)?.innerText.trim()"
        self.page.wait_for_function(nothing, arg=elem_id)

    def wait_for_value(self, elem_id: str, value: str) -> None:
        given = {"selector": f"#{elem_id} textarea, #{elem_id} input", "value": value}
        has = "given => document.querySelector(given.selector)?.value === given.value"
        self.page.wait_for_function(has, arg=given)
