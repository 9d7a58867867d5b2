"""What a whole process takes from the command to its last word: this checkout beside a commit before, in turns.

    python benchmarks/first_word.py --before COMMIT [--repeats 5] [--case NAME]

COMMIT is checked out into a temporary worktree. Prints CPU seconds, user and system, of the processes (median, least
and most) and their ratio; both sides keep compiled files of their own, which an unmeasured run writes, and get the same
environment and picture. The output of `interrogate` must be the same on both sides, or that is said.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "demo.png"
CASES = {
    "interrogate on micro": ["interrogate", str(PICTURE), "--clip", "micro", "--device", "cpu"],
    "models": ["models"],
    "a picture that is not there": ["interrogate", "nothing.png"],
    "a model that is not there": ["interrogate", str(PICTURE), "--clip", "nobody"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", required=True, metavar="COMMIT")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--case", choices=CASES)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        before = Path(place, "before")
        subprocess.run(["git", "-C", ROOT, "worktree", "add", "-q", "--detach", before, options.before], check=True)
        try:
            sides = {"before": _environment(before, Path(place)), "now": _environment(ROOT, Path(place))}
            for name in [options.case] if options.case else CASES:
                _compare(name, sides, options.repeats, Path(place))
        finally:
            subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", before], check=True)


def _environment(checkout: Path, place: Path) -> dict[str, str]:
    """In which `import unrender` is this checkout."""
    shim = place / f"shim-{checkout.name}"
    shim.mkdir()
    (shim / "unrender").symlink_to(checkout)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**env, "PYTHONPATH": str(shim), "PYTHONPYCACHEPREFIX": str(shim / "compiled"), "HF_HUB_OFFLINE": "1"}


def _compare(name: str, sides: dict[str, dict[str, str]], repeats: int, place: Path) -> None:
    said = {side: _run(name, env, place)[1] for side, env in sides.items()}
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(repeats):
        for side, env in sides.items():
            seconds[side].append(_run(name, env, place)[0])
    shown = {side: f"{median(each):5.2f} ({min(each):.2f} to {max(each):.2f})" for side, each in seconds.items()}
    ratio = median(seconds["now"]) / median(seconds["before"])
    print(f"{name:28} before {shown['before']}   now {shown['now']}   {ratio:.0%}", flush=True)
    if name.startswith("interrogate") and said["before"] != said["now"]:
        print(f"  the words differ: {said['before']!r} before, {said['now']!r} now")


def _run(name: str, env: dict[str, str], place: Path) -> tuple[float, str]:
    """CPU seconds of the process and its children, and its standard output."""
    started = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "unrender", *CASES[name]]
    done = subprocess.run(command, cwd=place, env=env, capture_output=True, text=True)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime - started.ru_utime + ended.ru_stime - started.ru_stime, done.stdout


if __name__ == "__main__":
    main()
