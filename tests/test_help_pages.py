"""The nodes' help pages in other languages: complete, of the English they were made from, in the nodes' words there.

ComfyUI's page asks for docs/<node>/<language>.md and, where there is none, for docs/<node>.md. After a change of an
English page: translate it in web/docs/<node>/*.md, then copy the page to tests/data/translated_help.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from difflib import unified_diff
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from comfyui_nodes import LOCALE, ROOT, node_schemas
from test_locales import HOSTS

HELP = ROOT / "web" / "docs"
TRANSLATED = ROOT / "tests" / "data" / "translated_help"
HEADINGS = {"ja": ["入力", "出力"], "zh": ["输入", "输出"]}
SIDES = {"Inputs": "inputs", "Outputs": "outputs"}
NODES = sorted(json.loads(LOCALE.read_text(encoding="utf-8")))
BOLD = re.compile(r"\*\*(.+?)\*\*", re.DOTALL)
CODE = re.compile(r"`([^`]+)`")
KEPT = re.compile(
    r"(?<![\w.-])(?:\d+\.\d+|\d\d+|3 MB|ViT-[A-Z]\b|bigG|SDXL|FLUX|BLIP|GIT|LoRA|float32|safetensors)(?!\w)"
)
ITEM = re.compile(r"^- ((?:\*\*.+?\*\*(?:, |、)?)+)(.*(?:\n +.*)*)", re.MULTILINE)
HOST_NODES = (
    "CLIP Text Encode",
    "CLIP Vision Encode",
    "CLIP Set Last Layer",
    "Load CLIP Vision",
    "Load CLIP",
    "Generate Text",
)
MORE_HOSTS = {
    "ja": ("CLIPの最終層を設定", "CLIPビジョンを読み込む", "CLIPを読み込む", "TextGenerate"),
    "zh": ("设置CLIP最后一层", "加载CLIP视觉", "加载CLIP", "TextGenerate"),
}
"""ComfyUI's own nodes, the longer name first, and those of them that the pages name and the other texts do not."""

every_page = pytest.mark.parametrize(("node", "language"), [(node, each) for node in NODES for each in HEADINGS])


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def pages(node: str, language: str) -> tuple[str, str]:
    """The English page and the one in that language."""
    return text_of(HELP / f"{node}.md"), text_of(HELP / node / f"{language}.md")


@cache
def words(language: str) -> dict[str, Any]:
    return json.loads(text_of(ROOT / "locales" / language / "nodeDefs.json"))


def short(name: str) -> str:
    """A node's name as texts have it: without what its title adds in brackets."""
    return re.split(r" ?[(（]", name)[0]


def names(node: str, side: str, language: str) -> dict[str, str]:
    """The inputs or outputs of a node as it shows them in that language, by their English names."""
    english, there = words("en")[node][side], words(language)[node][side]
    return {english[key]["name"]: there[key]["name"] for key in english}


def sections(page: str) -> list[tuple[str, str]]:
    """What follows each heading, the title's text first."""
    parts = re.split(r"^#+ (.*)\n", page, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def in_running_text(section: str) -> list[str]:
    """What is bold, without the names that items begin with."""
    return BOLD.findall(ITEM.sub(lambda item: item[2], section))


def as_there(bold: str, node: str, language: str) -> str:
    """A choice's value stays; a node or an input is called what it is called there."""
    if any(bold in (getattr(each, "options", None) or ()) for each in node_schemas()[node].inputs):
        return bold
    there = words(language)
    titles = {short(each["display_name"]): short(there[key]["display_name"]) for key, each in words("en").items()}
    return titles.get(bold) or names(node, "inputs", language)[bold]


def test_every_page_belongs_to_a_node_and_a_language() -> None:
    there = {page.relative_to(HELP).as_posix() for page in HELP.rglob("*.md")}
    assert there == {f"{node}{end}" for node in NODES for end in (".md", *(f"/{each}.md" for each in HEADINGS))}


@pytest.mark.parametrize("node", NODES)
def test_no_english_page_has_changed_since_it_was_translated(node: str) -> None:
    then, now = (text_of(folder / f"{node}.md").splitlines() for folder in (TRANSLATED, HELP))
    changes = "\n".join(unified_diff(then, now, "as translated", "now", n=0, lineterm=""))
    todo = (
        f"translate this change of web/docs/{node}.md in web/docs/{node}/*.md, copy it to tests/data/{TRANSLATED.name}"
    )
    assert not changes, f"{todo}:\n{changes}"


@every_page
def test_headings_are_the_same(node: str, language: str) -> None:
    english, there = pages(node, language)
    levels = [re.findall(r"^#+ ", page, re.MULTILINE) for page in (english, there)]
    assert levels[0] == levels[1] == ["# ", "## ", "## "]
    assert [title for title, _ in sections(english)][1:] == list(SIDES)
    assert [title for title, _ in sections(there)] == [words(language)[node]["display_name"], *HEADINGS[language]]


@every_page
def test_items_are_those_of_the_node_in_the_same_order(node: str, language: str) -> None:
    english, there = (sections(page) for page in pages(node, language))
    for (title, ours), (_, theirs) in zip(english[1:], there[1:], strict=True):
        known = names(node, SIDES[title], language)
        wanted = [[known[name] for name in BOLD.findall(item[0])] for item in ITEM.findall(ours)]
        found = [BOLD.findall(item[0]) for item in ITEM.findall(theirs)]
        assert found == wanted
        for section, items in ((ours, wanted), (theirs, found)):
            assert len(re.findall(r"^- ", section, re.MULTILINE)) == len(items)


@every_page
def test_paragraphs_are_as_many(node: str, language: str) -> None:
    """And of one line each: a line's end would be shown as a space, which these languages do not put between words."""
    english, there = (sections(page) for page in pages(node, language))
    for (title, ours), (_, theirs) in zip(english, there, strict=True):
        counts = [len([part for part in text.strip().split("\n\n") if part]) for text in (ours, theirs)]
        assert counts[0] == counts[1], title
        assert not re.search(r"^[^\n-].*\n(?!\n)(?=.)", theirs, re.MULTILINE), title


@every_page
def test_what_is_bold_in_the_text_is_called_what_it_is_called_there(node: str, language: str) -> None:
    english, there = (sections(page) for page in pages(node, language))
    for (title, ours), (_, theirs) in zip(english, there, strict=True):
        wanted = Counter(as_there(bold, node, language) for bold in in_running_text(ours))
        assert Counter(in_running_text(theirs)) == wanted, title


@every_page
def test_code_stays_as_it_is(node: str, language: str) -> None:
    english, there = (Counter(CODE.findall(page)) for page in pages(node, language))
    assert there == english


@every_page
def test_numbers_and_models_stay(node: str, language: str) -> None:
    english, there = (Counter(KEPT.findall(re.sub(r"([^\x00-\x7f])", r" \1 ", page))) for page in pages(node, language))
    assert {each: count for each, count in english.items() if there[each] < count} == {}


@every_page
def test_comfyuis_own_nodes_are_called_what_they_are_called_there(node: str, language: str) -> None:
    english, there = pages(node, language)
    english = " ".join(english.split())
    for name, theirs in zip(HOST_NODES, HOSTS[language] + MORE_HOSTS[language], strict=True):
        assert there.count(theirs) >= english.count(name), name
        assert name not in there
        english = english.replace(name, "")


@every_page
def test_bold_is_shown_as_bold(node: str, language: str) -> None:
    """Markdown takes ** for stars where a mark stands inside of it and a letter outside, as it does not in English."""
    for bold in BOLD.findall(pages(node, language)[1]):
        assert bold[0].isalnum() and bold[-1].isalnum(), bold
