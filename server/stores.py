"""What is in memory and on disk, as the page Models shows it, and what it changes there."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from ..core.catalogue import is_part, survey, wanted
from ..core.hub import Hub
from ..core.printable import visible
from .choices import vocabulary_folders
from .downloads import Download, check_agreed, size
from .host import Host
from .jobs import Job

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


def vocabulary_table(host: Host) -> str:
    folder = _hub(host).folder
    found = vocabulary_folders(folder)
    rows = [(name, ", ".join(sorted(path.stem for path in own.glob("*.txt")))) for name, own in found.items()]
    note = f"Put NAME.txt files, one phrase a line, into {folder / 'phrases' / 'FOLDER'}, then reload the page."
    return _table("Vocabularies of your own", rows, "There is none yet.", note)


def downloaded(host: Host, name: str, job: Job) -> str:
    """Fetches a model's files and says so in a sentence. Raises SettingsError, ModelError, DownloadFirst, Cancelled."""
    name = name.strip()
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


def _table(heading: str, rows: Iterable[tuple[str, ...]], empty: str, note: str) -> str:
    lines = "".join(f"<tr>{''.join(f'<td>{escape(visible(cell))}</td>' for cell in row)}</tr>" for row in rows)
    body = f"<table>{lines}</table>" if lines else f"<p>{escape(empty)}</p>"
    remark = f"<p><small>{escape(note)}</small></p>" if note else ""
    return f'<section class="unrender-table"><h2>{escape(heading)}</h2>{body}{remark}</section>'
