"""What helps against an error, in the words of a graph: its nodes, their inputs, and ComfyUI's own settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..core.cures import CONTROLS, Control, Words

WITHOUT_INPUT: tuple[Control, ...] = (
    *("device", "memory", "limits", "trigger", "pool", "beam_width", "beam_shortlist", "beam_refresh", "min_phrases"),
    *("token_limit", "peer_defects", "captioning", "family", "learning_texts", "learning_strength", "learning_rank"),
    *("cut", "norm", "checkpoint", "dino", "steps", "guidance", "seed", "denoise", "size", "output", "place"),
    *("columns", "shard", "jobs", "workers", "index", "rivals", "candidates", "endpoint_key", "bank"),
    *("judge", "judge_by_rendering"),
)
"""What no node of this project sets: ComfyUI does, or its own nodes, or the command line."""

_LOADER = "in Load Interrogator"
_NAMES: dict[Control, str] = {
    **{name: f"{name} {_LOADER}" for name in ("clip", "captioner", "search", "precision", "instruction", "beams")},
    "phrases": f"vocabulary {_LOADER}",
    "max_length": f"caption length {_LOADER}",
    "cache": "unrender in extra_model_paths.yaml",
    "images": "image",
    "pinned": "pin",
    "most_tags": "most",
    "tag_order": "order",
    "writing_temperature": "temperature",
    "host": "escape",
}

WORDS = Words(
    controls={**{name: name.replace("_", " ") for name in CONTROLS}, **_NAMES},
    steps={
        "resume": "run the node again, which goes on with it",
        "copy the model": "put a copy into ComfyUI's models/unrender and choose it in Load Interrogator",
        "list models": "choose one that Load Interrogator lists",
        "describe a folder": "describe all of it with Caption Folder",
        "index the folder": "index the folder first, with the command line",
        "use the CPU": "start ComfyUI with --cpu",
    },
    give="give {what} as {control}",
    choose="choose {values} as {control}",
    leave_out="leave {control} empty",
    install="run `{command}` and restart ComfyUI",
)


def _in_the_node(describer: str, names: Mapping[Control, str] | None = None, place: str = "") -> Words:
    """The words of a node that has inputs of its own for what others have in Load Interrogator. describer: what the
    input is called that names one. place: where it is, if not there."""
    own: dict[Control, str] = {name: name.replace("_", " ") for name in ("instruction", "beams", "max_length", "style")}
    named: dict[Control, str] = dict.fromkeys(("captioner", "tagger"), f"{describer}{place}")
    return replace(
        WORDS,
        controls={**WORDS.controls, **own, **named, **(names or {})},
        steps={
            **WORDS.steps,
            "copy the model": f"put a copy into ComfyUI's models/unrender and choose it as {describer}",
            "list models": f"choose one that {describer} lists",
        },
    )


_SERVER = " in Describer From Server"
_OF_SERVERS: tuple[Control, ...] = ("longest_side", "timeout", "retries")

TAGGING = _in_the_node("tagger")
DESCRIBING = _in_the_node("model")
SERVING = _in_the_node("address")
BY_SERVER = _in_the_node("address", {name: f"{name.replace('_', ' ')}{_SERVER}" for name in _OF_SERVERS}, _SERVER)
"""Of Describe Picture, where it asks a server."""
