"""`unrender vary`: pictures to pictures, without words or with some, through diffusers."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.embed.kinds import MIXES
from ..core.errors import SettingsError, UnrenderError
from ..core.files import save_picture
from ..core.places import check_file, check_folder
from ..core.variation import MICRO
from . import directions, embedding_options, engine_options, sampling_options
from .pictures import PICTURE_SUFFIXES, expand, read_picture
from .streams import complain, quiet_libraries, tell_written
from .toys import tell_if_toy

if TYPE_CHECKING:
    from ..core.embed.blend import Blend
    from ..core.variation.variations import Variation

_EPILOG = """\
what is written
  PNG, JPEG or WebP, as the file's name tells, or PNG files in a folder, named by numbers; each holds the settings as
  A1111's webui writes and reads them; of several amounts a contact sheet, in a folder sheet.png beside the pictures

examples
  %(prog)s photo.jpg -o variation.png
  %(prog)s photo.jpg -o variations --count 4 --checkpoint dreamshaper.safetensors
  %(prog)s photo.jpg -o quick.png --quality good               without words, and no captioner
  %(prog)s photo.jpg -o blue.png --anchor "a red boat" --text "a blue boat"
  %(prog)s photo.jpg -o oil.png --swap mediums="oil painting"
  %(prog)s a.jpg b.jpg -o both.png --weights 2,1 --mix spherical
  %(prog)s photo.jpg -o closer.png --init photo.jpg --denoise 0.6
  %(prog)s face.jpg -o smile.png --away "a neutral face" --toward "a smiling face" --amount 0,0.5,1,1.5
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "vary",
        help="render variations of a picture",
        usage="%(prog)s IMAGE... -o OUT [options]",
        description="Renders variations of pictures, several mixed into one, through Stable Diffusion.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, parser=parser, target=None)
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="picture files; - reads one from standard input")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        type=Path,
        metavar="OUT",
        help="a .png, .jpg or .webp file for one picture, or a folder",
    )
    parser.add_argument("--count", type=int, default=1, metavar="N", help="how many pictures (default: 1)")
    engine_options.add_clip_to(parser, targets=False)
    _add_sampling(parser.add_argument_group("sampling"))
    _add_conditioning(parser.add_argument_group("conditioning"))
    directions.add_to(parser.add_argument_group("a direction, from one text to another"))
    embedding_options.add_search_to(parser)


def _add_sampling(group: argparse._ArgumentGroup) -> None:
    sampling_options.add_checkpoint_to(group)
    group.add_argument(
        "--lora", type=Path, metavar="FILE", help="a LoRA of the checkpoint's UNet, such as `tune --online` writes"
    )
    group.add_argument(
        "--lora-strength", type=float, default=1.0, metavar="N", help="how much of it is added (default: 1)"
    )
    group.add_argument("--steps", type=int, default=30, metavar="N", help="sampling steps (default: 30)")
    group.add_argument(
        "--guidance", type=float, default=7.5, metavar="N", help="guidance scale; micro wants about 3 (default: 7.5)"
    )
    group.add_argument("--seed", type=int, default=0, metavar="N", help="of the first picture (default: 0)")
    group.add_argument(
        "--size", type=sampling_options.size, metavar="WxH", help="in pixels (default: the checkpoint's)"
    )
    group.add_argument("--init", metavar="IMAGE", help="a picture to begin with, as in img2img")
    group.add_argument(
        "--denoise", type=float, default=0.6, metavar="N", help="how far --init may change, 0 to 1 (default: 0.6)"
    )


def _add_conditioning(group: argparse._ArgumentGroup) -> None:
    embedding_options.add_way_to(group)
    group.add_argument(
        "--text",
        default="",
        help="a prompt that changes the picture: in the place of the one that describes it, or beside what CLIP sees "
        "in it where none does",
    )
    group.add_argument("--negative", default="", metavar="TEXT", help="a prompt to lead away from")
    group.add_argument(
        "--alpha", type=float, default=0.6, metavar="N", help="how much of --text, with pinv (default: 0.6, published)"
    )
    group.add_argument(
        "--strength",
        type=float,
        default=1.0,
        metavar="N",
        help="0 is the text alone, or an empty prompt, 1 the picture (default: 1)",
    )
    group.add_argument(
        "--swap",
        action="append",
        default=[],
        type=engine_options.assignment,
        metavar="CATEGORY=PHRASE",
        help="change what the picture's prompt says of one category, such as mediums=watercolor; with soft "
        "and anchored",
    )
    group.add_argument("--mix", choices=MIXES, default=MIXES[0], help="several pictures (default: mean)")
    group.add_argument("--weights", type=engine_options.numbers, metavar="N,N,...", help="how much each picture counts")


def run(options: argparse.Namespace) -> int:
    """Renders all pictures asked for, each written when it is done. Errors are raised."""
    quiet_libraries()

    from ..core.clip.naming import check_clip
    from ..core.variation.naming import check_checkpoint
    from ..core.variation.sampling import Sampling

    names, init = expand(options.images), None if options.init is None else read_picture(options.init)
    pictures = [read_picture(name) for name in names]
    if options.clip is not None:
        check_clip(options.clip)
    check_checkpoint(options.checkpoint)
    sampling = Sampling(options.steps, options.guidance, options.seed, options.size, options.denoise)
    read = [*names, *expand(options.gap_pictures), *([] if options.init is None else [options.init])]
    direction, amounts = directions.direction_from(options)
    sheet = _sheet_place(options.output, amounts, read)
    places = [] if sheet == options.output else _places(options.output, options.count * len(amounts), read)

    from ..core.embed.blend import Blend, check_swaps  # and with it torch
    from ..core.embed.gap import check_variety
    from ..core.engine import Engine
    from ..core.hub import Hub
    from ..core.images import image_key
    from ..core.phrases.vocabulary import load_vocabulary
    from ..core.variation.checkpoint import Checkpoint
    from ..core.variation.lora import Added
    from ..core.variation.variations import Request, variations
    from .progress import terminal_progress

    blend = Blend(
        *(options.weights, options.mix, options.text, options.alpha, options.strength, options.anchor),
        swaps=dict(options.swap),
    )
    how = (options.projection, blend, None)
    lora = None if options.lora is None else Added.load(options.lora, options.lora_strength)
    more = (options.negative, sampling, options.count, init, options.quality, lora)
    asked = Request(pictures, *how, *more, direction, amounts)
    varied = [read_picture(name) for name in expand(options.gap_pictures)]
    check_swaps(blend.swaps, load_vocabulary(options.phrases))  # the built-in one has all categories of micro's
    if varied:
        check_variety([image_key(picture) for picture in varied])
    _check(options, blend)
    progress = terminal_progress()
    checkpoint = Checkpoint.load(options.checkpoint, options.device or "auto", Hub(options.cache), progress)
    family = checkpoint.family
    options.clip = options.clip or family.clip
    settings = embedding_options.settings_from(options)
    Engine(settings).check_embedding(len(pictures), family.name, options.projection, blend, options.quality)
    if options.checkpoint == MICRO:
        tell_if_toy("vary", settings, *pictures, option="checkpoint")
    settings = embedding_options.with_bank(settings, options)
    with Engine(settings, progress=progress) as engine:
        gap = engine.measure_gap(varied) if varied else None
        request = replace(asked, gap=gap)
        made = _written(places, variations(engine, checkpoint, request), kept=sheet is not None)
    if sheet is not None and direction is not None:
        directions.write_sheet(made, direction, sheet)
    _tell(places[0] if len(places) == 1 else options.output, len(places) or len(made), made[-1].remark)
    return 0


def _tell(place: Path, count: int, remark: str) -> None:
    tell_written(place, f"{count} picture{'s' * (count > 1)}")
    if remark:
        complain(remark)


def _sheet_place(output: Path, amounts: Sequence[float], sources: Sequence[str]) -> Path | None:
    """Where the contact sheet of several amounts goes: it is the file that is named, or lies in the folder. Raises
    SettingsError."""
    from ..core.variation.pictures import FORMATS

    if len(amounts) == 1:
        return None
    if output.suffix.casefold() in FORMATS and not output.is_dir():
        check_file(output, sources)
        return output
    check_folder(output, [directions.SHEET], sources)
    return output / directions.SHEET


def _written(places: Sequence[Path], made: Iterable[Variation], kept: bool) -> list[Variation]:
    """Each picture in its place when it is done, where there are places. Returns the last one, or all that are to be
    kept."""
    from ..core.variation.pictures import with_text

    found: list[Variation] = []
    for number, each in enumerate(made):
        found = [*found, each] if kept else [each]
        if not places:
            continue
        place = places[number]
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            save_picture(each.image, place, **with_text(each.infotext, place))
        except OSError as error:
            raise UnrenderError(f"{place} cannot be written ({error.strerror})", "choose another place") from error
    return found


def _check(options: argparse.Namespace, blend: Blend) -> None:
    """What is known to be wrong before the checkpoint tells which CLIP it takes."""
    from ..core.engine import Engine
    from ..core.index.bank import check_bank

    embedding_options.check(options, blend)
    settings = embedding_options.settings_from(options)
    if options.checkpoint == MICRO and options.captioner is None:
        settings = replace(settings, captioner=MICRO)
    if embedding_options.is_searched(options):
        Engine(settings).check()
    if options.bank is not None:
        check_bank(options.bank, settings)


def _places(output: Path, count: int, sources: Sequence[str]) -> list[Path]:
    """Where the pictures go: one file, none of those that are read, or numbered files in a folder, past those that are
    there. Nothing is made yet."""
    from ..core.variation.pictures import FORMATS

    if output.suffix.casefold() in PICTURE_SUFFIXES and not output.is_dir():
        if output.suffix.casefold() not in FORMATS:
            raise SettingsError(f"{output} has no name of a PNG, JPEG or WebP file", "give one such as out.jpg")
        if count != 1:
            raise SettingsError(f"{output} is one file, but {count} pictures are asked for", "give a folder with -o")
        check_file(output, sources)
        return [output]
    check_folder(output)
    try:
        there = list(output.iterdir()) if output.is_dir() else []
    except OSError as error:
        raise UnrenderError(f"The folder {output} cannot be read ({error.strerror})", "name another") from error
    taken = [int(found[1]) for each in there if (found := re.fullmatch(r"(\d{4,})\.png", each.name))]
    first = max(taken, default=0) + 1
    return [output / f"{number:04}.png" for number in range(first, first + count)]
