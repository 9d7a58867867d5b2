"""Reads many files in a process of its own, which may not outlast or outgrow its limits, and counts what came of it."""

from __future__ import annotations

import gc
import os
import resource
import signal
import struct
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from mmap import mmap
from pathlib import Path

from unrender.core.errors import UnrenderError

CPU_SECONDS = 5
MEMORY = 1 << 30
_COMES_BEFORE_KILL = 1
_PATIENCE = 120


@dataclass
class Findings:
    """read, refused: how often. wrong: what else came, with the numbers of the inputs. slowest: CPU seconds, number."""

    read: int = 0
    refused: int = 0
    wrong: dict[str, list[int]] = field(default_factory=dict)
    slowest: tuple[float, int] = (0.0, -1)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        return self.read + self.refused + sum(map(len, self.wrong.values()))

    def merge(self, other: Findings) -> None:
        self.read += other.read
        self.refused += other.refused
        self.reasons += other.reasons
        self.slowest = max(self.slowest, other.slowest)
        for what, numbers in other.wrong.items():
            self.wrong.setdefault(what, []).extend(numbers)

    def add(self, line: str) -> None:
        number, verdict, seconds, detail = line.rstrip("\n").split("\t", 3)
        self.slowest = max(self.slowest, (float(seconds), int(number)))
        if verdict == "read":
            self.read += 1
        elif verdict == "refused":
            self.refused += 1
            self.reasons[detail] += 1
        else:
            self.wrong.setdefault(f"{verdict} {detail}".strip(), []).append(int(number))


def watched(
    read: Callable[[int], object], numbers: Sequence[int], scratch: Path, seconds: int = CPU_SECONDS
) -> Findings:
    """Calls `read` with each number in forked children. It may return, or raise an UnrenderError. Where it raises
    anything else, takes more than `seconds` of CPU time or `MEMORY`, or dies, that is noted, and the rest goes on."""
    findings, left = Findings(), list(numbers)
    log, at = scratch / "watched.tsv", mmap(-1, 8)
    while left:
        at[:] = struct.pack("q", -1)
        log.write_bytes(b"")
        child = os.fork()
        if child == 0:
            _work_and_leave(read, left, log, at, seconds)
        status = _waited(child, at)
        for line in log.read_text("utf-8").splitlines():
            findings.add(line)
        (last,) = struct.unpack("q", at[:])
        if os.waitstatus_to_exitcode(status) == 0:
            return findings
        code = os.waitstatus_to_exitcode(status)
        if last == -1:
            raise RuntimeError(f"the process that reads ended with {code} before it read anything")
        slow = code == -signal.SIGXCPU
        findings.add(f"{last}\t{'over CPU time' if slow else f'died {code}'}\t{seconds if slow else 0}\t")
        left = left[left.index(last) + 1 :]
    return findings


def _waited(child: int, at: mmap) -> int:
    """The child's status, once it has ended; it is ended where it neither reads on nor uses CPU time."""
    seen, since = bytes(at), time.monotonic()
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.01)
        if bytes(at) != seen:
            seen, since = bytes(at), time.monotonic()
        if time.monotonic() - since > _PATIENCE:
            os.kill(child, signal.SIGTERM)


def _work_and_leave(read: Callable[[int], object], numbers: Sequence[int], log: Path, at: mmap, seconds: int) -> None:
    """In the child: never returns."""
    status = 1
    try:
        warnings.simplefilter("ignore")
        if "torch" in sys.modules:  # its threads did not come along
            sys.modules["torch"].set_num_threads(1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # what C libraries say about each file
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        ceiling = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with log.open("a", encoding="utf-8", buffering=1) as lines:
            for number in numbers:
                at[:] = struct.pack("q", number)
                _allow(seconds)
                lines.write(_line(read, number, seconds))
        status = 0
    finally:
        os._exit(status)


def _allow(seconds: int) -> None:
    used = time.process_time()
    resource.setrlimit(resource.RLIMIT_CPU, (int(used) + seconds + _COMES_BEFORE_KILL, resource.RLIM_INFINITY))


def _line(read: Callable[[int], object], number: int, limit: int) -> str:
    started = time.process_time()
    verdict, detail = "read", ""
    try:
        read(number)
    except UnrenderError as error:
        said = str(error)
        verdict, detail = ("refused" if said.strip() and "\n" not in said else "no sentence"), type(error).__name__
    except MemoryError:
        verdict = "over memory"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
        where = traceback.extract_tb(error.__traceback__)[-1]
        verdict, detail = type(error).__name__, f"{Path(where.filename).name}:{where.lineno}"
    seconds = time.process_time() - started
    if seconds > limit:
        verdict = "over CPU time"
    return f"{number}\t{verdict}\t{seconds:.3f}\t{detail}\n"
