"""`unrender embed`: pictures to a prompt embedding that a diffusion model takes in a prompt's place."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..core.errors import SettingsError
from . import engine_options
from .interrogate import expand
from .pictures import read_picture
from .streams import complain, quiet_libraries

_FAMILIES = ("sd15", "sd2", "sdxl", "micro")
_EPILOG = """\
projections
  pinv   the published closed form, at once; for sd15 and micro, and their default
  ridge  a map learned from text alone, fitted at its first use, which takes minutes; for all
         it works best with --gap-pictures: to a CLIP model pictures and texts lie in different places

what is written
  one safetensors file: states (77 x width) and for sdxl pooled, with what they were made from as metadata

examples
  %(prog)s photo.jpg -o photo.safetensors --for sd15
  %(prog)s a.jpg b.jpg -o both.safetensors --for sd15 --weights 2,1 --mix spherical
  %(prog)s photo.jpg -o winter.safetensors --for sd15 --text "in winter" --alpha 0.9
  %(prog)s photo.jpg -o photo.safetensors --for sdxl --gap-pictures holiday/*.jpg
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "embed",
        help="turn pictures into a prompt embedding",
        usage="%(prog)s IMAGE... -o FILE --for FAMILY [options]",
        description="Turns pictures into an embedding that a diffusion model takes in a prompt's place.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        conflict_handler="resolve",  # --for means more here than the choice of a CLIP
    )
    parser.set_defaults(run=run, parser=parser, target=None)
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="picture files; - reads one from standard input")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE", help="the file to write")
    engine_options.add_clip_to(parser)
    parser.add_argument(
        "--for", dest="family", required=True, choices=_FAMILIES, help="the family of models it is made for"
    )
    parser.add_argument("--projection", choices=("pinv", "ridge"), help="how (default: what suits the family)")
    parser.add_argument(
        "--gap-pictures",
        nargs="+",
        default=[],
        metavar="IMAGE",
        help="about 40 varied pictures that show where this CLIP's pictures lie, for ridge",
    )
    parser.add_argument("--prompts", type=int, metavar="N", help="how many prompts ridge learns from (default: 4000)")
    mixing = parser.add_argument_group("mixing")
    mixing.add_argument(
        "--mix", choices=("mean", "spherical", "share"), default="mean", help="several pictures (default: mean)"
    )
    mixing.add_argument(
        "--weights", type=engine_options.numbers, metavar="N,N,...", help="how much each picture counts"
    )
    mixing.add_argument("--text", default="", help="a prompt that changes the picture")
    mixing.add_argument(
        "--alpha", type=float, default=0.6, metavar="N", help="how much of it, with pinv (default: 0.6, published)"
    )
    mixing.add_argument(
        "--strength",
        type=float,
        default=1.0,
        metavar="N",
        help="0 is the text alone, or an empty prompt, 1 the picture (default: 1)",
    )


def run(options: argparse.Namespace) -> int:
    """Embeds all pictures as one. Errors are raised."""
    quiet_libraries()

    from ..core.embed.embedder import Blend, checked_choice
    from ..core.embed.families import family_named
    from ..core.embed.ridge import Fit
    from ..core.engine import Engine
    from .progress import terminal_progress

    family = family_named(options.family)
    options.clip = options.clip or family.clip
    settings = engine_options.clip_settings_from(options)
    blend = Blend(options.weights, options.mix, options.text, options.alpha, options.strength)
    projection = checked_choice(family, options.projection)
    pictures = [read_picture(name) for name in expand(options.images)]
    if projection != "ridge" and (options.gap_pictures or options.prompts is not None):
        raise SettingsError("--gap-pictures and --prompts are for --projection ridge; give that too.")
    fit = None if options.prompts is None else Fit(options.prompts)
    varied = [read_picture(name) for name in expand(options.gap_pictures)]
    progress = terminal_progress(quiet=not sys.stderr.isatty())
    with Engine(settings, progress=progress) as engine:
        gap = engine.measure_gap(varied) if varied else None
        made = engine.embed(pictures, options.family, projection, blend, gap, fit)
    made.save(options.output)
    if projection == "ridge" and not made.gap_corrected:
        complain("pictures were taken as if they were texts; --gap-pictures corrects that.")
    return 0
