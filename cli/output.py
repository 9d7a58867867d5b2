"""How a prompt is printed: as a block on a terminal, as a line in a pipe, as JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..core.printable import visible
from ..core.results import Interrogation
from ..core.targets import TARGETS
from .streams import write_json, write_line

if TYPE_CHECKING:
    from ..core.metadata import FileMetadata
    from ..core.verify.choosing import Choice

HOSTS = ("plain", "comfyui", "webui")

Printer = Callable[[str, "Interrogation | Choice", "FileMetadata | None"], None]
"""Given the picture's name, what was found or chosen, and what its file says it was made with."""


def host_for(host: str, target: str | None) -> str:
    """The syntax to escape for: ComfyUI has none for families whose brackets it takes as they are."""
    return "plain" if host == "comfyui" and target is not None and not TARGETS[target].weighted else host


def printer(as_json: bool, host: str, several: bool) -> Printer:
    """What prints one picture's result. `host` names the prompt syntax to escape for."""
    from ..core.prompt_syntax import escape

    def print_json(name: str, result: Interrogation | Choice, file: FileMetadata | None) -> None:
        values = {"image": name, **result.to_dict(), "file": None if file is None else file.to_dict()}
        if host != "plain":
            values["escaped"] = escape(values["prompt"], host)
        write_json(values)

    def print_line(name: str, result: Interrogation | Choice, file: FileMetadata | None) -> None:
        prompt = " ".join(escape(_found(result).prompt, host).split())
        write_line(f"{visible(name)}\t{prompt}" if several else prompt)

    def print_block(name: str, result: Interrogation | Choice, file: FileMetadata | None) -> None:
        from rich.console import Console

        found = _found(result)
        console = Console(highlight=False)
        console.print(visible(name), style="bold", markup=False, soft_wrap=True)
        # Left to the terminal to wrap, so that it is copied without line breaks.
        console.print(visible(escape(found.prompt, host), "\n"), markup=False, soft_wrap=True)
        console.print(visible(f"{_facts(found)}\n", "\n"), style="dim", markup=False, soft_wrap=True)
        for line in [*_beside(found), *_rendered(result)]:
            console.print(visible(line, "\n"), style="dim", markup=False, soft_wrap=True)
        for label, text in () if file is None else _own_words(file):
            console.print(f"{label}: ", style="dim", markup=False, end="")
            console.print(visible(text, "\n"), markup=False, soft_wrap=True)

    if as_json:
        return print_json
    return print_block if sys.stdout.isatty() else print_line


def _found(result: Interrogation | Choice) -> Interrogation:
    return result if isinstance(result, Interrogation) else result.found


def _rendered(result: Interrogation | Choice) -> list[str]:
    """Every prompt that was rendered, with a line of space after."""
    if isinstance(result, Interrogation):
        return []
    rows = [f"{each.likeness:8.3f}  {each.way}  {each.prompt}" for each in result.rendered]
    head = f"prompts rendered by {result.checkpoint}, by their likeness to {result.judge}:"
    return ["\n".join([head, *rows, ""])]


def _facts(result: Interrogation) -> str:
    judged = [] if result.similarity is None else [f"similarity {result.similarity:.3f}"]
    return " · ".join([*judged, result.mode, result.model, f"{result.seconds:.1f} s"])


def _beside(result: Interrogation) -> list[str]:
    """The tags with their confidences, and the captions among which one was chosen, each with a line of space after."""
    lines = []
    if result.tags:
        surest = sorted(result.tags, key=lambda tag: -tag.confidence)
        ratings = [tag for tag in surest if tag.category == "rating"]
        told = [f"{tag.name} {tag.confidence:.2f}" for tag in surest if tag.category != "rating"]
        said = [f"tags: {', '.join(told)}", *(f"rating: {tag.name} {tag.confidence:.2f}" for tag in ratings[:1])]
        lines.append("\n".join([*said, ""]))
    if result.contenders:
        rows = [f"{each.similarity:8.3f}  {each.describer} {each.seed}  {each.text}" for each in result.contenders]
        lines.append("\n".join(["captions, by similarity, describer and seed:", *rows, ""]))
    return lines


def _own_words(file: FileMetadata) -> list[tuple[str, str]]:
    """What the file says, marked as such, and a line of space after it."""
    made = f" (made with {file.generator})" if file.generator else ""
    facts = ", ".join(f"{name} {text}" for name, text in (("seed", file.seed), ("model", file.model)) if text)
    notes = [("note", note) for note in file.notes]
    said = [
        (f"the file's own prompt{made}", file.prompt),
        ("the file's own negative prompt", file.negative_prompt),
        ("the file also says", facts),
        *notes,
    ]
    lines = [(label, " ".join(text.split())) for label, text in said if text]
    return [*lines[:-1], (lines[-1][0], f"{lines[-1][1]}\n")] if lines else []
