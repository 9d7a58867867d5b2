"""`unrender verify`: what this project says of models, checked on yours."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import ImageError, ModelError, SettingsError, UnrenderError
from ..core.files import save_picture, write_whole
from ..core.published import DINO, VIT_B
from ..core.settings import SEARCHES, Search
from . import engine_options
from .streams import complain, quiet_libraries, tell_written, write_line

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..core.clip import Clip
    from ..core.hub import Hub
    from ..core.progress import Progress
    from ..core.settings import Settings
    from ..core.variation.sampling import Sampling
    from ..core.verify.fidelity import Fidelity
    from ..core.verify.searches import Compared
    from ..core.verify.weights import Finding

_JUDGE = VIT_B
_FOR_GAP = 40
_REPORT, _SHEET = "report.json", "sheet.png"
_PROMPTS = 256
_EPILOG = """\
what is done
  always              the CLIP's own text tower, its text projection, the norm of its end-of-text states
  with --pictures     prompts searched in two precisions and in one, which have to be the same; and the searches beside
                      each other: the share of what a prompt states that the CLIP finds unlikely, and contradictions,
                      repeats and words a prompt
  with --checkpoint   padding, and how well texts that no map has seen are found again; and with --pictures too: each
                      picture is rendered from its caption, from each search's prompt, and through every projection,
                      and another CLIP says how much of it is found again. The projection it recommends is from then on
                      the default for that checkpoint; the search for that CLIP with that captioner, where it is
                      surely better than the usual one
  with --tagger       nothing of the above: how much it tells of what text files beside the pictures say (photo.txt
                      beside photo.jpg, tags with commas between them), at its own threshold and at the best, and
                      whether it is shown red and blue in the right order

examples
  %(prog)s --clip ViT-L-14/openai
  %(prog)s --checkpoint sd15.safetensors --pictures photographs -o report
  %(prog)s --tagger wd-vit --pictures tagged
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "verify",
        help="check models on this machine, and which projection suits a checkpoint",
        usage="%(prog)s [options]",
        description="Checks models on this machine, and which projection suits a checkpoint best.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, parser=parser, target=None)
    engine_options.add_clip_to(parser, targets=False)
    parser.add_argument("--captioner", metavar="NAME", help="for the captions to compare with (default: none)")
    parser.add_argument(
        "--searches",
        type=_searches,
        default=SEARCHES,
        metavar="A,B",
        help=f"those to compare, or none (default: {','.join(SEARCHES)})",
    )
    parser.add_argument("--phrases", metavar="DIR", help="the vocabulary, as for interrogate")
    parser.add_argument("--checkpoint", metavar="NAME", help="hub id, folder, or safetensors file")
    parser.add_argument("--tagger", metavar="NAME", help="compare a tagger with tags that lie beside the pictures")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="a folder of varied photographs, about 100")
    parser.add_argument("--judge", default=_JUDGE, metavar="NAME", help="the CLIP that judges (default: %(default)s)")
    parser.add_argument(
        "--dino",
        default="none",
        metavar="NAME",
        help=f"a DINOv2 that judges too, such as {DINO.repo} (default: none)",
    )
    parser.add_argument("--count", type=int, default=50, metavar="N", help="pictures to render from (default: 50)")
    parser.add_argument("--seeds", type=int, default=2, metavar="N", help="renderings of each (default: 2)")
    parser.add_argument("--steps", type=int, default=30, metavar="N", help="sampling steps (default: 30)")
    parser.add_argument("--guidance", type=float, default=7.5, metavar="N", help="guidance scale (default: 7.5)")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="where report.json and sheet.png go")


def _searches(text: str) -> tuple[Search, ...]:
    named = [] if text == "none" else [name.strip() for name in text.split(",")]
    known: dict[str, Search] = {name: name for name in SEARCHES}
    if unknown := [name for name in named if name not in known]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is no search; choose from {', '.join(SEARCHES)}")
    return tuple(known[name] for name in named)


def run(options: argparse.Namespace) -> int:
    """Prints the findings. The exit status is 1 when a check failed. Errors are raised."""
    quiet_libraries()

    from ..core.variation.sampling import Sampling

    if options.count < 1 or options.seeds < 1:
        raise SettingsError("--count and --seeds are numbers of 1 or more")
    if options.tagger is not None:
        return _run_tagger(options)
    sampling = Sampling(options.steps, options.guidance)
    pictures = [] if options.pictures is None else _pictures_in(options.pictures, options.count + _FOR_GAP)
    shown, others = pictures[: options.count], pictures[options.count :]
    settings = replace(engine_options.clip_settings_from(options), captioner=options.captioner, phrases=options.phrases)
    _check(options, settings, shown)

    findings, fidelity, compared = _found(options, settings, sampling, shown, others)

    from ..core.verify import report
    from ..core.verify.sheet import draw_fidelity

    for line in report.as_lines(findings, fidelity, compared):
        write_line(line)
    if options.output is not None:
        values = report.as_values(findings, fidelity, compared)
        _write(options.output, values, None if fidelity is None else draw_fidelity(shown, fidelity))
    return int(any(each.passed is False for each in findings))


def _found(
    options: argparse.Namespace,
    settings: Settings,
    sampling: Sampling,
    shown: Sequence[Image],
    others: Sequence[Image],
) -> tuple[list[Finding], Fidelity | None, Compared | None]:
    """What is found of the models, and of the searches and projections on the pictures that are shown. others: more
    pictures, that say where pictures lie."""
    from ..core.clip import Clip
    from ..core.embed.recommended import recommend
    from ..core.engine import Engine
    from ..core.hub import Hub
    from ..core.phrases.composed import composed_prompts
    from ..core.phrases.vocabulary import load_vocabulary
    from ..core.prompt.recommended import recommend_search
    from ..core.variation.checkpoint import Checkpoint
    from ..core.verify import weights
    from ..core.verify.dino import Dino, dino_class
    from ..core.verify.fidelity import Judge, measure_fidelity
    from ..core.verify.searches import compare_searches
    from .progress import terminal_progress

    if options.dino != "none" and options.checkpoint is not None and shown:
        dino_class()  # which a model need not be loaded for to be missed
    progress, hub, fidelity, compared = terminal_progress(), Hub(options.cache), None, None
    checkpoint = None
    if options.checkpoint is not None:
        checkpoint = Checkpoint.load(options.checkpoint, options.device or "auto", hub, progress)
        settings = replace(settings, clip=options.clip or checkpoint.family.clip)
    clip = Clip.load(settings.clip, settings.device, settings.precision, hub, progress)
    with Engine(settings, progress=progress, load_clip=lambda _: clip) as engine:
        prompts = composed_prompts(load_vocabulary(None), _PROMPTS)
        findings = weights.check_clip(clip, prompts)
        if checkpoint is not None:
            findings += weights.check_padding(checkpoint)
            findings.append(weights.check_reconstruction(engine, clip, checkpoint))
        if shown:
            findings.append(weights.check_precisions(clip, settings, shown, progress))
            if options.searches:
                compared = compare_searches(engine, shown, options.searches)
        if checkpoint is not None and shown:
            judges: list[Judge] = [_judge(options.judge, settings, hub, progress)]
            if options.dino != "none":
                judges.append(Dino.load(options.dino, settings.device, hub, progress))
            gap = engine.measure_gap(others) if len(others) >= _FOR_GAP else None
            seeds = range(options.seeds)
            fidelity = measure_fidelity(
                engine, checkpoint, judges, shown, gap, sampling, seeds, compared and compared.prompts
            )
            recommend(Path(hub.folder) / "embed", fidelity.fingerprint, fidelity.recommended)
            if fidelity.search is not None:
                recommend_search(Path(hub.folder), settings, fidelity.search)
    return findings, fidelity, compared


def _run_tagger(options: argparse.Namespace) -> int:
    if options.pictures is None:
        raise SettingsError("--tagger compares with tags beside pictures", "name their folder with --pictures")
    from ..core.describe.tagging.tagger import Tagger, check_tagger, is_tagger
    from ..core.hub import Hub
    from ..core.places import check_folder
    from ..core.verify import report
    from ..core.verify.tagging import check_tagger_with, known_pictures
    from .progress import terminal_progress

    hub, progress = Hub(options.cache), terminal_progress()
    if options.output is not None:
        check_folder(options.output, [_REPORT])
    known = known_pictures(options.pictures, options.count)
    if not is_tagger(options.tagger, hub):
        raise ModelError(f"{options.tagger} is no tagger", "give one that unrender models --all lists, or a folder")
    check_tagger(options.tagger)
    tagger = Tagger.load(options.tagger, options.device or "auto", hub=hub, progress=progress)
    findings = check_tagger_with(tagger, known, progress)
    write_line(f"{options.tagger} on {len(known)} pictures of {options.pictures}")
    for line in report.as_lines(findings, None):
        write_line(line)
    if options.output is not None:
        _write(options.output, report.as_values(findings, None), None)
    return int(any(each.passed is False for each in findings))


def _judge(name: str, settings: Settings, hub: Hub, progress: Progress) -> Clip:
    from ..core.clip import Clip

    try:
        return Clip.load(name, settings.device, settings.precision, hub, progress)
    except ModelError as error:
        raise ModelError(f"The judge cannot be had: {error.problem}", "give another CLIP with --judge") from error


def _check(options: argparse.Namespace, settings: Settings, pictures: Sequence[Image]) -> None:
    """Raises for what is known to be wrong before any model is loaded. pictures: to render from."""
    from ..core.clip.naming import check_clip
    from ..core.engine import Engine
    from ..core.places import check_folder
    from ..core.variation.naming import check_checkpoint
    from ..core.verify.asked import check_count, check_dino

    if options.output is not None:
        check_folder(options.output, [_REPORT, _SHEET])
    if options.checkpoint is not None:
        check_checkpoint(options.checkpoint)
    Engine(settings).check()
    if options.checkpoint is not None and pictures:
        check_count(len(pictures))
        check_clip(options.judge)
        if options.dino != "none":
            check_dino(options.dino)


def _pictures_in(folder: Path, most: int) -> Sequence[Image]:
    """The first readable pictures of a folder, by name. Raises SettingsError where there is none."""
    from .pictures import read_picture

    if not folder.is_dir():
        raise SettingsError(f"{folder} is no folder", "give one with pictures")
    found: list[Image] = []
    for path in sorted(folder.iterdir()):
        if len(found) == most:
            break
        if path.is_file():
            try:
                found.append(read_picture(str(path)))
            except ImageError as error:
                complain(error)
    if not found:
        raise SettingsError(f"{folder} holds no picture that can be read", "give another folder")
    return found


def _write(folder: Path, values: dict, sheet: Image | None) -> None:

    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / _REPORT, f"{json.dumps(values, indent=1)}\n".encode())
        if sheet is not None:
            save_picture(sheet, folder / _SHEET, optimize=True)
        tell_written(folder, _REPORT if sheet is None else f"{_REPORT} and {_SHEET}")
    except OSError as error:
        raise UnrenderError(f"The report cannot be written to {folder} ({error.strerror})", "name another") from error
