"""A run over many pictures: chunk by chunk through the models, and every outcome safe before the next."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cures import Choose, Give, LeaveOut
from ..errors import SettingsError, TextFileError, UndescribedError, UnrenderError
from ..settings import Mode, Settings
from .again import results_before, set_aside
from .ahead import CHUNK, LookedAt, chunked, opened, readable, usual_jobs, with_first
from .append import CONCERNS_ALL, writing
from .columns import described
from .failures import FailureList
from .folders import Source
from .items import Item, Outcome
from .journal import Journal, Past, past_to_go_on_from, strange
from .lock import folder_lock
from .shards import WHOLE, Shard
from .sinks import Sink
from .todo import Todo, todo

if TYPE_CHECKING:
    from ..engine import Engine
    from ..results import Interrogation
    from .ahead import Opened

_SEARCHING: tuple[Mode, ...] = ("best", "negative")
"""The modes that take so long for a picture that its outcome is written before the next is begun."""

_NO_PART_OF_PROMPTS = ("device", "memory", "cache")
_NO_PART_OF_WORDS = ("keep_alive", "timeout", "retries")

_IN_TURN = 4
"""Chunks that are one where several describers take turns at the device: each is brought there once for it."""


_MOST_WORDLESS = CHUNK
"""Pictures in a row for which there are no words, where it may not be their doing: then nobody is asked any more."""


class Batch:
    """Iterating over it describes a source's pictures with an engine, hands each outcome to the sink and then gives it.

    resume: goes on with an earlier run of the same sink. dry_run: writes nothing. shard: the part that is this
    machine's. jobs: threads that decode; what suits the machine when absent.
    total, skipped: pictures to do, and those that need no prompt, known once iterating has begun.
    written, failed: so far. errors: the list of failures, None without one. remarks: sentences on what was found that
    the run had not left so.
    patience: seconds to wait where another run is at work on the same.
    Raises, while iterating, BatchError, ModelError, PhraseError, SettingsError, or Cancelled, all results until then
    being kept. A picture that cannot be read, described or written is an outcome.
    """

    def __init__(
        self,
        engine: Engine,
        source: Source,
        sink: Sink,
        mode: Mode = "best",
        *,
        resume: bool = False,
        dry_run: bool = False,
        shard: Shard = WHOLE,
        jobs: int | None = None,
        patience: float = 0.0,
    ) -> None:
        if jobs is not None and jobs < 1:
            raise SettingsError(f"is {jobs}", "give 1 or more", control="jobs")
        if shard.count > 1 and sink.chooses_names:
            raise SettingsError(
                f"The output {sink.label} chooses names by those in the folder, which other shards would change "
                "meanwhile",
                LeaveOut("shard"),
            )
        self._engine = engine
        self._source = source
        self._sink = sink
        self._mode: Mode = mode
        from ..describe.asked import names_asked  # and with it numpy

        takes_turns = len(names_asked(engine.settings, mode)) > 1
        self._chunk = CHUNK * _IN_TURN if takes_turns else CHUNK
        self._resume = resume
        self._dry_run = dry_run
        self._shard = shard
        sink.part = shard.label
        self._jobs = jobs or usual_jobs()
        self._patience = patience
        self.total = self.skipped = self.written = self.failed = 0
        self.errors: Path | None = None
        self.remarks: list[str] = []
        self._wordless = 0
        self._failed_before: frozenset[str] = frozenset()

    def __iter__(self) -> Iterator[Outcome]:
        self._engine.check(self._mode)
        self._check_tags()
        if self._dry_run:
            work = self._todo(Past())
            yield from self._counted(outcome for chunk in self._chunks(work) for _, outcome in self._planned(chunk))
            return
        with self._locked(), contextlib.closing(self._sink):
            yield from self._written()

    def _check_tags(self) -> None:
        from ..describe.asked import tells_tags

        if self._sink.needs_tags and not tells_tags(self._engine.settings, self._mode):
            problem = f"The output {self._sink.label} is to have what a tagger tells"
            raise SettingsError(problem, Give("tagger", "one"), Choose("mode", ("tags",)))

    def hand_over(self) -> Past:
        """For who lets another process do the run, which is to resume it then: what an earlier one has done, forgotten
        where this one begins anew. Raises what iterating does."""
        with self._locked():
            past = past_to_go_on_from(self._sink, self._asked(), self._resume)
            work = self._todo(past)
            if past.asked is None:
                self._sink.make_way(work.remaining)
                self._sink.clear()
                with writing(self._sink.journal):
                    self._sink.journal.unlink(missing_ok=True)
        return past

    def _locked(self) -> contextlib.AbstractContextManager[None]:
        return folder_lock(self._sink.place, self._shard.label, self._patience)

    def _written(self) -> Iterator[Outcome]:
        asked = self._asked()
        past = past_to_go_on_from(self._sink, asked, self._resume)
        work = self._todo(past)
        self._failed_before = frozenset(item.name for item in work.failed_before)
        if past.asked is None:
            self._sink.make_way(work.remaining)
        yield from self._counted(self._kept(asked, past, work))

    def _kept(self, asked: Mapping[str, Any], past: Past, work: Todo) -> Generator[Outcome, None, None]:
        """Each outcome once it is safe. Of a fresh run nothing is touched before there is a first result: the model may
        not load."""
        portions = self._portions(work)
        if past.asked is None:
            portions = _after_a_result(portions)
            self._sink.clear()
        failures = FailureList(self._sink, self._shard.label, past.failures)
        with contextlib.closing(Journal(self._sink.journal, asked, past)) as journal:
            for outcome in chain(self._begun(past, work, journal), self._recorded(portions, journal)):
                failures.take(outcome)
                self.errors = failures.path if len(failures) else None
                yield outcome
            failures.tidy()
            self.remarks += filter(None, [self._sink.finish()])
            journal.mark(self._sink.state(), finished=True)
        self.errors = failures.path if len(failures) else None

    def _todo(self, past: Past) -> Todo:
        work = todo(self._source, self._sink, self._shard, past)
        self.total, self.skipped = work.total, work.skipped
        return work

    def _begun(self, past: Past, work: Todo, journal: Journal) -> Iterator[Outcome]:
        """After a kill, does once more what may have been left half done; gives what cannot be written any more."""
        pending = [(item, past.pending[item.name]) for item in work.pending]
        pending = [(item, outcome) for item, outcome in pending if outcome.result is not None]
        if not past.marked:
            self._sink.start()
            journal.mark(self._sink.state())
        elif not self._as_left(past, pending, journal):
            self.remarks.append(set_aside(self._sink))
            self._sink.start()  # no mark before the next chunk's: until then all is done once more after a kill
            pending = chain(results_before(self._sink, past, work), pending)
        for item, outcome in pending:
            if (again := self._put(item, outcome, journal)).result is None:
                yield again

    def _as_left(self, past: Past, pending: Iterable[tuple[Item, Outcome]], journal: Journal) -> bool:
        """Goes on from the last mark where what was written is still as the run left it. Raises BatchError, also for a
        mark that no run makes."""
        try:
            if not self._sink.is_as_left(past.state, pending):
                return False
            self._sink.restore(past.state)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise strange(journal.path, f"The last mark in {journal.path}") from error
        return True

    def _chunks(self, work: Todo) -> Iterator[Iterator[Opened]]:
        """A chunk that was begun holds the same pictures again: what a model makes of one depends, in the last bits, on
        those beside it."""
        begun = (
            [*work.pending, *islice(work.remaining, max(0, self._chunk - len(work.pending)))] if work.pending else []
        )
        later = islice(work.remaining, max(0, len(begun) - len(work.pending)), None)
        chunks = chain([begun] if begun else [], *(chunked(some, self._chunk) for some in (later, work.failed_before)))
        return opened(chunks, self._jobs)

    def _portions(self, work: Todo) -> Iterator[list[tuple[Item, Outcome]]]:
        """What is to be in the journal at once, and an empty list where a chunk ends."""
        known = {item.name for item in work.pending}
        size = 1 if self._mode in _SEARCHING else CHUNK
        for chunk in self._chunks(work):
            found = iter(self._planned(chunk, known))
            while portion := list(islice(found, size)):
                yield portion
            yield []

    def _recorded(self, portions: Iterable[list[tuple[Item, Outcome]]], journal: Journal) -> Iterator[Outcome]:
        for portion in portions:
            if not portion:
                journal.mark(self._sink.state())
                continue
            journal.add(outcome for _, outcome in portion)
            for item, outcome in portion:
                yield self._put(item, outcome, journal)

    def _planned(self, chunk: Iterable[Opened], known: Iterable[str] = ()) -> Iterator[tuple[Item, Outcome]]:
        for item, outcome in self._found(chunk):
            if item.name in known:
                continue
            yield item, outcome if outcome.result is None else self._with_plan(item, outcome)

    def _with_plan(self, item: Item, outcome: Outcome) -> Outcome:
        try:
            return replace(outcome, plan=self._sink.plan(item, outcome))
        except TextFileError as error:
            return Outcome(item.name, None, str(error))

    def _found(self, chunk: Iterable[Opened]) -> Iterator[tuple[Item, Outcome]]:
        """The models take each picture as it comes, so that none is held for those after it."""
        looked_at: list[LookedAt] = []
        pictures = readable(chunk, looked_at)
        found = iter(()) if pictures is None else described(self._engine, pictures, self._mode, self._sink.columns)
        found = with_first(found) or iter(())  # by then all have been looked at
        for item, error in looked_at:
            if error is not None:
                yield item, Outcome(item.name, None, str(error))
            else:
                result, columns = next(found)
                yield item, self._outcome(item, result, columns)

    def _outcome(self, item: Item, result: Interrogation | UndescribedError, columns: Mapping[str, Any]) -> Outcome:
        """Raises UndescribedError where it is not one picture's alone."""
        if not isinstance(result, UndescribedError):
            self._wordless = 0
            return Outcome(item.name, result, columns=columns)
        self._wordless += not result.certain and item.name not in self._failed_before
        if self._wordless >= _MOST_WORDLESS:
            raise result
        return Outcome(item.name, None, str(UnrenderError(result.problem)))

    def _put(self, item: Item, outcome: Outcome, journal: Journal) -> Outcome:
        """Writes what was found; where this one cannot be written it is a failure, and the others are still done."""
        if outcome.result is None:
            return outcome
        try:
            self._sink.write(item, outcome)
        except OSError as error:
            with writing(self._sink.place):
                if error.errno in CONCERNS_ALL:
                    raise
            reason = f'What was found for "{item.name}" cannot be written ({error.strerror or error}).'
            outcome = Outcome(item.name, None, reason)
            journal.add([outcome])
        return outcome

    def _counted(self, outcomes: Generator[Outcome, None, None]) -> Iterator[Outcome]:
        shown = self._engine.progress.task("Describing pictures", self.total, "pictures")
        with contextlib.closing(outcomes), shown as task:
            for outcome in outcomes:
                if outcome.result is None:
                    self.failed += 1
                else:
                    self.written += 1
                yield outcome
                task.advance()

    def _asked(self) -> dict[str, Any]:
        """What a run that goes on has to have in common with the one it goes on from."""
        settings = {name: value for name, value in _values(self._engine.settings) if name not in _NO_PART_OF_PROMPTS}
        settings["search"] = self._engine.usual_search()
        settings["bank"] = _content(self._engine.settings.bank)  # another may have its name by then
        # a journal that came with a data set, from another place, is no run of this one
        folder = hashlib.sha256(os.fsencode(self._sink.place.resolve())).hexdigest()[:16]
        run = {"mode": self._mode, "shard": self._shard.label, "chunk": self._chunk, "folder": folder}
        return {**run, "output": {"kind": self._sink.label, **self._sink.asked}, "settings": settings}


def _after_a_result(portions: Iterator[list[tuple[Item, Outcome]]]) -> Iterator[list[tuple[Item, Outcome]]]:
    """The same, held back until there is a result among them, or no more to come."""
    held = []
    for portion in portions:
        held.append(portion)
        if any(outcome.result is not None for _, outcome in portion):
            break
    return chain(held, portions)


def _content(place: str | os.PathLike[str] | None) -> str | None:
    """Of a bank's file, which takes part in every prompt. One that cannot be read is refused where it is used."""
    if place is None:
        return None
    try:
        return hashlib.sha256(Path(place).expanduser().read_bytes()).hexdigest()
    except OSError:
        return str(place)


def _values(settings: Settings) -> Iterator[tuple[str, Any]]:
    for name in settings.__dataclass_fields__:
        yield name, _plain(getattr(settings, name))


def _plain(value: Any) -> Any:
    """As JSON gives it back."""
    if is_dataclass(value):
        named = {each.name: getattr(value, each.name) for each in fields(value)}
        return {name: _plain(each) for name, each in named.items() if name not in _NO_PART_OF_WORDS}
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, int | float) else str(value)
