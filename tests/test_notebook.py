"""The notebook runs from its first cell to its last, on micro, and holds nothing that a run left in it."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "unrender.ipynb"


@pytest.fixture(scope="module")
def cells():
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]


class _Shown(ModuleType):
    """What stands in for IPython.display, which no other part of the project needs."""

    def __init__(self) -> None:
        super().__init__("IPython.display")
        self.shown: list[object] = []
        self.HTML = str

    def display(self, *things: object) -> None:
        self.shown += things


def test_holds_no_output(cells):
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code and not any(cell["outputs"] or cell["execution_count"] for cell in code)


def test_runs_from_the_first_cell_to_the_last(cells, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib", reason="the bars need matplotlib")
    shown = _Shown()
    shell = ModuleType("IPython")
    vars(shell)["version_info"] = (9, 0)  # which matplotlib asks for
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setitem(sys.modules, "IPython.display", shown)
    monkeypatch.chdir(tmp_path)
    known: dict[str, object] = {"__name__": "__main__"}
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"cell {number}", "exec"), known)
    picture, bars, table = shown.shown
    assert isinstance(picture, Image.Image) and isinstance(bars, Image.Image) and bars.width > 300
    assert str(table).count("<img src='data:image/jpeg;base64,") == 6
    rows = list(csv.DictReader((tmp_path / "prompts.csv").open(encoding="utf-8")))
    assert len(rows) == 6 and all(row["prompt"] and 0 < float(row["similarity"]) < 1 for row in rows)
    assert rows[0]["prompt"] == capsys.readouterr().out.splitlines()[0], "the first drawing is the one picture"
