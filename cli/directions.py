"""The direction of `vary`: its options, and the contact sheet that several amounts make."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import SettingsError, UnrenderError
from ..core.files import save_picture
from . import engine_options

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..core.embed.direction import Direction
    from ..core.variation.variations import Variation

SHEET = "sheet.png"
"""In a folder, beside the pictures."""
_MOST_AMOUNTS = 64


def add_to(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--away", metavar="TEXT", help='what the picture shows, such as "a neutral face"')
    group.add_argument("--toward", metavar="TEXT", help='what it is to show, such as "a smiling face"')
    group.add_argument(
        "--amount",
        type=engine_options.numbers,
        metavar="N,N,...",
        help="how much of the way between the two, below 0 the other way; several make a contact sheet (default: 1)",
    )


def direction_from(options: argparse.Namespace) -> tuple[Direction | None, list[float]]:
    """And its amounts. Raises SettingsError for what does not go together."""
    from ..core.embed.direction import USUAL_AMOUNT, Direction, check_amount

    given = [name for name in ("away", "toward", "amount") if getattr(options, name) is not None]
    amounts = options.amount or [USUAL_AMOUNT]
    if not given:
        return None, amounts
    for name in ("away", "toward"):
        if getattr(options, name) is None:
            raise SettingsError(f"--{given[0]} is of a direction from one text to another", f"give --{name} too")
    for name in ("text", "swap"):
        if getattr(options, name):
            raise SettingsError(f"--{name} changes the picture in another way than a direction", f"leave out --{name}")
    if len(amounts) > _MOST_AMOUNTS:
        raise SettingsError(f"--amount has {len(amounts)} numbers", f"give {_MOST_AMOUNTS} at most")
    for amount in amounts:
        check_amount(amount)
    return Direction(options.away, options.toward), amounts


def write_sheet(made: Sequence[Variation], direction: Direction, path: Path) -> None:
    """Raises UnrenderError where it cannot be written."""
    from ..core.variation.pictures import with_text

    try:
        save_picture(sheet(made, direction), path, **with_text(made[0].infotext, path))
    except OSError as error:
        raise UnrenderError(f"{path} cannot be written ({error.strerror})", "choose another place") from error


def sheet(made: Sequence[Variation], direction: Direction) -> Image:
    """The pictures in the order of their amounts as they were given, a row for each seed where there are several."""
    from ..core.drawing.panels import COLUMNS, Panel, draw_panels

    several = len({each.seed for each in made}) > 1
    ordered = sorted(made, key=lambda each: each.seed)
    panels = [Panel(each.image, f"{each.amount:g}" + (f", seed {each.seed}" if several else "")) for each in ordered]
    amounts = len({each.amount for each in made})
    columns = amounts if several and amounts <= 2 * COLUMNS else COLUMNS
    return draw_panels(panels, f"from {direction.away!r} to {direction.toward!r}", columns)
