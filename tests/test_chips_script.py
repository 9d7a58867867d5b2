"""What the chips' script does in a browser, without a page around it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="pip install gradio")

from page_server import can_browse, chromium_fixture  # noqa: F401
from unrender.server.pages import prompt

CHIP = """<li class="unrender-chip" data-written="{0}" data-plain="{0}">
<button class="unrender-chip-keep" aria-pressed="true"><span class="unrender-chip-text">{0}</span></button></li>"""
PAGE = f"""
<div id="unrender_prompt"><textarea>one, two, three</textarea></div><button id="unrender_weigh">Weigh</button>
<ul>{"".join(map(CHIP.format, ("one", "two", "three")))}</ul>
<script>
const weighed = [], sent = {prompt._TEXT}, ended = {prompt._AGAIN};
let pending = false;
document.getElementById("unrender_weigh").onclick = () => {{
  if (!pending) weighed.push(sent(null)[0]);
  pending = true;
}};
const end = () => {{ pending = false; ended(); }};
</script>"""
"""As gradio 3 has it: no click is heard of while what one before it began goes on."""


@pytest.mark.skipif(not can_browse(), reason="install playwright and Chromium")
def test_what_changed_while_a_prompt_was_weighed_is_weighed_after_it(chromium):
    page = chromium.new_page()
    page.set_content(PAGE)
    page.evaluate(Path(prompt.__file__).with_name("chips.js").read_text(encoding="utf-8"))
    page.locator(".unrender-chip-keep").nth(0).click()
    page.wait_for_function("weighed.length === 1")
    page.locator(".unrender-chip-keep").nth(1).click()
    page.wait_for_timeout(600)
    assert page.evaluate("weighed") == ["two, three"]
    page.evaluate("end()")
    assert page.evaluate("weighed") == ["two, three", "three"]
    page.evaluate("end()")
    assert page.evaluate("weighed") == ["two, three", "three"]
    page.close()
