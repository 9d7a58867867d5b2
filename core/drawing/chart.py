"""An analysis as a chart: bars of likelihood beside the picture, and where in its category each winner stands.

Drawn by matplotlib (the optional extra `plot`) through its objects alone: no pyplot, no global settings.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image

from .. import places
from ..cures import Install
from ..errors import MissingPackageError, SettingsError
from ..study.analyze import Analysis, CategoryAnalysis, Spread
from ..study.families import FamilyAnalysis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.font_manager import FontProperties

Form = Literal["png", "svg"]
FORMS: tuple[Form, ...] = ("png", "svg")

# pixels
WIDTH = 1200
_MARGIN = 32
_PICTURE = 240
_BARS_LEFT = _MARGIN + _PICTURE + 36
_BARS_WIDTH = 500
_SPREAD_LEFT = _BARS_LEFT + _BARS_WIDTH + 48
_SPREAD_WIDTH = WIDTH - _MARGIN - _SPREAD_LEFT
_HEADING = 34
_ROW = 38
_BAR = 7
_GAP = 30
_LEAST_BLOCK = 104
_MOST_BLOCK = 210
_AXIS_LABELS = 22
_SHARE = 64
_LINE = 19
_TEXT, _SMALL, _LARGE = 13.5, 12.0, 16.0

_MOST_ROWS = 20
"""Phrases of a category that a chart shows at most, and families."""
_LEAST = 0.005
"""Of a concept's likelihood that is named behind its family's likeliest."""
_DPI = 100
_ELLIPSIS = "…"
_OTHER_SCRIPTS = (
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "Source Han Sans", "PingFang SC", "Hiragino Sans", "Microsoft YaHei"),
    *("Yu Gothic", "Malgun Gothic", "WenQuanYi Zen Hei", "Arial Unicode MS", "Noto Sans", "Noto Sans Devanagari"),
)


@dataclass(frozen=True)
class _Theme:
    paper: str
    ink: str
    faint: str
    track: str
    first: str
    others: str
    crowd: str


_LIGHT = _Theme("#ffffff", "#1f2328", "#5c656e", "#e9edf1", "#0b6e4f", "#74b49d", "#bcc5ce")
_DARK = _Theme("#15181c", "#e8ebee", "#a3adb7", "#2a3037", "#45d6a1", "#2c8566", "#56616c")


def draw_analysis(analysis: Analysis, picture: Image.Image | None, dark: bool = False, form: str = "png") -> bytes:
    """The chart as a file's content. picture: shown beside it, such as `side_by_side` gives, where it is at hand.

    Raises SettingsError for a form but "png" and "svg", MissingPackageError without matplotlib.
    """
    _check_form(form)
    figure = _Drawing(analysis, picture, _DARK if dark else _LIGHT).figure
    content = io.BytesIO()
    if form.casefold() == "svg":
        from matplotlib.backends.backend_svg import FigureCanvasSVG

        FigureCanvasSVG(figure).print_svg(content, metadata={"Date": None})
    else:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        FigureCanvasAgg(figure).print_png(content)
    return content.getvalue()


def chart_image(analysis: Analysis, picture: Image.Image | None, dark: bool = False) -> Image.Image:
    """The chart as an RGB picture, WIDTH wide and as high as it needs. Raises MissingPackageError."""
    with Image.open(io.BytesIO(draw_analysis(analysis, picture, dark))) as chart:
        return chart.convert("RGB")


def check_file(path: Path, sources: Iterable[str] = ()) -> None:
    """Whether a chart can be written to `path`, before there is one: SettingsError, MissingPackageError. sources: the
    files of the pictures."""
    _check_form(path.suffix[1:])
    places.check_file(path, sources)
    _require_matplotlib()


def side_by_side(pictures: Sequence[Image.Image]) -> Image.Image:
    """The first nine pictures in a square grid, cropped to squares, empty places transparent; a single one as it is."""
    if len(pictures) == 1:
        return pictures[0]
    shown = pictures[:9]
    columns = math.ceil(math.sqrt(len(shown)))
    size = 2 * _PICTURE // columns
    grid = Image.new("RGBA", (columns * size, math.ceil(len(shown) / columns) * size))
    for number, picture in enumerate(shown):
        edge = min(picture.size)
        left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
        square = picture.convert("RGB").resize((size, size), box=(left, top, left + edge, top + edge))
        grid.paste(square, (number % columns * size, number // columns * size))
    return grid


def _check_form(form: str) -> None:
    if form.casefold() not in FORMS:
        raise SettingsError(f"A chart cannot be written as {form!r}", "choose png or svg")


def _require_matplotlib() -> None:
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(f"Charts need matplotlib ({error})", Install(("matplotlib",))) from error


class _Drawing:
    """One chart in the making. All places are in pixels from the upper left corner."""

    def __init__(self, analysis: Analysis, picture: Image.Image | None, theme: _Theme) -> None:
        _require_matplotlib()
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.theme = theme
        self.thumbnail = None if picture is None else _thumbnail(picture)
        self.height = max(_MARGIN + _HEADING + _blocks_height(analysis), self._side_height(analysis))
        self.figure = Figure(figsize=(WIDTH / _DPI, self.height / _DPI), dpi=_DPI, facecolor=theme.paper)
        self.measure = _measure(FigureCanvasAgg(self.figure).get_renderer())
        self.page = self._axes(0, 0, WIDTH, self.height)
        self.page.set_xlim(0, WIDTH)
        self.page.set_ylim(self.height, 0)
        self.page.set_axis_off()
        self._draw_side(analysis)
        self._write(_BARS_LEFT, _MARGIN, "likelihood among the category", _SMALL, theme.faint)
        self._write(_SPREAD_LEFT, _MARGIN, "cosine similarity of all its phrases", _SMALL, theme.faint)
        top = _MARGIN + _HEADING
        for found in analysis.categories:
            self._draw_block(found, top)
            top += _block_height(found) + _GAP
        if sure := _sure(analysis):
            self._draw_families(sure, top)

    def _side_height(self, analysis: Analysis) -> int:
        notes = 12 * _LINE if any(found.note for found in analysis.categories) else 0
        return 2 * _MARGIN + (self.thumbnail.height if self.thumbnail else 0) + 5 * _LINE + notes

    def _draw_side(self, analysis: Analysis) -> None:
        top = _MARGIN if self.thumbnail is None else self._draw_picture(self.thumbnail)
        what = analysis.model if analysis.pictures == 1 else f"{analysis.model} · {analysis.pictures} pictures together"
        notes = list(dict.fromkeys(found.note for found in analysis.categories if found.note))
        for text in (what, *notes):
            for line in self._wrapped(text, _PICTURE, _SMALL):
                self._write(_MARGIN, top, line, _SMALL, self.theme.faint)
                top += _LINE
            top += _LINE // 2

    def _draw_picture(self, picture: Image.Image) -> int:
        axes = self._axes(_MARGIN, _MARGIN, *picture.size)
        axes.imshow(picture, interpolation="none", aspect="auto")
        axes.set_axis_off()
        return _MARGIN + picture.height + 16

    def _draw_block(self, found: CategoryAnalysis, top: int) -> None:
        theme = self.theme
        self._head(found.category, f"of {found.phrases:,}", top)
        for rank, entry in enumerate(found.top[:_MOST_ROWS]):
            line = top + _HEADING + rank * _ROW
            self._row(line, entry.phrase, entry.likelihood, theme.first if rank == 0 else theme.others)
        self._draw_spread(found, top + 4, _block_height(found) - _AXIS_LABELS - 4)

    def _draw_families(self, sure: Sequence[FamilyAnalysis], top: int) -> None:
        """A row for each: its likeliest concept, and beside it what else may be."""
        self._head("by family", "likelihood among the answers of one question", top)
        for number, found in enumerate(sure):
            line, first = top + _HEADING + number * _ROW, found.top[0]
            self._row(line, f"{found.family}: {first.wording}", first.likelihood, self.theme.first)
            others = [f"{each.wording} {each.likelihood:.0%}" for each in found.top[1:] if each.likelihood >= _LEAST]
            beside = self._shortened("; ".join([f"{first.support:+.1f} deviations", *others]), _SPREAD_WIDTH, _SMALL)
            self._write(_SPREAD_LEFT, line, beside, _SMALL, self.theme.faint)

    def _head(self, name: str, beside: str, top: int) -> None:
        name = self._shortened(name, _BARS_WIDTH - 110, _LARGE, bold=True)
        self._write(_BARS_LEFT, top, name, _LARGE, self.theme.ink, bold=True)
        after = _BARS_LEFT + self.measure(name, _font(_LARGE, bold=True)) + 10
        self._write(after, top + 3, beside, _SMALL, self.theme.faint)

    def _row(self, line: int, text: str, likelihood: float, colour: str) -> None:
        theme = self.theme
        self._write(_BARS_LEFT, line, self._shortened(text, _BARS_WIDTH - _SHARE, _TEXT), _TEXT, theme.ink)
        share = f"{likelihood:.1%}" if likelihood >= 0.0005 else "< 0.1%"
        self._write(_BARS_LEFT + _BARS_WIDTH, line, share, _TEXT, theme.ink, align="right")
        self._bar(line + 19, 1.0, theme.track)
        self._bar(line + 19, likelihood, colour)

    def _draw_spread(self, found: CategoryAnalysis, top: int, height: int) -> None:
        theme, spread = self.theme, found.spread
        axes = self._axes(_SPREAD_LEFT, top, _SPREAD_WIDTH, min(height, _MOST_BLOCK))
        axes.set_facecolor("none")
        for side in ("top", "left", "right"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(theme.crowd)
        lowest, width = _bins(spread)
        places = [lowest + index * width for index in range(len(spread.counts))]
        axes.bar(places, spread.counts, width=width, align="edge", color=theme.crowd, linewidth=0)
        tallest = max(spread.counts)
        for rank, entry in reversed(list(enumerate(found.top[:_MOST_ROWS]))):
            colour = theme.first if rank == 0 else theme.others
            reach = 1.0 if rank == 0 else 0.6
            axes.plot([entry.similarity] * 2, [0, tallest * reach], color=colour, linewidth=1.6, solid_capstyle="butt")
            axes.plot([entry.similarity], [tallest * reach], "o", color=colour, markersize=4.5)
        axes.set_xlim(lowest - 2 * width, lowest + (len(spread.counts) + 2) * width)
        axes.set_ylim(0, tallest * 1.12)
        axes.set_yticks([])
        axes.locator_params(axis="x", nbins=5)
        axes.tick_params(axis="x", colors=theme.faint, labelsize=_points(_SMALL), length=3, color=theme.crowd)

    def _bar(self, top: float, share: float, colour: str) -> None:
        from matplotlib.patches import Rectangle

        self.page.add_patch(Rectangle((_BARS_LEFT, top), share * _BARS_WIDTH, _BAR, facecolor=colour, linewidth=0))

    def _axes(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = self.height - top - height
        return self.figure.add_axes((left / WIDTH, bottom / self.height, width / WIDTH, height / self.height))

    def _write(
        self, left: float, top: float, text: str, size: float, colour: str, bold: bool = False, align: str = "left"
    ) -> None:
        self.page.text(
            left,
            top,
            text,
            color=colour,
            fontproperties=_font(size, bold),
            horizontalalignment=align,
            verticalalignment="top",
            parse_math=False,  # a phrase may hold dollar signs
        )

    def _shortened(self, text: str, width: float, size: float, bold: bool = False) -> str:
        """The text in one line, cut where it would not fit."""
        text = " ".join(text.split())
        font = _font(size, bold)
        if self.measure(text, font) <= width:
            return text
        least, most = 0, len(text)
        while least < most:
            middle = (least + most + 1) // 2
            fits = self.measure(text[:middle].rstrip() + _ELLIPSIS, font) <= width
            least, most = (middle, most) if fits else (least, middle - 1)
        return text[:least].rstrip() + _ELLIPSIS

    def _wrapped(self, text: str, width: float, size: float) -> list[str]:
        lines: list[str] = []
        for word in text.split():
            joined = f"{lines[-1]} {word}" if lines else word
            if lines and self.measure(joined, _font(size)) <= width:
                lines[-1] = joined
            else:
                lines.append(self._shortened(word, width, size))
        return lines


def _block_height(found: CategoryAnalysis) -> int:
    return _HEADING + max(_LEAST_BLOCK - _HEADING, _ROW * min(len(found.top), _MOST_ROWS))


def _blocks_height(analysis: Analysis) -> int:
    families = len(_sure(analysis))
    of_families = _HEADING + families * _ROW + _GAP if families else 0
    return sum(_block_height(found) + _GAP for found in analysis.categories) + of_families


def _sure(analysis: Analysis) -> Sequence[FamilyAnalysis]:
    """The families that have something to say."""
    return [found for found in analysis.families if found.sure][:_MOST_ROWS]


def _bins(spread: Spread) -> tuple[float, float]:
    """Where the first bin begins and how wide each is; a category of one similarity gets a narrow place of its own."""
    width = (spread.highest - spread.lowest) / len(spread.counts)
    if width > 0:
        return spread.lowest, width
    narrow = 0.1 / len(spread.counts)
    return spread.lowest - narrow / 2, narrow


def _thumbnail(picture: Image.Image) -> Image.Image:
    """As wide as its column, or as high as twice that. A small picture keeps its pixels."""
    scale = min(_PICTURE / picture.width, 2 * _PICTURE / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    smooth = Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS
    return picture.convert("RGBA").resize(size, smooth)


def _points(pixels: float) -> float:
    return pixels * 72 / _DPI


def _font(size: float, bold: bool = False) -> FontProperties:
    from matplotlib.font_manager import FontProperties, fontManager

    installed = {entry.name for entry in fontManager.ttflist}
    families = ["DejaVu Sans", *(name for name in _OTHER_SCRIPTS if name in installed)]
    return FontProperties(family=families, size=_points(size), weight="bold" if bold else "normal")


def _measure(renderer: Any) -> Callable[[str, FontProperties], float]:
    """Gives the width of a text in pixels."""

    def measure(text: str, font: FontProperties) -> float:
        return renderer.get_text_width_height_descent(text, font, ismath=False)[0]

    return measure
