"""The page that `curate --html` writes, in a real browser, for those who cannot see it, or not well."""

from __future__ import annotations

from pathlib import Path

import axe
import pytest
from page_server import can_browse, chromium_fixture  # noqa: F401
from PIL import Image
from unrender.core.curate import write_page
from unrender.core.curate.findings import KINDS, Finding, Report

pytestmark = [
    pytest.mark.skipif(not can_browse(), reason="install playwright and Chromium"),
    pytest.mark.skipif(not axe.has_axe(), reason=axe.WORDS),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("curated")
    for number, colour in enumerate(("red", "green", "blue")):
        Image.new("RGB", (300, 200), colour).save(folder / f"{number}.png")
    found = tuple(
        Finding(kind, "1.png", 1.0, "as it is said", other="0.png", left=90 if kind == "turned" else 0, overlap=0.8)
        for kind in KINDS
    )
    failures = {"broken.png": "is damaged"}
    write_page(Report(folder, "micro", 3, found, ("Captions were not looked for.",), failures), folder / "page.html")
    write_page(Report(folder, "micro", 3, (), (), {}), folder / "empty.html")
    return folder / "page.html"


@pytest.mark.parametrize("name", ["page.html", "empty.html"])
@pytest.mark.parametrize("theme", axe.THEMES)
@pytest.mark.parametrize("size", axe.SIZES, ids=lambda size: str(size[0]))
def test_it_has_no_serious_fault(page, chromium, name, size, theme):
    session = chromium.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=theme)
    shown = session.new_page()
    shown.goto(page.with_name(name).as_uri())
    found, width = axe.faults(shown), shown.evaluate("document.documentElement.scrollWidth")
    session.close()
    assert found == [] and width <= size[0]
