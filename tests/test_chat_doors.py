"""Each architecture that describes pictures, through command line, API and node: the same words."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import tiny_captioners as tiny
import torch
from comfyui_nodes import use_standin
from PIL import Image
from tiny_captioners import words
from tiny_chats import CHATS
from unrender.cli import main
from unrender.core.describe import Captioner
from unrender.core.settings import CaptionSettings, Settings

use_standin()

from nodes_setting import models_fixture, server_fixture  # noqa: E402, F401

MAKERS: dict[str, Callable[[Path], Path]] = {**tiny.MAKERS, **tiny.OTHERS, **CHATS}
ANSWERING = ("llava", *CHATS)
ASKED = {"florence": "<DETAILED_CAPTION>", **dict.fromkeys(ANSWERING, "describe this picture in one sentence")}
"""The others continue what they are given, or are asked in one way alone."""
LENGTH = 7


class Told:
    """A folder, a picture, and what core says of it."""

    def __init__(self, name: str, folder: Path, files: Path) -> None:
        bands = [Image.linear_gradient("L").resize((48, 40)), Image.radial_gradient("L").resize((48, 40))]
        bands.append(Image.effect_mandelbrot((48, 40), (-2, -1.5, 1, 1.5), 60))
        self.folder = MAKERS[name](folder)
        self.picture = Image.merge("RGB", bands)
        self.file = files / "picture.png"
        self.picture.save(self.file)
        self.asked = CaptionSettings(instruction=ASKED.get(name, ""), max_length=LENGTH, style="sentence")
        (text,) = Captioner.load(str(self.folder), "cpu").caption([self.picture], self.asked)
        self.words = words(text)
        assert self.words, "an empty caption would be no wonder"


@pytest.fixture(name="told", params=sorted(MAKERS))
def told_fixture(request: pytest.FixtureRequest, models: Path, tmp_path: Path) -> Told:
    folder = models / "unrender" / request.param
    folder.parent.mkdir(exist_ok=True)
    return Told(request.param, folder, tmp_path)


def test_the_command_says_what_core_says(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--instruction", told.asked.instruction] if told.asked.instruction else []
    options = ["--captioner", str(told.folder), "--clip", "micro", "--device", "cpu", "--style", "sentence", *asked]
    capsys.readouterr()
    command = ["interrogate", str(told.file), "--mode", "caption", "--caption-length", str(LENGTH), "--json", *options]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["caption"] == told.words


def test_the_api_says_what_core_says(told: Told) -> None:
    fastapi = pytest.importorskip("fastapi")
    from fastapi.testclient import TestClient
    from unrender.server.api import router
    from unrender.server.choices import Preferences
    from unrender.server.host import Host
    from unrender.server.models import Models

    settings = Settings(clip="micro", captioner=str(told.folder), device="cpu", captioning=told.asked)
    nothing = lambda _: nullcontext()  # noqa: E731
    app = fastapi.FastAPI()
    app.include_router(router(Host(Models(), lambda: settings, Preferences, nothing, nothing, lambda: False)))
    data = io.BytesIO()
    told.picture.save(data, "PNG")
    body = {"image": base64.b64encode(data.getvalue()).decode(), "mode": "caption"}
    answer = TestClient(app).post("/unrender/v1/interrogate", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["prompt"] == told.words


@pytest.mark.usefixtures("server")
def test_the_node_says_what_core_says(told: Told) -> None:
    from unrender.nodes.describing import DescribePicture
    from unrender.nodes.pictures import as_batch, as_image

    asked = {"model": f"unrender/{told.folder.name}", "style": "sentence", "instruction": told.asked.instruction}
    chosen = {**asked, "max_length": LENGTH, "trim": False, "escape": False}
    widgets = {each.id: each.default for each in DescribePicture.define_schema().inputs if hasattr(each, "default")}
    batch: torch.Tensor = as_batch([as_image(told.picture)])
    given = {name: [value] for name, value in {**widgets, **chosen}.items()}
    assert DescribePicture.execute(image=[batch], **given).args[0] == [told.words]
