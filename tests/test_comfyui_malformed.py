"""What a real ComfyUI and our nodes say to calls of its API that no page makes: ComfyUI's own refusal, or a sentence.

The calls are made from ComfyUI's own account of our nodes' inputs: each of them left out, of every wrong kind, beyond
its limits, linked to what is no such output; and pictures of shapes that nothing should give."""

from __future__ import annotations

import re
from typing import Any

import pytest
from comfyui_graphs import Graph, embedding, known_inputs, micro, node
from comfyui_server import FOLDER_NAME, Run, Server, needs_comfyui
from hostile_calls import LITERALS, NAMES, PLACES, WIDGETS
from PIL import Image

pytest_plugins = ["comfyui_fixtures"]
pytestmark = [needs_comfyui, pytest.mark.full]

CALLED = "20"
SOURCES = {
    **{"IMAGE": ["1", 0], "MASK": ["1", 1], "MODEL": ["2", 0], "CLIP": ["2", 1], "VAE": ["2", 2]},
    **{"CLIP_VISION": ["101", 0], "PROMPT_EMBEDDING": ["3", 1], "INTERROGATOR": ["4", 0]},
}
"""Where a good value of each kind comes from."""

GOOD: Graph = {**embedding(["2", 1], projection="pinv", clip_vision=["101", 0]), "4": micro()}
OWN = {
    "UnrenderNearestRendering": {"prompts": "a disc"},
    "UnrenderReadImagePrompt": {"image": "coffee.png"},
    "UnrenderLoadPromptEmbedding": {"name": "malformed.safetensors"},
    "UnrenderTuneOnPictures": {"quality": "quick", "interrogator": None},
    "UnrenderImageToPromptEmbedding": {"interrogator": None, "gap_pictures": None, "mask": None},
    "UnrenderDescribePicture": {"clip": None},
}
"""What of a good call is no node's usual; None for inputs that exclude others."""

NAN, ENDLESS = float("nan"), float("inf")
LONG = "a, " * 33_333
WRONG: dict[str, tuple[Any, ...]] = {
    "COMBO": ("no such", LONG, 7, None, "", True, {"a": "b"}, "\ud800"),
    "INT": ("x", None, "", {}, NAN, ENDLESS, 1 << 70, -(1 << 70)),
    "FLOAT": ("x", None, "", {}, NAN, ENDLESS, -ENDLESS, 1e308, -1e308),
    "BOOLEAN": ("maybe", None, {}, 2),
    "STRING": (None, 7, {"a": "b"}, LONG, "x\0y", "\ud800"),
}
DEAR = {"text": LONG, "anchor": LONG, "quality": None}
"""What is taken, and takes minutes."""

NO_OUTPUTS = (["no such node", 0], ["1", 99], ["1", "0"], ["1"], [], [None, None], ["4", 0], ["3", 1])
SHAPES = (
    *("0,64,64,3", "1,1,1,3", "1,64,64,0", "1,64,64,4", "1,64,64,2", "1,1,500,3", "64,64,3", "2,3,1,64,64", "1,0,64,3"),
    *("7", "2,64,64,3 nan", "1,64,64,3 inf", "1,64,64,3 -inf", "1,64,64,3 200", "1,64,64,3 0.5"),
)
"""Of pictures, and what they are filled with if not with noise."""


class Calls:
    """Of one node, by ComfyUI's own account of it."""

    def __init__(self, name: str, info: dict[str, Any]) -> None:
        self._name, self._shown = name, bool(info["output_node"])
        self._kinds = {each: kind.split(",")[0] for each, kind in known_inputs(info).items()}
        links = {each: SOURCES[kind] for each, kind in self._kinds.items() if kind in SOURCES}
        self._good = {**WIDGETS[name], **links, **OWN.get(name, {})}

    def good(self, **changed: Any) -> Graph:
        inputs = {each: value for each, value in {**self._good, **changed}.items() if value is not None}
        graph = {**GOOD, CALLED: node(self._name, **inputs)}
        return graph if self._shown else {**graph, "21": node("PreviewAny", source=[CALLED, 0])}

    def bad(self) -> dict[str, Graph]:
        return {**self._without(), **self._otherwise(), **self._pictured()}

    def _without(self) -> dict[str, Graph]:
        return {f"without {each}": self.good(**{each: None}) for each in self._kinds if each != "quality"}

    def _otherwise(self) -> dict[str, Graph]:
        found = {}
        for each, kind in self._kinds.items():
            names = NAMES if each in PLACES.get(self._name, ()) else ()
            values = (*WRONG.get(kind, LITERALS), *names, *NO_OUTPUTS)
            for value in values if each not in DEAR else [value for value in values if value != DEAR[each]]:
                graph = self.good()
                graph[CALLED]["inputs"][each] = value
                found[f"{each}: {value!r}"[:80]] = graph
        return found

    def _pictured(self) -> dict[str, Graph]:
        found = {}
        for each, kind in self._kinds.items():
            for shape in SHAPES if kind in ("IMAGE", "MASK") else ():
                graph = self.good(**{each: ["30", 0 if kind == "IMAGE" else 1]})
                found[f"{each} of {shape}"] = {**graph, "30": node("ProbePicture", shape=shape)}
        return found


def refused(answer: dict[str, Any]) -> str:
    """What is wrong with how ComfyUI refuses a call: an exception of ours, or ours in no sentence."""
    for error in (each for refusal in answer["node_errors"].values() for each in refusal["errors"]):
        trace = "".join(error["extra_info"].get("traceback", ()))
        if FOLDER_NAME in trace:
            return f"{error['type']}: {error['details']}"
        ours = error["type"] == "custom_validation_failed"
        if ours and not error["details"].endswith("."):
            return error["details"]
    return ""


def ended(run: Run) -> str:
    """What is wrong with how a run failed."""
    sentence = run.error.endswith(".") and len(run.error) < 1500 and not re.search(r"[\n\0]", run.error)
    if run.succeeded or (run.error_kind.startswith("unrender.") and sentence):
        return ""
    return f"{run.error_kind}: {run.error[:300]}"


def faults(comfyui: Server, calls: dict[str, Graph]) -> dict[str, str]:
    """All are queued before the first is waited for."""
    answers = {label: comfyui.post("/prompt", {"prompt": graph}) for label, graph in calls.items()}
    found = {}
    for label, answer in answers.items():
        run = comfyui.finished(answer["prompt_id"]) if "prompt_id" in answer else None
        found[label] = ended(run) if run else refused(answer)
    return {label: fault for label, fault in found.items() if fault}


@pytest.fixture(scope="module")
def setting(comfyui, photographs) -> Server:
    """What a good call of each node finds: a folder of pictures, a saved embedding."""
    folder = comfyui.base / "input" / "pictures"
    folder.mkdir()
    photographs[0].resize((64, 64), Image.Resampling.BOX).save(folder / "one.png")
    saved = {**GOOD, CALLED: node("UnrenderSavePromptEmbedding", embedding=["3", 1], name="malformed")}
    assert comfyui.run(saved).succeeded
    return comfyui


@pytest.mark.parametrize("name", WIDGETS)
def test_comfyui_or_a_sentence_refuses_what_is_no_call(setting, name):
    calls = Calls(name, setting.get(f"/object_info/{name}")[name])
    run = setting.run(calls.good())
    assert run.succeeded, run.error
    found = faults(setting, calls.bad())
    assert not found, "\n".join(f"{label}  ->  {fault}" for label, fault in found.items())
    assert setting.run(calls.good()).succeeded, "nothing is broken by them"
