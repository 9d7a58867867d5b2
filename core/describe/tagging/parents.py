"""Tags that others say already: of `cat_ears` and `animal_ears` the second adds nothing.

Most of what Danbooru counts as implied can be told from the names: what ends with another tag's words is a kind of it
(`pleated_skirt` of `skirt`), and what a character is called with brackets more is that character. What else is common
stands in a table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from ...tags import Tag

_NEGATED = re.compile(r"(no|not|without|removing|unworn|missing|fake|alternate)_|non-")
"""What begins so is no kind of what it ends with."""

_OWN_SENSE = re.compile("arms|back|feet|fingers|focus|hands|head|legs|lips|nose|shoulders|stomach|teeth|toes")
"""Tags of pictures that show these above all, which `parted_lips` does not say."""

_TOLD: Mapping[str, re.Pattern[str]] = {
    parent: re.compile(told)
    for parent, told in {
        "animal_ears": "(bat|bear|bird|cat|cow|deer|dog|fox|goat|horse|leopard|lion|monkey|mouse|otter|panda|pig|"
        "rabbit|raccoon|red_panda|sheep|squirrel|tiger|weasel|wolf)_ears",
        "gun": "handgun|rifle|shotgun|submachine_gun",
        "hair_ornament": "hairclip|hairpin|hair_bobbles|hair_flower",
        "hat": "beret|baseball_cap|beanie|fedora",
        "holding": "holding_.+",
        "jewelry": "anklet|bracelet|brooch|earrings|necklace|ring",
        "multicolored_hair": "(gradient|split-color|streaked|two-tone)_hair",
        "multiple_boys": r"\d+\+?boys",
        "multiple_girls": r"\d+\+?girls",
        "multiple_others": r"\d+\+?others",
        "shirt": "t-shirt",
        "simple_background": "(aqua|black|blue|brown|green|grey|orange|pink|purple|red|tan|white|yellow)_background",
        "skirt": "miniskirt",
        "swimsuit": "bikini",
        "sword": "katana|rapier",
        "weapon": r"axe|bow_\(weapon\)|dagger|gun|knife|polearm|sword",
    }.items()
}
"""Parent -> children whose names do not tell by their endings."""


def without_parents(tags: Sequence[Tag]) -> list[Tag]:
    """Those that none of the others implies, in their order."""
    said: dict[str, set[str]] = {"general": set(), "character": set()}
    for tag in tags:
        if tag.category == "general":
            said["general"].update(_all_parents(tag.name))
        elif tag.category == "character":
            said["character"].update(_plainer(tag.name))
    return [tag for tag in tags if tag.name not in said.get(tag.category, ())]


def _all_parents(name: str) -> Iterator[str]:
    """All that a general tag says besides itself, parents of parents included."""
    reached, todo = {name}, [name]
    while todo:
        for parent in _parents(todo.pop()):
            if parent not in reached:
                reached.add(parent)
                todo.append(parent)
                yield parent


def _parents(name: str) -> Iterator[str]:
    yield from (parent for parent, told in _TOLD.items() if told.fullmatch(name))
    if not _NEGATED.match(name) and not name.endswith(")"):
        words = name.split("_")
        endings = ("_".join(words[start:]) for start in range(1, len(words)))
        yield from (ending for ending in endings if not _OWN_SENSE.fullmatch(ending))


def _plainer(name: str) -> Iterator[str]:
    """Of `miku_(append)_(game)`, `miku` and `miku_(append)`."""
    parts = name.split("_(")
    return ("_(".join(parts[:count]) for count in range(1, len(parts)))
