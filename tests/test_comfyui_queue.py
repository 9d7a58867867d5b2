"""A real ComfyUI whose queue is long, and a folder of 301 pictures."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from comfyui_graphs import NAMES, Graph, node, one_picture
from comfyui_server import Run, Server, needs_comfyui
from test_comfyui_daily import captioned, memory

pytest_plugins = ["comfyui_fixtures"]
pytestmark = [needs_comfyui, pytest.mark.full]

RUNS, INTERRUPTED, DELETED = 110, 57, 70
"""As many runs as in the trial: all of them take less than a minute. The numbers of two of them."""

MODES = ("fast", "caption", "classic")
MOST_GROWN = 30
"""MB, in the second half of the queue."""


def queued(number: int) -> Graph:
    """Each third is its forerunner again. The one to be interrupted would work for minutes."""
    if number % 3 == 2:
        return queued(number - 1)
    kind = number // 3
    settings = {"mode": MODES[kind // 3 % 3], "max_phrases": 2 + kind % 5, "prefix": f"number {number}"}
    graph = one_picture(NAMES[kind % len(NAMES)], **settings)
    if number == INTERRUPTED:
        graph["4"] = node("RepeatImageBatch", image=["1", 0], amount=60)
        graph["3"]["inputs"] |= {"image": ["4", 0], "mode": "best"}
    return graph


def signature(graph: Graph, number: str) -> str:
    """All that a node's outputs depend on."""
    inputs = {
        name: signature(graph, value[0]) if isinstance(value, list) else value
        for name, value in graph[number]["inputs"].items()
    }
    return json.dumps([graph[number]["class_type"], inputs], sort_keys=True)


def kept(before: Graph, after: Graph, unfinished: set[str]) -> set[str]:
    """The nodes whose outputs ComfyUI has from the run before."""
    known = {signature(before, number) for number in before if number not in unfinished}
    return {number for number in after if signature(after, number) in known}


def interrupted_in(comfyui: Server, prompt: str) -> float:
    """Seconds until a run has ended that is interrupted a second after its begin."""
    while not any(entry[1] == prompt for entry in comfyui.get("/queue")["queue_running"]):
        time.sleep(0.05)
    time.sleep(1)
    asked = time.monotonic()
    comfyui.post("/interrupt", {})
    assert comfyui.finished(prompt).interrupted
    return time.monotonic() - asked


def test_comfyui_runs_a_long_queue(comfyui):
    """In order, each with its own result, what is asked twice once; and no memory is kept."""
    comfyui.run(one_picture(NAMES[0], prefix="before"))
    graphs = [queued(number) for number in range(RUNS)]
    prompts = [comfyui.submit(graph) for graph in graphs]
    comfyui.post("/queue", {"delete": [prompts[DELETED]]})
    assert interrupted_in(comfyui, prompts[INTERRUPTED]) < 4, "two seconds, and as many for a machine that is shared"
    comfyui.finished(prompts[INTERRUPTED + 3])  # when its sixty pictures are let go
    half = memory(comfyui)
    ran = {number: comfyui.finished(prompt) for number, prompt in enumerate(prompts) if number != DELETED}
    grown = memory(comfyui) - half

    assert not comfyui.get(f"/history/{prompts[DELETED]}")
    assert [number for number, run in ran.items() if not run.succeeded] == [INTERRUPTED]
    began = [run.began for run in ran.values()]
    assert began == sorted(began)
    for before, number in zip(ran, list(ran)[1:], strict=False):
        unfinished = {"3"} if before == INTERRUPTED else set()
        assert ran[number].cached == kept(graphs[before], graphs[number], unfinished), number
    repeated = [number for number in ran if number % 3 == 2 and number - 1 in ran]
    assert all(ran[number].cached == {"1", "2", "3"} for number in repeated)
    check_results(graphs, ran)
    assert grown < MOST_GROWN, f"{grown:.0f} MB"


def check_results(graphs: list[Graph], ran: dict[int, Run]) -> None:
    """Each begins with its own prefix, and says the same as all others of that picture and those settings."""
    said: dict[str, set[str]] = {}
    for number, run in ran.items():
        if run.succeeded:
            asked = {**graphs[number]["3"]["inputs"]}
            prefix = asked.pop("prefix")
            (text,) = run.text("3")
            assert text.startswith(f"{prefix}, "), (number, text)
            picture = graphs[number]["1"]["inputs"]["image"]
            said.setdefault(json.dumps([picture, asked]), set()).add(text.removeprefix(prefix))
    assert all(len(texts) == 1 for texts in said.values())
    assert len(set.union(*said.values())) > len(said) / 2, "and other pictures and settings something else"


@pytest.fixture
def folder(comfyui, photographs) -> Path:
    """298 small pictures, one that is broken, one that is cut off, and a text that is called a picture."""
    made = comfyui.base / "input" / "301"
    made.mkdir()
    for number in range(298):
        photograph = photographs[number % len(photographs)]
        left = 7 * (number // len(photographs))
        photograph.crop((left, left, left + 96, left + 96)).save(made / f"{number:03}.png")
    (made / "broken.png").write_bytes(b"\x89PNG no more")
    whole = (made / "000.png").read_bytes()
    (made / "cut.png").write_bytes(whole[: len(whole) // 2])
    (made / "text.png").write_text("a cup of coffee\n")
    return made


def test_comfyui_captions_a_folder_of_301_pictures(comfyui, folder):
    graph = captioned("301")
    run = comfyui.run(graph)
    report = run.text("3")[0]
    assert report.startswith("298 texts written in ") and "3 failed, listed in" in report
    texts = {path.stem: path.read_text(encoding="utf-8").strip() for path in folder.glob("*.txt")}
    assert sorted(texts) == [f"{number:03}" for number in range(298)] and all(texts.values())
    listed = (folder / "errors.csv").read_text(encoding="utf-8")
    assert all(name in listed for name in ("broken.png", "cut.png", "text.png")) and "Traceback" not in listed
    told = comfyui.get("/probe/progress")["3"]
    values = [value for value, most in told if most == 301]
    assert len(values) > 10 and values == sorted(values) and values[-1] == 301
    assert "3" in comfyui.run(graph).cached
    graph["3"]["inputs"]["prefix"] = "again"
    again = comfyui.run(graph)
    assert again.text("3")[0].startswith("0 texts written in ") and "298 skipped, which had one" in again.text("3")[0]
    assert {path.stem: path.read_text(encoding="utf-8").strip() for path in folder.glob("*.txt")} == texts
