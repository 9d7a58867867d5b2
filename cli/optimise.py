"""`unrender optimise`: a picture moved until a CLIP finds it like a text."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import SettingsError
from ..core.files import save_picture
from ..core.settings import Settings
from ..core.variation import MICRO
from . import engine_options, sampling_options
from .pictures import read_picture
from .streams import quiet_libraries, tell_written
from .toys import tell_if_toy

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..core.moving.film import Film
    from ..core.moving.optimising import Optimisation

_WAYS = ("latent", "pixels", "cppn")
_STEPS, _VIEWS, _RENDERING_STEPS = 60, 4, 20
_PER_SECOND = 8.0
_EPILOG = """\
what is moved
  latent   the latents of a checkpoint's VAE, from what it renders of the text; held to what its diffusion model takes
           for such a picture
  pixels   the picture's frequencies; needs no checkpoint
  cppn     a small network from a place to its colour; smooth forms, no checkpoint

what is written
  OUT, a PNG, JPEG or WebP, again and again as it grows; what is needed to go on lies in OUT.steps until it is done, and
  the same command goes on after it was stopped

examples
  %(prog)s "a lighthouse at dusk" -o lighthouse.png
  %(prog)s "a lighthouse at dusk" -o lighthouse.png --init photo.jpg --film growing.mp4
  %(prog)s "a lighthouse at dusk" -o poster.png --by cppn --size 1024x1024 --steps 300 --strip steps.png
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "optimise",
        help="move a picture until CLIP finds it like a text",
        usage='%(prog)s "TEXT" -o OUT [options]',
        description="Moves a picture, step by step, to where a CLIP finds it like a text.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, parser=parser, target=None)
    parser.add_argument("text", metavar="TEXT", help="what the picture is to show")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="OUT", help="a .png, .jpg or .webp file")
    group = parser.add_argument_group("optimising")
    group.add_argument("--by", choices=_WAYS, default=_WAYS[0], help=f"what is moved (default: {_WAYS[0]})")
    group.add_argument("--init", metavar="IMAGE", help="a picture to begin with, for latent and pixels")
    group.add_argument("--moves", type=int, default=_STEPS, metavar="N", help=f"steps (default: {_STEPS})")
    group.add_argument(
        "--views", type=int, default=_VIEWS, metavar="N", help=f"views that each step is made of (default: {_VIEWS})"
    )
    group.add_argument(
        "--strip", type=Path, metavar="FILE", help="some of the steps side by side too, such as steps.png"
    )
    group.add_argument("--film", type=Path, metavar="FILE", help="the steps as a film too, a .png or .mp4 file")
    sampling_options.add_to(parser.add_argument_group("the picture that latent begins with"), _RENDERING_STEPS)
    engine_options.add_clip_to(parser, targets=False)


def run(options: argparse.Namespace) -> int:
    """Optimises the picture, written as it grows. Errors are raised."""
    quiet_libraries()

    from ..core.clip.naming import check_clip
    from ..core.variation.naming import check_checkpoint

    init = None if options.init is None else read_picture(options.init)
    sampling = sampling_options.sampling(options, _RENDERING_STEPS)
    if options.clip is not None:
        check_clip(options.clip)
    if options.by == "latent":
        check_checkpoint(options.checkpoint)
    _check_places(options)

    from ..core.moving.optimise import Plan  # and with it torch
    from ..core.moving.optimising import Optimisation

    plan = Plan(options.moves, options.views, options.seed)
    return _optimised(options, Optimisation(options.text.strip(), options.by, plan, sampling, init))


def _optimised(options: argparse.Namespace, asked: Optimisation) -> int:
    from ..core.engine import Engine
    from ..core.hub import Hub
    from ..core.moving.frames import Frames
    from ..core.moving.optimising import optimised
    from ..core.variation.checkpoint import Checkpoint
    from .progress import terminal_progress

    frames, progress, checkpoint = Frames(_steps(options.output)), terminal_progress(), None
    if options.clip is not None or asked.by != "latent":
        clip = options.clip or Settings().clip
        frames.check(asked.told(clip, options.checkpoint))
    if asked.by == "latent":
        checkpoint = Checkpoint.load(options.checkpoint, options.device or "auto", Hub(options.cache), progress)
        options.clip = options.clip or checkpoint.family.clip
        frames.check(asked.told(options.clip, options.checkpoint))
    settings = engine_options.clip_settings_from(options)
    toy = asked.by == "latent" and options.checkpoint == MICRO
    tell_if_toy("optimise", settings, option="checkpoint" if toy else "clip")
    with Engine(settings, progress=progress) as engine:
        steps = optimised(engine, checkpoint, asked, frames, lambda shown: _write(shown.picture, options.output))
    places = [frames.place(number) for number in range(len(steps))]
    _write(_opened(places[-1]), options.output)
    if options.strip is not None:
        _write(_strip(asked.text, steps, places), options.strip)
    if options.film is not None:
        _film(options).make(places)
    frames.remove()
    (_, first), (_, last) = steps[0], steps[-1]
    tell_written(options.output, f"a picture of similarity {last:.3f}, {first:.3f} at its beginning,")
    return 0


def _check_places(options: argparse.Namespace) -> None:
    """Raises SettingsError, MissingPackageError."""
    from ..core.moving.film import MOVIES
    from ..core.places import check_folder, check_picture

    read = [] if options.init is None else [options.init]
    for place in (options.output, options.strip):
        if place is not None:
            check_picture(place, read)
    if options.film is not None:
        if options.film.suffix == "":
            raise SettingsError(f"{options.film} has no name of a film", f"give one such as out.png or out{MOVIES[0]}")
        _film(options).check()
    places = [each for each in (options.output, options.strip, options.film) if each is not None]
    if len({each.absolute() for each in places}) < len(places):
        raise SettingsError("Two of -o, --strip and --film are one file", "name others")
    check_folder(_steps(options.output))


def _film(options: argparse.Namespace) -> Film:
    from ..core.moving.film import Film

    return Film(options.film, _PER_SECOND)


def _steps(output: Path) -> Path:
    return output.with_name(f"{output.name}.steps")


def _strip(text: str, steps: Sequence[tuple[int, float]], places: Sequence[Path]) -> Image:
    """Some of the steps, evenly, the first and the last among them."""
    from ..core.drawing.panels import COLUMNS, Panel, draw_panels

    count = min(2 * COLUMNS, len(steps))
    chosen = [round(each * (len(steps) - 1) / max(1, count - 1)) for each in range(count)]
    panels = [Panel(_opened(places[each]), f"step {steps[each][0]}, {steps[each][1]:.3f}") for each in chosen]
    return draw_panels(panels, text)


def _opened(place: Path) -> Image:
    from PIL import Image

    with Image.open(place) as picture:
        return picture.convert("RGB")


def _write(picture: Image, place: Path) -> None:
    from ..core.moving.frames import writing

    with writing(place):
        save_picture(picture, place)
