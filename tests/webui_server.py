"""A real webui on this machine, started for a test session, and its page in a real browser. Opt-in: WEBUI_DIR is a
webui's folder, WEBUI_PYTHON its Python; Chromium is looked for on the PATH, or named in CHROMIUM."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from webui_hosts import HostFiles

WEBUI = os.environ.get("WEBUI_DIR")
PYTHON = os.environ.get("WEBUI_PYTHON")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")

needs_webui = pytest.mark.skipif(
    not (WEBUI and PYTHON), reason="set WEBUI_DIR to a webui's folder and WEBUI_PYTHON to its Python"
)

ROOT = Path(__file__).parents[1]
FOLDER_NAME = "un-render v1.0 of mine"
"""Under which the extension is put into extensions/."""

_START_SECONDS = 600
_DECOYS = ("core", "extension", "nodes", "server")


class Server:
    """base: a data folder of its own, beside a decoy extension that owns the names of this one's packages; hub: the
    address that stands for Hugging Face's. flags: further ones of the webui's. login: name and password for its API.
    """

    def __init__(self, base: Path, hub: str, flags: Sequence[str] = (), login: tuple[str, str] | None = None) -> None:
        assert WEBUI and PYTHON
        self.webui, self.python, self.base, self._hub = Path(WEBUI), Path(PYTHON), base, hub
        self._flags, self._login = [*flags, *(["--api-auth", ":".join(login)] if login else [])], login
        self.host = HostFiles(self.webui)
        self.log = base / "log.txt"
        self.models = base / "models" / "unrender"
        self.models.mkdir(parents=True)
        (base / "extensions").mkdir()
        (base / "extensions" / FOLDER_NAME).symlink_to(ROOT, target_is_directory=True)
        _write_decoy(base / "extensions" / "a decoy")
        options = {"live_previews_enable": False, "samples_save": False, **self.host.version_mark}
        (base / "config.json").write_text(json.dumps(options), encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        subprocess.run([self.python, self.base / "extensions" / FOLDER_NAME / "install.py"], check=True)
        quietly = ("--skip-python-version-check", "--no-download-sd-model", "--do-not-download-clip")
        command = [
            *(str(self.python), "-W", "ignore", "launch.py", "--skip-prepare-environment", "--skip-torch-cuda-test"),
            *("--skip-version-check", "--api", *self.host.known(*quietly), *self.host.flags_for_the_cpu()),
            *("--port", str(port), "--data-dir", str(self.base), *self._readable(), *self._flags),
            *(*self.host.known("--ckpt-dir", "--ckpt-dirs"), str(self.webui / "models" / "Stable-diffusion")),
        ]
        own = {
            "HF_ENDPOINT": self._hub,
            "HF_HOME": str(self.base / "hf"),
            "OMP_NUM_THREADS": "1",  # as the tests themselves: other work shares the cores
            "GRADIO_ANALYTICS_ENABLED": "False",
        }
        dropped = ("UNRENDER_CACHE", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "PYTHONPATH")
        environment = {name: value for name, value in os.environ.items() if name not in dropped} | own
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=self.webui, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        # the webui listens before it has added all it has to, and a request in between spoils it
        self._wait_for("Startup time: ")
        self._wait_until_it_answers()

    def _readable(self) -> Sequence[str]:
        """gradio 4's page may read scripts only where they lie in the data folder, or are named."""
        if not self.host.has_canvas:
            return ()
        return "--gradio-allowed-path", str(self.webui), "--gradio-allowed-path", str(ROOT)

    def wait_for_checkpoint(self) -> None:
        """The webui answers before it can draw, and two checkpoints that are loaded at once spoil each other.
        Forge loads one when it has to draw."""
        if self.host.loads_when_drawing:
            return
        self._wait_for("Model loaded in ")

    def _wait_for(self, line: str) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while line not in (said := self.log.read_text(encoding="utf-8", errors="replace")):
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The webui did not start: {said[-3000:]}")
            time.sleep(0.3)

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            try:
                self.ask("/sdapi/v1/options")
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.3)
            else:
                return
        raise RuntimeError("The webui does not answer.")

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(15)

    def ask(self, path: str, value: Any = None, timeout: float = 120) -> Any:
        data = None if value is None else json.dumps(value).encode()
        headers = {"Content-Type": "application/json"}
        if self._login is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(self._login).encode()).decode()
        request = urllib.request.Request(self.url + path, data, headers)
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return json.loads(response.read())

    def set_options(self, **values: str) -> None:
        """By their names without unrender_."""
        self.ask("/sdapi/v1/options", {f"unrender_{name}": value for name, value in values.items()})


@contextmanager
def started(base: Path, hub: str, *flags: str, login: tuple[str, str] | None = None) -> Iterator[Server]:
    server = Server(base, hub, flags, login)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _write_decoy(folder: Path) -> None:
    for name in _DECOYS:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("OWNER = 'decoy'\n", encoding="utf-8")
    (folder / "scripts").mkdir()
    lines = [f"import {name}\nassert {name}.OWNER == 'decoy'" for name in _DECOYS]
    (folder / "scripts" / "decoy.py").write_text("\n".join(lines) + "\n", encoding="utf-8")


class Page:
    """The webui's page, as a person uses it."""

    def __init__(self, page: Any, url: str) -> None:
        self.page, self._url = page, url

    def open(self) -> None:
        self.page.goto(self._url, timeout=180_000)
        self.page.wait_for_selector("#txt2img_prompt textarea", timeout=180_000)

    def choose_tab(self, name: str, tabs: str = "tabs") -> None:
        """Forge writes some names with a capital."""
        same = re.compile(rf"\s*{re.escape(name)}\s*", re.IGNORECASE)
        buttons = self.page.locator(f"#{tabs} > div.tab-nav > button")
        next(button for button in buttons.all() if same.fullmatch(button.inner_text())).click()

    def open_img2img(self, tab: str = "img2img") -> None:
        self.open()
        self.choose_tab("img2img")
        self.choose_tab(tab, "mode_img2img")

    def put(self, elem_id: str, picture: Path) -> None:
        self.page.set_input_files(f"#{elem_id} input[type=file]", str(picture))
        self.wait_for_picture(elem_id)

    def wait_for_picture(self, elem_id: str) -> None:
        # what can be drawn upon hides the picture behind its canvas; Forge's has both from the beginning
        canvas = f"#{elem_id} canvas:not(.forge-drawing-canvas)"
        self.page.wait_for_selector(f"#{elem_id} img[src], {canvas}", state="attached")
        self.page.wait_for_timeout(1_500)  # until it is drawn and sent, of which nothing can be seen

    def press(self, elem_id: str, status: str) -> list[str]:
        """Presses a button and returns the lines of its status up to the last one."""
        before = self.status(status)
        self.page.click(f"#{elem_id}")
        lines: list[str] = []
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            line = self.status(status)
            if line and line != (lines[-1] if lines else before):
                lines.append(line)
            if lines and not lines[-1].endswith("…"):
                return lines
            time.sleep(0.03)
        raise TimeoutError(f"The status stayed {lines}.")

    def press_start(self) -> list[str]:
        return self.press("unrender_img2img_start", "unrender_img2img_status")

    def status(self, elem_id: str) -> str:
        return self.page.evaluate(f"document.querySelector('#{elem_id} p')?.innerText || ''")

    def wait_for_status(self, elem_id: str, ending: str) -> None:
        given = {"selector": f"#{elem_id} p", "ending": ending}
        ends = "given => document.querySelector(given.selector)?.innerText.endsWith(given.ending)"
        self.page.wait_for_function(ends, arg=given)

    def wait_for_no_status(self, elem_id: str) -> None:
        gone = "selector => !(document.querySelector(selector)?.innerText || '').trim()"
        self.page.wait_for_function(gone, arg=f"#{elem_id} p", timeout=10_000)

    def text(self, elem_id: str) -> str:
        return self.page.input_value(f"#{elem_id} textarea")

    def fill(self, elem_id: str, text: str) -> None:
        self.page.fill(f"#{elem_id} textarea", text)

    def wait_for_text(self, elem_id: str, text: str) -> None:
        self._wait_for_text(elem_id, "===", text)

    def wait_for_other_text(self, elem_id: str, text: str) -> None:
        self._wait_for_text(elem_id, "!==", text)

    def _wait_for_text(self, elem_id: str, relation: str, text: str) -> None:
        given = {"selector": f"#{elem_id} textarea", "text": text}
        found = f"given => document.querySelector(given.selector).value {relation} given.text"
        self.page.wait_for_function(found, arg=given, timeout=10_000)


@contextmanager
def opened(server: Server, height: int = 1000) -> Iterator[Page]:
    """The server's page in a browser of that height."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": height})
        page.set_default_timeout(90_000)
        yield Page(page, server.url)
        browser.close()
