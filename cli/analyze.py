"""`unrender analyze`: what pictures are made of, in likelihoods per category."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import SettingsError
from ..core.phrases import FURTHER_CATEGORIES
from . import engine_options
from .explanations import write_explanation
from .pictures import STANDARD_INPUT, expand, read_picture, readable_pictures
from .streams import quiet_libraries, tell_written, write_json, write_line
from .tables import (
    add_formulas_to,
    write_confidences,
    write_csv,
    write_heading,
    write_remark,
    write_rows,
    write_supported,
)
from .tag_options import add_tagger_to, with_tagger
from .toys import tell_if_toy

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..core.engine import Engine
    from ..core.study.analyze import Analysis

_TAGS = "tags"
_LEAST = 0.005
"""Of a concept's likelihood, in what is read: others are 0 % or 1 %."""
_HEADINGS = {"general": "general tags", "character": "characters"}
_EPILOG = """\
what the numbers are
  the likelihood of a phrase among all phrases of its category, which sum to 100 %, and its cosine similarity;
  of families, which ask one question each (what time of day, which medium), how likely each answer is, and how many
  deviations the picture is nearer to it than pictures are by chance; families that are not sure are named alone
  of tags (--tagger) the tagger's confidence, each tag by itself

further categories, used when --categories names them
{further}

what is printed
  for each picture its name, and for each category likelihood, similarity and phrase, the best first
  then by family, the surest first, likelihood, support and concept
  then the tags by category, the rating first, each with its confidence
  --json: an object a line with image (or images), model, pictures, categories, families, and of a tagger tagger,
  rating, tags
  --csv: image, category, rank, phrase, similarity, likelihood, of families support, and of a tagger confidence; a
  family's category is "family: " and its name

exit status
  0, or 1 when a picture failed: one line on standard error says which and why, the others are done
"""


def _further() -> str:
    names = ", ".join(name.replace(" ", "-") for name in FURTHER_CATEGORIES)
    return textwrap.fill(names, 114, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "analyze",
        help="say what pictures are made of: medium, artist, movement, and more",
        usage="%(prog)s IMAGE... [options]",
        description="Says per category which phrases suit a picture best, and how likely each is among the others.",
        epilog=_EPILOG.format(further=_further()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, parser=parser)
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="a picture file; - reads one from standard input")
    parser.add_argument(
        "--categories",
        action="append",
        metavar="A,B",
        help="these categories only, such as mediums,surfaces,emotions; tags for those of --tagger and no others, for "
        "which no CLIP is loaded (may be repeated)",
    )
    parser.add_argument(
        "--families",
        type=_names,
        metavar="A,B",
        help="these families only, all or none (default: all without --categories, else none)",
    )
    parser.add_argument("--top", type=int, default=5, metavar="N", help="phrases of each category (default: 5)")
    parser.add_argument("--together", action="store_true", help="one analysis of what the pictures share")
    parser.add_argument(
        "--weights",
        type=engine_options.numbers,
        metavar="X,Y",
        help="how much each picture counts with --together, such as 2,1,1",
    )
    parser.add_argument(
        "--phrases",
        metavar="DIR",
        help="a folder of NAME.txt files, peer or clip-gaze for an installed package's, extended for all built-in ones",
    )
    engine_options.add_clip_to(parser)
    engine_options.add_bank_to(parser.add_argument_group("families"))
    add_tagger_to(parser)
    output = parser.add_argument_group("output")
    form = output.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object per picture, and no progress bars")
    form.add_argument("--csv", action="store_true", help="a table for a spreadsheet, and no progress bars")
    add_formulas_to(output)
    output.add_argument(
        "--plot",
        metavar="FILE",
        type=Path,
        help="a chart as .png or .svg; of several pictures FILE-1, FILE-2, and so on",
    )
    output.add_argument(
        "--explain",
        metavar="DIR",
        type=Path,
        help="heat maps in this folder: where in the picture the best phrases find their support",
    )
    output.add_argument("--dark", action="store_true", help="light letters on a dark ground in those pictures")


def run(options: argparse.Namespace) -> int:
    """Analyses every picture. Returns 1 when any failed. Errors that concern all pictures are raised."""
    quiet_libraries()
    settings = with_tagger(replace(engine_options.clip_settings_from(options), phrases=options.phrases), options)
    if not options.together:
        engine_options.refuse_weights(options)
    names = expand(options.images)
    _check_tags(options)
    _check_places(names, options)

    from ..core.describe.asked import check_tells_tags
    from ..core.engine import Engine
    from .progress import terminal_progress

    check_tells_tags(settings)
    settings = engine_options.with_bank(settings, options, quiet=options.json or options.csv)
    done = 0
    with Engine(settings, progress=terminal_progress(quiet=options.json or options.csv)) as engine:
        analyses = _together(engine, names, options) if options.together else _each(engine, names, options)
        if options.csv:
            analyses = _with_csv_names(analyses, _asks_families(options), options.tagger is not None)
        for done, (label, pictures, analysis) in enumerate(analyses, 1):
            if done == 1:
                tell_if_toy("analyze", settings, *pictures)
            _show(label, analysis, options)
            if options.plot is not None:
                _plot(analysis, pictures, _chart_file(names, options, done), options.dark)
            if options.explain is not None:
                _explain(engine, label, pictures, analysis, options, done if len(names) > 1 else None)
    return 0 if options.together or done == len(names) else 1


Labelled = tuple[list[str], list["Image"], "Analysis"]


def _each(engine: Engine, names: list[str], options: argparse.Namespace) -> Iterator[Labelled]:
    for name, picture in readable_pictures(names):
        with engine.progress.task(f"Analysing {name}"):
            analysis = _phrases(engine, [picture], options)
        yield [name], [picture], analysis


def _together(engine: Engine, names: list[str], options: argparse.Namespace) -> Iterator[Labelled]:
    pictures = [read_picture(name) for name in names]
    with engine.progress.task(f"Analysing {len(names)} pictures"):
        analysis = _phrases(engine, pictures, options)
    yield names, pictures, analysis


def _phrases(engine: Engine, pictures: list[Image], options: argparse.Namespace) -> Analysis:
    """Of one picture, or of what several share; and the tags, where a tagger is named."""
    from ..core.study.analyze import Analysis, shared_tags

    categories, analysis = _categories(options), Analysis((), "", len(pictures))
    families = _families(options)
    if set(_named(options) or ()) == {_TAGS}:
        pass  # and no CLIP is loaded
    elif options.together:
        analysis = engine.analyze_together(pictures, categories, options.top, options.weights, families)
    else:
        analysis = engine.analyze(pictures, categories, options.top, families)[0]
    if options.tagger is None:
        return analysis
    tags = [each.tags for each in engine.interrogate_each(pictures, "tags")]
    return replace(analysis, tags=shared_tags(tags, options.weights), tagger=options.tagger)


def _categories(options: argparse.Namespace) -> list[str] | None:
    """Of phrases; None for the usual ones."""
    named = _named(options)
    return None if named is None else [name for name in named if name != _TAGS]


def _families(options: argparse.Namespace) -> bool | list[str]:
    """As `Engine.analyze` takes them."""
    named = options.families
    if named is None:
        return options.categories is None
    return named == ["all"] or (False if named == ["none"] else named)


def _asks_families(options: argparse.Namespace) -> bool:
    return _families(options) is not False and set(_named(options) or ()) != {_TAGS}


def _names(text: str) -> list[str]:
    return [name.strip().replace("_", " ") for name in text.split(",") if name.strip()]


def _named(options: argparse.Namespace) -> list[str] | None:
    if options.categories is None:
        return None
    return [name.strip() for text in options.categories for name in text.split(",") if name.strip()]


def _show(names: list[str], analysis: Analysis, options: argparse.Namespace) -> None:
    from ..core.study.analyze import by_category

    if options.json:
        label = {"images": names} if options.together else {"image": names[0]}
        write_json({**label, **analysis.to_dict()})
    elif options.csv:
        _show_csv(" + ".join(names), analysis, options)
    else:
        write_heading(" + ".join(names))
        for found in analysis.categories:
            write_heading(found.category, f"of {found.phrases:,}")
            write_rows((entry.likelihood, entry.similarity, entry.phrase) for entry in found.top)
            if found.note:
                write_remark(found.note)
        _show_families(analysis)
        for category, tags in by_category(analysis.tags):
            write_heading(_HEADINGS.get(category, category), f"by {analysis.tagger}")
            write_confidences((tag.confidence, tag.name) for tag in tags)
        write_line()


def _show_families(analysis: Analysis) -> None:
    for found in analysis.families:
        if found.sure:
            write_heading(found.family, found.about)
            likely = [entry for entry in found.top if entry.likelihood >= _LEAST]
            write_supported((entry.likelihood, entry.support, entry.wording) for entry in likely)
    likeliest = [(each.family, each.top[0]) for each in analysis.families if not each.sure]
    unsure = [f"{family} ({first.wording} {first.likelihood:.0%})" for family, first in likeliest]
    if unsure:
        write_heading("not sure", "each with its likeliest")
        write_remark(textwrap.fill("; ".join(unsure), 110, initial_indent="  ", subsequent_indent="  "))


def _show_csv(image: str, analysis: Analysis, options: argparse.Namespace) -> None:
    asked, tagged = [""] * _asks_families(options), [""] * (options.tagger is not None)
    write_csv(([image, *row.values(), *asked, *tagged] for row in analysis.rows()), options.formulas)
    for row in analysis.family_rows():
        of = [f"family: {row['family']}", row["rank"], row["wording"], "", row["likelihood"], row["support"]]
        write_csv([[image, *of, *tagged]], options.formulas)
    told = ([image, *row.values()] for row in analysis.tag_rows())
    write_csv(([*row[:4], "", "", *asked, row[4]] for row in told), options.formulas)


def _with_csv_names(analyses: Iterable[Labelled], asked: bool, tagged: bool) -> Iterator[Labelled]:
    """Prints the line of names once the first analysis is there, so that a failure prints nothing."""
    for number, analysis in enumerate(analyses):
        if number == 0:
            names = ("image", "category", "rank", "phrase", "similarity", "likelihood")
            write_csv([(*names, *["support"] * asked, *["confidence"] * tagged)], formulas=True)
        yield analysis


def _explain(
    engine: Engine,
    names: list[str],
    pictures: list[Image],
    analysis: Analysis,
    options: argparse.Namespace,
    first: int | None,
) -> None:
    """Files named after their pictures, numbered from `first` where there are several: these may be of one name."""
    for number, (name, picture) in enumerate(zip(names, pictures, strict=True), first or 1):
        label = _label(name, number, several=first is not None)
        files = write_explanation(engine, picture, label, analysis, options.explain, options.dark)
        tell_written(options.explain, f"{len(files)} heat maps")


def _label(name: str, number: int, several: bool) -> str:
    stem = "picture" if name == STANDARD_INPUT else Path(name).stem
    return f"{number}-{stem}" if several else stem


def _check_tags(options: argparse.Namespace) -> None:
    """SettingsError for tags without a tagger, and for what shows phrases where there are none."""
    named = set(_named(options) or ())
    if options.tagger is None and _TAGS in named:
        raise SettingsError("--categories names tags, which a tagger tells", "give --tagger too")
    if named == {_TAGS} and (options.plot is not None or options.explain is not None):
        name = "--explain" if options.plot is None else "--plot"
        raise SettingsError(f"{name} shows categories of phrases", "name some with --categories")


def _check_places(names: list[str], options: argparse.Namespace) -> None:
    """SettingsError, MissingPackageError for what could not be written when all is found."""
    from ..core.places import check_folder

    if options.plot is not None:
        from ..core.drawing.chart import check_file

        for number in range(1, len(names) + 1):
            check_file(_chart_file(names, options, number), names)
    if options.explain is not None:
        labels = [_label(name, number, len(names) > 1) for number, name in enumerate(names, 1)]
        check_folder(options.explain, [f"{label}.png" for label in labels], names)


def _chart_file(names: list[str], options: argparse.Namespace, number: int) -> Path:
    path: Path = options.plot
    several = len(names) > 1 and not options.together
    return path.with_name(f"{path.stem}-{number}{path.suffix}") if several else path


def _plot(analysis: Analysis, pictures: list[Image], path: Path, dark: bool) -> None:
    from ..core.drawing.chart import draw_analysis, side_by_side
    from ..core.files import write_whole

    chart = draw_analysis(analysis, side_by_side(pictures), dark=dark, form=path.suffix[1:])
    try:
        write_whole(path, chart)
        tell_written(path)
    except OSError as error:
        raise SettingsError(f"--plot cannot be written to {path} ({error})", "give a path such as out.png") from error
