"""Each architecture that talks, through command line, API and node: the same words."""

from __future__ import annotations

import base64
import io
import json
import urllib.request
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


PICTURES = (
    Image.effect_mandelbrot((48, 40), (-2, -1.5, 1, 1.5), 60).convert("RGB"),
    Image.radial_gradient("L").resize((48, 40)).convert("RGB"),
)
"""A random model may have nothing to say of one of them."""


@pytest.mark.parametrize("name", sorted(tiny.CHATS))
def test_the_command_and_the_api_say_what_core_says(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fastapi = pytest.importorskip("fastapi")
    from fastapi.testclient import TestClient
    from unrender.server.api import router
    from unrender.server.host import alone

    folder = tiny.CHATS[name](tmp_path / name)
    asked = CaptionSettings(instruction=ASKED, max_length=7)
    picture, expected = said_of_one(folder, asked)
    picture.save(tmp_path / "picture.png")
    capsys.readouterr()
    told = ["--captioner", str(folder), "--clip", "micro", "--device", "cpu", "--instruction", ASKED]
    options = ["--mode", "caption", "--caption-length", "7", "--json", *told]
    assert main(["interrogate", str(tmp_path / "picture.png"), *options]) == 0
    assert json.loads(capsys.readouterr().out)["caption"] == expected

    app = fastapi.FastAPI()
    app.include_router(router(alone(Settings(clip="micro", captioner=str(folder), device="cpu", cache=tmp_path))))
    client = TestClient(app)
    body = {"image": sendable(picture), "instruction": ASKED, "max_length": 7}
    for route, field in (("interrogate", "prompt"), ("describe", "text")):
        more = {"mode": "caption"} if route == "interrogate" else {}
        answer = client.post(f"/unrender/v1/{route}", json={**body, **more})
        assert answer.status_code == 200, answer.text
        assert answer.json()[field] == expected
    drawn = [client.post("/unrender/v1/describe", json={**body, **DRAWN}).json()["text"] for _ in range(2)]
    assert drawn[0] == drawn[1]
    other = client.post("/unrender/v1/describe", json={**body, "captioner": str(tmp_path)})
    assert other.status_code == 422, "a folder that the server was not started with"


def test_a_server_started_with_a_folder_describes_by_it(tmp_path: Path) -> None:
    """As a program of its own."""
    pytest.importorskip("uvicorn")
    from door_server import running

    name = "smolvlm"
    folder = tiny.CHATS[name](tmp_path / name)
    asked = CaptionSettings(instruction=ASKED, max_length=7)
    picture, expected = said_of_one(folder, asked)
    with running("serve", tmp_path, "--captioner", str(folder), "--instruction", ASKED) as server:
        body = json.dumps({"image": sendable(picture), "max_length": 7}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{server.port}/unrender/v1/describe", data=body)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=120) as answer:
            found = json.loads(answer.read())
    assert found["text"] == expected and found["captioner"] == str(folder)


DRAWN = {"temperature": 1.5, "seed": 3}


def said_of_one(folder: Path, asked: CaptionSettings) -> tuple[Image.Image, str]:
    captioner = Captioner.load(str(folder), "cpu")
    found = zip(PICTURES, captioner.caption(PICTURES, asked), strict=True)
    return next((picture, words(text)) for picture, text in found if text)


def sendable(picture: Image.Image) -> str:
    data = io.BytesIO()
    picture.save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()
