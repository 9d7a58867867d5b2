"""`unrender embed`: pictures to a prompt embedding that a diffusion model takes in a prompt's place."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.cures import Choose
from ..core.embed.families import FAMILIES, OFFERED
from ..core.embed.kinds import MIXES, PROJECTIONS, SUMMARIES, Projection
from ..core.errors import SettingsError
from ..core.file_names import has_ending
from ..core.printable import visible
from . import embedding_options, engine_options
from .pictures import expand, is_picture_file, read_picture
from .streams import command_name, complain, quiet_libraries, tell_written, write_line

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..core.embed import PromptEmbedding

_ENDING = ".safetensors"
_LEARNS: tuple[Projection, ...] = ("ridge", "bank", "anchored")
_EPILOG = """\
qualities
{qualities}
  What `{verify}` found for the model's text encoders is the default, else best. Its search is interrogate's, with
  its captioner; with --anchor nothing is searched.

projections, of which a quality chooses one: quick pinv where that reaches, else soft; good and best soft
{projections}
  ridge, bank and anchored learn from text at their first use, which takes minutes. All but pinv work best with
  --gap-pictures, or a --bank of yours: to a CLIP model pictures and texts lie in different places.

what is written
  one safetensors file: states (77 x width) and for sdxl pooled, with what they were made from as metadata

examples
  %(prog)s photo.jpg -o photo.safetensors --for sd15
  %(prog)s photo.jpg -o photo.safetensors --for sd15 --quality good       without words, and no captioner
  %(prog)s photo.jpg -o photo.safetensors --for sdxl --gap-pictures holiday/*.jpg
  %(prog)s a.jpg b.jpg -o both.safetensors --for sd15 --weights 2,1 --mix spherical
  %(prog)s photo.jpg -o blue.safetensors --for sd15 --anchor "a red boat" --text "a blue boat"
  %(prog)s photo.jpg -o winter.safetensors --for sd15 --projection pinv --text "in winter" --alpha 0.9
  %(prog)s photo.jpg -o empty.safetensors --for sd15 --minus "a crowd" --mask square.png
  %(prog)s a.safetensors b.safetensors -o both.safetensors     mixes what is embedded already, without a model
  %(prog)s --list *.safetensors                                says what files hold
  An embedding does as well in the place of the negative prompt: embed what is to be avoided.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "embed",
        help="turn pictures into a prompt embedding",
        usage="%(prog)s IMAGE... -o FILE --for FAMILY [options]\n       %(prog)s --list FILE...\n       "
        "%(prog)s --learn FOLDER --for FAMILY [options]",
        description="Turns pictures into an embedding that a diffusion model takes in a prompt's place.",
        epilog=_EPILOG.format(
            qualities=embedding_options.qualities(), verify=f"{command_name()} verify", projections=_projections()
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        conflict_handler="resolve",  # --for means more here than the choice of a CLIP
    )
    parser.set_defaults(run=run, parser=parser, target=None)
    parser.add_argument(
        "images", nargs="*", metavar="IMAGE", help="picture files (- reads one from standard input), or embeddings"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the file to write")
    parser.add_argument("--list", action="store_true", help="say what embedding files hold, and write nothing")
    parser.add_argument(
        "--learn",
        type=Path,
        metavar="FOLDER",
        help="find prompts for up to 400 pictures of a folder, once, and learn of them what ridge makes of a picture "
        "from then on; embeds nothing",
    )
    engine_options.add_clip_to(parser)
    parser.add_argument("--for", dest="family", choices=OFFERED, help="the family of models it is made for")
    embedding_options.add_way_to(parser)
    parser.add_argument("--prompts", type=int, metavar="N", help="how many texts are learned from (default: 4000)")
    parser.add_argument(
        "--tokens", type=int, metavar="N", help="how many that are no words soft adds (default: what was found best)"
    )
    embedding_options.add_search_to(parser)
    mixing = parser.add_argument_group("mixing")
    mixing.add_argument("--mix", choices=MIXES, default=MIXES[0], help="several pictures (default: mean)")
    mixing.add_argument(
        "--weights", type=engine_options.numbers, metavar="N,N,...", help="how much each picture counts"
    )
    mixing.add_argument(
        "--text",
        default="",
        help="a prompt that changes the picture: in the place of the one that describes it, or beside what CLIP sees "
        "in it where none does",
    )
    mixing.add_argument("--minus", metavar="WHAT", help="a picture file, or a text, to be taken out of the picture")
    mixing.add_argument("--mask", metavar="IMAGE", help="white where the picture counts")
    mixing.add_argument(
        "--crop", type=engine_options.numbers, metavar="X,Y,W,H", help="left, top, width, height in pixels"
    )
    mixing.add_argument(
        "--alpha", type=float, default=0.6, metavar="N", help="how much of --text, with pinv (default: 0.6, published)"
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
    if options.learn is not None:
        return _learn(options)
    if not options.images:
        raise SettingsError("There is no picture", "name one, or several")
    names = expand(options.images)
    files = _loaded(name for name in names if has_ending(name, _ENDING))
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


def _learn(options: argparse.Namespace) -> int:
    if options.images or options.list or options.output is not None:
        raise SettingsError(
            "--learn looks at its folder alone, and writes no file", "leave pictures, --list and -o out"
        )
    if options.family is None:
        raise SettingsError("What is learned is for a family of models", "give --for")
    from ..core.clip.naming import check_clip
    from ..core.embed.families import family_named

    family = family_named(options.family)
    options.clip = options.clip or family.clip
    check_clip(options.clip)
    from ..core.engine import Engine
    from ..core.index.lessons import check_lessons, learn_from_folder
    from .progress import terminal_progress

    settings = embedding_options.settings_from(options)
    check_lessons(options.learn, Engine(settings), family.name)
    with Engine(embedding_options.with_bank(settings, options), progress=terminal_progress()) as engine:
        pictures = learn_from_folder(options.learn, engine, family.name)
    complain(f"Learned from {pictures:,} pictures what --projection ridge makes of one for {family.title}")
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

    from ..core.embed.blend import Blend
    from ..core.embed.composing import without  # and with it torch
    from ..core.embed.gap import check_variety
    from ..core.embed.ridge import RidgeFit
    from ..core.engine import Engine
    from ..core.images import image_key
    from .progress import terminal_progress

    blend = Blend(
        *(options.weights, options.mix, options.text, options.alpha, options.strength, options.anchor),
        tokens=options.tokens,
    )
    embedding_options.check(options, blend, family)
    if options.prompts is not None and options.projection not in _LEARNS:
        raise SettingsError("--prompts is for what learns from texts", Choose("projection", _LEARNS))
    fit = None if options.prompts is None else RidgeFit(options.prompts)
    varied = [read_picture(name) for name in expand(options.gap_pictures)]
    unwanted = read_picture(options.minus) if options.minus and is_picture_file(options.minus) else None
    settings = embedding_options.settings_from(options)
    Engine(settings).check_embedding(len(pictures), family.name, options.projection, blend, options.quality)
    if varied:
        check_variety([image_key(picture) for picture in varied])
    settings = embedding_options.with_bank(settings, options)
    with Engine(settings, progress=terminal_progress()) as engine:
        gap = engine.measure_gap(varied) if varied else None
        how = (family.name, options.projection)
        made = engine.embed(pictures, *how, blend, gap, fit, quality=options.quality)
        if not options.minus:
            return made
        if unwanted is None:
            less = engine.embed_text(options.minus, family.name)
        else:
            plain = None if options.projection == "anchored" else Blend(anchor="")  # no search for what is unwanted
            less = engine.embed(unwanted, *how, plain, gap, fit, quality=options.quality)
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
