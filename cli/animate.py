"""`unrender animate`: a text walked from line to line, as moving pictures."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from ..core.embed.kinds import QUALITIES
from ..core.variation import MICRO
from . import embedding_options, engine_options, sampling_options
from .streams import quiet_libraries, tell_written
from .toys import tell_if_toy

_STEPS = 20
_EASES = ("smooth", "linear")
_EPILOG = """\
what is written
  a .png that moves (APNG, which browsers show), an .mp4 where ffmpeg is installed, or a folder of numbered frames
  until a film is there its frames are in a folder beside it, OUT.frames; what was stopped goes on with the same command

the text
  a prompt a line; a line that names a picture, such as sunset.png, is what a CLIP sees of it

examples
  %(prog)s poem.txt -o poem.mp4
  %(prog)s poem.txt -o poem.png --checkpoint dreamshaper.safetensors --frames 48 --fps 24
  %(prog)s poem.txt -o frames --no-lettering
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "animate",
        help="make a film of a text, line by line",
        usage="%(prog)s TEXT_FILE -o OUT [options]",
        description="Walks from line to line of a text and renders each step, with the line below it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, parser=parser, target=None, projection=None, anchor=None)
    parser.add_argument("script", type=Path, metavar="TEXT_FILE", help="prompts, and names of pictures, one a line")
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="OUT", help="a .png or .mp4 file, or a folder"
    )
    film = parser.add_argument_group("film")
    film.add_argument("--frames", type=int, default=24, metavar="N", help="from one line to the next (default: 24)")
    film.add_argument("--fps", type=float, default=12.0, metavar="N", help="frames shown a second (default: 12)")
    film.add_argument("--ease", choices=_EASES, default="smooth", help="how it moves between lines (default: smooth)")
    film.add_argument("--no-lettering", dest="lettered", action="store_false", help="no words below the pictures")
    sampling = parser.add_argument_group("sampling")
    sampling_options.add_to(sampling, _STEPS)
    sampling.add_argument("--negative", default="", metavar="TEXT", help="a prompt to lead away from")
    engine_options.add_clip_to(parser, targets=False)
    group = parser.add_argument_group("pictures among the lines")
    group.add_argument("--quality", choices=QUALITIES, help="how well they are embedded, as for embed")
    embedding_options.add_search_to(parser)


def run(options: argparse.Namespace) -> int:
    """Renders what is lacking of the film and writes it. Errors are raised."""
    quiet_libraries()

    from ..core.clip.naming import check_clip
    from ..core.moving.script import read_script
    from ..core.variation.naming import check_checkpoint

    lines = read_script(options.script)
    sampling = sampling_options.sampling(options, _STEPS)
    if options.clip is not None:
        check_clip(options.clip)
    check_checkpoint(options.checkpoint)

    from ..core.moving.animation import Animation, animate  # and with it torch
    from ..core.moving.film import Film

    asked = (options.frames, options.ease, options.negative, sampling, options.lettered, options.quality)
    animation, film = Animation(lines, *asked), Film(options.output, options.fps)
    film.check()
    film.frames.check(animation.asked(options.checkpoint))
    seen = any(line.picture for line in lines)
    _check(options, seen)

    from ..core.engine import Engine
    from ..core.hub import Hub
    from ..core.variation.checkpoint import Checkpoint
    from .progress import terminal_progress

    progress = terminal_progress()
    checkpoint = Checkpoint.load(options.checkpoint, options.device or "auto", Hub(options.cache), progress)
    options.clip = options.clip or checkpoint.family.clip
    settings = embedding_options.settings_from(options)
    if options.checkpoint == MICRO:
        tell_if_toy("animate", settings, option="checkpoint")
    settings = embedding_options.with_bank(settings, options)
    with Engine(settings, progress=progress) as engine:
        animate(engine, checkpoint, animation, film)
    tell_written(options.output, f"{len(animation.walk):,} frames of {len(lines):,} lines")
    return 0


def _check(options: argparse.Namespace, seen: bool) -> None:
    """What is known to be wrong before the checkpoint tells which CLIP it takes. seen: whether there are pictures."""
    from ..core.engine import Engine
    from ..core.index.bank import check_bank

    settings = embedding_options.settings_from(options)
    if options.checkpoint == MICRO and options.captioner is None:
        settings = replace(settings, captioner=MICRO)
    if seen and options.quality in (None, "best"):
        Engine(settings).check()
    if options.bank is not None:
        check_bank(options.bank, settings)
