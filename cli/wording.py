"""What helps against an error, in the words of the command line: its options and commands."""

from __future__ import annotations

from ..core.cures import CONTROLS, Control, Words

WITHOUT_OPTION: tuple[Control, ...] = (
    *("beam_width", "beam_shortlist", "beam_refresh", "peer_defects", "captioning", "learning_strength"),
    *("learning_rank", "cut", "norm", "correction", "temperature"),
)
"""What only Python can set."""

_NAMES: dict[Control, str] = {
    "limits": "--max",
    "cache": "--cache or UNRENDER_CACHE",
    "max_length": "--caption-length",
    "images": "IMAGE",
    "host": "--escape",
    "family": "--for",
    "learning_texts": "--prompts",
    "place": "-o",
    "workers": "--engine",
    "index": "-o",
}

WORDS = Words(
    controls={
        **{name: f"--{name.replace('_', '-')}" for name in CONTROLS},
        **{name: name.replace("_", " ") for name in WITHOUT_OPTION},
        **_NAMES,
    },
    steps={
        "resume": "go on with --resume",
        "copy the model": "name a folder or file that holds a copy",
        "list models": "see what `unrender models --all` lists",
        "index the folder": "make one with `unrender index FOLDER`",
        "use the CPU": "give --device cpu",
    },
    give="give {what} with {control}",
    choose="give {control} {values}",
    leave_out="leave out {control}",
    install="run `{command}`",
)
