"""A real webui whose page asks for a login: nobody else learns or does anything by what this extension adds."""

from __future__ import annotations

import base64
import http.client
import json
import re
import urllib.error
import urllib.request

import pytest
from hub_server import serving
from webui_drawing import base64_png
from webui_server import needs_webui, opened, started

pytestmark = needs_webui

NAME, PASSWORD = "ada", "secret"
OWN = ("/unrender/v1/status", "/interrogator/models")


@pytest.fixture(scope="module")
def webui(tmp_path_factory):
    base = tmp_path_factory.mktemp("webui")
    with serving() as hub, started(base, hub.url, "--gradio-auth", f"{NAME}:{PASSWORD}") as server:
        server.set_options(clip="micro", captioner="micro", vocabulary="built-in", mode="fast")
        yield server


@pytest.fixture(scope="module")
def browser(webui):
    """Logged in."""
    with opened(webui) as page:
        form = {"username": NAME, "password": PASSWORD}
        assert page.page.request.post(f"{webui.url}/login", form=form).ok
        yield page


def answer(url: str, value: object = None) -> tuple[int, str]:
    """As it is given to somebody who has not logged in."""
    data = None if value is None else json.dumps(value).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as found:
            return found.status, found.read().decode(errors="replace")
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode(errors="replace")


def test_webui_login_holds_for_the_api(webui, photographs):
    for route in OWN:
        assert answer(webui.url + route)[0] == 401
        with pytest.raises(urllib.error.HTTPError):
            webui.ask(route)
    asked = {"image": base64_png(photographs[0].resize((64, 64)))}
    for route in ("/unrender/v1/interrogate", "/interrogator/prompt", "/unrender/v1/unload"):
        code, said = answer(webui.url + route, asked)
        assert code == 401 and said.startswith('{"detail":'), said


def test_webui_login_holds_for_the_page(webui):
    code, page = answer(webui.url)
    # in what follows gradio 4.40 tells everybody which names the webui's own lists offer
    told = page.partition("window.gradio_api_info")[0].lower()
    # as the webui tells them which scripts and styles its extensions have
    assert code == 200 and "unrender" not in re.sub(r'(src|href)="[^"]*"', "", told)
    kept = webui.models / "prompt_embeddings" / "mine.safetensors"
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(b"whatever")
    for path in ("/config", "/info", f"/file={kept}", f"/file={webui.base / 'config.json'}"):
        assert answer(webui.url + path)[0] == 401, path


def test_webui_login_holds_for_what_the_page_calls(webui, browser):
    config = browser.page.request.get(f"{webui.url}/config").json()
    ids = {each["id"]: str(each["props"].get("elem_id")) for each in config["components"]}
    own = [
        number
        for number, event in enumerate(config["dependencies"])
        for target in event["targets"]
        if ids.get(target[0] if isinstance(target, list) else target, "").startswith("unrender_")
    ]
    assert len(own) > 10
    for number in own:
        asked = {"fn_index": number, "data": [], "session_hash": "anybody"}
        for path in ("/run/predict", "/api/predict"):
            assert answer(webui.url + path, asked)[0] == 401, config["dependencies"][number]
    if webui.host.has_canvas:
        assert answer(f"{webui.url}/queue/join", asked)[0] == 401
        return
    assert joined_queue(webui.url) == 403
    cookies = browser.page.context.cookies()
    assert joined_queue(webui.url, Cookie="; ".join(f"{each['name']}={each['value']}" for each in cookies)) == 101


def joined_queue(url: str, **headers: str) -> int:
    """The answer to somebody who wants to open gradio 3's web socket."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    key = {"Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode()}
    connection.request("GET", "/queue/join", headers={**upgrade, **key, **headers})
    try:
        return connection.getresponse().status
    finally:
        connection.close()


def test_webui_login_lets_its_owner_work(browser, photographs, tmp_path):
    photographs[0].save(tmp_path / "picture.png")
    browser.open()
    browser.choose_tab("Unrender")
    browser.put("unrender_picture", tmp_path / "picture.png")
    browser.page.click("#unrender_mode label:has-text('fast')")
    assert browser.press("unrender_start", "unrender_status")[-1].endswith("s with micro.")
    assert browser.text("unrender_prompt")
