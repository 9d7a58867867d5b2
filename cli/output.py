"""How a prompt is printed: as a block on a terminal, as a line in a pipe, as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.results import Interrogation

HOSTS = ("plain", "comfyui", "webui")

Printer = Callable[[str, "Interrogation"], None]


def printer(as_json: bool, host: str, several: bool) -> Printer:
    """What prints one picture's result, given its name. `host` names the prompt syntax to escape for."""
    from ..core.prompt_syntax import escape

    def print_json(name: str, result: Interrogation) -> None:
        values = {"image": name, **result.to_dict()}
        if host != "plain":
            values["escaped"] = escape(result.prompt, host)
        _write_line(json.dumps(values))

    def print_line(name: str, result: Interrogation) -> None:
        prompt = " ".join(escape(result.prompt, host).split())
        _write_line(f"{name}\t{prompt}" if several else prompt)

    def print_block(name: str, result: Interrogation) -> None:
        from rich.console import Console

        console = Console(highlight=False)
        console.print(name, style="bold", markup=False, soft_wrap=True)
        # Left to the terminal to wrap, so that it is copied without line breaks.
        console.print(escape(result.prompt, host), markup=False, soft_wrap=True)
        facts = f"similarity {result.similarity:.3f} · {result.mode} · {result.model} · {result.seconds:.1f} s\n"
        console.print(facts, style="dim", markup=False, soft_wrap=True)

    if as_json:
        return print_json
    return print_block if sys.stdout.isatty() else print_line


def _write_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
