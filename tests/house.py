"""The house as its imports draw it: rooms, the arrows between them, those that run upwards, and circles.

`python tests/house.py` prints it. A room is a sub-package or a loose module of
core, cli, nodes, extension, server, or server.pages. Imports inside functions count, those for type checkers alone do
not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import grimp

LAYERS = (
    ("doors", "cli nodes extension"),
    ("pages", "server.pages"),
    ("server", "server"),
    ("many pictures", "core.batch core.curate core.index core.moving core.tuning core.variation core.verify"),
    ("engine", "core.engine core.studies"),
    ("loading", "core.catalogue core.describers core.loading core.machine core.suiting"),
    ("wings", "core.drawing core.embed core.metadata core.prompt core.study"),
    ("models", "core.describe core.evidence core.targets core.clip core.hub core.images core.phrases core.pretrained"),
    (
        "values",
        "core.cells core.choices core.cures core.cutting core.devices core.errors core.file_names core.files "
        "core.foreign core.installing core.micro core.places core.printable core.progress "
        "core.prompt_syntax core.publication core.published core.published_captioners core.reasons core.recommendation "
        "core.results core.settings core.shortage core.tags core.texts core.transformers_access core.turn "
        "core.undisturbed",
    ),
)
"""From top to bottom. A room imports from its own layer, the doors excepted, and from those below."""

FLOOR_OF = {room: floor for floor, (_, rooms) in enumerate(reversed(LAYERS)) for room in rooms.split()}
DOORS = frozenset(LAYERS[0][1].split())

Arrow = tuple[str, str]


@dataclass(frozen=True)
class House:
    """arrows: from room to room, with the imports that make each. files: what each module imports."""

    rooms: tuple[str, ...]
    arrows: Mapping[Arrow, tuple[Arrow, ...]]
    files: Mapping[str, frozenset[str]]

    def upwards(self) -> list[Arrow]:
        return [(one, other) for one, other in self.arrows if climbs(one, other)]

    def circles(self) -> list[list[str]]:
        """Among the rooms."""
        below = {room: {other for one, other in self.arrows if one == room} for room in self.rooms}
        return circles(below)

    def circles_of_files(self) -> list[list[str]]:
        return circles(self.files)

    def lines(self) -> Iterator[str]:
        upwards, circles = self.upwards(), {"rooms": self.circles(), "files": self.circles_of_files()}
        yield (
            f"{len(self.rooms)} rooms, {len(self.arrows)} arrows, {len(upwards)} upwards, "
            f"{len(circles['rooms'])} circles of rooms, {len(circles['files'])} of files"
        )
        yield from (f"  upwards: {one} -> {other}  ({_because(self.arrows[one, other])})" for one, other in upwards)
        yield from (f"  circle of {kind}: {', '.join(each)}" for kind, found in circles.items() for each in found)
        for layer, known in LAYERS:
            yield f"{layer}:"
            for room in sorted({*self.rooms} & {*known.split()}):
                yield f"  {room} -> {', '.join(other for one, other in self.arrows if one == room) or 'nothing'}"


def climbs(one: str, other: str) -> bool:
    """Whether an arrow leads to a higher layer, or from one door to another; no, where a room has no layer yet."""
    floor, target = FLOOR_OF.get(one), FLOOR_OF.get(other)
    if one == other or floor is None or target is None:
        return False
    return floor < target or {one, other} <= DOORS


def room_of(module: str) -> str | None:
    """None for what is in no room: the package's own front, its packages' empty ones, and what hosts look for."""
    first, *others = module.split(".")[1:] or [""]
    if first == "core":
        return f"core.{others[0]}" if others else None
    if first == "server" and others[:1] == ["pages"]:
        return "server.pages"
    return first if first in FLOOR_OF else None


def house() -> House:
    """As the package stands that is called `unrender` here."""
    graph = grimp.build_graph("unrender", exclude_type_checking_imports=True, cache_dir=None)
    files = {
        module: frozenset(graph.find_modules_directly_imported_by(module))
        for module in sorted(graph.modules)
        if not module.startswith("unrender.training")
    }
    arrows: dict[Arrow, list[Arrow]] = {}
    for module, imported in files.items():
        for other in sorted(imported):
            rooms = room_of(module), room_of(other)
            if rooms[0] and rooms[1] and rooms[0] != rooms[1]:
                arrows.setdefault((rooms[0], rooms[1]), []).append((module, other))
    rooms = sorted({room for module in files if (room := room_of(module))})
    return House(tuple(rooms), {arrow: tuple(made) for arrow, made in sorted(arrows.items())}, files)


def circles(below: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The groups of nodes that reach each other (Tarjan 1972), each sorted."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    waiting: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        number[node] = lowest[node] = len(number)
        waiting.append(node)
        for other in sorted(below.get(node, ())):
            if other not in number:
                visit(other)
            if other in waiting:
                lowest[node] = min(lowest[node], lowest[other])
        if lowest[node] == number[node]:
            start = waiting.index(node)
            group = waiting[start:]
            del waiting[start:]
            if len(group) > 1:
                found.append(sorted(group))

    for node in sorted(below):
        if node not in number:
            visit(node)
    return found


def _because(imports: Iterable[Arrow]) -> str:
    return ", ".join(
        f"{one.removeprefix('unrender.')} imports {other.removeprefix('unrender.')}" for one, other in imports
    )


if __name__ == "__main__":
    print(*house().lines(), sep="\n")  # noqa: T201
