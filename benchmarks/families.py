"""How many of a list's phrases state a concept that the built-in families know, and which frequent words state none.

    python benchmarks/families.py [--lists built-in] [--words 60] [--log benchmarks/logs/families.log]

Prints a row a category of the lists (its phrases, and how many state something), a row a family (how many phrases state
one of its concepts, and how many of its concepts are stated), and the words outside every wording, most frequent first:
what the families lack. Artists' phrases are names, in which a wording is an accident ("by John Fox"): they count in
their own row alone.
"""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from unrender.core.phrases.families import BUILT_IN_FAMILIES, Claim, Claims, Family, read_families
from unrender.core.phrases.peers import clip_interrogator_lists
from unrender.core.phrases.vocabulary import load_vocabulary

NAMES = "artists"
_WORD = re.compile(r"[^\W\d_][\w'-]+")
_SMALL = frozenset(
    (
        *("the", "and", "of", "in", "on", "with", "at", "by", "for", "from", "to", "an", "as", "is", "are", "her"),
        *("his", "she", "he", "it", "its", "that", "this", "very", "into", "over", "under", "up", "out"),
    )
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lists", choices=("clip-interrogator", "built-in"), default="clip-interrogator")
    parser.add_argument("--words", type=int, default=60, metavar="N")
    parser.add_argument("--log", type=Path, metavar="FILE")
    options = parser.parse_args()
    families = read_families(BUILT_IN_FAMILIES)
    start = time.process_time()
    said = {name: _read(phrases, families) for name, phrases in _lists(options.lists).items()}
    seconds = time.process_time() - start
    lines = [*_by_category(said), "", *_by_family(said, families), "", *_words(said, options.words), ""]
    table = "\n".join([f"lists: {options.lists}; {seconds:.0f} s of CPU", "", *lines])
    print(table)
    if options.log:
        options.log.write_text(f"{table}\n", encoding="utf-8")


Read = list[tuple[str, tuple[Claim, ...]]]


def _lists(name: str) -> dict[str, Sequence[str]]:
    lists = clip_interrogator_lists() if name == "clip-interrogator" else load_vocabulary().categories
    return {category: each.phrases for category, each in lists.items()}


def _read(phrases: Sequence[str], families: Sequence[Family]) -> Read:
    claims = Claims(families)
    return [(phrase, claims.read(phrase)) for phrase in phrases]


def _by_category(said: dict[str, Read]) -> list[str]:
    rows = [f"{'category':<24} {'phrases':>8} {'state a concept':>16} {'share':>6} {'concepts each':>14}"]
    for name, read in said.items():
        stated = [claims for _, claims in read if claims]
        each = sum(map(len, stated)) / max(1, len(stated))
        rows.append(f"{name:<24} {len(read):>8} {len(stated):>16} {len(stated) / len(read):>6.0%} {each:>14.1f}")
    every = [claims for read in said.values() for _, claims in read]
    rows.append(f"{'all':<24} {len(every):>8} {sum(map(bool, every)):>16} {sum(map(bool, every)) / len(every):>6.0%}")
    return rows


def _by_family(said: dict[str, Read], families: Sequence[Family]) -> list[str]:
    phrases: Counter[str] = Counter()
    concepts: dict[str, set[str]] = {family.name: set() for family in families}
    for claims in (claims for name, read in said.items() if name != NAMES for _, claims in read):
        phrases.update({claim.family.name for claim in claims})
        for claim in claims:
            concepts[claim.family.name].add(claim.concept.name)
    rows = [f"{'family':<28} {'phrases':>8} {'concepts stated':>16} {'of':>4} {'wordings':>9}"]
    for family in sorted(families, key=lambda family: (-phrases[family.name], family.name)):
        rows.append(
            f"{family.name:<28} {phrases[family.name]:>8} {len(concepts[family.name]):>16} "
            f"{len(family.concepts):>4} {len(family.wordings):>9}"
        )
    total = [concept for family in families for concept in family.concepts]
    rows.append(
        f"{len(families)} families, {len(total)} concepts, {sum(len(each.wordings) for each in total)} wordings"
    )
    return rows


def _words(said: dict[str, Read], most: int) -> list[str]:
    """Words outside every wording, with how many phrases have them."""
    found: Counter[str] = Counter()
    for phrase, claims in (pair for name, read in said.items() if name != NAMES for pair in read):
        rest = list(phrase)
        for claim in claims:
            rest[claim.start : claim.stop] = "," * (claim.stop - claim.start)
        found.update({word for word in _WORD.findall("".join(rest).lower()) if word not in _SMALL})
    return ["words that state nothing:", ", ".join(f"{word} {count}" for word, count in found.most_common(most))]


if __name__ == "__main__":
    main()
