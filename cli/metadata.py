"""`unrender metadata`: what a picture's file says of itself."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ..core.errors import ImageError
from ..core.printable import visible
from .pictures import STANDARD_INPUT, expand
from .streams import complain, quiet_libraries, write_json, write_line

if TYPE_CHECKING:
    from ..core.metadata import FileMetadata

_EPILOG = """\
what is read
  the generation data of the AUTOMATIC1111 and Forge webuis and what grew out of them, ComfyUI, InvokeAI, NovelAI,
  SwarmUI, Fooocus, Easy Diffusion and Draw Things, wherever in the file it stands, hidden in the pixels of a PNG too;
  EXIF, XMP, comments, PNG text

It is what the file says of itself, as whoever wrote it left it: nothing of it is checked. What is not known is said in
a note, such as a text that a node of ComfyUI computed when it ran, and then the texts are shown as they stand.

exit status
  0, or 1 when a file could not be read: one line on standard error says which and why, the others are done
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "metadata",
        help="show the prompt that a picture's file itself holds",
        usage="%(prog)s IMAGE... [options]",
        description="Shows what pictures' files say of themselves: prompt, seed, model, and other texts.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, parser=parser)
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="a picture file; - reads one from standard input")
    parser.add_argument("--json", action="store_true", help="one JSON object per picture")


def run(options: argparse.Namespace) -> int:
    """Shows every file. Returns 1 when any could not be read."""
    quiet_libraries()
    from ..core.metadata import read_metadata

    failures = 0
    for name in expand(options.images):
        piped = name == STANDARD_INPUT
        try:
            metadata = read_metadata(
                sys.stdin.buffer.read() if piped else name, name="standard input" if piped else name
            )
        except ImageError as error:
            complain(error)
            failures += 1
            continue
        if options.json:
            write_json({"image": name, **metadata.to_dict()})
        else:
            write_line(f"{visible(name)}\n{_described(metadata)}", kept="\n\t")
    return 1 if failures else 0


def _described(metadata: FileMetadata) -> str:
    """Lines of a name and a text; further lines of the text are indented."""
    named = [
        ("made with", metadata.generator),
        ("prompt", metadata.prompt),
        ("negative prompt", metadata.negative_prompt),
        ("seed", metadata.seed),
        ("model", metadata.model),
        *metadata.settings,
        *(("note", note) for note in metadata.notes),
        *metadata.texts,
    ]
    lines = [f"  {name}: {_indented(text)}" for name, text in named if text]
    return "\n".join(lines or ["  the file says nothing of how it was made"]) + "\n"


def _indented(text: str) -> str:
    return text.replace("\n", "\n    ")
