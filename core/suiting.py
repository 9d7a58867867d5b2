"""Which describer is taken for a family of image models where none was named: one that is on this disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .choices import NONE
from .describe import known_describers
from .describe.kinds import check_describer, kind_of
from .errors import ModelError, UnrenderError
from .foreign import Unreadable, existing, read_json
from .hub import Hub
from .micro.toy import MICRO, MICRO_CHAT
from .published import CONFIG, MICRO_TAGGER, USUAL_TAGGER, Published
from .settings import UNCAPTIONED, Mode, Settings
from .targets import Sort, Target

_OF_MICRO: dict[Sort, str] = {"tagger": MICRO_TAGGER, "captioner": MICRO, "chat": MICRO_CHAT}
_SORTS: dict[str, Sort] = {"tagger": "tagger", "endpoint": "chat"}
"""Of kinds of describers; captioners are of two."""
_IN_THEIR_OWN_WORDS = (
    "blip",
    "instructblip",
    "git",
    "florence",
    "promptgen",
    "paligemma",
    "vision-encoder-decoder",
    "pix2struct",
)
"""What the types and names of models begin with that write as they were trained to, whatever they are asked."""
_TELLING_TAGS: tuple[Sort, ...] = ("tagger", "chat")
_LIKED: dict[Sort, str] = {"tagger": "a tagger", "chat": "a chat model", "captioner": "a captioner"}


@dataclass(frozen=True)
class Named:
    """What a person named; None where nothing was. micro: whether that is the CLIP. captioned: whether there is a
    caption. asked: whether it was said how the picture is to be described, other than in tags."""

    mode: Mode | None = None
    captioner: str | None = None
    tagger: str | None = None
    micro: bool = False
    captioned: bool = False
    asked: bool = False


@dataclass(frozen=True)
class Suited:
    """captioner, tagger: as Settings has them; None for what was named, or is the usual one. sort: of the one that
    writes the caption. told: what was chosen, in a sentence, "" for nothing. lacking: a model that is needed, on no
    disk, and was not named: somebody has to agree to its download."""

    mode: Mode
    sort: Sort = "captioner"
    captioner: str | None = None
    tagger: str | None = None
    told: str = ""
    lacking: Published | None = None


def suited(target: Target, named: Named, hub: Hub) -> Suited:
    """What is taken for the target. Downloads and loads nothing."""
    mode: Mode = named.mode or _mode(target, named, hub)
    if mode == "tags":
        return _tagging(target, named, hub)
    if named.captioner is not None or named.captioned or mode in UNCAPTIONED:
        sort = "captioner" if named.captioner is None else sort_of(named.captioner, hub)
        return Suited(_of_what_is_told(mode, sort, target, named), sort)
    found = _chosen(target.describers, named.micro, hub)
    if found is None:
        usual = MICRO if named.micro else str(Settings().captioner)
        return Suited(mode, "captioner", told=f"{_taken(usual, target)}, as {_none_here(target.describers[:1])}.")
    return Suited(
        _of_what_is_told(mode, found[0], target, named), found[0], captioner=found[1], told=_choice(found[1], target)
    )


def suited_models(target: Target, named: Named, hub: Hub) -> Suited:
    """The same where the mode is chosen later: a captioner, and a tagger if one is on this disk."""
    writes = suited(target, Named("best", named.captioner, None, named.micro), hub)
    tags = _chosen(("tagger",), named.micro, hub) if named.tagger is None else None
    if tags is None or writes.captioner == tags[1]:
        return writes
    told = " ".join(filter(None, (_choice(tags[1], target), writes.told)))
    return Suited(writes.mode, writes.sort, writes.captioner, tags[1], told)


def sort_of(name: str, hub: Hub) -> Sort:
    """Of a describer by any name, told without asking anybody; a chat model, where its type tells nothing else."""
    if name.casefold() == NONE:
        return "captioner"
    for sort in _OF_MICRO:
        if name.casefold() == _OF_MICRO[sort]:
            return sort
    published = known_describers().get(name.lower())
    if published is not None:
        return _sort_of_known(published)
    folder = existing(name) or _stored(name, hub)
    kind = kind_of(name if folder is None else str(folder))
    if kind.name in _SORTS:
        return _SORTS[kind.name]
    try:
        kept = str(read_json(folder / CONFIG).get("model_type")) if folder else name.rpartition("/")[2]
    except Unreadable:
        return "captioner"
    return "captioner" if kept.casefold().startswith(_IN_THEIR_OWN_WORDS) else "chat"


def _stored(name: str, hub: Hub) -> Path | None:
    """A repository's folder on this disk; None for what is no name of one, too."""
    try:
        return hub.find_model(name)
    except ModelError:
        return None


def _sort_of_known(published: Published) -> Sort:
    if published.kind in _SORTS:
        return _SORTS[published.kind]
    return "captioner" if published.name.startswith(_IN_THEIR_OWN_WORDS) else "chat"


def _mode(target: Target, named: Named, hub: Hub) -> Mode:
    """The target's usual one, where what was named can be asked in it."""
    if target.mode != "tags":
        return target.mode
    if named.captioned:
        return "best"
    if named.captioner not in (None, NONE) and named.tagger is None:
        modes: dict[Sort, Mode] = {"tagger": "tags", "chat": "caption" if named.asked else "tags", "captioner": "best"}
        return modes[sort_of(named.captioner, hub)]
    return "caption" if named.asked and named.tagger is None else "tags"


def _of_what_is_told(mode: Mode, sort: Sort, target: Target, named: Named) -> Mode:
    """Sentences of a chat model stay as they are, which a search would cut to what its CLIP reads."""
    told = sort == "chat" and target.form == "sentences" and not named.captioned
    return "caption" if told and named.mode is None else mode


def _tagging(target: Target, named: Named, hub: Hub) -> Suited:
    if named.tagger is not None:
        return Suited("tags", "tagger")
    sort = "captioner" if named.captioner is None else sort_of(named.captioner, hub)
    if sort != "captioner":
        return Suited("tags", sort, tagger=named.captioner)
    found = _chosen(_TELLING_TAGS, named.micro, hub)
    if found is not None:
        return Suited("tags", found[0], tagger=found[1], told=_choice(found[1], target))
    if named.micro:
        return Suited("tags", "tagger", tagger=MICRO_TAGGER)
    return Suited("tags", "tagger", tagger=USUAL_TAGGER, lacking=known_describers()[USUAL_TAGGER])


def _chosen(sorts: Sequence[Sort], micro: bool, hub: Hub) -> tuple[Sort, str] | None:
    """The first sort of which there is one on this disk, and its name."""
    if micro:
        return next(((sort, _OF_MICRO[sort]) for sort in sorts if _is_there(_OF_MICRO[sort])), None)
    stored = {one.repo for one in hub.on_disk() if one.usable}
    for sort in sorts:
        for published in _of_sort(sort):
            if not stored.isdisjoint((published.repo, *published.formerly)):
                return sort, published.name
    return None


def _of_sort(sort: Sort) -> list[Published]:
    """The known ones: the usual one first, then those that are recommended."""
    known: Iterable[Published] = known_describers().values()
    usual = (Settings().captioner, USUAL_TAGGER)
    ranks = {each.name: (each.name not in usual, not each.use) for each in known}
    return sorted((each for each in known if _sort_of_known(each) == sort), key=lambda each: ranks[each.name])


def _is_there(toy: str) -> bool:
    try:
        check_describer(toy)
    except UnrenderError:
        return False
    return True


def _choice(name: str, target: Target) -> str:
    toy = name.casefold() in _OF_MICRO.values()
    return f"Chose {name} for {target.name}: it is {'a toy that comes along' if toy else 'on this disk'}."


def _taken(usual: str, target: Target) -> str:
    return f"Took {usual}, the usual captioner, for {target.name}"


def _none_here(sorts: Sequence[Sort]) -> str:
    return f"{_LIKED[sorts[0]]} that suits it is not on this disk"
