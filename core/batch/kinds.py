"""Sources and sinks by the words a user has for them."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Literal, get_args

from ..errors import SettingsError
from .columns import COLUMNS, Column
from .folders import FilesSource, FolderSource, JoinedSource, Source
from .lists import LIST_SUFFIXES, ListSource
from .remote import RemoteSource, is_address
from .renaming import CopySink, RenameSink
from .shards import WHOLE, Shard
from .sinks import EXISTING, Existing, Sink
from .tables import CsvSink, JsonLinesSink, ParquetSink
from .tars import TarSink, TarSource
from .template import Template
from .texts import TextSink
from .xmp import DescribedCopySink

Output = Literal["txt", "csv", "jsonl", "parquet", "rename", "copy", "xmp", "tar"]
OUTPUTS: tuple[Output, ...] = get_args(Output)

_FILES: tuple[Output, ...] = ("csv", "jsonl", "parquet", "tar")
_WITH_COLUMNS: tuple[Output, ...] = ("jsonl", "parquet")
_FOLDERS: tuple[Output, ...] = ("copy", "xmp")


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
    output: Output,
    root: Path,
    place: Path | None = None,
    existing: Existing | None = None,
    template: Template | None = None,
    shard: Shard = WHOLE,
    columns: Sequence[Column] = (),
) -> Sink:
    """The sink for a kind of output.

    root: the source's. place: a file for csv, jsonl, parquet and tar, "desc" and the suffix in `root` when absent; a
    folder for copy and xmp. existing: what to do with what is there, None for what is usual; see `docs/batch.md`.
    columns: further ones, of jsonl and parquet.
    Raises SettingsError for what does not go together.
    """
    _check(output, place, existing, columns)
    if output in _FILES:
        path = _table_path(output, root, place, shard)
        replace = existing == "overwrite"
        if output == "csv":
            return CsvSink(path, replace, template)
        if output == "tar":
            return TarSink(path, replace, template)
        return JsonLinesSink(path, replace, columns) if output == "jsonl" else ParquetSink(path, replace, columns)
    if output == "txt":
        return TextSink(root, existing or "skip", template)
    if output == "rename":
        return RenameSink(root, template)
    assert place is not None, "checked above"
    return CopySink(place, template) if output == "copy" else DescribedCopySink(place, existing or "skip", template)


def _check(output: Output, place: Path | None, existing: Existing | None, columns: Sequence[Column]) -> None:
    if output not in OUTPUTS:
        raise SettingsError(f"There is no output {output!r}; choose one of {', '.join(OUTPUTS)}.")
    if existing is not None and existing not in EXISTING:
        raise SettingsError(f"existing is {existing!r}; choose one of {', '.join(EXISTING)}.")
    for name in columns:
        if name not in COLUMNS:
            raise SettingsError(f"There is no column {name!r}; choose among {', '.join(COLUMNS)}.")
    if columns and output not in _WITH_COLUMNS:
        raise SettingsError(
            f"--output {output} has no columns to add to; leave out --columns, or choose {' or '.join(_WITH_COLUMNS)}."
        )
    allowed = {"txt": EXISTING, "xmp": ("skip", "overwrite"), "rename": (), "copy": ()}.get(output, ("overwrite",))
    if existing is not None and existing not in allowed:
        raise SettingsError(f"--existing {existing} has no meaning with --output {output}; leave it out.")
    if output in _FOLDERS and place is None:
        raise SettingsError(f"--output {output} makes new files; name the folder for them with -o.")
    if output in ("txt", "rename") and place is not None:
        raise SettingsError(f"--output {output} works where the pictures are; leave out -o.")


def _table_path(output: Output, root: Path, place: Path | None, shard: Shard) -> Path:
    path = root if place is None else place
    if path.is_dir():
        path = path / f"desc.{output}"
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
    found = sorted(glob.glob(name, recursive=True))  # noqa: PTH207
    if not found:
        raise SettingsError(f"There is no folder, picture, list or tar file {name}; check the path.")
    return source_named(found, recursive, pattern)


def _files(paths: Iterable[Path]) -> Source:
    listed = list(paths)
    try:
        common = Path(os.path.commonpath([path.parent for path in listed]))
    except ValueError:  # of several drives, or some absolute and some not
        common = listed[0].parent
    return FilesSource(listed, common)
