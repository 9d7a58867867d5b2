"""What a page finds is written into its fields once: gradio writes what a handler gave last again when it ends, over
what a person has typed by then."""

from __future__ import annotations

import inspect
import json
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
from unrender.server.gradio_versions import said_once
from unrender.server.host import alone
from unrender.server.pages import runner
from unrender.server.service import Service


def written(update: dict | None) -> set[str]:
    """The names of what an update changes, and of the update's own parts."""
    return {*update, *update.get("props", {})} if update else set()


def test_the_end_of_a_run_writes_nothing(tmp_path, photographs):
    with running("ui", tmp_path) as command:
        (tmp_path / "uploads").mkdir(exist_ok=True)
        photographs[0].resize((48, 48)).save(tmp_path / "uploads/mine.png")
        picture = {"path": str(tmp_path / "uploads/mine.png"), "meta": {"_type": "gradio.FileData"}}
        told = pressed(command.port, "unrender_start", unrender_picture=picture, unrender_mode="fast")
    messages = [json.loads(line[6:]) for line in told.splitlines() if line.startswith("data: ")]
    *steps, end = [each for each in messages if each["msg"] in ("process_generating", "process_completed")]
    assert end["msg"] == "process_completed" and end["success"] and len(steps) > 2
    assert "s with micro." in json.dumps(steps)
    assert all(written(update) <= {"__type__", "props"} for update in end["output"]["data"])


def test_all_handlers_that_tell_in_steps_do_so():
    with gr.Blocks() as blocks:
        pages.build(Service(alone(Settings(clip="micro")), str, ["micro"], ["built-in"]))
    in_steps = [each.fn for each in blocks.fns.values() if inspect.isgeneratorfunction(each.fn)]
    made = said_once(lambda: iter([["one", "two"]]))
    assert list(made()) == [["one", "two"], [gr.update(), gr.update()]]
    assert len(in_steps) > 5 and all(each.__code__ is made.__code__ for each in in_steps)


def ending_late(handler):
    """Between the last values and the end, as on a busy machine."""
    once = said_once(handler)

    def saying(*values):
        yield from once(*values)
        time.sleep(0.5)

    return saying


@pytest.mark.filterwarnings("ignore::Warning:gradio")
@pytest.mark.skipif(not can_browse(), reason="install playwright and Chromium")
def test_a_button_is_pressable_when_gradio_hears_of_it(monkeypatch, chromium):
    """The press itself is what would be lost, without a word."""
    monkeypatch.setattr(runner, "said_once", ending_late)
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
