"""Each architecture that talks, through command line, API and node: the same words."""

from __future__ import annotations

import io
import json
from contextlib import nullcontext
from pathlib import Path

import pytest
import tiny_chats as tiny
from PIL import Image
from tiny_captioners import words
from unrender.cli import main
from unrender.core.describe import Captioner
from unrender.core.settings import CaptionSettings, Settings

pytestmark = pytest.mark.skipif(not tiny.CHATS, reason="their configurations are those of transformers 5")
ASKED = "describe this picture in one sentence"


@pytest.mark.parametrize("name", sorted(tiny.CHATS))
def test_the_command_and_the_api_say_what_core_says(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fastapi = pytest.importorskip("fastapi")
    from fastapi.testclient import TestClient
    from unrender.server.api import router
    from unrender.server.choices import Preferences
    from unrender.server.host import Host
    from unrender.server.models import Models

    folder = tiny.CHATS[name](tmp_path / name)
    picture = Image.effect_mandelbrot((48, 40), (-2, -1.5, 1, 1.5), 60).convert("RGB")
    picture.save(tmp_path / "picture.png")
    asked = CaptionSettings(instruction=ASKED, max_length=7)
    expected = words(Captioner.load(str(folder), "cpu").caption([picture], asked)[0])
    capsys.readouterr()
    told = ["--captioner", str(folder), "--clip", "micro", "--device", "cpu", "--instruction", ASKED]
    options = ["--mode", "caption", "--caption-length", "7", "--json", *told]
    assert main(["interrogate", str(tmp_path / "picture.png"), *options]) == 0
    assert json.loads(capsys.readouterr().out)["caption"] == expected

    settings = Settings(clip="micro", captioner=str(folder), device="cpu", captioning=asked)
    nothing = lambda _: nullcontext()  # noqa: E731
    app = fastapi.FastAPI()
    app.include_router(router(Host(Models(), lambda: settings, Preferences, nothing, nothing, lambda: False)))
    data = io.BytesIO()
    picture.save(data, "PNG")
    answer = TestClient(app).post("/unrender/v1/interrogate", json=body(data.getvalue(), str(folder)))
    assert answer.status_code == 200, answer.text
    assert answer.json()["prompt"] == expected


def body(picture: bytes, folder: str) -> dict[str, object]:
    import base64

    return {"image": base64.b64encode(picture).decode(), "mode": "caption"}
