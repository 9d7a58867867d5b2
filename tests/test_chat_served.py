"""A server that was started with the folder of a model that talks."""

from __future__ import annotations

import base64
import io
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import tiny_chats as tiny
from PIL import Image
from tiny_captioners import words
from unrender.core.describe import Captioner
from unrender.core.settings import CaptionSettings

pytest.importorskip("uvicorn", reason="pip install fastapi uvicorn")
pytestmark = pytest.mark.skipif(not tiny.CHATS, reason="their configurations are those of transformers 5")
ASKED = "describe this picture in one sentence"
DRAWN = {"temperature": 1.5, "seed": 3}


def test_it_describes_by_it_and_by_no_other_folder(tmp_path: Path) -> None:
    """As a program of its own."""
    from door_server import running

    folder = tiny.CHATS["smolvlm"](tmp_path / "smolvlm")
    picture = Image.radial_gradient("L").resize((48, 40)).convert("RGB")
    asked = CaptionSettings(instruction=ASKED, max_length=7)
    expected = words(Captioner.load(str(folder), "cpu").caption([picture], asked)[0])
    assert expected, "an empty description would be no wonder"
    with running("serve", tmp_path, "--captioner", str(folder), "--instruction", ASKED) as server:
        found = described(server.port, picture)
        assert found["text"] == expected and found["captioner"] == str(folder)
        drawn = [described(server.port, picture, **DRAWN)["text"] for _ in range(2)]
        assert drawn[0] == drawn[1]
        with pytest.raises(urllib.error.HTTPError) as refused:
            described(server.port, picture, captioner=str(tmp_path))
        assert refused.value.code == 422


def described(port: int, picture: Image.Image, **more: Any) -> dict[str, Any]:
    data = io.BytesIO()
    picture.save(data, "PNG")
    body = {"image": base64.b64encode(data.getvalue()).decode(), "max_length": 7, **more}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/unrender/v1/describe", data=json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.loads(answer.read())
