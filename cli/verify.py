"""`unrender verify`: what this project says of models, checked on yours."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import __version__
from ..core.embed.kinds import QUALITIES
from ..core.errors import ImageError, ModelError, SettingsError, UnrenderError
from ..core.files import save_picture, write_whole
from ..core.published import DINO, MICRO, VIT_B
from ..core.settings import SEARCHES, Search
from ..core.verify.asked import (
    PICTURES,
    RENDERINGS,
    SAMPLING_STEPS,
    check_count,
    check_dino,
    check_ways,
)
from . import engine_options, verify_scores
from .rendering_options import USUAL_GUIDANCE, sampling_from
from .streams import complain, quiet_libraries, tell_written, write_line

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..core.clip import Clip
    from ..core.engine import Engine
    from ..core.settings import Settings
    from ..core.variation.checkpoint import Checkpoint
    from ..core.verify.fidelity import Fidelity
    from ..core.verify.notes import Notes
    from ..core.verify.searches import Compared
    from ..core.verify.weights import Finding
    from .verify_ways import Asked

_FOR_GAP = 40
_SEARCHED_TWICE = 8
"""Pictures whose prompts are searched in two precisions and in one."""
_REPORT, _PAGE, _SHEET = "report.json", "report.md", "sheet.png"
_PROMPTS = 256
_EPILOG = """\
what is done
  always              the CLIP's own text tower, its text projection, the norm of its end-of-text states
  with --pictures     prompts searched in two precisions and in one, which have to be the same; and the searches beside
                      each other: the share of what a prompt states that the CLIP finds unlikely, and contradictions,
                      repeats and words a prompt
  with --checkpoint   padding; and with --pictures too: each picture is rendered from its embedding in each quality and
                      from the prompt of the search, and another CLIP or a tagger says how near the renderings come to
                      it. What is surely nearer than the quality quick, and by most, is from then on the default for
                      that checkpoint; a search for that CLIP with that captioner. The report, report.md, is one page
                      that holds no picture and no path, to be posted. How long it takes is said after the first
                      rendering; whenever it is ended, the same command goes on
  with --tagger       nothing of the above: how much it tells of what text files beside the pictures say (photo.txt
                      beside photo.jpg, tags with commas between them), at its own threshold and at the best, and
                      whether it is shown red and blue in the right order

  with --scores       nothing of the above: the CLIP score of the pictures in a folder with the texts beside them or in
                      their files, and with --pictures their Fréchet distance (FID) and likeness to those, in features
                      of --clip and --dino; not of Inception, so that no published FID compares

examples
  %(prog)s --clip ViT-L-14/openai
  %(prog)s --checkpoint sd15.safetensors --pictures photographs -o report
  %(prog)s --tagger wd-vit --pictures tagged
  %(prog)s --scores renderings --pictures photographs
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
        metavar="A,B",
        help=f"those to compare, or none (default: {','.join(SEARCHES)}; with --checkpoint the usual one alone)",
    )
    parser.add_argument("--phrases", metavar="DIR", help="the vocabulary, as for interrogate")
    parser.add_argument("--checkpoint", metavar="NAME", help="hub id, folder, or safetensors file")
    parser.add_argument("--tagger", metavar="NAME", help="compare a tagger with tags that lie beside the pictures")
    parser.add_argument("--scores", type=Path, metavar="DIR", help="score the pictures of a folder")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="a folder of varied photographs, about 100")
    parser.add_argument(
        "--ways",
        type=_names,
        metavar="A,B",
        help=f"qualities and projections to compare, or all; ridge, bank and anchored learn for minutes (default: "
        f"{','.join(QUALITIES)})",
    )
    parser.add_argument(
        "--judge", metavar="NAME", help=f"the CLIP, or the tagger, that judges; another than --clip (default: {VIT_B})"
    )
    parser.add_argument(
        "--dino",
        default="none",
        metavar="NAME",
        help=f"a DINOv2 that judges too, such as {DINO.repo} (default: none)",
    )
    _add_amounts_to(parser)
    parser.add_argument("--sheet", action="store_true", help="sheet.png too, with the first pictures and renderings")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="where report.md and report.json go")


def _add_amounts_to(parser: argparse.ArgumentParser) -> None:
    for name, usual, what in (
        ("--count", PICTURES, "pictures to render from"),
        ("--seeds", RENDERINGS, "renderings of each"),
    ):
        parser.add_argument(name, type=int, default=usual, metavar="N", help=f"{what} (default: %(default)s)")
    parser.add_argument("--steps", type=int, metavar="N", help=f"sampling steps (default: {SAMPLING_STEPS})")
    parser.add_argument("--guidance", type=float, metavar="N", help=f"guidance scale (default: {USUAL_GUIDANCE})")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _searches(text: str) -> tuple[Search, ...]:
    named = [] if text == "none" else _names(text)
    known: dict[str, Search] = {name: name for name in SEARCHES}
    if unknown := [name for name in named if name not in known]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is no search; choose from {', '.join(SEARCHES)}")
    return tuple(known[name] for name in named)


def run(options: argparse.Namespace) -> int:
    """Prints the findings. The exit status is 1 when a check failed. Errors are raised."""
    quiet_libraries()
    if options.count < 1 or options.seeds < 1:
        raise SettingsError("--count and --seeds are numbers of 1 or more")
    sampling = sampling_from(options, SAMPLING_STEPS)
    if options.scores is not None:
        return verify_scores.run(options)
    if options.tagger is not None:
        return _run_tagger(options)
    _refuse_alone(options)
    pictures = [] if options.pictures is None else _pictures_in(options.pictures, options.count + _FOR_GAP)
    shown, others = pictures[: options.count], pictures[options.count :]
    settings = replace(engine_options.clip_settings_from(options), captioner=options.captioner, phrases=options.phrases)

    from ..core.verify.eyes import usual_judge

    judge = options.judge or usual_judge(options.checkpoint)
    _check(options, settings, judge, shown)

    from ..core.hub import Hub
    from ..core.machine import ROOT, commit
    from ..core.verify import report
    from .verify_ways import Asked

    asked = Asked(options, judge, sampling, shown, others, Hub(options.cache), f"{__version__}{commit(ROOT)}")
    with _notes(asked) as notes:
        found = _found(asked, settings, notes)
    for line in found.lines:
        write_line(line)
    if options.output is not None:
        values = report.as_values(found.findings, found.fidelity, found.compared)
        _write(options.output, values, found)
    return int(any(each.passed is False for each in found.findings))


class _Found(NamedTuple):
    """lines: as they are shown; of a comparison by rendering the report's page. sheet: where one was asked for."""

    findings: Sequence[Finding]
    lines: Sequence[str]
    compared: Compared | None = None
    fidelity: Fidelity | None = None
    sheet: Image | None = None


def _notes(asked: Asked) -> AbstractContextManager[Notes]:
    """Beside the report, else in the cache."""
    from ..core.verify.notes import Notes, noted_in

    if not asked.pictures:
        return nullcontext(Notes())
    return noted_in(asked.options.output or Path(asked.hub.folder) / "verify", asked.version)


def _found(asked: Asked, settings: Settings, notes: Notes) -> _Found:
    """What is found of the models, and of the searches and ways to embed on the pictures."""
    from ..core.clip import Clip
    from ..core.engine import Engine
    from ..core.phrases.composed import composed_prompts
    from ..core.phrases.vocabulary import load_vocabulary
    from ..core.variation.checkpoint import Checkpoint
    from ..core.verify import about, report, weights
    from ..core.verify.dino import dino_class
    from ..core.verify.eyes import check_judge
    from ..core.verify.searches import compare_searches
    from ..core.verify.ways import needs_learning
    from .progress import terminal_progress

    options, pictures, progress, checkpoint = asked.options, asked.pictures, terminal_progress(), None
    if options.checkpoint is not None:
        if options.dino != "none" and pictures:
            dino_class()  # which a model need not be loaded for to be missed
        checkpoint = Checkpoint.load(options.checkpoint, options.device or "auto", asked.hub, progress)
        settings = replace(settings, clip=options.clip or checkpoint.family.clip)
        if pictures:
            check_judge(asked.judge, settings.clip)
    clip = Clip.load(settings.clip, settings.device, settings.precision, asked.hub, progress)
    with Engine(settings, progress=progress, load_clip=lambda _: clip) as engine:
        findings = weights.check_clip(clip, composed_prompts(load_vocabulary(None), _PROMPTS))
        if checkpoint is not None:
            findings += weights.check_padding(checkpoint)
            if needs_learning(options.ways or ()):
                findings.append(weights.check_reconstruction(engine, clip, checkpoint))
        if not pictures:
            return _Found(findings, report.as_lines(findings))
        notes = notes.under(*about.engine_decides(engine, clip))
        findings.append(weights.check_precisions(clip, settings, pictures[:_SEARCHED_TWICE], progress, notes))
        searches = _searches_for(options, engine)
        compared = compare_searches(engine, pictures, searches, notes) if searches else None
        if checkpoint is None or compared is None:
            return _Found(findings, report.as_lines(findings, compared), compared)
        return _compared(asked, engine, clip, checkpoint, findings, compared, notes)


def _compared(
    asked: Asked,
    engine: Engine,
    clip: Clip,
    checkpoint: Checkpoint,
    findings: Sequence[Finding],
    compared: Compared,
    notes: Notes,
) -> _Found:
    from ..core.verify.page import page
    from ..core.verify.sheet import draw_fidelity
    from .verify_ways import compare_ways

    fidelity, made_with = compare_ways(asked, engine, clip, checkpoint, compared, notes)
    sheet = draw_fidelity(asked.pictures, fidelity) if asked.options.sheet else None
    return _Found(findings, page(made_with, fidelity, findings).splitlines(), compared, fidelity, sheet)


def _searches_for(options: argparse.Namespace, engine: Engine) -> tuple[Search, ...]:
    """What renders needs the usual one's prompts."""
    if options.checkpoint is None:
        return SEARCHES if options.searches is None else options.searches
    return tuple(dict.fromkeys((engine.usual_search(), *(options.searches or ()))))


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
    for line in report.as_lines(findings):
        write_line(line)
    if options.output is not None:
        _write(options.output, report.as_values(findings, None))
    return int(any(each.passed is False for each in findings))


def _refuse_alone(options: argparse.Namespace) -> None:
    """SettingsError for what is asked of a comparison that is none."""
    if options.ways is not None:
        check_ways(options.ways)
    given = [name for name in ("ways", "sheet", "judge") if getattr(options, name)]
    if given and (options.checkpoint is None or options.pictures is None):
        raise SettingsError(f"--{given[0]} is of what is rendered", "give --checkpoint and --pictures too")
    if options.sheet and options.output is None:
        raise SettingsError(f"--sheet writes {_SHEET} beside the report", "name a folder with -o")


def _check(options: argparse.Namespace, settings: Settings, judge: str, pictures: Sequence[Image]) -> None:
    """Raises for what is known to be wrong before any model is loaded. judge: by name. pictures: to render from."""
    from ..core.engine import Engine
    from ..core.places import check_folder
    from ..core.variation.naming import check_checkpoint
    from ..core.verify.eyes import check_judge

    if options.output is not None:
        check_folder(options.output, [_REPORT, _PAGE, *([_SHEET] if options.sheet else [])])
    if options.checkpoint is not None:
        check_checkpoint(options.checkpoint)
    Engine(settings).check()
    if options.checkpoint is not None and pictures:
        check_count(len(pictures))
        check_judge(judge, options.clip or (MICRO if options.checkpoint == MICRO else ""))
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


def _write(folder: Path, values: Mapping[str, Any], found: _Found | None = None) -> None:
    written = [_REPORT]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / _REPORT, f"{json.dumps(values, indent=1)}\n".encode())
        if found is not None and found.fidelity is not None:
            write_whole(folder / _PAGE, "\n".join([*found.lines, ""]).encode())
            written.insert(0, _PAGE)
        if found is not None and found.sheet is not None:
            save_picture(found.sheet, folder / _SHEET, optimize=True)
            written.append(_SHEET)
        tell_written(folder, " and ".join(filter(None, (", ".join(written[:-1]), written[-1]))))
    except OSError as error:
        raise UnrenderError(f"The report cannot be written to {folder} ({error.strerror})", "name another") from error
