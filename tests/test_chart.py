"""The chart of an analysis: a picture in either form and theme, in which nothing overflows."""

from __future__ import annotations

import io
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image
from unrender.core.drawing import chart
from unrender.core.errors import MissingPackageError, SettingsError
from unrender.core.study.analyze import ARTIST_NOTE, Analysis, CategoryAnalysis, Likelihood, Spread

try:
    import matplotlib
except ImportError:
    pytestmark = pytest.mark.skip(reason="matplotlib is not installed")

PICTURE = Image.new("RGB", (300, 200), "#804020")
LONG = "an endless phrase, " * 20
UNBROKEN = "w" * 300


def analysis(*phrases, model="a model", counts=(1, 5, 3, 0, 1)):
    top = tuple(Likelihood(phrase, 0.3 - 0.01 * rank, 0.5 / 2**rank) for rank, phrase in enumerate(phrases))
    spread = Spread(0.1, 0.3, 0.2, counts)
    artists = CategoryAnalysis("artists", 10, top, spread, ARTIST_NOTE)
    return Analysis((artists, CategoryAnalysis("surfaces", 9109, top, spread)), model)


def ink(image, dark):
    """Where the chart differs from its paper."""
    paper = np.array(image.getpixel((0, 0)))
    assert paper.mean() < 50 if dark else paper.mean() > 200
    return (np.abs(np.asarray(image).astype(int) - paper) > 12).any(axis=2)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("phrase", ["on canvas", LONG, UNBROKEN, "costs $5 or $6, 100 %_^\\", "two\nlines"])
def test_nothing_reaches_another_column(phrase, dark):
    image = chart.chart_image(analysis(phrase, phrase), PICTURE, dark)
    assert image.mode == "RGB" and image.width == chart.WIDTH
    drawn = ink(image, dark)
    after_bars = chart._BARS_LEFT + chart._BARS_WIDTH
    assert not drawn[:, : chart._MARGIN - 1].any()
    assert not drawn[:, chart._MARGIN + chart._PICTURE + 2 : chart._BARS_LEFT - 2].any()
    # ticks of the right column may stand a little out to its left
    assert not drawn[:, after_bars + 2 : chart._SPREAD_LEFT - 24].any()
    assert not drawn[:, -6:].any() and not drawn[-6:].any()


def test_a_long_phrase_leaves_its_share_room():
    drawing = chart._Drawing(analysis(UNBROKEN, LONG), PICTURE, chart._LIGHT)
    texts = [text.get_text() for text in drawing.page.texts]
    cut = [text for text in texts if text.endswith("…")]
    assert len(cut) == 4 and all(len(text) > 20 for text in cut)
    renderer = drawing.figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in drawing.page.texts]
    for number, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[number + 1 :]), texts[number]


def test_bars_are_as_long_as_the_likelihoods():
    image = chart.chart_image(analysis("first", "second"), PICTURE)
    pixels = np.asarray(image).astype(int)
    for colour, share in ((chart._LIGHT.first, 0.5), (chart._LIGHT.others, 0.25)):
        wanted = [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
        bars = (np.abs(pixels - wanted) < 6).all(axis=2)[:, chart._BARS_LEFT : chart._BARS_LEFT + chart._BARS_WIDTH]
        assert bars.sum(axis=1).max() == pytest.approx(share * chart._BARS_WIDTH, abs=2)


@pytest.mark.filterwarnings("ignore:Glyph")
def test_an_svg_is_whole_and_holds_no_date():
    content = chart.draw_analysis(analysis("on canvas", "猫 $x"), PICTURE, dark=True, form="svg")
    root = ElementTree.fromstring(content)
    assert root.tag.endswith("svg") and float(root.attrib["width"].removesuffix("pt")) > 500
    assert b"<dc:date>" not in content


def test_a_category_of_one_phrase_and_a_tall_picture():
    single = analysis("alone", counts=(1, 0, 0))
    flat = Spread(0.25, 0.25, 0.25, (1, 0, 0))
    one = Analysis((CategoryAnalysis("one", 1, single.categories[0].top[:1], flat),), "m")
    image = chart.chart_image(one, Image.new("L", (10, 4000)))
    assert image.height > 2 * chart._PICTURE


def test_no_more_rows_than_fit():
    few, many = (chart.chart_image(analysis(*["x"] * count), PICTURE) for count in (20, 500))
    assert few.height == many.height


def test_several_pictures_are_shown_side_by_side():
    colours = ["#ff0000", "#00ff00", "#0000ff"]
    grid = chart.side_by_side([Image.new("RGB", (40, 20), colour) for colour in colours])
    quarter = grid.width // 4
    found = [grid.getpixel((x * quarter, y * quarter)) for y in (1, 3) for x in (1, 3)]
    assert found == [(255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255), (0, 0, 0, 0)]
    assert chart.side_by_side([PICTURE]) is PICTURE


def test_no_global_state_and_no_pyplot(monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    settings = _settings()
    chart.draw_analysis(analysis("x"), PICTURE)
    assert _settings() == settings
    assert "matplotlib.pyplot" not in sys.modules


def _settings():
    # reading the backend would choose one
    return {name: matplotlib.rcParams[name] for name in matplotlib.rcParams if name != "backend"}


def test_the_form_is_checked_before_anything_is_drawn(tmp_path):
    with pytest.raises(SettingsError, match="'gif'; choose png or svg"):
        chart.check_file(tmp_path / "chart.gif")
    with pytest.raises(SettingsError, match="no folder"):
        chart.check_file(tmp_path / "absent" / "chart.png")
    with pytest.raises(SettingsError, match="choose png"):
        chart.draw_analysis(analysis("x"), PICTURE, form="pdf")
    chart.check_file(tmp_path / "chart.SVG")
    assert Image.open(io.BytesIO(chart.draw_analysis(analysis("x"), PICTURE, form="PNG"))).format == "PNG"


def test_an_absent_matplotlib_gets_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingPackageError, match="pip install matplotlib"):
        chart.check_file(tmp_path / "chart.png")
