"""Sources and sinks by the words a user has for them."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from ..cures import Choose, Give, LeaveOut
from ..errors import SettingsError
from .columns import COLUMNS, TAG_COLUMNS, Column
from .folders import FilesSource, FolderSource, JoinedSource, Source
from .lists import LIST_SUFFIXES, ListSource
from .outputs import OUTPUTS
from .remote import RemoteSource, is_address
from .shards import WHOLE, Shard
from .sinks import EXISTING, Chosen, Existing, Sink
from .tars import TarSource
from .template import Template


def source_named(names: Sequence[str], recursive: bool = False, pattern: str = "*") -> Source:
    """Folders, also by address (s3://...), picture files, patterns of them, lists (CSV, TSV, JSONL, Parquet) and tar
    files, as one source.

    recursive, pattern: see `FolderSource`. Raises SettingsError for what is none of these.
    """
    sources: list[Source] = []
    for is_file, group in groupby(names, _is_plain_file):
        if is_file:
            sources.append(_files([Path(name) for name in group]))
        else:
            sources += [_source(name, recursive, pattern) for name in group]
    return sources[0] if len(sources) == 1 else JoinedSource(sources)


def sink_named(
    output: str,
    root: Path,
    place: Path | None = None,
    existing: Existing | None = None,
    template: Template | None = None,
    shard: Shard = WHOLE,
    columns: Sequence[Column] = (),
    formulas: bool = False,
    base: Path | None = None,
) -> Sink:
    """The sink for a kind of output, one of `OUTPUTS`.

    root: the source's. place: the file for a sink that writes one, `Sink.file_name` in `root` when absent; the folder
    for one that fills a new one. existing: what to do with what is there, None for what is usual; see `docs/batch.md`.
    columns: further ones, of sinks that take them. formulas: leaves cells of a CSV file as they are that a spreadsheet
    would compute. base: the folder that the source's names are relative to (`base_of`), so that a table elsewhere can
    be read as a list; None where they stay as they are.
    Raises SettingsError for what does not go together.
    """
    kind = OUTPUTS.get(output)
    if kind is None:
        raise SettingsError(f"There is no output {output!r}", Choose("output", tuple(OUTPUTS)))
    _check(kind, place, existing, columns)
    where = _table_path(kind, root, place, shard) if kind.where == "file" else place or root
    sink = kind.of(Chosen(where, existing or kind.usual, template or Template(), columns, formulas))
    sink.base = base
    sink.needs_tags = bool(set(columns) & set(TAG_COLUMNS)) or (template is not None and template.needs_tags)
    return sink


def base_of(source: Source) -> Path | None:
    """The folder that names of a source's pictures are relative to; None where they are no paths."""
    if isinstance(source, JoinedSource):
        return Path.cwd()
    return None if isinstance(source, TarSource | RemoteSource) else source.root.absolute()


def _check(kind: type[Sink], place: Path | None, existing: Existing | None, columns: Sequence[Column]) -> None:
    if existing is not None and existing not in EXISTING:
        raise SettingsError(f"is {existing!r}", Choose("existing", EXISTING), control="existing")
    for name in columns:
        if name not in COLUMNS:
            raise SettingsError(f"There is no column {name!r}", Choose("columns", COLUMNS))
    if strange := [name for name in columns if name not in kind.takes_columns]:
        others = tuple(name for name, each in OUTPUTS.items() if set(columns) <= set(each.takes_columns))
        room = f"has no column {strange[0]}" if kind.takes_columns else "has no columns to add to"
        raise SettingsError(f"The output {kind.output} {room}", LeaveOut("columns"), Choose("output", others))
    if existing is not None and existing not in kind.ways:
        raise SettingsError(f"{existing} has no meaning with the output {kind.output}", LeaveOut("existing"))
    if kind.where == "folder" and place is None:
        raise SettingsError(f"The output {kind.output} makes new files", Give("place", "the folder for them"))
    if kind.where == "beside" and place is not None:
        raise SettingsError(f"The output {kind.output} works where the pictures are", LeaveOut("place"))


def _table_path(kind: type[Sink], root: Path, place: Path | None, shard: Shard) -> Path:
    path = root if place is None else place
    if path.is_dir():
        path = path / kind.file_name()
    return path.with_stem(f"{path.stem}-{shard.label}") if shard.label else path


def _is_plain_file(name: str) -> bool:
    return Path(name).is_file() and not name.lower().endswith((*LIST_SUFFIXES, ".tar"))


def _source(name: str, recursive: bool, pattern: str) -> Source:
    if is_address(name):
        return RemoteSource(name, recursive, pattern)
    path = Path(name)
    if path.is_dir():
        return FolderSource(path, recursive, pattern)
    if path.is_file():
        return TarSource(path) if path.suffix.lower() == ".tar" else ListSource(path)
    if path.exists():
        raise SettingsError(f"{name} is a pipe or a device", "name a folder, a picture, a list or a tar file")
    found = sorted(glob.glob(name, recursive=True))  # noqa: PTH207
    if not found:
        raise SettingsError(f"There is no folder, picture, list or tar file {name}", "check the path")
    return source_named(found, recursive, pattern)


def _files(paths: Iterable[Path]) -> Source:
    listed = list(paths)
    try:
        common = Path(os.path.commonpath([path.parent for path in listed]))
    except ValueError:  # of several drives, or some absolute and some not
        common = listed[0].parent
    return FilesSource(listed, common)
