"""The extension in a real webui that is short of memory, and moves its checkpoint piece by piece."""

from __future__ import annotations

import pytest
from hub_server import serving
from webui_drawing import base64_png, drawn, write_models
from webui_server import needs_webui, started

pytestmark = needs_webui


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("clips"))


@pytest.mark.parametrize("flag", ["--lowvram", "--medvram"])
def test_webui_makes_room_and_draws_again_as_before(tmp_path, clips, photographs, flag):
    picture = base64_png(photographs[0].resize((96, 96)))
    with serving() as hub, started(tmp_path, hub.url, flag) as webui:
        if webui.host.backend:
            pytest.skip("Forge manages memory by itself")
        webui.wait_for_checkpoint()
        webui.ask("/sdapi/v1/options", {"sd_model_checkpoint": "tiny15.safetensors"})
        webui.set_options(clip="micro", captioner="micro", seeing=str(clips / "clip-l"))
        before = drawn(webui)
        steered = drawn(webui, picture)
        assert steered != before and drawn(webui) == before
        assert webui.ask("/unrender/v1/interrogate", {"image": picture, "mode": "fast"})["prompt"]
        assert drawn(webui) == before and drawn(webui, picture) == steered
