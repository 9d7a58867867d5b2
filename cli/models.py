"""`unrender models`: what can be named, what is on this disk, downloading ahead of time and removing."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import UnrenderError
from .streams import ask, command_name, quiet_libraries, write_json, write_line

if TYPE_CHECKING:
    from ..core.catalogue import Named
    from ..core.hub import Hub


_HERE = "on disk"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "models",
        help="list, download and remove models",
        description="Lists the models that most people need and those on this disk; downloads and removes them.",
    )
    parser.set_defaults(run=run_list, parser=parser)
    _add_common(parser, default=None)
    parser.add_argument("--all", action="store_true", help="all models that can be named")
    parser.add_argument(
        "--check", action="store_true", help="ask the hub whether all that is relied on still lies there (status 1: no)"
    )
    parser.add_argument(
        "--endpoint", metavar="ADDRESS", help="the models of a server instead, such as http://127.0.0.1:11434/v1"
    )
    parser.add_argument("--json", action="store_true", help="all of it as one JSON object")
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    download = actions.add_parser("download", help="download a model ahead of time; its size is shown first")
    download.set_defaults(run=run_download, parser=download)
    remove = actions.add_parser("remove", help="remove a model's files from this disk")
    remove.set_defaults(run=run_remove, parser=remove)
    for action in (download, remove):
        action.add_argument("name", metavar="NAME", help="a name from the list, or a hub id (owner/name)")
        action.add_argument("-y", "--yes", action="store_true", help="do not ask")
        # Not given here, the value given before the action stays.
        _add_common(action, default=argparse.SUPPRESS)


def _add_common(parser: argparse.ArgumentParser, default: str | None) -> None:
    parser.add_argument("--cache", metavar="DIR", type=Path, default=default, help="where downloads are kept")


def run_list(options: argparse.Namespace) -> int:
    if options.endpoint is not None:
        return _list_endpoint(options)
    if options.check:
        return _run_check(options)
    if options.all or options.json:
        return _list_all(options)
    from ..core.catalogue import recommended
    from ..core.hub import Hub

    hub = Hub(options.cache)
    models = recommended(hub)
    _write_section(
        "Recommended", [(one.name, _told_size(one), _HERE if one.on_disk else "", one.use) for one in models]
    )
    _write_disk(hub, models)
    typed = f"{command_name()} models"
    write_line(f"All that can be named: {typed} --all. Ahead of time: {typed} download NAME.")
    return 0


def _list_endpoint(options: argparse.Namespace) -> int:
    """Names that --captioner takes."""
    from ..core.describe.endpoint.address import Address
    from ..core.describe.endpoint.endpoint import endpoint_models
    from .progress import terminal_progress

    base = Address.of(options.endpoint).base
    listed = endpoint_models(base, progress=terminal_progress(quiet=options.json))
    if options.json:
        write_json({"endpoint": base, "models": listed})
        return 0
    for name in listed:
        write_line(f"{base}#{name}")
    if not listed:
        write_line(f"{base} lists no models.")
    return 0


def _run_check(options: argparse.Namespace) -> int:
    from ..core.hub import Hub
    from ..core.hub.check import check_published, said
    from .progress import terminal_progress

    findings = check_published(Hub(options.cache), progress=terminal_progress(quiet=options.json))
    changed = [finding for finding in findings if finding.changes]
    if options.json:
        write_json({"rows": [{**asdict(finding.row), "changes": finding.changes} for finding in findings]})
        return int(bool(changed))
    for finding in changed:
        write_line(f"{said(finding.row)} ({finding.row.name}) {'; '.join(finding.changes)}.")
    write_line(f"{len(findings) - len(changed)} of {len(findings)} lie on the hub as expected.")
    return int(bool(changed))


def _write_disk(hub: Hub, models: Iterable[Named]) -> None:
    names = {repo: model.name for model in models for repo in model.repos}
    rows = [
        (one.repo, _size(one.bytes), names.get(one.repo, ""), "shared Hugging Face cache" if one.shared else "")
        for one in hub.on_disk()
    ]
    _write_section(f"On this disk, in {hub.folder}", [*rows, ("phrase tables", _size(_of_tables(hub)), "", "")])


def _of_tables(hub: Hub) -> int:
    return sum(path.stat().st_size for path in (hub.folder / "tables").rglob("*") if path.is_file())


def _list_all(options: argparse.Namespace) -> int:
    hub, clips, describers = _survey(options)
    if options.json:
        values = {
            "cache": str(hub.folder),
            "clip": [asdict(model) for model in clips],
            "captioners": [asdict(model) for model in describers],
            "on_disk": [
                {"repo": one.repo, "folder": str(one.folder), "bytes": one.bytes, "shared": one.shared}
                for one in hub.on_disk()
            ],
            "tables_bytes": _of_tables(hub),
        }
        write_json(values)
        return 0
    _write_disk(hub, [*clips, *describers])
    rows = [_describer_row(one, hub) for one in describers]
    _write_section("Describers (--captioner): name, kind, download, memory, licence", rows)
    _write_section("CLIP models (--clip)", map(_row, clips))
    return 0


def run_download(options: argparse.Namespace) -> int:
    from ..core.catalogue import is_part, wanted
    from .progress import terminal_progress

    if is_part(options.name):
        write_line(f"{options.name.casefold()} is part of the package: there is nothing to download.")
        return 0
    hub, clips, describers = _survey(options)
    chosen = wanted(options.name, [*clips, *describers], hub)
    missing = chosen.missing(hub)
    if not missing:
        write_line(f"{options.name} is on this disk already.")
        return 0
    total = _size(sum(missing.values()))
    if not _agreed(f"Download {total} of {chosen.repo} to {hub.folder}?", options.yes):
        return 1
    folder = chosen.fetch(hub, terminal_progress())
    write_line(f"{options.name} is in {folder} ({total}).")
    return 0


def run_remove(options: argparse.Namespace) -> int:
    from ..core.catalogue import find, is_part

    if is_part(options.name):
        raise UnrenderError(f"{options.name.casefold()} is part of the package and goes with it")
    hub, clips, describers = _survey(options)
    known = find(options.name, [*clips, *describers])
    repos = known.repos if known else (options.name,)
    stored = [one for one in hub.on_disk() if one.repo in repos and not one.shared]
    if not stored:
        hub.remove(repos[0])  # says in a sentence why there is nothing to remove
        return 0
    for one in stored:
        if not _agreed(f"Remove {one.repo} ({_size(one.bytes)}) from {one.folder}?", options.yes):
            return 1
        freed = hub.remove(one.repo)
        write_line(f"{one.repo} is removed, {_size(freed)} are free again.")
    return 0


def _survey(options: argparse.Namespace) -> tuple[Hub, list[Named], list[Named]]:
    """The hub, and all CLIP models and describers that have a name."""
    quiet_libraries()
    from .progress import terminal_progress

    with terminal_progress(quiet=getattr(options, "json", False)).task("Reading the names"):
        from ..core.catalogue import survey
        from ..core.hub import Hub

        hub = Hub(options.cache)
        return hub, *survey(hub)


def _agreed(question: str, yes: bool) -> bool:
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UnrenderError(f'Nobody is here to be asked "{question}"', "add --yes to do it without being asked")
    return ask(question)


def _row(model: Named) -> tuple[str, ...]:
    if not model.repos:
        return (model.name, "", model.note)
    size = "" if model.bytes is None else _size(model.bytes)
    facts = (model.note, _HERE if model.on_disk else "")
    return (model.name, size, model.repos[0], ", ".join(fact for fact in facts if fact))


def _describer_row(model: Named, hub: Hub) -> tuple[str, ...]:
    from ..core.suiting import sort_of

    kind = "chat model" if sort_of(model.name, hub) == "chat" else model.kind
    facts = ", ".join(filter(None, (model.note, _HERE if model.on_disk and model.repos else "")))
    if not model.repos:
        return (model.name, kind, "no download", "", "", facts)
    size = "" if model.bytes is None else _size(model.bytes)
    memory = "" if model.memory is None else f"{_size(model.memory)} on a GPU"
    return (model.name, kind, size, memory, model.licence, facts)


def _told_size(model: Named) -> str:
    return _size(model.bytes) if model.bytes else "unknown" if model.repos else "no download"


def _write_section(title: str, rows: Iterable[tuple[str, ...]]) -> None:
    rows = list(rows)
    columns = max(map(len, rows))
    widths = [max((len(row[column]) for row in rows if column < len(row)), default=0) for column in range(columns)]
    write_line(f"{title}")
    for row in rows:
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=False))
        start = 2 + sum(widths[: len(row) - 1]) + 2 * (len(row) - 1)
        for part in _fitted(f"  {line}".rstrip(), row[-1], start):
            write_line(part)
    write_line()


def _fitted(line: str, last: str, start: int) -> list[str]:
    """The line as a terminal has room for it: what stands last, from column `start` on, below the rest if need be."""
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else len(line)
    if len(line) <= room or not last:
        return [line]
    return [line[:start].rstrip(), *textwrap.wrap(last, room, initial_indent=" " * 4, subsequent_indent=" " * 4)]


def _size(count: int) -> str:
    from rich.filesize import decimal

    return decimal(count)
