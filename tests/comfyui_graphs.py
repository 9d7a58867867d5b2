"""Graphs in ComfyUI's API format, and the defaults of the nodes' inputs."""

from __future__ import annotations

from typing import Any

Graph = dict[str, dict[str, Any]]

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
}
CAPTIONING = {"captioner": "micro", "instruction": "", "caption_length": 32, "beams": 1}
SEARCHING = {"vocabulary": "built-in", "search": "peer", "fit": "crop"}
MICRO = {"clip": "micro", "precision": "auto", **CAPTIONING, **SEARCHING}

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
