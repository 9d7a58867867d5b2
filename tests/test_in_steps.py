"""What a page finds is written into its fields once, when all is done: gradio writes what a handler gave last again at
its end, over what a person has typed by then."""

from __future__ import annotations

import inspect
import time

import pytest

pytest.importorskip("gradio", minversion="4", reason="pip install gradio")

import gradio as gr
from door_server import running
from page_server import can_browse, chromium_fixture  # noqa: F401
from test_doors_folders import pressed
from unrender.core.settings import Settings
from unrender.server import pages
from unrender.server.direct import without_proxies
from unrender.server.gradio_versions import in_steps
from unrender.server.host import alone
from unrender.server.pages import runner
from unrender.server.service import Service


def test_what_was_found_is_written_once_and_at_the_end(tmp_path, photographs):
    with running("ui", tmp_path) as command:
        (tmp_path / "uploads").mkdir(exist_ok=True)
        photographs[0].resize((48, 48)).save(tmp_path / "uploads/mine.png")
        picture = {"path": str(tmp_path / "uploads/mine.png"), "meta": {"_type": "gradio.FileData"}}
        told = pressed(command.port, "unrender_start", unrender_picture=picture, unrender_mode="fast")
    *steps, end = told.splitlines()
    assert "process_generating" in told and "process_completed" in told and "Starting" in told
    assert not any("s with micro." in step for step in steps) and "s with micro." in end


def test_all_handlers_that_tell_in_steps_do_so():
    with gr.Blocks() as blocks:
        pages.build(Service(alone(Settings(clip="micro")), str, ["micro"], ["built-in"]))
        button, line, found = gr.Button(), gr.Textbox(), gr.Textbox()
        in_steps(button.click, lambda: iter([]), [], [line], [found])
    *ours, plain = (each.fn for each in blocks.fns.values() if inspect.isgeneratorfunction(each.fn))
    assert len(ours) > 5 and all(each.__code__ is plain.__code__ for each in ours)


def late(listen):
    """Between the last values and the end, as on a busy machine."""

    def listening(handler, **options):
        def slowly(*values):
            yield from handler(*values)
            time.sleep(0.5)

        return listen(slowly, **options)

    return listening


@pytest.mark.filterwarnings("ignore::Warning:gradio")
@pytest.mark.skipif(not can_browse(), reason="install playwright and Chromium")
def test_a_button_is_pressable_when_gradio_hears_of_it(monkeypatch, chromium):
    """The press itself is what would be lost, without a word."""
    monkeypatch.setattr(runner, "in_steps", lambda listen, *parts, **more: in_steps(late(listen), *parts, **more))
    seen = iter(range(9))
    with gr.Blocks(analytics_enabled=False) as blocks:
        work = runner.Runner(Service(alone(Settings(clip="micro")), str, ["micro"], ["built-in"]), "mine", "Count")
        work.connect(lambda job: next(seen), [], [], lambda found: [], "counted {}".format)
    with without_proxies():
        url = blocks.queue().launch(quiet=True, prevent_thread_lock=True)[1]
    try:
        page = chromium.new_page()
        page.goto(url)
        for number in range(4):
            page.click("#mine_start", timeout=30_000)
            page.wait_for_function(f"document.querySelector('#mine_status').innerText.includes('counted {number}')")
        page.locator("#mine_stop").wait_for(state="hidden", timeout=30_000)
    finally:
        blocks.close()
