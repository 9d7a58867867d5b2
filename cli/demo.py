"""`unrender demo`: the whole way from picture to prompt and back on the embedded toy model, offline."""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import MissingPackageError, UnrenderError
from ..core.files import save_picture
from ..core.settings import MODES, Mode, Settings
from .demo_words import Words, describe_all
from .streams import command_name, complain, quiet_libraries, write_line

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..core.engine import Engine
    from ..core.micro.world import Scene
    from ..core.progress import Progress
    from ..core.results import Interrogation
    from ..core.verify.choosing import Choice
    from .sheet import Rendering

TOY = (
    "Micro is a toy: small models trained on drawings of a few shapes. It shows that everything works, "
    "and knows nothing of real pictures. These drawings combine shape, colour, background and style as none "
    "of its training pictures did."
)
SHEET_NAME = "sheet.png"
DEFAULT_FOLDER = Path("unrender-demo")
SEED = 7
_SHOWN: tuple[Mode, ...] = tuple(mode for mode in MODES if mode != "tags")


@dataclass(frozen=True)
class Subject:
    """A drawn picture and what is known to be in it."""

    scene: Scene
    picture: Image
    truth: str


@dataclass(frozen=True)
class Shown:
    """A subject with the prompt of every mode, what describers say of it, and what was rendered from it."""

    subject: Subject
    results: tuple[Interrogation, ...]
    words: Words = ()
    renderings: tuple[Rendering, ...] = ()


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "demo",
        help="draw pictures, interrogate and vary them with the embedded toy model, offline",
        description="Draws pictures, sets the prompts of every mode, tags, a sentence and keywords beside the truth, "
        f"and renders each again: from its prompt, from its embedding without words, and with one thing changed. {TOY}",
    )
    parser.set_defaults(run=run, parser=parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=DEFAULT_FOLDER,
        metavar="FOLDER",
        help="where the pictures and the contact sheet go (default: %(default)s)",
    )
    parser.add_argument("--count", type=_positive, default=6, metavar="N", help="how many pictures (default: 6)")


def run(options: argparse.Namespace) -> int:
    quiet_libraries()
    from ..core.places import check_folder
    from .progress import terminal_progress

    started = time.monotonic()
    names = [SHEET_NAME, *(f"picture-{number}.png" for number in range(1, options.count + 1))]
    check_folder(options.output, names)
    _write(f"{TOY}\n")
    folder = _make_folder(options.output)
    progress = terminal_progress()
    shown: list[Shown] = []
    with _engine(progress) as engine:
        subjects = draw_subjects(options.count)
        described = describe_all([subject.picture for subject in subjects], progress)
        for one in interrogate_all(engine, subjects):
            one = replace(one, words=described[len(shown)])
            shown.append(one)
            save_picture(one.subject.picture, folder / f"picture-{len(shown)}.png")
            _write(describe(one, len(shown)))
        shown = render_all(engine, shown)
    sheet = folder / SHEET_NAME
    _save_sheet(shown, sheet)
    example = f'{command_name()} interrogate "{folder / "picture-1.png"}" --clip micro'
    _write(
        f"The contact sheet is {sheet} ({time.monotonic() - started:.0f} s). One picture alone, then in tags, then in "
        f"sentences:\n  {example}\n  {example} --for illustrious\n  {example} --for qwen-image"
    )
    return 0


def draw_subjects(count: int) -> list[Subject]:
    """Pictures of combinations kept out of training, the same on every run."""
    from ..core.micro.captions import ALL_FACTORS, caption
    from ..core.micro.drawing import draw
    from ..core.micro.world import random_scene

    rng = random.Random(SEED)
    subjects = []
    for number in range(count):
        scene = random_scene(rng, "validation")
        truth = caption(scene, rng, ALL_FACTORS).text
        subjects.append(Subject(scene, draw(scene, number).picture, truth))
    return subjects


@contextmanager
def _engine(progress: Progress) -> Iterator[Engine]:
    """On one thread: the toy's matrices are so small that threads mostly wait for each other."""
    with progress.task("Loading libraries"):
        import torch

        from ..core.engine import Engine

    settings = Settings(clip="micro", captioner="micro", device="cpu", min_phrases=1, max_phrases=6)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with Engine(settings, progress=progress) as engine:
            yield engine
    finally:
        torch.set_num_threads(threads)


def interrogate_all(engine: Engine, subjects: Sequence[Subject]) -> Iterator[Shown]:
    """Interrogates each picture in every mode, one picture at a time."""
    for number, subject in enumerate(subjects, 1):
        with engine.progress.task(f"Picture {number}", len(_SHOWN), "modes") as task:
            results = []
            for mode in _SHOWN:
                results.append(engine.interrogate(subject.picture, mode=mode))
                task.advance()
        yield Shown(subject, tuple(results))


def render_all(engine: Engine, shown: Sequence[Shown]) -> list[Shown]:
    """Closes the loop, and has one picture's prompt chosen by what it renders; or says what is missing for it."""
    from .demo_loop import choose, close_loops, load_checkpoint

    pictures = [one.subject.picture for one in shown]
    prompts = [next(found.prompt for found in one.results if found.mode == "best") for one in shown]
    try:
        checkpoint = load_checkpoint(engine)
    except MissingPackageError as error:
        complain(error)
        return list(shown)
    renderings = close_loops(engine, checkpoint, pictures, prompts)
    _write(describe_choice(choose(engine, checkpoint, pictures[-1]), len(pictures)))
    return [replace(one, renderings=made) for one, made in zip(shown, renderings, strict=True)]


def describe(shown: Shown, number: int) -> str:
    """Truth and prompts as lines of text."""
    lines = [f"{number}. {'truth':<9} {'':<6} {shown.subject.truth}"]
    lines += [f"   {result.mode:<9} {result.similarity:6.3f} {result.prompt}" for result in shown.results]
    lines += [f"   {style:<9} {'':<6} {text}" for style, text in shown.words]
    return "\n".join(lines) + "\n"


def describe_choice(choice: Choice, number: int) -> str:
    """Every prompt that was rendered, the nearest first, as lines of text."""
    lines = [f"Picture {number} by what is rendered from its prompts, the nearest first, as {choice.judge} sees it:"]
    lines += [f"   {each.way:<9} {each.likeness:6.3f} {each.prompt}" for each in choice.rendered]
    return "\n".join(lines) + "\n"


def _save_sheet(shown: list[Shown], path: Path) -> None:
    from .sheet import Card, Entry, draw_sheet

    cards = [
        Card(
            one.subject.picture,
            (
                Entry("truth", one.subject.truth, accented=True),
                *(Entry(result.mode, result.prompt) for result in one.results),
                *(Entry(style, text) for style, text in one.words),
            ),
            one.renderings,
        )
        for one in shown
    ]
    sheet = draw_sheet("From picture to prompt and back, on the embedded toy model", TOY, cards)
    save_picture(sheet, path, optimize=True)


def _make_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnrenderError(f"the demo cannot write to {folder}: {error.strerror}", "name another with -o") from error
    return folder


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)


def _write(text: str) -> None:
    write_line(text, kept="\n\t")
