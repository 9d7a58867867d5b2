"""Where the button in img2img goes, in webuis that have no Interrogate for it to go beside."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from page_server import gradio_pythons


@pytest.mark.skipif(not gradio_pythons(), reason="install gradio, or name Pythons with it in UNRENDER_GRADIO_PYTHONS")
@pytest.mark.parametrize("python", gradio_pythons())
def test_the_button_finds_a_place_where_a_webui_has_no_interrogate_and_is_connected_once(python):
    done = subprocess.run(
        [python, "-W", "ignore", str(Path(__file__).parent / "build_neo.py")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    page = json.loads(done.stdout.splitlines()[-1])
    tools = page["rows"]["img2img_tools"]
    assert tools.index("unrender_img2img_start") == tools.index("img2img_restore_progress") + 1
    clicks = [event for event in page["events"] if event["on"] == ["unrender_img2img_start"] and event["inputs"]]
    assert len(clicks) == 1
    assert page["further events"] == 0
