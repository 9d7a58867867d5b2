"""The choice by rendering in a real ComfyUI: a list of prompts through its sampler, and back to one."""

from __future__ import annotations

from comfyui_graphs import node, shipped
from comfyui_server import needs_comfyui, view

pytest_plugins = ["comfyui_fixtures"]
pytestmark = needs_comfyui


def test_comfyui_runs_the_workflow_that_chooses(comfyui):
    graph = shipped("Choose a prompt by rendering")
    graph |= {
        "20": node("PreviewAny", source=["3", 0]),
        "21": node("PreviewAny", source=["11", 0]),
        "22": node("PreviewImage", images=["8", 0]),
    }
    run = comfyui.run(graph)
    assert run.succeeded, run.error
    prompts, [chosen] = run.text("20"), run.text("21")
    assert len(set(prompts)) == 4 and chosen in prompts
    ranking = run.text("11")[0].splitlines()
    likeness = [float(line.split()[0]) for line in ranking]
    assert likeness == sorted(likeness, reverse=True) and len(ranking) == 4
    assert ranking[0].endswith(chosen)
    assert len(run.outputs["22"]["images"]) == 4 * 2, "a batch of two of each prompt"
    assert len(run.outputs["9"]["images"]) == 2 and view(comfyui, run.outputs["9"]["images"][0]).size == (64, 64)
    again = comfyui.run({**graph, "23": node("PreviewAny", source=["11", 2])})
    assert again.text("21") == [chosen]
