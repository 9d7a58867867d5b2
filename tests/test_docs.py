"""The documentation says what is there: links lead somewhere, options and names exist, and none is left out."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from unrender import cli

ROOT = Path(__file__).resolve().parent.parent
CLI = ROOT / "docs/cli.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("web/docs/*.md")])
MOST_WORDS = 900

OF_OTHERS = {
    *("--nowebui", "--api-auth", "--gradio-auth", "--lowvram", "--medvram"),  # the webuis'
    *("--model", "--peer", "--bank", "--split", "--most", "--lists"),  # the benchmarks'
}
"""Options of other programs that the pages name."""

OF_THE_CLIP = {"--clip", "--fit", "--device", "--precision", "--memory", "--cache"}
"""What every command that looks at pictures takes."""

_FENCED = re.compile(r"^(```+)(\w*)[^\n]*\n(.*?)^\1\s*$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^\n|\A)((?:^ {4}\S[^\n]*\n|^ {4,}\n)+)", re.MULTILINE)
_INLINE = re.compile(r"(`+)(.+?)\1", re.DOTALL)
_LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\[\]]*\])*\]\(([^()\s]+(?:\([^()]*\))?)\)")
_IMAGE = re.compile(r"<img [^>]*?src=\"([^\"]+)\"")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
_OPTION = re.compile(r"(?<![\w-])--?[a-z][\w-]*")
_PATH = re.compile(r"(core|cli|server|nodes|extension|training|benchmarks|tests|docs|web|scripts)/[\w./-]*")
_COMMAND = re.compile(r"\bunrender (\w+)([^\n]*)")


@cache
def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(text: str) -> str:
    """Without code blocks, whose brackets are no links and whose comments no headings."""
    return _INDENTED.sub("\n", _FENCED.sub("", text))


def blocks(text: str) -> list[str]:
    return [match[3] for match in _FENCED.finditer(text)] + _INDENTED.findall(_FENCED.sub("", text))


def inline(text: str) -> list[str]:
    return [match[2] for match in _INLINE.finditer(prose(text))]


def links(text: str) -> list[str]:
    shown = _INLINE.sub("code", prose(text))
    return _LINK.findall(shown) + _IMAGE.findall(shown)


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to headings, and the site too."""
    found: dict[str, int] = {}
    for heading in _HEADING.findall(prose(text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found[anchor] = found.get(anchor, -1) + 1
    return {f"{anchor}-{number}" if number else anchor for anchor, last in found.items() for number in range(last + 1)}


def broken(page: Path, link: str) -> str:
    """Why a link leads nowhere, empty where it leads somewhere. Nobody is asked about other sites."""
    parts = urlsplit(link)
    if parts.scheme:
        good = parts.scheme in ("https", "http") and "." in parts.netloc
        return "" if good else "is no address"
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_relative_to(ROOT) or not target.exists():
        return "is no file here"
    if parts.fragment and parts.fragment not in anchors(text_of(target)):
        return f"has no heading #{parts.fragment}"
    return ""


def section(page: Path, title: str) -> str:
    """From the heading that has `title` among its words to the next of any depth."""
    parts = re.split(r"^#+ +", text_of(page), flags=re.MULTILINE)
    return next((part for part in parts if title in re.split(r", ", part.split("\n", 1)[0])), "")


def first_cells(text: str) -> set[str]:
    """What the rows of a text's tables begin with; several things in a cell are between commas."""
    cells = re.findall(r"^\| *([^|]+?) *\|", text, re.MULTILINE)
    return {part.strip() for cell in cells for part in cell.split(",")}


def parsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    actions = (each for each in parser._actions if isinstance(each, argparse._SubParsersAction))
    return next((dict(each.choices) for each in actions), {})


@cache
def commands() -> dict[str, argparse.ArgumentParser]:
    return parsers(cli._parser())


def options(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if action.option_strings and action.dest != "help":
            yield action
    for below in parsers(parser).values():
        yield from options(below)


def spelled(parser: argparse.ArgumentParser) -> set[str]:
    return {"--help", "-h", *(name for action in options(parser) for name in action.option_strings)}


def told(command: str) -> str:
    """All that the reader of a command's section is led to: itself, the options of many commands, linked pages."""
    own = section(CLI, command)
    linked = [CLI.parent / urlsplit(link).path for link in links(own) if urlsplit(link).path.endswith(".md")]
    of_many = [section(CLI, title) for title in ("Options of many commands", "What it is for")]
    return "\n".join([own, *of_many, *map(text_of, linked)])


def python_blocks() -> list[tuple[str, str]]:
    fenced = ((named(page), match) for page in PAGES for match in _FENCED.finditer(text_of(page)))
    return [(page, match[3]) for page, match in fenced if match[2] == "python"]


class TestReadme:
    def test_is_short(self) -> None:
        assert len(text_of(ROOT / "README.md").split()) <= MOST_WORDS

    def test_has_the_two_commands_of_a_new_user(self) -> None:
        lines = "\n".join(blocks(text_of(ROOT / "README.md"))).split("\n")
        assert {"python3 run.py demo", "python3 run.py test"} <= {line.split("#")[0].strip() for line in lines}

    def test_says_what_was_never_tried(self) -> None:
        assert re.search(r"^> \*\*What has been tried", text_of(ROOT / "README.md"), re.MULTILINE)


class TestLinks:
    @pytest.mark.parametrize("page", PAGES, ids=named)
    def test_lead_somewhere(self, page: Path) -> None:
        faults = {link: why for link in links(text_of(page)) if (why := broken(page, link))}
        assert not faults

    def test_reach_every_page(self) -> None:
        start = ROOT / "docs/index.md"
        listed = {(start.parent / urlsplit(link).path).resolve() for link in links(text_of(start))}
        assert not {page.name for page in (ROOT / "docs").glob("*.md") if page != start and page not in listed}

    def test_reach_the_help_of_every_node(self) -> None:
        listed = {Path(link).name for link in links(text_of(ROOT / "docs/comfyui.md"))}
        assert {page.name for page in (ROOT / "web/docs").glob("*.md")} <= listed

    @pytest.mark.parametrize(
        "link", ["no-such.md", "README.md#no-such-heading", "#nor-this", "../outside.md", "https://nowhere", "ftp:x"]
    )
    def test_that_lead_nowhere_are_told(self, link: str) -> None:
        assert broken(ROOT / "README.md", link)

    def test_are_found_in_the_text_and_not_in_code(self) -> None:
        text = "[a `b`](one.md) ![c](two.png)\n\n    [d](three.md)\n\n`[e](four.md)`\n\n```text\n[f](five.md)\n```\n"
        assert links(text) == ["one.md", "two.png"]

    def test_anchors_are_those_of_github(self) -> None:
        text = "# The `--for` option, of two\n## Twice\n## Twice\n\n    # no heading\n"
        assert anchors(text) == {"the---for-option-of-two", "twice", "twice-1"}


class TestPaths:
    @pytest.mark.parametrize("page", PAGES, ids=named)
    def test_that_are_named_exist(self, page: Path) -> None:
        found = [code for code in inline(text_of(page)) if _PATH.fullmatch(code)]
        assert not [path for path in found if not (ROOT / path).exists()]


class TestOptions:
    @pytest.mark.parametrize("page", PAGES, ids=named)
    def test_that_are_named_exist(self, page: Path) -> None:
        every = set().union(*map(spelled, commands().values())) | OF_OTHERS
        alone = {code.split("|")[0].split()[0].split("=")[0] for code in inline(text_of(page)) if code.startswith("--")}
        assert alone <= every

    @pytest.mark.parametrize("page", PAGES, ids=named)
    def test_of_written_commands_exist(self, page: Path) -> None:
        text = "\n".join([*blocks(text_of(page)), *inline(text_of(page))]).replace("\\\n", " ")
        for command, rest in _COMMAND.findall(text):
            bare = f"{command}{rest}".split()[0] in ("photo.jpg", "photos")  # what a command is guessed for
            if not bare and command not in ("import", "COMMAND"):
                assert command in commands(), command
                words = re.sub(r"\"[^\"]*\"|#.*", "", rest)
                assert set(_OPTION.findall(words)) <= spelled(commands()[command]), f"unrender {command}{rest}"

    @pytest.mark.parametrize("command", sorted(commands()))
    def test_of_every_command_are_told(self, command: str) -> None:
        assert section(CLI, command), f"docs/cli.md has no heading for {command}"
        known = {option for code in inline(told(command)) for option in _OPTION.findall(code)}
        every = [action.option_strings for action in options(commands()[command])]
        assert not [names for names in every if known.isdisjoint(names)]

    @pytest.mark.parametrize("command", sorted(commands()))
    def test_have_all_their_choices_told(self, command: str) -> None:
        known = {word for code in inline(told(command) + "\n" + text_of(CLI)) for word in re.split(r"[\s|,]+", code)}
        for action in options(commands()[command]):
            assert {str(choice) for choice in action.choices or ()} <= known, action.option_strings

    @pytest.mark.parametrize(
        ("command", "option", "page"),
        [
            *(("interrogate", "--mode", "cli"), ("interrogate", "--for", "cli"), ("batch", "--output", "batch")),
            *(("embed", "--for", "embed"), ("serve", "--for", "cli")),
        ],
    )
    def test_have_a_row_for_every_kind(self, command: str, option: str, page: str) -> None:
        action = next(each for each in options(commands()[command]) if option in each.option_strings)
        rows = first_cells(text_of(ROOT / f"docs/{page}.md"))
        assert action.choices and {f"`{choice}`" for choice in action.choices} <= rows

    def test_of_many_commands_are_options_of_settings(self) -> None:
        shared = section(CLI, "Options of many commands")
        every = {option for code in inline(shared) for option in _OPTION.findall(code) if option.startswith("--")}
        assert every <= spelled(commands()["interrogate"])
        for command in (
            "analyze",
            "match",
            "locate",
            "index",
            "search",
            "curate",
            "embed",
            "vary",
            "animate",
            "optimise",
            "verify",
        ):
            assert spelled(commands()[command]) >= OF_THE_CLIP


class TestWords:
    def test_every_list_is_told(self) -> None:
        known = set(inline(text_of(ROOT / "docs/models.md")))
        assert {path.stem for path in (ROOT / "core/phrases/lists").rglob("*.txt")} <= known

    def test_every_captioner_is_told(self) -> None:
        from unrender.core.describe import KNOWN_CAPTIONERS

        assert set(KNOWN_CAPTIONERS) <= set(inline(text_of(ROOT / "docs/models.md")))

    def test_every_describer_and_style_is_told(self) -> None:
        from unrender.core.describe.kinds import known_describers
        from unrender.core.describe.styles import STYLES

        page = text_of(ROOT / "docs/describers.md")
        assert set(known_describers()) <= set(inline(page))
        rows = {style: rest for style, *rest in re.findall(r"^\| `(\w+)` \| [^|]+ \| (\d+) \|$", page, re.MULTILINE)}
        assert rows == {style: [str(ask.tokens)] for style, ask in STYLES.items()}


class TestPython:
    @pytest.mark.parametrize(("page", "code"), python_blocks())
    def test_compiles(self, page: str, code: str) -> None:
        compile(code, page, "exec")

    @pytest.mark.parametrize(("page", "code"), python_blocks())
    def test_imports_what_is_there(self, page: str, code: str) -> None:
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "unrender":
                module = importlib.import_module(node.module or "")
                assert not [each.name for each in node.names if not hasattr(module, each.name)]

    def test_calls_what_an_engine_has(self) -> None:
        from unrender.core.engine import Engine

        called = {name for _, code in python_blocks() for name in re.findall(r"\bengine\.(\w+)", code)}
        assert called
        assert not [name for name in called if not hasattr(Engine, name)]

    def test_every_method_of_an_engine_is_told(self) -> None:
        from unrender.core.engine import Engine

        public = {name for name in dir(Engine) if not name.startswith("_")}
        assert public <= set(inline(text_of(ROOT / "docs/python.md")))

    def test_every_setting_is_told_or_an_option(self) -> None:
        from unrender.core.settings import Settings

        known = {word for code in inline(text_of(ROOT / "docs/python.md")) for word in re.findall(r"\w+", code)}
        options_of = {name.lstrip("-").replace("-", "_") for name in spelled(commands()["interrogate"])}
        assert {field.name for field in dataclasses.fields(Settings)} <= known | options_of
