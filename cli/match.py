"""`unrender match`: which phrase fits which picture, and which picture fits which phrase."""

from __future__ import annotations

import argparse
import glob
import os.path
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import ImageError, SettingsError
from . import engine_options
from .pictures import PICTURE_SUFFIXES, STANDARD_INPUT, expand, read_picture
from .streams import quiet_libraries, write_json, write_line
from .tables import add_formulas_to, write_csv, write_heading, write_rows
from .toys import tell_if_toy

if TYPE_CHECKING:
    from ..core.study.match import Match

_EPILOG = """\
pictures and phrases
  arguments that are files, and -, are pictures; all others are phrases, as are those of --phrase and --phrases

examples
  %(prog)s photo.jpg "a cat" "a dog" "an empty sofa"
  %(prog)s face.jpg 10 20 30 40 50 60 70 --template "a photo of a person aged {}"
  %(prog)s *.jpg --phrases poem.txt        which line fits which photo, and the other way round
  %(prog)s entry-*.png "a drawing of freedom"        which drawing fits the word

what the numbers are
  the likelihood of a phrase among the phrases for one picture, or of a picture among the pictures for one phrase,
  and the cosine similarity; a phrase can be the likeliest of all and still be wrong

what is printed
  for each picture its phrases; with several pictures, for each phrase its pictures too; the best first
  --json: an object with images, phrases, templates, model, and similarities, phrase_likelihoods and
  image_likelihoods as tables with a row for each picture
  --csv: image, phrase, similarity, phrase_likelihood, image_likelihood
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "match",
        help="say which phrase fits which picture",
        usage="%(prog)s IMAGE... PHRASE... [options]",
        description="Says which of any phrases fits a picture best, and which of several pictures a phrase.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, parser=parser)
    parser.add_argument("items", nargs="+", metavar="IMAGE|PHRASE", help="picture files, then phrases")
    parser.add_argument(
        "--phrase", action="append", default=[], metavar="TEXT", help="a phrase, even if a file has that name"
    )
    parser.add_argument("--phrases", type=Path, metavar="FILE", help="a text file with a phrase a line")
    parser.add_argument(
        "--template",
        action="append",
        default=[],
        metavar="TEXT",
        help='words around each phrase, such as "a photo of {}"; several are averaged (may be repeated)',
    )
    parser.add_argument("--top", type=int, default=10, metavar="N", help="entries of each list (default: 10)")
    engine_options.add_clip_to(parser)
    output = parser.add_argument_group("output")
    form = output.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object, and no progress bars")
    form.add_argument("--csv", action="store_true", help="a table for a spreadsheet, and no progress bars")
    add_formulas_to(output)


def run(options: argparse.Namespace) -> int:
    """Matches all pictures with all phrases. Errors are raised."""
    quiet_libraries()
    settings = engine_options.clip_settings_from(options)
    names, phrases = pictures_and_phrases(options.items)
    phrases += options.phrase
    if options.phrases is not None:
        phrases += _lines(options.phrases)
    if not names:
        raise SettingsError("None of the arguments is a file", "name a picture")
    if options.top < 1:
        raise SettingsError(f"--top is {options.top}", "give 1 or more")

    from ..core.engine import Engine
    from ..core.study.match import check_question
    from .progress import terminal_progress

    check_question(phrases, options.template)
    progress = terminal_progress(quiet=options.json or options.csv)
    with Engine(settings, progress=progress) as engine, progress.task(f"Matching {len(names)} pictures"):
        pictures = [read_picture(name) for name in names]
        tell_if_toy("match", settings, *pictures)
        found = engine.match(pictures, phrases, options.template)
    if options.json:
        write_json({"images": names, **found.to_dict()})
    elif options.csv:
        _write_csv(names, found, options.formulas)
    else:
        _write_lists(names, found, options.top)
    return 0


def pictures_and_phrases(items: Sequence[str]) -> tuple[list[str], list[str]]:
    """Files, patterns of files and "-" apart from all other texts. Raises ImageError for an absent picture file."""
    names: list[str] = []
    phrases: list[str] = []
    for item in items:
        # os.path, because pathlib fails on texts too long for a file's name
        if item == STANDARD_INPUT or os.path.isfile(item) or glob.glob(item):  # noqa: PTH113, PTH207
            names += expand([item])
        elif os.path.splitext(item)[1].casefold() in PICTURE_SUFFIXES:  # noqa: PTH122
            raise ImageError(f"There is no picture {item}", f"give --phrase {item!r} if it is a phrase")
        else:
            phrases.append(item)
    return names, phrases


def _lines(path: Path) -> list[str]:
    from ..core.phrases import read_phrases

    if not path.is_file():
        raise SettingsError(f"There is no file {path}", "--phrases takes a text file with a phrase a line")
    return list(read_phrases(path))


def _write_lists(names: Sequence[str], found: Match, top: int) -> None:
    for image, name in enumerate(names):
        write_heading(name)
        ranked = found.ranked_phrases(image)[:top]
        write_rows((entry.likelihood, entry.similarity, found.phrases[entry.index]) for entry in ranked)
        write_line()
    if len(names) == 1:
        return
    for phrase, text in enumerate(found.phrases):
        write_heading(" ".join(text.split()))
        ranked = found.ranked_images(phrase)[:top]
        write_rows((entry.likelihood, entry.similarity, names[entry.index]) for entry in ranked)
        write_line()


def _write_csv(names: Sequence[str], found: Match, formulas: bool) -> None:
    tables = (found.similarities, found.phrase_likelihoods, found.image_likelihoods)
    rows = (
        (name, phrase, *(table[image][number] for table in tables))
        for image, name in enumerate(names)
        for number, phrase in enumerate(found.phrases)
    )
    heading = ("image", "phrase", "similarity", "phrase_likelihood", "image_likelihood")
    write_csv(chain([heading], rows), formulas)
