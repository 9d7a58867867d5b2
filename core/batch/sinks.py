"""Where outcomes go. A sink is a small class of this shape; the others are in modules of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from ..places import place_from
from .append import HIDDEN, replace_file, sync, writing
from .columns import Column
from .items import Item, Outcome
from .remote import is_address
from .template import Template

Existing = Literal["skip", "overwrite", "prepend", "append"]
EXISTING: tuple[Existing, ...] = get_args(Existing)

Where = Literal["beside", "file", "folder"]
"""What a sink writes: beside the pictures, where they are; one file; or into a folder of its own."""


@dataclass(frozen=True)
class Chosen:
    """What a user chose for a sink, checked against what that declares.

    place: the file or folder that is written, or the source's folder where the sink writes beside the pictures.
    existing: what to do with what is there, the sink's usual way where none was asked for. columns: further ones.
    formulas: whether cells stay as they are that a spreadsheet would compute.
    """

    place: Path
    existing: Existing | None
    template: Template
    columns: Sequence[Column] = ()
    formulas: bool = False


class Sink:
    """Writes outcomes so that a run killed at any instant can be gone on with.

    One that a user can name (see `outputs`) says on its class what help, menus, refusals and docs are made from:
    output: the name. summary: in a few words. details: for help, without the names of options. where: what it writes.
    file: its name where none was chosen, desc.OUTPUT if empty. ways: what may be done with what is there already;
    usual: without being asked, None for nothing. takes_columns: the further ones it has room for. undoable:
    whether `undo` takes a run back. of: makes one.

    First `plan` tells what `write` will do; that is in the journal before `write` is called, which may happen again
    for the same outcome after a kill, and then has to leave what one call leaves.

    place: the folder that belongs to one run at a time. label: what the run's notes there are called.
    anew_is_harmless: whether a run may begin anew where an earlier one did not finish, as nothing is then done twice.
    chooses_names: by what is in a folder already, which several shards would change under each other.
    produces: the folder that gets pictures, which are no sources. columns: what it wants of a picture beyond the
    prompt. needs_tags: whether that, or its template, is what a tagger tells. part: the shard that is written, "" for
    the whole. plans: names of texts in each of its plans.
    base: the folder that names of pictures are relative to; None where they are no paths.
    """

    output: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    details: ClassVar[str] = ""
    where: ClassVar[Where] = "beside"
    file: ClassVar[str] = ""
    ways: ClassVar[tuple[Existing, ...]] = ()
    usual: ClassVar[Existing | None] = None
    takes_columns: ClassVar[tuple[Column, ...]] = ()
    undoable: ClassVar[bool] = False
    plans: ClassVar[tuple[str, ...]] = ()

    anew_is_harmless = False
    chooses_names = False
    produces: Path | None = None
    columns: Sequence[Column] = ()
    needs_tags = False
    part = ""
    base: Path | None = None

    def __init__(self, place: Path, label: str) -> None:
        self.place = place
        self.label = label

    @classmethod
    def file_name(cls) -> str:
        """Where none was chosen, of a sink that writes one file."""
        return cls.file or f"desc.{cls.output}"

    @classmethod
    def of(cls, chosen: Chosen) -> Sink:
        """Raises SettingsError."""
        raise NotImplementedError

    @property
    def journal(self) -> Path:
        return self.place / HIDDEN / f"{self.label}{self.part and '-'}{self.part}.jsonl"

    def listed(self, name: str) -> str:
        """A picture's name as a list in this sink's folder has it, from where it can be found again."""
        return name if self.base is None or is_address(name) else place_from(self.place, self.base, name)

    def skips(self, item: Item) -> bool:
        """Whether the picture needs no prompt, because of what is there already."""
        return False

    @property
    def asked(self) -> Mapping[str, Any]:
        """What a run that goes on has to have in common with the one it goes on from, in JSON's types."""
        return {}

    def target(self, item: Item) -> Path | None:
        """The file that is the picture's alone; None where its name is chosen when it is planned, or there is none."""
        return None

    def make_way(self, items: Sequence[Item]) -> None:
        """Before a fresh run over the items, when no model is known to load yet: touches nothing. Raises SettingsError
        or BatchError where something is in the run's way."""

    def clear(self) -> None:
        """Once a fresh run has a first result: gives another name to what its journal would replace. Raises
        BatchError."""

    def start(self) -> None:
        """Begins, replacing what an unfinished start left. Raises BatchError."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `state` returned. Raises BatchError."""

    def is_as_left(self, state: Mapping[str, Any], pending: Iterable[tuple[Item, Outcome]]) -> bool:
        """Whether what was written is what a run left that came to this state, and to some of the pending results after
        it. Where it is not, `set_aside`, `start`, and a `write` of every result take the place of `restore`. Raises
        BatchError."""
        return True

    def set_aside(self) -> Path:
        """Keeps what is not as the run left it under another name, which is returned. Raises BatchError."""
        raise NotImplementedError

    def plan(self, item: Item, outcome: Outcome) -> Mapping[str, Any]:
        """What `write` is going to do, in JSON's types. "moved" names the picture's path within `place` after it."""
        return {}

    def knows(self, plan: Mapping[str, Any]) -> bool:
        """Whether a plan out of a journal, which anybody may have written, is of the form that `plan` gives it."""
        return all(isinstance(plan.get(name), str) for name in self.plans)

    def shown(self, outcome: Outcome) -> str:
        """What a planned outcome with a result would become, for a dry run."""
        assert outcome.result is not None
        return outcome.plan.get("text", outcome.result.prompt)

    def write(self, item: Item, outcome: Outcome) -> None:
        """Raises OSError where this picture's part cannot be written, BatchError where that concerns all."""
        raise NotImplementedError

    def state(self) -> Mapping[str, Any]:
        """What `restore` needs, with all that was written on the disk. Raises BatchError."""
        return {}

    def finish(self) -> str:
        """After the last picture; returns what is to be told. Raises BatchError."""
        return ""

    def close(self) -> None:
        """However the run ends."""


class FilesSink(Sink):
    """One that writes files of their own, through `put`."""

    def __init__(self, place: Path, label: str) -> None:
        super().__init__(place, label)
        self._unsynced: list[Path] = []

    def put(self, path: Path, data: bytes) -> None:
        """Raises OSError."""
        replace_file(path, data, self.part)
        self._unsynced.append(path)

    def moved(self, path: Path) -> None:
        """Notes that a file has this name now."""
        self._unsynced.append(path)

    def state(self) -> Mapping[str, Any]:
        with writing(self.place):
            # what somebody else has removed since is not missed
            sync(path for path in self._unsynced if path.exists())
        self._unsynced.clear()
        return {}
