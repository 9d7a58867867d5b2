"""Every error of the engine, as each door tells it: one sentence, in that door's words and no other's."""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from unrender import cli
from unrender.cli import wording as cli_wording
from unrender.core import cures, errors
from unrender.core.cures import CONTROLS, PYTHON, STEPS, Choose, Give, Install, LeaveOut, Take
from unrender.core.errors import ModelError, SettingsError, UnrenderError
from unrender.core.settings import Settings
from unrender.extension.sampling import SECTION
from unrender.nodes import wording as node_wording
from unrender.server import wording as server_wording

ROOT = Path(__file__).parents[1]
DOORS = {
    "python": PYTHON,
    "command line": cli_wording.WORDS,
    "nodes": node_wording.WORDS,
    "page": server_wording.PAGE,
    "section": SECTION,
    "api": server_wording.API,
}
ERRORS = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, UnrenderError)
}
NAMES = {**ERRORS, **{name: getattr(cures, name) for name in ("Give", "Choose", "LeaveOut", "Install", "Take")}}


class _Named(ast.NodeTransformer):
    """Puts a word in the place of whatever an error's text or a cure takes from the place where it is raised."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.AST:
        return ast.Constant("something")

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        parts = [self.visit(part) for part in node.values]
        return ast.Constant("".join(str(part.value) for part in parts))

    def visit_Starred(self, node: ast.Starred) -> ast.AST:
        return ast.Constant("something else")

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        known = isinstance(node.value, ast.Constant)
        return node if known else ast.keyword(node.arg, ast.Constant(CONTROLS[0]))

    def visit_Name(self, node: ast.Name) -> ast.AST:
        known = node.id in NAMES or isinstance(getattr(self._module, node.id, None), (str, tuple, *_CURES))
        return node if known else ast.Constant("something")

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        return ast.Constant("something")

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        return ast.Constant("something")

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        return ast.Constant("something")

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        return self.visit(node.body)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id in NAMES:
            made = cast(ast.Call, self.generic_visit(node))
            if node.func.id in ("Give", "Choose", "LeaveOut") and made.args[0].value not in CONTROLS:
                made.args[0] = ast.Constant(CONTROLS[0])  # named by the caller
            if node.func.id == "Choose" and isinstance(made.args[1], ast.Constant):
                made.args[1] = ast.Tuple([made.args[1]], ast.Load())
            return made
        if isinstance(node.func, ast.Name) and node.func.id == "tuple":
            return ast.Tuple([ast.Constant("something")], ast.Load())
        return ast.Constant("something")


_CURES = (Give, Choose, LeaveOut, Install, Take)


def raised(folder: Path) -> Iterator[tuple[str, UnrenderError]]:
    """Every error that the modules of a folder make, as it is made there, with where that is."""
    for path in sorted(folder.rglob("*.py")):
        calls = [
            node
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS
        ]
        if not calls or folder.name != "core":
            module = None
        else:
            module = importlib.import_module(".".join(("unrender", *path.relative_to(ROOT).with_suffix("").parts)))
        for call in calls:
            made = ast.fix_missing_locations(ast.Expression(_Named(module).visit(call)))
            where = f"{path.relative_to(ROOT).as_posix()}:{call.lineno}"
            yield where, eval(compile(made, where, "eval"), {**vars(module or errors), **NAMES})


ALL = list(raised(ROOT / "core"))


def test_the_errors_are_found():
    assert len(ALL) > 200
    assert {type(error) for _, error in ALL} >= set(ERRORS.values()) - {UnrenderError, errors.Cancelled}


@pytest.mark.parametrize("door", DOORS)
def test_every_error_is_one_sentence_at_every_door(door):
    for where, error in ALL:
        sentence = error.said(DOORS[door])
        assert re.fullmatch(r"\S.*[^.;,: ]\.", sentence, re.DOTALL), (where, sentence)
        assert sentence.count("; ") <= 1 or "; " in error.problem, (where, sentence)
        assert not re.search(r"\{(?!prompt|caption|name)[a-z]", sentence), (where, sentence)


def test_no_text_of_the_engine_names_an_option_or_a_command():
    for where, error in ALL:
        texts = (error.problem, *(cure for cure in error.cures if isinstance(cure, str)))
        for text in texts:
            assert not re.search(r"(?<![\w-])--?[a-z]|`unrender", text), (where, text)
            assert "pip install" not in text, (where, text)


@pytest.mark.parametrize("door", [name for name in DOORS if name != "command line"])
def test_no_other_door_speaks_of_options(door):
    for where, error in ALL:
        said = error.said(DOORS[door])
        commands = [DOORS[door].cure(cure) for cure in error.cures if isinstance(cure, (Install, Take))]
        for command in commands:
            said = said.replace(command, "")
        assert not re.search(r"(?<![\w-])--[a-z]|UNRENDER_\w+=|`unrender", said), (where, said)


@pytest.mark.parametrize("folder", ["nodes", "server", "extension"])
def test_no_error_that_a_door_makes_speaks_of_the_command_lines_options(folder):
    """Only of what starts the program that it is a part of."""
    starting = {"--allow", "--login", "--token", "--cpu"}
    found = list(raised(ROOT / folder))
    assert found
    for where, error in found:
        for door in {"nodes": ["nodes"], "server": ["page", "api", "section"], "extension": ["section"]}[folder]:
            told = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", error.said(DOORS[door])))
            assert told <= starting, (where, error.said(DOORS[door]))


@pytest.mark.parametrize("door", DOORS)
def test_every_door_has_words_for_every_cure(door):
    words = DOORS[door]
    assert set(words.controls) == set(CONTROLS) and set(words.steps) == set(STEPS)
    for control in CONTROLS:
        name = words.controls[control]
        assert name.strip() == name != ""
        for cure in (Give(control, "1 or more"), Choose(control, ("a", "b")), LeaveOut(control)):
            assert name in words.cure(cure)
    for step in STEPS:
        assert words.cure(Take(step, first="make room")).startswith("make room and ")
    assert "pip install --upgrade torchvision" in words.cure(Install(("torchvision",), "--upgrade"))


def test_the_command_lines_names_are_its_options():
    commands = next(
        action.choices for action in cli._parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    options = {option for parser in commands.values() for action in parser._actions for option in action.option_strings}
    for control, name in cli_wording.WORDS.controls.items():
        if control not in cli_wording.WITHOUT_OPTION:
            first = name.partition(" ")[0]
            assert first in options or first == "IMAGE", f"{control} is said to be {name}"


def test_the_nodes_names_are_their_inputs():
    described = json.loads((ROOT / "locales/en/nodeDefs.json").read_text(encoding="utf-8"))
    inputs = {each["name"] for node in described.values() for each in node["inputs"].values()}
    for control, name in node_wording.WORDS.controls.items():
        if control not in (*node_wording.WITHOUT_INPUT, "cache"):
            assert name.removesuffix(" in Load Interrogator") in inputs, f"{control} is said to be {name}"


def test_the_apis_names_are_its_fields():
    pytest.importorskip("pydantic", reason="the API's schema needs pydantic")
    from pydantic import BaseModel
    from unrender.server import api_models

    models = [kind for kind in vars(api_models).values() if isinstance(kind, type) and issubclass(kind, BaseModel)]
    fields = {name for model in models for name in model.__annotations__}
    for control, name in server_wording.API.controls.items():
        if name.startswith('"'):
            assert name.strip('"') in fields, f"{control} is said to be {name}"


def test_what_is_said_of_a_control_names_it_once():
    error = SettingsError("is 0", Give("pool", "1 or more"), control="pool")
    assert str(error) == "pool is 0; give 1 or more."
    assert error.said(cli_wording.WORDS) == "--pool is 0; give 1 or more."


def test_cures_follow_each_other():
    error = ModelError(
        "It is not here", "check the name", Take("copy the model"), Choose("captioner", ("micro", "none"))
    )
    assert error.said(cli_wording.WORDS) == (
        "It is not here; check the name, or name a folder or file that holds a copy, or give --captioner micro or none."
    )


def test_an_error_survives_the_way_to_another_process():
    error = pickle.loads(pickle.dumps(SettingsError("is 0", Give("pool"), control="pool")))
    assert isinstance(error, SettingsError) and error.cures == (Give("pool"),) and error.control == "pool"


def test_what_is_set_where_a_program_is_started_is_not_asked_for_in_a_request():
    told = SettingsError("There is no room", Give("cache", "another folder")).said(server_wording.API)
    assert told == "There is no room; start this program with another folder as UNRENDER_CACHE."
    assert "start this program with nothing as device" in server_wording.PAGE.cure(LeaveOut("device"))


def test_an_index_is_not_said_to_be_where_results_go(tmp_path):
    """`search` has no -o, and that of `curate` is its report's."""
    from unrender.core.embed import PromptEmbedding
    from unrender.core.index import read_index

    PromptEmbedding("micro", torch.zeros(77, 128)).save(tmp_path / "other.safetensors")
    with pytest.raises(errors.IndexFileError) as caught:
        read_index(tmp_path / "other.safetensors")
    assert "-o" not in caught.value.said(cli_wording.WORDS).replace(str(tmp_path), "")


def test_none_is_no_captioner_at_every_door():
    assert Settings(captioner="None").captioner is None


def commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    yield from cast(Any, cli._commands(cli._parser())).items()


OPTION = re.compile(r"(?<![\w-])--?[a-z][\w-]*")
WHOLE = re.compile(r"`unrender ([a-z]+)([^`]*)`")
"""Another command, as it is typed, may have options of its own."""


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings}


def test_no_command_is_advised_an_option_of_another():
    given = 0
    known = {name: options_of(parser) for name, parser in commands()}
    for name, parser in commands():
        words = cli_wording.words_for(parser)
        for where, error in ALL:
            for cure in error.cures:
                advice = "" if isinstance(cure, (str, Install)) else words.cure(cure)
                for other, rest in WHOLE.findall(advice):
                    assert {*OPTION.findall(rest)} <= known[other], (where, advice)
                options = OPTION.findall(WHOLE.sub("", advice))
                assert {*options} <= known[name], (name, where, advice)
                given += bool(options)
            said = error.said(words)
            assert re.fullmatch(r"\S.*[^.;,: ]\.", said, re.DOTALL), (name, where, said)
    assert given > 100, "advice with options that a command has is still given"


@pytest.mark.parametrize("path", ["/pictures/..", "..", "/pictures/.", "C:\\pictures\\.."])
def test_a_sentence_keeps_the_dots_of_a_path(path):
    assert str(UnrenderError(f"There are no pictures in {path}", "name another")) == (
        f"There are no pictures in {path}; name another."
    )
    assert str(UnrenderError("It ends.", "begin")) == "It ends; begin."
