"""What helps against an error, in the words of the command line: its options and commands."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace

from ..core.cures import CONTROLS, Control, Step, Words


def command_name() -> str:
    """What the user typed to get here, for help and examples: run.py sets it."""
    return os.environ.get("UNRENDER_COMMAND", "unrender")


WITHOUT_OPTION: tuple[Control, ...] = (
    *("beam_width", "beam_shortlist", "beam_refresh", "peer_defects", "captioning", "learning_strength"),
    *("learning_rank", "cut", "norm", "correction", "temperature", "endpoint_key"),
)
"""What only Python can set."""

_KEY = "UNRENDER_ENDPOINT_KEY"
"""Where the key for a server is, which no option holds: others see a command line."""

_NAMES: dict[Control, str] = {
    "rivals": "--rival",
    "writing_temperature": "--temperature",
    "endpoint_key": _KEY,
    "limits": "--max",
    "pinned": "--pin",
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
        "list models": f"see what `{command_name()} models --all` lists",
        "describe a folder": f"describe all of it with `{command_name()} batch FOLDER`",
        "index the folder": f"make one with `{command_name()} index FOLDER`",
        "use the CPU": "give --device cpu",
    },
    give="give {what} with {control}",
    choose="give {control} {values}",
    leave_out="leave out {control}",
    install="run `{command}`",
)


_STEPS_BY_OPTION: dict[Step, str] = {"resume": "--resume", "use the CPU": "--device"}


def words_for(parser: argparse.ArgumentParser) -> Words:
    """Without the advice that takes options of other commands."""
    known = {option for action in parser._actions for option in (*action.option_strings, str(action.metavar))}

    if "--captioner" in known and "--timeout" in known:
        known.add(_KEY)

    def is_absent(name: str) -> bool:
        return known.isdisjoint(name.split(" or "))

    controls = {control for control, name in WORDS.controls.items() if is_absent(name)}
    steps = {step for step, option in _STEPS_BY_OPTION.items() if is_absent(option)}
    return replace(WORDS, absent=frozenset((*controls, *steps)))
