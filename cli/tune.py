"""`unrender tune`: what a checkpoint and its CLIP learn from pictures, of one domain or of one subject."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.embed.kinds import TUNED, is_plain_name
from ..core.errors import SettingsError
from ..core.file_names import has_ending
from ..core.foreign import shown
from ..core.micro.toy import MICRO
from ..core.places import check_file
from ..core.settings import Settings
from ..core.tuning.course import DOMAIN, DOMAIN_PICTURES, ONLINE, ONLINE_PICTURES, Course
from . import embedding_options, engine_options
from .pictures import PICTURE_SUFFIXES, expand, read_picture
from .rendering_options import sampling_from
from .streams import command_name, complain, quiet_libraries, tell_written

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..core.embed.gap import GapCorrection
    from ..core.engine import Engine
    from ..core.progress import Progress
    from ..core.tuning.domain import Judged
    from ..core.tuning.loop import Told
    from ..core.variation.checkpoint import Checkpoint

_ENDING = ".safetensors"
_EPILOG = """\
what is written
  of a domain   NAME.safetensors, where `--projection tuned:NAME` finds it, or the file that is named: tokens beside the
                picture's own in every layer of the CLIP's picture encoder. It serves the checkpoint it was tuned with
  with --online a LoRA of the checkpoint's key and value projections, as ComfyUI, the webuis and diffusers load it, and
                beside it NAME.embedding.safetensors, which takes the prompt's place
  A run that was ended goes on when it is called again in the same way.

examples
  %(prog)s watercolours -o watercolours --checkpoint dreamshaper.safetensors
  {vary} new.jpg -o out.png --checkpoint dreamshaper.safetensors --projection tuned:watercolours
  %(prog)s --online cat1.jpg cat2.jpg -o cat.safetensors --checkpoint dreamshaper.safetensors
  {vary} cat1.jpg -o snow.png --checkpoint dreamshaper.safetensors --lora cat.safetensors --text "a cat in the snow"
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "tune",
        help="learn from pictures of one kind, or of one subject",
        usage="%(prog)s PICTURE... -o NAME --checkpoint NAME [--online] [options]",
        description=f"Learns how pictures of one kind ({DOMAIN_PICTURES[0]} or more, better 100) are embedded for a "
        "checkpoint of Stable Diffusion 1, or, with --online, how a checkpoint renders one subject "
        f"({ONLINE_PICTURES[0]} to {ONLINE_PICTURES[1]} pictures).",
        epilog=_EPILOG.replace("{vary}", f"{command_name()} vary"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, parser=parser, target=None)
    parser.add_argument("pictures", nargs="+", metavar="PICTURE", help="picture files, or folders of them")
    parser.add_argument(
        "-o", "--output", required=True, metavar="NAME", help=f"a name, or a file that ends in {_ENDING}"
    )
    parser.add_argument(
        "--checkpoint",
        required=True,
        metavar="NAME",
        help="hub id, folder in diffusers' format, or safetensors file of Stable Diffusion 1 (with --online also of 2 "
        "and XL), or the toy micro",
    )
    parser.add_argument(
        "--online", action="store_true", help="learn one subject from one to five pictures, in a minute"
    )
    _add_course_to(parser.add_argument_group("learning"))
    group = parser.add_argument_group("held-out pictures of a domain")
    group.add_argument("--check-every", type=int, metavar="N", help="steps between looks (default: 100)")
    group.add_argument(
        "--judge",
        metavar="NAME",
        help="the CLIP, or the tagger, that looks at what is rendered from them (default: the loss itself; of micro "
        "its tagger)",
    )
    group.add_argument("--guidance", type=float, metavar="N", help="of these renderings (default: 7.5, micro's 3.0)")
    embedding_options.add_way_to(parser.add_argument_group("the embedding that is learned with, of --online"))
    engine_options.add_clip_to(parser, targets=False)


def _add_course_to(group: argparse._ArgumentGroup) -> None:
    def usual(name: str) -> str:
        values = [getattr(course, name) for course in (DOMAIN, ONLINE)]
        first, second = (f"{value:,}" if isinstance(value, int) else f"{value:g}" for value in values)
        return f"default: {first}" if first == second else f"default: {first}, with --online {second}"

    group.add_argument("--steps", type=int, metavar="N", help=f"of learning ({usual('steps')})")
    group.add_argument("--rate", type=float, metavar="N", help=f"learning rate ({usual('rate')})")
    group.add_argument("--batch", type=int, metavar="N", help=f"pictures at once ({usual('batch')})")
    group.add_argument("--accumulate", type=int, metavar="N", help="batches a step, where more do not fit (default: 1)")
    group.add_argument("--size", type=int, metavar="N", help="side in pixels (default: the checkpoint's)")
    group.add_argument("--seed", type=int, metavar="N", help="of all that is drawn (default: 0)")
    group.add_argument("--no-flips", action="store_true", help="do not mirror pictures of a domain")
    group.add_argument("--min-snr", type=float, metavar="N", help="weigh times by min-SNR, bounded so, such as 5")
    group.add_argument(
        "--keys-and-values",
        action="store_true",
        help="of a domain: change the checkpoint's key and value projections too, in a LoRA beside the file",
    )
    group.add_argument("--deep-prompts", action="store_true", help="with --online: let the CLIP learn to see, too")
    group.add_argument("--rank", type=int, metavar="N", help=f"of the LoRA ({usual('rank')})")


def course_from(options: argparse.Namespace) -> Course:
    """Raises SettingsError."""
    usual = ONLINE if options.online else DOMAIN
    names = ("steps", "rate", "batch", "accumulate", "size", "seed", "min_snr", "rank", "check_every")
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    if options.online:
        given["prompts"] = options.deep_prompts
    else:
        given["maps"], given["flips"] = options.keys_and_values, not options.no_flips
    return replace(usual, **given)


def run(options: argparse.Namespace) -> int:
    """Learns, and writes what was learned. Errors are raised."""
    quiet_libraries()
    _refuse_alone(options)
    course = course_from(options)
    names = _named(options.pictures)
    output = _output(options, names)

    from ..core.images import image_key
    from ..core.tuning.course import check_pictures
    from ..core.variation.naming import check_checkpoint

    check_checkpoint(options.checkpoint)
    if options.clip is not None:
        from ..core.clip.naming import check_clip

        check_clip(options.clip)
    limits = ONLINE_PICTURES if options.online else DOMAIN_PICTURES
    check_pictures(len(names), limits, limits[0])
    pictures = [read_picture(name) for name in names]
    check_pictures(len(pictures), limits, len({image_key(picture) for picture in pictures}))

    from ..core.hub import Hub
    from ..core.variation.checkpoint import Checkpoint
    from .progress import terminal_progress

    progress = terminal_progress()
    checkpoint = Checkpoint.load(options.checkpoint, options.device or "auto", Hub(options.cache), progress)
    options.clip = options.clip or checkpoint.family.clip
    settings = replace(engine_options.clip_settings_from(options), captioner=None)
    return (_online if options.online else _domain)(options, course, checkpoint, settings, pictures, output, progress)


def _domain(
    options: argparse.Namespace,
    course: Course,
    checkpoint: Checkpoint,
    settings: Settings,
    pictures: Sequence[Image],
    output: Path,
    progress: Progress,
) -> int:
    from ..core.engine import Engine
    from ..core.tuning.domain import check_domain, tune_domain

    check_domain(checkpoint.family)
    judged = _judged(options, settings)
    with Engine(settings, progress=progress) as engine:
        made = tune_domain(engine, checkpoint, pictures, output, course, judged, progress, _tell)
    for path in made.files:
        tell_written(path)
    if is_plain_name(options.output):
        complain(f"Embed with it by --projection {TUNED}{options.output}")
    if made.remark:
        complain(made.remark)
    return 0


def _online(
    options: argparse.Namespace,
    course: Course,
    checkpoint: Checkpoint,
    settings: Settings,
    pictures: Sequence[Image],
    output: Path,
    progress: Progress,
) -> int:
    from ..core.embed.blend import Blend
    from ..core.engine import Engine
    from ..core.tuning.online import tune_online

    quality = options.quality or (None if options.projection else "good")
    how = (options.projection, Blend(anchor=options.anchor))
    with Engine(settings, progress=progress) as engine:
        engine.check_embedding(len(pictures), checkpoint.family.name, *how, quality)
        gap = _gap(options, engine)
        _, _, files = tune_online(
            *(engine, checkpoint, pictures, output, course, *how, gap), quality=quality, progress=progress
        )
    for path in files:
        tell_written(path)
    return 0


def _gap(options: argparse.Namespace, engine: Engine) -> GapCorrection | None:
    varied = [read_picture(name) for name in expand(options.gap_pictures)]
    return engine.measure_gap(varied) if varied else None


def _judged(options: argparse.Namespace, settings: Settings) -> Judged | None:
    """By whom held-out pictures are looked at; None for the loss."""
    from ..core.hub import Hub
    from ..core.tuning.domain import Judged
    from ..core.verify.asked import STEPS
    from ..core.verify.eyes import check_judge, load_judge, usual_judge

    name = options.judge or (usual_judge(MICRO) if options.checkpoint == MICRO else None)
    if name is None:
        return None
    check_judge(name, settings.clip)
    return Judged(load_judge(name, settings, Hub(options.cache)), sampling_from(options, STEPS))


def _tell(told: Told) -> None:
    left = "" if told.left is None or told.step == told.steps else f", {_duration(told.left)} left"
    complain(
        f"step {told.step:,} of {told.steps:,}: loss {told.loss:.4f}; held-out pictures {told.value:.4f}, "
        f"{told.untuned:.4f} untuned{left}"
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _refuse_alone(options: argparse.Namespace) -> None:
    of_domain = {"--keys-and-values": options.keys_and_values, "--no-flips": options.no_flips, "--judge": options.judge}
    of_domain |= {"--check-every": options.check_every, "--guidance": options.guidance}
    of_online = {"--deep-prompts": options.deep_prompts, "--projection": options.projection}
    of_online |= {"--quality": options.quality, "--anchor": options.anchor, "--gap-pictures": options.gap_pictures}
    wrong, where = (of_domain, "a domain") if options.online else (of_online, "--online")
    given = [name for name, value in wrong.items() if value]
    if given:
        raise SettingsError(f"{given[0]} is for {where}", f"leave {given[0]} out")


def _named(names: Sequence[str]) -> list[str]:
    """The pictures meant, those of a folder by name. Raises SettingsError."""
    found: list[str] = []
    for name in expand(names):
        path = Path(name)
        if not path.is_dir():
            found.append(name)
            continue
        inside = sorted(str(each) for each in path.iterdir() if each.suffix.casefold() in PICTURE_SUFFIXES)
        if not inside:
            raise SettingsError(f"There is no picture in {name}", "name another folder")
        found += inside
    return found


def _output(options: argparse.Namespace, sources: Sequence[str]) -> Path:
    """The file that is written. Raises SettingsError."""
    name: str = options.output
    if has_ending(name, _ENDING):
        path = Path(name).expanduser()
    elif options.online:
        raise SettingsError(f"{name} is no name of a LoRA's file", f"end it in {_ENDING}")
    elif not is_plain_name(name):
        raise SettingsError(f"{shown(name)} is neither a plain name nor a file's", f"end it in {_ENDING}")
    else:
        from ..core.embed.tuned_places import tuned_folder
        from ..core.hub import Hub

        folder = tuned_folder(Hub(options.cache).folder)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}{_ENDING}"
    check_file(path, sources, replaced=True)
    return path
