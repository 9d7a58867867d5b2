"""The page that describes the API: all of it, of this server alone, and right."""

from __future__ import annotations

import json
import shutil
import subprocess

import axe
import pytest
from page_server import can_browse, chromium_fixture  # noqa: F401

pytest.importorskip("uvicorn", reason="pip install uvicorn")

from door_server import serving
from unrender.cli.serve import application
from unrender.core.settings import Settings
from unrender.server.api_page import SOURCES
from unrender.server.gate import Gate
from unrender.server.origins import Names

pytestmark = pytest.mark.skipif(not can_browse(), reason="install playwright and Chromium")
TOKEN = "secret"


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    settings = Settings(clip="micro", captioner="micro", device="cpu", cache=tmp_path_factory.mktemp("cache"))
    return application(settings, TOKEN, lambda: False)


@pytest.fixture(scope="module")
def url(app):
    with serving(Gate(app, Names("127.0.0.1", ()), sources=SOURCES)) as port:
        yield f"http://127.0.0.1:{port}"


def test_every_route_field_and_refusal_is_described(app, chromium, url):
    page = chromium.new_page()
    page.goto(f"{url}/docs")
    text = page.inner_text("main")
    schema = app.openapi()
    for path, ways in schema["paths"].items():
        assert all(f"{method.upper()} {path}" in text for method in ways)
    fields = {name for each in schema["components"]["schemas"].values() for name in each.get("properties", ())}
    descriptions = {
        field["description"]
        for each in schema["components"]["schemas"].values()
        for field in each.get("properties", {}).values()
        if "description" in field
    }
    left_out = {"detail"}  # of a refusal, which has a sentence of its own
    assert {name for name in fields - left_out if name not in text} == set()
    assert {said for said in descriptions if said not in text and "sentence" not in said} == set()
    assert "Retry-After" in text and "503" in text


def test_it_needs_no_other_server(chromium, url):
    page = chromium.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    answer = page.goto(f"{url}/redoc")
    assert asked == [f"{url}/redoc", f"{url}/docs"] and page.url == f"{url}/docs"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'self'" in policy
    page.click("a[href='openapi.json']")
    assert json.loads(page.inner_text("body"))["paths"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="install curl")
def test_its_examples_work_as_they_stand(chromium, url, photographs, tmp_path):
    page = chromium.new_page()
    page.goto(f"{url}/docs")
    photographs[0].resize((64, 64)).save(tmp_path / "photo.jpg")
    examples = page.locator("pre").all_inner_texts()
    assert len(examples) == 11
    for example in examples:
        command = example.replace("TOKEN", TOKEN).replace("curl", "curl --silent --fail-with-body")
        if "/embed" in command:  # whose usual family wants a CLIP that has to be downloaded
            command = command.replace('"images"', '"family": "micro", "images"')
        done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, (example, done.stdout, done.stderr)
        assert json.loads(done.stdout)


@pytest.mark.skipif(not axe.has_axe(), reason=axe.WORDS)
@pytest.mark.parametrize("theme", axe.THEMES)
@pytest.mark.parametrize("size", axe.SIZES, ids=lambda size: str(size[0]))
def test_it_has_no_serious_fault(chromium, url, size, theme):
    screen = {"width": size[0], "height": size[1]}
    page = chromium.new_context(viewport=screen, color_scheme=theme, bypass_csp=True).new_page()
    page.goto(f"{url}/docs")
    assert axe.faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
