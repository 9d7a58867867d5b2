"""What opening pictures costs: `python picture_costs.py FILE...` prints a line of JSON for each.

Each is opened in a process of its own, forked from one that has imported what is needed, so that its peak is its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

CPU_SECONDS = 30
ADDRESS_SPACE = 6 << 30


class Cost(NamedTuple):
    """seconds: of CPU. megabytes: by which the process grew at its peak. size: of the picture, None where there is
    none, and `said` then holds the error's type and sentence."""

    seconds: float
    megabytes: float
    size: tuple[int, int] | None
    said: str


def costs_of(files: Iterable[Path]) -> list[Cost]:
    paths = list(map(str, files))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, *paths], capture_output=True, text=True, check=True
    )
    values = map(json.loads, done.stdout.splitlines())
    return [Cost(seconds, mega, size and tuple(size), said) for seconds, mega, size, said in values]


def peak() -> float:
    """Megabytes that this process has held at most. Its `ru_maxrss` would be that of the process it was started from,
    where that had more."""
    import resource

    with contextlib.suppress(OSError):
        said = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(said.partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _opened(path: str) -> tuple[tuple[int, int] | None, str]:
    from unrender.core.errors import ImageError
    from unrender.core.images import open_image

    try:
        return open_image(path).size, ""
    except ImageError as error:
        return None, f"ImageError: {error}"
    except BaseException as error:  # noqa: BLE001 - whatever it is, the test is told
        return None, f"{type(error).__name__}: {error}"


def _measured(path: str) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    before, began = peak(), time.process_time()
    size, said = _opened(path)
    _tell([time.process_time() - began, peak() - before, size, said])


def _tell(values: list[Any]) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def main() -> None:
    _opened(os.devnull)  # imports what is needed
    for path in sys.argv[1:]:
        child = os.fork()
        if child == 0:
            _measured(path)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            _tell([CPU_SECONDS, 0, None, f"ended with status {status}"])


if __name__ == "__main__":
    main()
