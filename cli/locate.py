"""`unrender locate`: where in a picture a phrase finds its support."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import SettingsError
from . import engine_options
from .pictures import STANDARD_INPUT
from .streams import complain, quiet_libraries, tell_written, write_json, write_line
from .toys import tell_if_toy

if TYPE_CHECKING:
    from PIL import Image

    from ..core.study.explain import Location
    from ..core.study.pieces import Found

_EPILOG = """\
what is printed
  a line for each box: PHRASE, a tab, LEFT TOP RIGHT BOTTOM in pixels, a tab and its score, the best box first;
  the score is by how much the box's best part is more similar to the phrase than to general words, in cosine
  nothing but a line on standard error for a phrase that no part of the picture speaks for
  --json: an object a line with image, phrase, width, height, boxes, map, model

With --pieces each overlapping crop of the picture is looked at as a picture of its own, and the boxes are the crops
that are most like the phrase: for contact sheets, crowds, and pictures of many megapixels. It takes a look of the model
for each crop, (2 N - 1) squared of them in a square picture. --json has their number in the place of the map.

Phrases that name a thing work best: "a red circle" rather than "red". The boxes are coarse, a patch of the model
wide at least, and things of one kind that touch share one.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "locate",
        help="show where in a picture a phrase is",
        usage="%(prog)s IMAGE PHRASE... [options]",
        description="Shows where in a picture phrases find their support: coarse boxes, and heat maps with --plot.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, parser=parser)
    parser.add_argument("image", metavar="IMAGE", help="a picture file; - reads one from standard input")
    parser.add_argument("phrases", nargs="+", metavar="PHRASE", help='what to look for, such as "a red circle"')
    parser.add_argument(
        "--pieces",
        type=_counts,
        metavar="N,N,...",
        help="look at overlapping crops of a crowded or large picture, so many along its shorter side, such as 8 or "
        "2,4,8",
    )
    engine_options.add_clip_to(parser)
    output = parser.add_argument_group("output")
    output.add_argument(
        "--plot",
        metavar="FILE",
        type=Path,
        help="a picture of the heat maps, or of the boxes of --pieces, such as out.png",
    )
    output.add_argument("--dark", action="store_true", help="light letters on a dark ground in that picture")
    output.add_argument("--json", action="store_true", help="one JSON object per phrase, and no progress bars")


def run(options: argparse.Namespace) -> int:
    """Locates every phrase. Errors are raised, SettingsError where the plot cannot be written."""
    quiet_libraries()
    settings = engine_options.clip_settings_from(options)

    from ..core.engine import Engine
    from ..core.images import open_image
    from ..core.places import check_picture
    from ..core.study.explain import check_phrases
    from ..core.study.pieces import check_pieces
    from .progress import terminal_progress

    check_phrases(options.phrases)
    if options.pieces is not None:
        check_pieces(options.pieces)
    if options.plot is not None:
        check_picture(options.plot, [options.image])
    piped = options.image == STANDARD_INPUT
    image = open_image(
        sys.stdin.buffer.read() if piped else options.image, name="standard input" if piped else options.image
    )
    tell_if_toy("locate", settings, image)
    progress = terminal_progress(quiet=options.json)
    found: Sequence[Location | Found]
    with Engine(settings, progress=progress) as engine, progress.task(f"Looking at {options.image}"):
        if options.pieces is None:
            found = [engine.locate(image, phrase) for phrase in options.phrases]
        else:
            found = engine.find(image, options.phrases, options.pieces)
    for location in found:
        _show(options.image, location, options.json)
    if options.plot is not None:
        _plot(image, found, options.plot, options.dark)
    return 0


def _counts(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of whole numbers, such as 2,4,8") from None


def _show(name: str, location: Location | Found, as_json: bool) -> None:
    if as_json:
        write_json({"image": name, **location.to_dict()})
        return
    for box in location.boxes:
        edges = f"{box.left} {box.top} {box.right} {box.bottom}"
        write_line(f"{' '.join(location.phrase.split())}\t{edges}\t{box.score:.3f}")
    if not location.boxes:
        complain(f"no part of {name} speaks for {location.phrase!r}.")


def _plot(image: Image.Image, found: Sequence[Location | Found], path: Path, dark: bool) -> None:
    from ..core.drawing.overlay import draw_boxed, draw_strip
    from ..core.files import save_picture
    from ..core.study.explain import Location

    maps = [each.heat for each in found if isinstance(each, Location)]
    if maps:
        drawn = draw_strip(image, maps, dark=dark)
    else:
        drawn = draw_boxed(image, [(each.phrase, each.boxes) for each in found], dark=dark)
    try:
        save_picture(drawn, path)
        tell_written(path)
    except (OSError, ValueError) as error:
        raise SettingsError(f"--plot cannot be written to {path} ({error})", "give a path such as out.png") from error
