"""A real server, `transformers serve`, with a tiny chat model."""

from __future__ import annotations

import base64
import io
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import tiny_captioners
from PIL import Image
from unrender.cli import main
from unrender.core.describe import load_describer
from unrender.core.describe.endpoint.request import data_url
from unrender.core.errors import ModelError
from unrender.core.settings import CaptionSettings, EndpointSettings

pytest.importorskip("openai", reason="the library that asks servers is not installed (extra endpoint)")
pytest.importorskip("transformers.cli.serving", reason="this transformers cannot serve, or an older one in another way")
pytestmark = pytest.mark.full  # the server imports transformers and torch anew, which takes longer than all it is asked
SECONDS_TO_START = 180


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_captioners.llava(tmp_path_factory.mktemp("served") / "tiny-llava")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    """Its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "from transformers.cli.transformers import main; main()"
    command = [sys.executable, "-c", code, "serve", str(folder), "--port", str(port), "--host", "127.0.0.1"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with (folder.parent / "log.txt").open("wb") as log:
        process = subprocess.Popen([*command, "--device", "cpu"], stdout=log, stderr=log, env=environment)
    try:
        until = time.monotonic() + SECONDS_TO_START
        while not _answers(f"http://127.0.0.1:{port}/health"):
            told = (folder.parent / "log.txt").read_text(errors="replace")[-2000:]
            assert process.poll() is None and time.monotonic() < until, told
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(20)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5):
            return True
    except (URLError, OSError):
        return False


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    """As the server sees them."""
    made = [Image.radial_gradient("L"), Image.linear_gradient("L"), Image.new("L", (60, 90))]
    return [_sent(each.convert("RGB")) for each in made]


def _sent(picture: Image.Image) -> Image.Image:
    data = data_url(picture, 1024).partition(",")[2]
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")


def test_its_words_are_those_of_the_same_model_here(server, folder, pictures) -> None:
    settings = CaptionSettings(max_length=12)
    here = load_describer(str(folder), "cpu").caption(pictures, settings)
    there = load_describer(f"{server}#{folder}").caption(pictures, settings)
    assert there == here


def test_the_same_words_again(server, folder, pictures) -> None:
    describer = load_describer(f"{server}#{folder}")
    drawn = [
        describer.caption(pictures, CaptionSettings(max_length=12, temperature=1.5, top_p=0.95, seed=seed))
        for seed in (1, 2, 1)
    ]
    assert drawn[0] == drawn[2] != drawn[1]


def test_what_it_does_not_take_is_left_out_or_told(server, folder, pictures) -> None:
    describer = load_describer(f"{server}#{folder}")
    settings = CaptionSettings(max_length=5, endpoint=EndpointSettings(thinking=False))
    assert describer.caption(pictures[:1], settings)[0]
    with pytest.raises(ModelError, match="does not take how long it is to keep the model"):
        describer.caption(pictures[:1], CaptionSettings(endpoint=EndpointSettings(keep_alive="5m")))


def test_the_command_line_describes_with_it(server, folder, pictures, tmp_path, capsys) -> None:
    pictures[0].save(tmp_path / "one.png")
    options = ["--captioner", f"{server}#{folder}", "--mode", "caption", "--clip", "micro", "--device", "cpu"]
    assert main(["interrogate", str(tmp_path / "one.png"), *options, "--caption-length", "8"]) == 0
    assert capsys.readouterr().out.strip()
    assert main(["models", "--endpoint", server]) == 0
    assert capsys.readouterr().out == f"{server}#{folder}\n"
