"""Graphs in ComfyUI's API format, and the defaults of the nodes' inputs."""

from __future__ import annotations

import json
from typing import Any

from comfyui_server import ROOT

Graph = dict[str, dict[str, Any]]

NAMES = ("astronaut.png", "coffee.png", "cat.png")
FEW_PHRASES = {
    "artists": "Ada Lovelace\nMary Cassatt\n",
    "flavors": "soft light (indoors)\nwide angle\ngrainy\n",
    "mediums": "a photograph\nan oil painting\n",
    "movements": "impressionism\n",
    "sites": "flickr\n",
}

INTERROGATE = {
    "mode": "best",
    "max_phrases": 32,
    "artists": True,
    "mediums": True,
    "movements": True,
    "sites": True,
    "flavors": True,
    "exclude": "",
    "prefix": "",
    "suffix": "",
    "escape": True,
    "pin": "",
}
CAPTIONING = {"captioner": "micro", "instruction": "", "caption_length": 0, "beams": 1, "tagger": "none"}
SEARCHING = {"vocabulary": "built-in", "search": "peer", "fit": "crop"}
MICRO = {"clip": "micro", "precision": "auto", **CAPTIONING, **SEARCHING}

TAG = {
    "tagger": "micro-tagger",
    "thresholds": "published",
    "general_threshold": 0.35,
    "character_threshold": 0.85,
    "exclude": "",
    "trigger": "",
    "order": "confidence",
    "rating": False,
    "escape": True,
    "most": 200,
    "underscores": False,
    "implied": False,
}
DESCRIBE = {
    "model": "micro-chat",
    "style": "sentence",
    "instruction": "",
    "max_length": 0,
    "temperature": 0.0,
    "seed": 0,
    "trim": True,
    "escape": True,
    "system": "",
    "top_p": 1.0,
    "repetition": 1.0,
    "beams": 1,
    "quantization": "none",
}
SERVER = {"longest_side": 1024, "keep_alive": "", "thinking": False, "timeout": 120.0, "retries": 2}

EMBED = {
    "projection": "usual",
    "strength": 1.0,
    "text": "",
    "alpha": 0.6,
    "mix": "mean",
    "weights": "",
    "fit": "crop",
    "correction": 0.25,
    "temperature": 0.05,
    "quality": "quick",
    "tokens": -1,
}


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    """Inputs are values, or links: a list of a node's number and its output's."""
    return {"class_type": kind, "inputs": inputs}


def picture(name: str) -> dict[str, Any]:
    return node("LoadImage", image=name)


def micro(**settings: Any) -> dict[str, Any]:
    return node("UnrenderLoadInterrogator", **{**MICRO, **settings})


def interrogate(image: Any, interrogator: Any, **settings: Any) -> dict[str, Any]:
    links = {"image": image} if interrogator is None else {"image": image, "interrogator": interrogator}
    return node("UnrenderInterrogate", **links, **{**INTERROGATE, **settings})


def one_picture(name: str, **settings: Any) -> Graph:
    """Node 3 interrogates the picture with micro."""
    return {"1": picture(name), "2": micro(), "3": interrogate(["1", 0], ["2", 0], **settings)}


def in_the_graph(width: int, **settings) -> dict:
    """Node 4 interrogates with the checkpoint's CLIP-L and a small vision model of that width."""
    options = {**CAPTIONING, **SEARCHING, "captioner": "none", "vocabulary": "phrases/few"}
    return {
        "1": picture("coffee.png"),
        "2": node("CheckpointLoaderSimple", ckpt_name="random.safetensors"),
        "3": node("ProbeSmallVision", width=width),
        "5": node("UnrenderInterrogatorFromClip", clip=["2", 1], clip_vision=["3", 0], **options),
        "4": interrogate(["1", 0], ["5", 0], **settings),
    }


def embedding(clip: list, **settings) -> dict:
    """Node 3 embeds the picture for a CLIP, seen by a small vision model of CLIP-L's width."""
    return {
        "1": picture("coffee.png"),
        "2": node("CheckpointLoaderSimple", ckpt_name="random.safetensors"),
        "101": node("ProbeSmallVision", width=768),
        "3": node("UnrenderImageToPromptEmbedding", image=["1", 0], clip=clip, **{**EMBED, **settings}),
    }


def shipped(name: str) -> dict:
    """A shipped workflow with the test's models and a small picture in place of those a user has."""
    graph = json.loads((ROOT / "workflows" / "api" / f"{name}.json").read_text(encoding="utf-8"))
    replaced = {
        "LoadImage": {"image": "coffee.png"},
        "CheckpointLoaderSimple": {"ckpt_name": "random.safetensors"},
        "EmptyLatentImage": {"width": 64, "height": 64},
        "KSampler": {"steps": 2},
        "UnrenderInterrogate": {"interrogator": ["100", 0]},
        "UnrenderAnalyze": {"interrogator": ["100", 0]},
        "UnrenderSeveralPrompts": {"interrogator": ["100", 0]},
        "UnrenderNearestRendering": {"judge": ["100", 0]},
        "UnrenderTagPicture": {"tagger": "micro-tagger"},
        "UnrenderDescribePicture": {"model": "micro-chat"},
        "UnrenderImageToPromptEmbedding": {"clip_vision": ["101", 0]},
    }
    for step in graph.values():
        step["inputs"] |= replaced.get(step["class_type"], {})
    return {**graph, "100": micro(), "101": node("ProbeSmallVision", width=768)}


BLUEPRINTS = sorted((ROOT / "subgraphs").glob("*.json"))


def blueprint(name: str) -> dict[str, Any]:
    """The subgraph that a blueprint holds."""
    whole = json.loads((ROOT / "subgraphs" / f"{name}.json").read_text(encoding="utf-8"))
    return whole["definitions"]["subgraphs"][0]


def unfolded(inside: dict[str, Any], **given: Any) -> Graph:
    """The nodes of a subgraph as they would be run. given: a link for each of its inputs that has no widget."""
    sources = {link["id"]: [str(link["origin_id"]), link["origin_slot"]] for link in inside["links"]}
    for number, slot in enumerate(inside["inputs"]):
        for link in slot["linkIds"]:
            assert sources[link] == ["-10", number]
            sources[link] = given.get(slot["name"], [])
    return {str(drawn["id"]): node(drawn["type"], **_inputs(drawn, sources)) for drawn in inside["nodes"]}


def unmuted(name: str) -> Graph:
    """The muted nodes of a shipped workflow as they would be run."""
    page = json.loads((ROOT / "workflows" / f"{name}.json").read_text(encoding="utf-8"))
    sources = {link[0]: [str(link[1]), link[2]] for link in page["links"]}
    return {
        str(drawn["id"]): node(drawn["type"], **_inputs(drawn, sources)) for drawn in page["nodes"] if drawn["mode"]
    }


def graphs_links(graph: Graph) -> set[tuple[str, int, str, str]]:
    """A source's number and output, and what it is connected to."""
    return {
        (value[0], value[1], number, name)
        for number, step in graph.items()
        for name, value in step["inputs"].items()
        if isinstance(value, list)
    }


def known_inputs(info: dict[str, Any]) -> dict[str, str]:
    """The names and types of a node's inputs by ComfyUI's own account, those of the chosen row of a dynamic list left
    out."""
    inputs = {**info["input"].get("required", {}), **info["input"].get("optional", {})}
    return {name: "COMBO" if isinstance(kind, list) else kind for name, (kind, *_) in inputs.items()}


def _inputs(drawn: dict[str, Any], sources: dict[int, list[Any]]) -> dict[str, Any]:
    widgets = [value for value in drawn["widgets_values"] if value != "fixed"]  # which the page alone knows
    names = [each["name"] for each in drawn["inputs"] if "widget" in each]
    links = {each["name"]: sources[each["link"]] for each in drawn["inputs"] if each["link"] is not None}
    links = {name: source for name, source in links.items() if source}
    return {**dict(zip(names, widgets, strict=True)), **links}
