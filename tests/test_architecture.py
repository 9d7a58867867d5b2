"""The house keeps its layers: what is above imports what is below, and nothing goes in circles."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("grimp")

from house import FLOOR_OF, House, circles, climbs, house

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = {"__main__", "install", "run", "training"}

CLIP_AND_ITS_LOADER = ["unrender.core.clip.assemble", "unrender.core.clip.load", "unrender.core.clip.model"]
"""`Clip.load` is where people look for it; what it calls makes a Clip."""


@pytest.fixture(scope="module")
def found() -> House:
    found = house()
    print(*found.lines(), sep="\n")  # noqa: T201 - shown by `pytest -s`
    return found


def test_every_room_has_a_layer(found):
    assert {*found.rooms} == {*FLOOR_OF}, "give a new room its place in tests/house.py, and take away one that is gone"
    doors_and_core = {room.split(".")[0] for room in found.rooms}
    first_names = {module.split(".")[1] for module in found.files if "." in module}
    assert first_names - OUTSIDE == doors_and_core, "a folder beside core is no room yet"


def test_the_whole_package_is_walked(found):
    folders = ("cli", "core", "extension", "nodes", "server")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    dotted = {".".join(("unrender", *path.relative_to(ROOT).with_suffix("").parts)) for path in files}
    modules = {name.removesuffix(".__init__") for name in dotted}
    assert modules <= {*found.files}


def test_no_arrow_runs_upwards(found):
    upwards = {arrow: found.arrows[arrow] for arrow in found.upwards()}
    assert not upwards, "move what is read to where it is read from, or hand it down"


def test_there_are_no_circles(found):
    assert found.circles() == []
    assert found.circles_of_files() == [CLIP_AND_ITS_LOADER]


def test_core_knows_nothing_of_the_front(found):
    readers = {module for module, imported in found.files.items() if "unrender" in imported and ".core." in module}
    assert not readers, "the names at the top are for users"


def test_lazy_imports_count(found):
    assert "unrender.core.study.analyze" in found.files["unrender.core.studies"]


def test_imports_for_type_checkers_do_not(found):
    assert "from ..engine import Engine" in (ROOT / "core" / "index" / "update.py").read_text(encoding="utf-8")
    assert "unrender.core.engine" not in found.files["unrender.core.index.update"]


def test_a_climb_is_told_from_a_step_down():
    assert climbs("core.clip", "core.engine")
    assert climbs("server", "extension")
    assert climbs("nodes", "extension")
    assert climbs("cli", "nodes")
    assert not climbs("extension", "server")
    assert not climbs("core.index", "core.batch")
    assert not climbs("core.clip", "core.clip")


def test_circles_are_found():
    assert circles({"a": "b", "b": "c", "c": "a", "d": "a"}) == [["a", "b", "c"]]
    assert circles({"a": "b", "b": "a", "c": "d", "d": "ca"}) == [["a", "b"], ["c", "d"]]
    assert circles({"a": "bc", "b": "c", "c": ""}) == []
