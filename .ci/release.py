"""Holds a tag, the version and the changelog together, and prints what the changelog tells of that version.

    python .ci/release.py v0.1.0

Ends with an error in a sentence where they differ.
"""

from __future__ import annotations

import re
import sys
from datetime import date
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
UNRELEASED = "Unreleased"


class Section(NamedTuple):
    """What the changelog tells of a version. day: as it is written, empty for what is not released."""

    version: str
    day: str
    text: str


def sections(changelog: str) -> list[Section]:
    """Newest first, as they stand; the links at the end belong to none."""
    body = re.sub(r"^\[[^]]+\]: \S+$", "", changelog, flags=re.MULTILINE)
    heads = list(re.finditer(r"^## \[(.+?)\](?: - (.+))?$", body, flags=re.MULTILINE))
    ends = [*(head.start() for head in heads[1:]), len(body)]
    return [
        Section(head[1], head[2] or "", body[head.end() : end].strip()) for head, end in zip(heads, ends, strict=True)
    ]


def released(changelog: str) -> list[Section]:
    return [section for section in sections(changelog) if section.version != UNRELEASED]


def faults(changelog: str) -> list[str]:
    """What is wrong with the changelog's form, a sentence each."""
    found = [
        f"[{version}] has no link at the end."
        for version, *_ in sections(changelog)
        if f"\n[{version}]: " not in changelog
    ]
    days, numbers = [], []
    for version, day, text in released(changelog):
        try:
            days.append(date.fromisoformat(day))
            numbers.append(tuple(map(int, version.split("."))))
        except ValueError:
            found.append(f"[{version}] - {day!r} is not a version of three numbers with a date such as 2026-11-28.")
        if not text:
            found.append(f"[{version}] tells nothing.")
    if days != sorted(days, reverse=True) or numbers != sorted(set(numbers), reverse=True):
        found.append("The versions do not go from the newest to the oldest.")
    return found


def literal(file: str, name: str) -> str:
    """The string that a line `name = "..."` of a file gives."""
    found = re.search(rf'^{name} = "(.+?)"', (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise SystemExit(f"{file} has no line {name} = ...; the version is written there.")
    return found[1]


def main(tag: str) -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = released(changelog)[0]
    versions = {
        "The tag": tag.removeprefix("v"),
        "pyproject.toml": literal("pyproject.toml", "version"),
        "__init__.py": literal("__init__.py", "__version__"),
        "The newest version in CHANGELOG.md": newest.version,
    }
    if len(set(versions.values())) > 1:
        told = ", ".join(f"{where} says {version}" for where, version in versions.items())
        raise SystemExit(f"These must be one version: {told}.")
    if wrong := faults(changelog):
        raise SystemExit(f"CHANGELOG.md: {' '.join(wrong)}")
    sys.stdout.write(f"{newest.text}\n")


if __name__ == "__main__":
    main(sys.argv[1])
