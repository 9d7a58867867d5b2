"""What is in memory and on disk, as the page Models shows it, and what it changes there."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from ..core.catalogue import is_part, survey, wanted
from ..core.file_names import pasted
from ..core.hub import Hub
from ..core.printable import visible
from ..core.suiting import sort_of
from ..core.targets import Sort
from .choices import vocabulary_folders
from .downloads import Download, check_agreed, size
from .host import Host
from .jobs import Job

_DESCRIBERS: dict[Sort, str] = {"captioner": "Captioners", "tagger": "Taggers", "chat": "Chat models"}
_ABOUT_DESCRIBERS = (
    "Memory is that of half precision, as on a GPU; on the CPU it is twice that. "
    "Licences are as their repositories say."
)
_SHARED = "in the Hugging Face cache that other programs use too"


def memory_table(host: Host) -> str:
    from ..core.devices import free_memory, pick_device

    device = pick_device(host.settings().device)
    free = free_memory(device)
    rows = [(each.kind, each.name, size(each.bytes), each.device) for each in host.models.loaded]
    note = "" if free is None else f"{size(free)} are free on {device}."
    return _table("In memory", rows, "No model is in memory.", note)


def disk_table(host: Host) -> str:
    hub = _hub(host)
    rows = [(each.repo, size(each.bytes), _SHARED if each.shared else "") for each in hub.on_disk()]
    return _table("On this disk", rows, "No model has been downloaded.", f"In {hub.models}.")


def describers_table(host: Host) -> str:
    """What has a name, by kind; each with its download, what it then takes in memory, and its licence."""
    hub = _hub(host)
    _, describers = survey(hub)
    tables: dict[Sort, list[tuple[str, ...]]] = {sort: [] for sort in _DESCRIBERS}
    for each in describers:
        here = "comes along" if not each.repos else "on this disk" if each.on_disk else _size(each.bytes)
        tables[sort_of(each.name, hub)].append((each.name, here, _size(each.memory), each.licence))
    columns = ("Name", "Download", "Memory", "Licence")
    *others, (last, rows) = tables.items()
    shown = [_table(_DESCRIBERS[sort], rows, "", "", columns) for sort, rows in others]
    return "".join([*shown, _table(_DESCRIBERS[last], rows, "", _ABOUT_DESCRIBERS, columns)])


def vocabulary_table(host: Host) -> str:
    folder = _hub(host).folder
    found = vocabulary_folders(folder)
    rows = [(name, ", ".join(sorted(path.stem for path in own.glob("*.txt")))) for name, own in found.items()]
    note = f"Put NAME.txt files, one phrase a line, into {folder / 'phrases' / 'FOLDER'}, then reload the page."
    return _table("Vocabularies of your own", rows, "There is none yet.", note)


def downloaded(host: Host, name: str, job: Job) -> str:
    """Fetches a model's files and says so in a sentence. Raises SettingsError, ModelError, DownloadFirst, Cancelled."""
    name = pasted(name)
    host.folders.check_model(name)
    if is_part(name):
        return f"{name.casefold()} is part of the package: there is nothing to download."
    hub = _hub(host)
    with job.task("Reading the names"):
        clips, captioners = survey(hub)
        chosen = wanted(name, [*clips, *captioners], hub)
        missing = chosen.missing(hub)
    if not missing:
        return f"{name} is on this disk already."
    if job.agreed is not None:
        check_agreed([Download(name, sum(missing.values()))], job.agreed)
    folder = chosen.fetch(hub, job)
    return f"{name} is in {folder} ({size(sum(missing.values()))})."


def _hub(host: Host) -> Hub:
    return Hub(host.settings().cache)


def _size(count: int | None) -> str:
    return size(count) if count else ""


def _table(heading: str, rows: Iterable[tuple[str, ...]], empty: str, note: str, columns: tuple[str, ...] = ()) -> str:
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    head = f"<thead><tr>{heads}</tr></thead>" if columns else ""
    lines = "".join(f"<tr>{''.join(f'<td>{escape(visible(cell))}</td>' for cell in row)}</tr>" for row in rows)
    body = f"<table>{head}<tbody>{lines}</tbody></table>" if lines else f"<p>{escape(empty)}</p>"
    remark = f"<p><small>{escape(note)}</small></p>" if note else ""
    return f'<section class="unrender-table"><h2>{escape(heading)}</h2>{body}{remark}</section>'
