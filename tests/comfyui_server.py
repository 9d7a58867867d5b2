"""A real ComfyUI on this machine, started for a test session and asked over HTTP."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
FOLDER_NAME = "un-render v1.0 of mine"
"""Under which the nodes are put into custom_nodes."""

BROKEN_PACKAGES = ("open_clip", "diffusers", "clip_interrogator", "clip_gaze")
"""Optional ones, which fail when ComfyUI's Python imports them: the nodes have to do without."""

LENT = ("platformdirs", "timm", "openai", "distro", "jiter", "sniffio", "httpx", "httpcore")
"""What of requirements.txt ComfyUI does not bring, and what describers need that is optional: ComfyUI's Python takes it
from the tests' own where it lacks it, as if it had been installed."""

_START_SECONDS = 600
_RUN_SECONDS = 900


COMFYUI = os.environ.get("COMFYUI_DIR")
PYTHON = os.environ.get("COMFYUI_PYTHON")
FRONT_END = os.environ.get("COMFYUI_FRONT_END")
"""A folder with another version of its page, where one is asked for: the newer ones draw nodes in two ways."""

needs_comfyui = pytest.mark.skipif(
    not (COMFYUI and PYTHON), reason="set COMFYUI_DIR to a checkout of ComfyUI and COMFYUI_PYTHON to its Python"
)


class Server:
    """base: a folder with custom_nodes/, input/, models/ of its own; shared: where extra_model_paths.yaml puts
    models/unrender; hub: the address that stands for Hugging Face's."""

    def __init__(self, comfyui: Path, python: Path, base: Path, hub: str) -> None:
        self.comfyui, self.python, self.base, self._hub = comfyui, python, base, hub
        self.shared = base / "elsewhere" / "unrender"
        self.log = base / "log.txt"
        for folder in ("custom_nodes", "input", "output", "models/clip_vision", "models/text_encoders"):
            (base / folder).mkdir(parents=True, exist_ok=True)
        self.shared.mkdir(parents=True)
        (base / "custom_nodes" / FOLDER_NAME).symlink_to(ROOT, target_is_directory=True)
        shutil.copytree(Path(__file__).parent / "comfyui_probe", base / "custom_nodes" / "probe")
        for name in BROKEN_PACKAGES:
            (base / "broken" / name).mkdir(parents=True)
            (base / "broken" / name / "__init__.py").write_text(f"raise RuntimeError('{name} is broken')\n")
        (base / "lent").mkdir()
        for name in _lacking(python):
            (base / "lent" / name).symlink_to(_place_of(name), target_is_directory=True)
        self._paths = base / "extra_model_paths.yaml"
        self._paths.write_text(f"elsewhere:\n  base_path: {base}/elsewhere\n  unrender: unrender\n", encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def write_models(self) -> None:
        script = Path(__file__).parent / "comfyui_models.py"
        subprocess.run([self.python, script, self.comfyui, self.base / "models"], check=True, capture_output=True)

    def start(self, *options: str) -> None:
        """options: further ones of its command line, which win over those that all tests have."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        command = [
            *(str(self.python), "main.py", "--cpu", "--listen", "127.0.0.1", "--port", str(self._port)),
            *("--base-directory", str(self.base), "--database-url", f"sqlite:///{self.base}/comfy.db"),
            *("--extra-model-paths-config", str(self._paths), "--disable-auto-launch", "--disable-api-nodes", *options),
        ]
        command += ["--front-end-root", FRONT_END] if FRONT_END else []
        own = {
            "HF_HUB_CACHE": str(self.base / "hf"),
            "HF_ENDPOINT": self._hub,
            "PYTHONPATH": f"{self.base / 'broken'}{os.pathsep}{self.base / 'lent'}",
            "OMP_NUM_THREADS": "1",  # as the tests themselves: other work shares the cores
        }
        environment = {name: value for name, value in os.environ.items() if name != "UNRENDER_CACHE"} | own
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=self.comfyui, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            with contextlib.suppress(OSError):
                self.get("/system_stats")
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"ComfyUI did not start: {self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.3)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait(30)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def version(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.get("/system_stats")["system"]["comfyui_version"].split(".")[:2])

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=60) as response:
            content = response.read()
            return json.loads(content) if "json" in response.headers.get("Content-Type", "") else content

    def post(self, path: str, value: Any) -> Any:
        request = urllib.request.Request(
            f"{self.url}{path}", json.dumps(value).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                content = response.read()
        except urllib.error.HTTPError as error:
            content = error.read()
        return json.loads(content) if content else None

    def submit(self, graph: dict[str, Any]) -> str:
        """Queues a graph in API format; any complaint of ComfyUI's about it fails the test."""
        answer = self.post("/prompt", {"prompt": graph})
        assert "prompt_id" in answer and not answer["node_errors"], answer
        return answer["prompt_id"]

    def finished(self, prompt_id: str) -> Run:
        deadline = time.monotonic() + _RUN_SECONDS
        while time.monotonic() < deadline:
            history = self.get(f"/history/{prompt_id}")
            if history:
                return Run(history[prompt_id])
            time.sleep(0.1)
        raise TimeoutError(f"The graph did not end within {_RUN_SECONDS} s.")

    def run(self, graph: dict[str, Any]) -> Run:
        return self.finished(self.submit(graph))

    def last_run(self) -> Run:
        return Run(list(self.get("/history").values())[-1])

    def forget(self) -> None:
        """As if nothing had ever been run or downloaded."""
        self.post("/free", {"unload_models": True, "free_memory": True})
        time.sleep(2)  # its worker looks once a second
        shutil.rmtree(self.shared / "models", ignore_errors=True)


def _lacking(python: Path) -> list[str]:
    """What of LENT this Python lacks and the tests' own has, if both can run the same."""
    code = "import sys, importlib.util as u; print(sys.version_info[:2], *filter(u.find_spec, sys.argv[1:]), sep='|')"
    asked = (
        subprocess.run([each, "-c", code, *LENT], capture_output=True, text=True) for each in (python, sys.executable)
    )
    theirs, ours = (each.stdout.strip().split("|") for each in asked)
    return [name for name in LENT if name not in theirs and name in ours] if theirs[0] == ours[0] else []


def _place_of(name: str) -> Path:
    found = importlib.util.find_spec(name)
    assert found is not None and found.submodule_search_locations
    return Path(found.submodule_search_locations[0])


class Run:
    """What the history says of a graph that ended."""

    def __init__(self, history: dict[str, Any]) -> None:
        self._messages = dict(history["status"]["messages"])
        self.outputs: dict[str, Any] = history["outputs"]
        self.succeeded = history["status"]["status_str"] == "success"

    @property
    def error(self) -> str:
        return self._messages.get("execution_error", {}).get("exception_message", "").strip()

    @property
    def error_kind(self) -> str:
        """The error's class, with its module."""
        return self._messages.get("execution_error", {}).get("exception_type", "")

    @property
    def began(self) -> int:
        """Milliseconds since 1970."""
        return self._messages["execution_start"]["timestamp"]

    @property
    def interrupted(self) -> bool:
        return "execution_interrupted" in self._messages

    @property
    def cached(self) -> set[str]:
        return set(self._messages.get("execution_cached", {}).get("nodes", ()))

    def text(self, node: str) -> list[str]:
        assert self.succeeded, self.error
        return self.outputs[node]["text"]

    def texts(self) -> list[str]:
        """Of all nodes that have any."""
        assert self.succeeded, self.error
        return [text for output in self.outputs.values() for text in output.get("text", ())]


def rendered(comfyui: Server, graph: dict) -> np.ndarray:
    run = comfyui.run(graph)
    assert run.succeeded, run.error
    return np.asarray(view(comfyui, run.outputs["9"]["images"][0]))


def view(comfyui: Server, image: dict) -> Image.Image:
    query = f"filename={image['filename']}&type={image['type']}&subfolder={image['subfolder']}"
    return Image.open(io.BytesIO(comfyui.get(f"/view?{query}"))).convert("RGB")


def write_phrases(folder: Path, lists: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in lists.items():
        (folder / f"{name}.txt").write_text(lines, encoding="utf-8")
