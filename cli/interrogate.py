"""`unrender interrogate`: pictures in, prompts out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ..core.errors import ImageError, UnrenderError
from ..core.settings import MODES, Settings
from . import engine_options, interruption, rendering_options
from .output import HOSTS, host_for, printer
from .pictures import STANDARD_INPUT, expand
from .streams import complain, quiet_libraries
from .toys import tell_if_toy

_EPILOG = """\
what is printed
  on a terminal: for each picture its name, prompt and similarity
  piped, one picture: the prompt alone on a line
  piped, several pictures: PATH, a tab and the prompt, a line each
  --json: an object a line with image, mode, prompt, similarity, caption, phrases, tags, contenders, model, seconds,
  file
  --judge-by-rendering: rendered too, each prompt with its search and likeness, and judge and checkpoint
  where the file itself holds the prompt it was made with, a terminal shows that too, marked, and file has it

exit status
  0, or 1 when a picture failed: one line on standard error says which and why, the others are done
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "interrogate",
        help="turn pictures into prompts",
        usage="%(prog)s IMAGE... [options]",
        description="Turns pictures into prompts.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, parser=parser)
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="a picture file; - reads one from standard input")
    parser.add_argument(
        "--mode",
        choices=MODES,
        help="best searches, fast and classic rank, negative is for the negative prompt, caption and tags describe "
        "(default: what suits --for, else best)",
    )
    parser.add_argument("--caption", metavar="TEXT", help="your own caption, in the captioner's place")
    parser.add_argument("--together", action="store_true", help="one prompt for what the pictures share")
    parser.add_argument(
        "--weights",
        type=engine_options.numbers,
        metavar="X,Y",
        help="how much each picture counts with --together, such as 2,1,1",
    )
    engine_options.add_to(parser)
    rendering_options.add_to(parser)
    output = parser.add_argument_group("output")
    output.add_argument("--json", action="store_true", help="one JSON object per picture, and no progress bars")
    output.add_argument(
        "--escape",
        choices=HOSTS,
        default="plain",
        help="escape what the host's prompt syntax takes for weights and the like (default: plain)",
    )
    output.add_argument("--debug", action="store_true", help="let an unexpected failure show where it happened")


def run(options: argparse.Namespace) -> int:
    """Interrogates every picture. Returns 1 when any failed. Errors that concern all pictures are raised."""
    quiet_libraries()
    settings, options.mode = engine_options.settings_and_mode_from(options)
    images = expand(options.images)
    settings = engine_options.with_bank(settings, options, quiet=options.json)
    chooser = rendering_options.chooser_from(options, settings)
    if options.together:
        return _run_together(images, settings, options)
    engine_options.refuse_weights(options)
    show = printer(options.json, host_for(options.escape, options.target), several=len(images) > 1)

    from ..core.engine import Engine
    from ..core.images import open_image
    from ..core.metadata import prompt_in_file
    from .progress import terminal_progress

    progress = terminal_progress(quiet=options.json)
    failures, told = 0, False
    with Engine(settings, progress=progress) as engine:
        for name in images:
            try:
                source = sys.stdin.buffer.read() if name == STANDARD_INPUT else name
                image = open_image(source, name="standard input" if name == STANDARD_INPUT else name)
                if not told:
                    tell_if_toy("interrogate", settings, image, mode=options.mode)
                    told = True
                with progress.task(f"Interrogating {name}"):  # libraries and models are loaded in the first one
                    if chooser is None:
                        result = engine.interrogate(image, mode=options.mode, caption=options.caption)
                    else:
                        result = chooser.choose(engine, image, options.caption)
            except ImageError as error:
                complain(error)
                failures += 1
            except UnrenderError:
                raise
            except Exception as error:  # one picture must not end the others
                if options.debug or interruption.is_behind(error):
                    raise
                complain(f"{name}: unexpected {type(error).__name__}: {error} (--debug shows where).")
                failures += 1
            else:
                show(name, result, prompt_in_file(source))
    return 1 if failures else 0


def _run_together(names: Sequence[str], settings: Settings, options: argparse.Namespace) -> int:
    from ..core.engine import Engine
    from .pictures import read_picture
    from .progress import terminal_progress

    pictures = [read_picture(name) for name in names]
    tell_if_toy("interrogate", settings, *pictures, mode=options.mode)
    progress = terminal_progress(quiet=options.json)
    with Engine(settings, progress=progress) as engine, progress.task(f"Interrogating {len(names)} pictures"):
        result = engine.interrogate_together(pictures, options.mode, options.caption, options.weights)
    printer(options.json, host_for(options.escape, options.target), several=False)(" + ".join(names), result, None)
    return 0
