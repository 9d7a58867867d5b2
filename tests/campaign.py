"""Hands thousands of files that are nearly right to everything that reads files, and counts what comes of it.

    python tests/campaign.py                      # a thousand for each reader
    python tests/campaign.py pictures --count 1000000
    python tests/campaign.py index --first 4711 --count 1 --keep FOLDER   # the very file that was wrong

A reader may read such a file or refuse it with an UnrenderError, within the CPU time and memory of tests/watching.py.
Exits 1 where one did anything else. `--count` is for readers that take a file in a millisecond or so; of those that
build a model each time there are as many as fifty times fewer.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from file_readers import READERS
from mutations import Files, Reader, mutated
from watching import CPU_SECONDS, MEMORY, Findings, watched

_PORTION = 20_000
_COSTLY_SHARE = 50


def numbered(reader: Reader, seeds: list[Files], scratch: Path) -> Callable[[int], object]:
    """What reads the mutation of a number."""

    def read(number: int) -> object:
        return reader.read(_laid_out(mutated(seeds, reader.name, number, reader.only), scratch))

    return read


def campaign(reader: Reader, numbers: range, scratch: Path) -> Findings:
    """What came of these mutations. Everything that readers need once is made before they are watched."""
    seeds = list(reader.seeds())
    for seed in seeds:
        reader.read(_laid_out(seed, scratch))
    return watched(numbered(reader, seeds, scratch), numbers, scratch)


def _laid_out(files: Files, scratch: Path) -> Path:
    """The folder that holds these files and no others."""
    folder = scratch / "files"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def _keep(reader: Reader, numbers: range, folder: Path) -> None:
    """The files themselves, to look at."""
    seeds = list(reader.seeds())
    for number in numbers:
        for name, data in mutated(seeds, reader.name, number, reader.only).items():
            path = folder / f"{reader.name}-{number}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def _row(name: str, found: Findings, seconds: float) -> str:
    slowest, number = found.slowest
    wrong = sum(map(len, found.wrong.values()))
    return (
        f"{name:<18} {found.count:>9,} {found.read:>9,} {found.refused:>9,} {wrong:>6,}   "
        f"{slowest:>6.2f} s (number {number}) {seconds:>7.0f} s"
    )


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("readers", nargs="*", help=f"all where none is named: {', '.join(READERS)}")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write the files there, and read none")
    asked = parser.parse_args(arguments)
    print(f"{'reader':<18} {'files':>9} {'read':>9} {'refused':>9} {'wrong':>6}   slowest")
    clean = True
    for name in asked.readers or READERS:
        reader = READERS[name]
        count = max(asked.count // _COSTLY_SHARE, 1) if reader.costly else asked.count
        numbers = range(asked.first, asked.first + count)
        if asked.keep is not None:
            _keep(reader, numbers, asked.keep)
            continue
        started, found = time.monotonic(), Findings()
        with tempfile.TemporaryDirectory(dir=_memory_disk()) as scratch:
            for first in range(numbers.start, numbers.stop, _PORTION):
                found.merge(campaign(reader, range(first, min(first + _PORTION, numbers.stop)), Path(scratch)))
                if first + _PORTION < numbers.stop:
                    print(f"{name}: {found.count:,} so far, {found.wrong or 'none wrong'}", file=sys.stderr, flush=True)
        print(_row(name, found, time.monotonic() - started), flush=True)
        for what, which in sorted(found.wrong.items()):
            print(f"    {what}: {len(which)}, such as {which[:5]}", flush=True)
        clean = clean and not found.wrong
    print(f"limits: {CPU_SECONDS} s of CPU time and {MEMORY >> 30} GiB for a file")
    return 0 if clean else 1


def _memory_disk() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
