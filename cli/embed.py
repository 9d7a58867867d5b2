"""`unrender embed`: pictures to a prompt embedding that a diffusion model takes in a prompt's place."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.embed.families import FAMILIES, OFFERED
from ..core.embed.kinds import MIXES, PROJECTIONS, SUMMARIES
from ..core.errors import SettingsError
from ..core.printable import visible
from . import engine_options
from .pictures import expand, is_picture_file, read_picture
from .streams import complain, quiet_libraries, tell_written, write_line

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..core.embed import PromptEmbedding

_ENDING = ".safetensors"
_EPILOG = """\
projections
{projections}
  All but pinv learn from text at their first use, which takes minutes, and work best with --gap-pictures: to a CLIP
  model pictures and texts lie in different places.

what is written
  one safetensors file: states (77 x width) and for sdxl pooled, with what they were made from as metadata

examples
  %(prog)s photo.jpg -o photo.safetensors --for sd15
  %(prog)s a.jpg b.jpg -o both.safetensors --for sd15 --weights 2,1 --mix spherical
  %(prog)s photo.jpg -o winter.safetensors --for sd15 --text "in winter" --alpha 0.9
  %(prog)s photo.jpg -o blue.safetensors --for sd15 --projection anchored --anchor "a red boat" --text "a blue boat"
  %(prog)s photo.jpg -o empty.safetensors --for sd15 --minus "a crowd" --mask square.png
  %(prog)s photo.jpg -o photo.safetensors --for sdxl --gap-pictures holiday/*.jpg
  %(prog)s a.safetensors b.safetensors -o both.safetensors     mixes what is embedded already, without a model
  %(prog)s --list *.safetensors                                says what files hold
  An embedding does as well in the place of the negative prompt: embed what is to be avoided.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "embed",
        help="turn pictures into a prompt embedding",
        usage="%(prog)s IMAGE... -o FILE --for FAMILY [options]\n       %(prog)s --list FILE...",
        description="Turns pictures into an embedding that a diffusion model takes in a prompt's place.",
        epilog=_EPILOG.format(projections=_projections()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        conflict_handler="resolve",  # --for means more here than the choice of a CLIP
    )
    parser.set_defaults(run=run, parser=parser, target=None)
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="picture files (- reads one from standard input), or embeddings"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the file to write")
    parser.add_argument("--list", action="store_true", help="say what embedding files hold, and write nothing")
    engine_options.add_clip_to(parser)
    parser.add_argument("--for", dest="family", choices=OFFERED, help="the family of models it is made for")
    parser.add_argument("--projection", choices=PROJECTIONS, help="how (default: what suits the family)")
    parser.add_argument(
        "--gap-pictures",
        nargs="+",
        default=[],
        metavar="IMAGE",
        help="about 40 varied pictures that show where this CLIP's pictures lie",
    )
    parser.add_argument("--prompts", type=int, metavar="N", help="how many texts to learn from (default: 4000)")
    mixing = parser.add_argument_group("mixing")
    mixing.add_argument("--mix", choices=MIXES, default=MIXES[0], help="several pictures (default: mean)")
    mixing.add_argument(
        "--weights", type=engine_options.numbers, metavar="N,N,...", help="how much each picture counts"
    )
    mixing.add_argument("--text", default="", help="a prompt that changes the picture")
    mixing.add_argument("--anchor", metavar="TEXT", help="the prompt that describes the picture, with anchored")
    mixing.add_argument("--minus", metavar="WHAT", help="a picture file, or a text, to be taken out of the picture")
    mixing.add_argument("--mask", metavar="IMAGE", help="white where the picture counts")
    mixing.add_argument(
        "--crop", type=engine_options.numbers, metavar="X,Y,W,H", help="left, top, width, height in pixels"
    )
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


def _projections() -> str:
    """A line for each, and whom it serves."""
    lines = []
    for projection in PROJECTIONS:
        served = [name for name in OFFERED if FAMILIES[name].is_served_by(projection)]
        whom = "all" if len(served) == len(OFFERED) else f"{', '.join(served[:-1])} and {served[-1]}"
        lines.append(f"  {projection:<9} {SUMMARIES[projection]}; for {whom}")
    return "\n".join(lines)


def run(options: argparse.Namespace) -> int:
    """Embeds all pictures as one, mixes embeddings, or lists them. Errors are raised."""
    quiet_libraries()
    names = expand(options.images)
    files = _loaded(name for name in names if name.casefold().endswith(_ENDING))
    if options.list or (files and len(files) == len(names)):
        if len(files) < len(names):
            raise SettingsError(f"Only embeddings, which end in {_ENDING}, can be listed", "leave the pictures out")
        if options.list:
            for name, each in zip(names, files, strict=True):
                write_line(f"{visible(name)}\t{each.description}")
            return 0
        _check_output(options)
        from ..core.embed.composing import mixed

        made = mixed(files, options.weights, options.mix)
    else:
        made = _embedded(options, names, files)
    made.save(options.output)
    tell_written(options.output)
    if made.remark:
        complain(made.remark)
    return 0


def _loaded(names: Iterable[str]) -> list[PromptEmbedding]:
    from ..core import embed  # whose class comes with torch, which pictures do not need to be refused

    return [embed.PromptEmbedding.load(name) for name in names]


def _check_output(options: argparse.Namespace) -> None:
    from ..core.places import check_file

    if options.output is None:
        raise SettingsError("There is no file to write", "name it with -o")
    if options.output.suffix.casefold() != _ENDING:
        raise SettingsError(f"{options.output} has no name of an embedding, which ends in {_ENDING}", "name it so")
    check_file(options.output, replaced=True)


def _embedded(options: argparse.Namespace, names: Sequence[str], files: Sequence[PromptEmbedding]) -> PromptEmbedding:
    if files:
        raise SettingsError("Embeddings and pictures cannot be mixed at once", "embed the pictures first")
    if options.family is None or options.output is None:
        raise SettingsError("A picture is embedded for a family of models, into a file", "give --for and -o")
    _check_output(options)
    from ..core.clip.naming import check_clip
    from ..core.embed.families import family_named

    family = family_named(options.family)
    options.clip = options.clip or family.clip
    pictures = [_region(read_picture(name), options) for name in names]
    check_clip(options.clip)

    from ..core.embed.blend import Blend, checked_choice
    from ..core.embed.composing import without  # and with it torch
    from ..core.embed.ridge import RidgeFit
    from ..core.engine import Engine
    from .progress import terminal_progress

    blend = Blend(options.weights, options.mix, options.text, options.alpha, options.strength, options.anchor)
    projection = checked_choice(family, options.projection)
    if projection == "pinv" and (options.gap_pictures or options.prompts is not None):
        raise SettingsError("--gap-pictures and --prompts are for what learns", "choose --projection ridge or another")
    fit = None if options.prompts is None else RidgeFit(options.prompts)
    varied = [read_picture(name) for name in expand(options.gap_pictures)]
    unwanted = read_picture(options.minus) if options.minus and is_picture_file(options.minus) else None
    progress = terminal_progress()
    with Engine(engine_options.clip_settings_from(options), progress=progress) as engine:
        engine.check_embedding(len(pictures), family.name, projection, blend)
        gap = engine.measure_gap(varied) if varied else None
        made = engine.embed(pictures, family.name, options.projection, blend, gap, fit)
        if not options.minus:
            return made
        if unwanted is None:
            less = engine.embed_text(options.minus, family.name)
        else:
            less = engine.embed(unwanted, family.name, options.projection, None, gap, fit)
        return without(made, less, engine.embed_text("", family.name))


def _region(picture: Image, options: argparse.Namespace) -> Image:
    from ..core.embed.region import cropped, masked

    if options.mask is not None and options.crop is not None:
        raise SettingsError("--mask and --crop both say which part of the picture counts", "give one of them")
    if options.mask is not None:
        return masked(picture, read_picture(options.mask))
    if options.crop is not None:
        if len(options.crop) != 4:
            raise SettingsError("--crop takes left, top, width and height, such as 0,0,300,200")
        return cropped(picture, options.crop)
    return picture
