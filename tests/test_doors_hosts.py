"""Our doors in programs of others: routes in a webui, whose own checks are not ours, and names in ComfyUI's graphs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

JSON = {"Content-Type": "application/json"}
UNLOAD = "/unrender/v1/unload"


@pytest.fixture(scope="module")
def routes():
    """In an app that asks nothing of Host and Origin."""
    pytest.importorskip("httpx", reason="pip install fastapi httpx")
    from test_api import client_of, host

    return client_of(host())


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://testserver:3000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_what_another_page_sends_unasked_is_refused(routes, headers):
    assert routes.post(UNLOAD, headers=headers).status_code == 403
    assert routes.post(UNLOAD, headers={**headers, "Content-Type": "text/plain"}, content=b"{}").status_code == 415
    assert routes.post(UNLOAD, headers=headers, content=b"{}").status_code == 415
    asked = routes.post("/interrogator/prompt", headers=headers, content=b'{"image": ""}')
    assert asked.status_code == 415


def test_what_a_browser_asks_leave_for_is_the_webui_s_to_allow(routes):
    """It says which origins may send JSON (--cors-allow-origins)."""
    assert routes.post(UNLOAD, headers={"Origin": "http://friend.example", **JSON}, content=b"{}").status_code == 200
    assert routes.post(UNLOAD).status_code == 200
    assert routes.post(UNLOAD, headers={"Origin": "http://testserver"}).status_code == 200


def test_a_webui_that_hides_its_folders_opens_those_it_names(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "webui_standin"))
    from modules import shared
    from unrender.core.errors import SettingsError
    from unrender.extension import webui
    from unrender.server.models import Models

    open_, shut = tmp_path / "open", tmp_path / "shut"
    for options, closed in (
        ({}, ()),
        ({"hide_ui_dir_config": True}, (open_, shut)),
        ({"hide_ui_dir_config": True, "gradio_allowed_path": [str(open_)]}, (shut,)),
    ):
        monkeypatch.setattr(shared, "cmd_opts", SimpleNamespace(**options))
        folders = webui._host(Models()).folders
        for folder in (open_, shut):
            if folder in closed:
                with pytest.raises(SettingsError, match="--gradio-allowed-path"):
                    folders.checked(str(folder))
            else:
                assert folders.checked(str(folder)) == folder


def test_a_graph_s_picture_lies_in_comfyui_s_folders(monkeypatch, tmp_path):
    from comfyui_nodes import use_standin

    use_standin()
    import folder_paths
    from unrender.core.errors import SettingsError
    from unrender.nodes import host

    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path / "input"))
    (tmp_path / "input/clipspace").mkdir(parents=True)
    for name in ("input/one.png", "input/clipspace/two.png", "secret.png"):
        (tmp_path / name).touch()
    assert host.input_file_exists("one.png") and host.input_file_exists("clipspace/two.png")
    for name in ("../secret.png", str(tmp_path / "secret.png"), "clipspace/../../secret.png", "/dev/zero", "a\0b"):
        assert not host.input_file_exists(name)
        if "\0" not in name:
            with pytest.raises(SettingsError, match="none of ComfyUI's folders"):
                host.input_file(name)
