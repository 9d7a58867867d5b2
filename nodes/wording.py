"""What helps against an error, in the words of a graph: its nodes, their inputs, and ComfyUI's own settings."""

from __future__ import annotations

from ..core.cures import CONTROLS, Control, Words

WITHOUT_INPUT: tuple[Control, ...] = (
    *("device", "memory", "limits", "trigger", "pool", "beam_width", "beam_shortlist", "beam_refresh", "min_phrases"),
    *("token_limit", "peer_defects", "captioning", "family", "learning_texts", "learning_strength", "learning_rank"),
    *("cut", "norm", "checkpoint", "dino", "steps", "guidance", "seed", "denoise", "size", "output", "place"),
    *("columns", "shard", "jobs", "workers", "index", "rivals", "candidates", "endpoint_key"),
)
"""What no node of this project sets: ComfyUI does, or its own nodes, or the command line."""

_LOADER = "in Load Interrogator"
_NAMES: dict[Control, str] = {
    **{name: f"{name} {_LOADER}" for name in ("clip", "captioner", "search", "precision", "instruction", "beams")},
    "phrases": f"vocabulary {_LOADER}",
    "max_length": f"caption length {_LOADER}",
    "cache": "unrender in extra_model_paths.yaml",
    "images": "image",
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
