"""Shows that a change moved no answer: puts the same questions to the program before and after, and compares.

    python benchmarks/answers.py record FOLDER            # answering/questions.txt, on micro, offline; some minutes
    python benchmarks/answers.py compare BEFORE AFTER     # 1 where an answer differs

The program is reached by what keeps its name alone: its command line, the routes of `unrender serve` and the Engine.
answers.json has statuses and all that was printed, written and answered, by its hash and, where it is short, as it is.
errors.json and help.json have the words of refusals, remarks and help; they may be put better, and are shown, not held.

Left out is what no two runs share: seconds, the version, the run's own folder, the journals in `.unrender`, names that
matplotlib draws by lot in SVG files, and the order of the metadata in safetensors files, which that library leaves to
chance. Files have a fixed time, and the precision, which is otherwise chosen by measuring, is named. Records compare
when they were made on one machine with the same packages.
"""

from __future__ import annotations

import argparse
import difflib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from answering import inputs, server
from answering.record import KINDS, Record

QUESTIONS = Path(__file__).parent / "answering" / "questions.txt"
PIPED = "drawn-0.png"  # on standard input

_CPU = ("--device", "cpu", "--precision", "exact")
_CLIP = ("--clip", "micro", *_CPU)
_ENGINE = (*_CLIP, "--captioner", "micro")
OPTIONS = {
    **dict.fromkeys(("interrogate", "batch"), _ENGINE),
    **dict.fromkeys(("analyze", "match", "locate", "index"), _CLIP),
    **dict.fromkeys(("embed", "vary", "search", "curate", "verify"), _CPU),  # these know the CLIP they want
}


class Reply(NamedTuple):
    status: Any
    out: bytes
    err: bytes


def record(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        home = Path(place).resolve()
        _settle_surroundings(home)
        from unrender import __version__

        inputs.write(home / "inputs")
        made = Record(home, __version__)
        for scene, lines in _scenes():
            started = time.monotonic()
            with _fresh_folder(home, scene):
                if scene == "api":
                    server.ask(made, lines, _ENGINE)
                else:
                    _ask_commands(made, scene, lines)
            print(f"{scene}: {len(lines)} lines, {time.monotonic() - started:.0f} s", flush=True)
        with _fresh_folder(home, "python"):
            _ask_engine(made)
        for path, data in _files(home / "cache").items():
            made.file("cache", path, data)
    made.write(folder)


def _settle_surroundings(home: Path) -> None:
    """Before libraries are imported: nothing of the user's or of the net, one thread, lines of one width."""
    folders = {"UNRENDER_CACHE": "cache", "HF_HOME": "huggingface", "HOME": "home"}
    os.environ.update({name: str(home / folder) for name, folder in folders.items()})
    os.environ.update(HF_ENDPOINT="http://127.0.0.1:9", OMP_NUM_THREADS="1", COLUMNS="100", NO_COLOR="1")
    for name in ("UNRENDER_TOKEN", "UNRENDER_COMMAND", "RAY_ADDRESS", "HF_HUB_CACHE"):
        os.environ.pop(name, None)


def _scenes() -> Iterator[tuple[str, list[str]]]:
    lines = [line for line in QUESTIONS.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    heads = [number for number, line in enumerate(lines) if line[0] == "["]
    for head, end in zip(heads, [*heads[1:], len(lines)], strict=True):
        yield lines[head][1:-1], lines[head + 1 : end]


@contextmanager
def _fresh_folder(home: Path, scene: str) -> Iterator[None]:
    folder, before = home / re.sub(r"\W+", "-", scene), Path.cwd()
    shutil.copytree(home / "inputs", folder)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _ask_commands(made: Record, scene: str, lines: list[str]) -> None:
    ask = _in_a_process if scene == "processes" else _in_process
    files = _files(Path())
    for number, line in enumerate(lines, 1):
        words, name = shlex.split(line), f"{scene} {number}: {line}"
        if words[0] in ("cp", "rm"):
            _move(*words)
            files = _files(Path())
            continue
        reply = ask([*words, *_options(words)])
        made.answer(f"{name} | status", str(reply.status).encode())
        made.words(name, reply.err, reply.status)
        if scene == "help":
            made.helped(name, reply.out)
        elif scene == "refusals":  # how much is printed before depends on when it is refused
            made.words(f"{name} | printed", reply.out)
        else:
            made.answer(f"{name} | printed", reply.out)
        before, files = files, _files(Path())
        for path, data in files.items():
            if before.get(path) != data:
                made.file(name, path, data)
        for path in sorted(before.keys() - files.keys()):
            made.answer(f"{name} | {path}", b"gone")


def _options(words: list[str]) -> list[str]:
    usual = () if "--help" in words else OPTIONS.get(words[0], ())
    pairs = zip(usual[::2], usual[1::2], strict=True)
    return [part for pair in pairs if pair[0] not in words for part in pair]


def _in_process(words: list[str]) -> Reply:
    """As a process of its own would answer, without the seconds that importing the libraries takes."""
    from unrender.cli import main

    out, err, fed = io.BytesIO(), io.BytesIO(), io.BytesIO(Path(PIPED).read_bytes())
    printed, complained = io.TextIOWrapper(out, write_through=True), io.TextIOWrapper(err, write_through=True)
    piped = mock.patch.object(sys, "stdin", io.TextIOWrapper(fed))
    with redirect_stdout(printed), redirect_stderr(complained), piped:
        try:
            status: Any = main(words)
        except SystemExit as ended:
            status = ended.code
        except Exception as error:  # noqa: BLE001  a crash is an answer too
            traceback.print_exc(file=sys.__stderr__)
            status = f"{type(error).__name__}: {error}"
    return Reply(status, out.getvalue(), err.getvalue())


def _in_a_process(words: list[str]) -> Reply:
    command = [sys.executable, "-m", "unrender", *words]
    done = subprocess.run(command, input=Path(PIPED).read_bytes(), capture_output=True)
    return Reply(done.returncode, done.stdout, done.stderr)


def _move(verb: str, *paths: str) -> None:
    if verb == "cp":
        shutil.copy2(*paths)
    else:
        Path(*paths).unlink()


def _files(folder: Path) -> dict[str, bytes]:
    """All below, but for the journals of batches, which are the program's own business."""
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    kept = (name for name in found if ".unrender/" not in name or name.endswith(".safetensors"))
    return {name: found[name].read_bytes() for name in kept}


def _ask_engine(made: Record) -> None:
    from unrender.core.engine import Engine, Settings

    pictures = sorted(str(path) for path in Path("many").glob("*.png"))[:10]
    first, *_ = two = pictures[:2]
    with Engine(Settings(clip="micro", captioner="micro", device="cpu", precision="exact")) as engine:
        gap = engine.measure_gap(pictures)
        found = {
            "interrogate": engine.interrogate(first).to_dict(),
            "interrogate_together": engine.interrogate_together(two, "fast", "", [2, 1]).to_dict(),
            "interrogate_each": [each.to_dict() for each in engine.interrogate_each(pictures, "fast")],
            "analyze": [each.to_dict() for each in engine.analyze(two, top=3)],
            "match": engine.match(two, ["a star", "a ring"]).to_dict(),
            "locate": engine.locate(first, "a star").to_dict(),
            "worth": [(each.text, each.category, each.gain) for each in engine.worth(first, "a star, in oil")],
            "picture_features": engine.picture_features(two).tolist(),
            "text_features": engine.text_features(["a star", "a ring"]).tolist(),
            "measure_gap": [gap.centre.tolist(), gap.spread, gap.pictures],
        }
        embeddings = {"embed": engine.embed([first], "micro", gap=gap), "embed_text": engine.embed_text("a", "micro")}
    for name, value in found.items():
        made.answer(f"python: {name}", json.dumps(value).encode())
    for name, embedding in embeddings.items():
        made.answer(f"python: {name}", embedding.to_bytes())


def compare(before: Path, after: Path) -> int:
    """Prints what differs. Returns 1 where it is more than words."""
    answers, *words = (_differences(before, after, kind) for kind in KINDS)
    for kind, changed in zip(KINDS[1:], words, strict=True):
        for name, old, new in changed:
            print(f"changed words, {kind}: {name}\n{_shown(old, new)}")
    for name, old, new in answers:
        print(f"CHANGED ANSWER: {name}\n{_shown(old, new)}")
    print(f"{len(answers)} answers differ, and {sum(map(len, words))} times the words alone.")
    return int(bool(answers))


def _differences(before: Path, after: Path, kind: str) -> list[tuple[str, Any, Any]]:
    """Name, before and after, None where there is none."""
    old, new = (json.loads((folder / f"{kind}.json").read_text(encoding="utf-8")) for folder in (before, after))
    names = [*old, *(name for name in new if name not in old)]
    return [(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]


def _shown(old: dict[str, Any] | None, new: dict[str, Any] | None) -> str:
    """The lines that changed, or the hashes of what is no text or a long one."""
    sides = []
    for value in (old, new):
        kept = {} if value is None else value
        status = [f"status {kept['status']}"] if kept.get("status") is not None else []
        sides.append([*status, *kept.get("text", kept.get("sha256", "")).splitlines()])
    changed = list(difflib.unified_diff(*sides, lineterm="", n=0))[2:]
    return "\n".join(f"  {line}" for line in changed if not line.startswith("@@"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("record", help="ask everything").add_argument("folder", type=Path)
    comparing = actions.add_parser("compare", help="print what differs")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    options = parser.parse_args()
    if options.action == "compare":
        return compare(options.before, options.after)
    record(options.folder.resolve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
