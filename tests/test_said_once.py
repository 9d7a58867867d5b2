"""What a page finds is written into its fields once: gradio writes what a handler gave last again when it ends, over
what a person has typed by then."""

from __future__ import annotations

import inspect
import json

import pytest

pytest.importorskip("gradio", minversion="4", reason="pip install gradio")

import gradio as gr
from door_server import running
from test_doors_folders import pressed
from unrender.core.settings import Settings
from unrender.server import pages
from unrender.server.gradio_versions import said_once
from unrender.server.host import alone
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
    nothing = {"__type__", "props", "interactive", "visible"}
    assert all(written(update) <= nothing for update in end["output"]["data"])


def test_all_handlers_that_tell_in_steps_do_so():
    with gr.Blocks() as blocks:
        pages.build(Service(alone(Settings(clip="micro")), str, ["micro"], ["built-in"]))
    in_steps = [each.fn for each in blocks.fns.values() if inspect.isgeneratorfunction(each.fn)]
    made = said_once(lambda: iter([["one", "two"]]), {1: "at the end"})
    assert list(made()) == [["one", "two"], [gr.update(), "at the end"]]
    assert len(in_steps) > 5 and all(each.__code__ is made.__code__ for each in in_steps)
