"""What the API may send to a node that the page would not: literals in the place of links, and texts of every kind in
the place of paths and names. Each is refused in a sentence, or taken."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from comfyui_graphs import MICRO
from comfyui_nodes import use_standin
from hostile_calls import LITERALS, NAMES, PLACES, WIDGETS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

use_standin()

import folder_paths  # noqa: E402
from comfyui_small_models import small_vision  # noqa: E402
from nodes_setting import micro_setup, models_fixture, server_fixture  # noqa: E402, F401
from test_nodes_pictures import PHOTOGRAPH, any_clip  # noqa: E402
from unrender.core.embed import PromptEmbedding  # noqa: E402
from unrender.core.errors import UnrenderError  # noqa: E402
from unrender.core.hub import Hub  # noqa: E402

UNET = SimpleNamespace(
    model_type=SimpleNamespace(name="EPS"), model_sampling=SimpleNamespace(sigmas=torch.linspace(0.1, 10, 1000))
)
"""What a MODEL is asked before its weights are."""


def nodes() -> dict[str, Any]:
    from unrender.nodes.extension import NODES

    return {node.define_schema().node_id: node for node in NODES}


def links(name: str, optional: bool = True) -> dict[str, Any]:
    """A good value for each link of a node that has one here, None for the others."""
    good = {
        "image": PHOTOGRAPH,
        "renderings": PHOTOGRAPH,
        "prompts": "a disc",
        "clip": any_clip(),
        "model": SimpleNamespace(model=UNET, clone=lambda: None),
        "vae": SimpleNamespace(first_stage_model=None),
        "clip_vision": small_vision(),
        "embedding": PromptEmbedding("sd15", torch.zeros(77, 768)),
        "first": PromptEmbedding("sd15", torch.zeros(77, 768)),
        "second": PromptEmbedding("sd15", torch.zeros(77, 768)),
    }
    inputs = nodes()[name].define_schema().inputs
    asked = [each.id for each in inputs if each.id not in WIDGETS[name] and (optional or not each.optional)]
    return {each: good.get(each) for each in asked}


def executed(name: str, inputs: dict[str, Any]) -> Any:
    node = nodes()[name]
    if node.define_schema().is_input_list:
        inputs = {key: [value] for key, value in inputs.items()}
    return node.execute(**inputs)


def sentence(error: UnrenderError) -> str:
    assert type(error).__module__ == "unrender", "ComfyUI shows the class with its module, which would be a path"
    told = str(error)
    told.encode()
    assert told.endswith(".") and "\n" not in told and "\0" not in told, told
    assert len(told) < 1500, told[:200]
    return told


@pytest.fixture(name="setting")
def setting_fixture(models, server, tmp_path, monkeypatch):
    """Models' folders, an input folder with a picture, and a hub that nobody may ask."""
    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path / "input"))
    (tmp_path / "input").mkdir()
    monkeypatch.setattr(Hub, "_remote", lambda *_: pytest.fail("a hub was asked"))
    return tmp_path


def test_every_node_is_tried(setting):
    assert set(WIDGETS) == set(nodes())
    for name, node in nodes().items():
        ids = {each.id for each in node.define_schema().inputs}
        assert set(WIDGETS[name]) <= ids, name


@pytest.mark.parametrize("name", WIDGETS)
def test_a_literal_in_a_links_place_is_refused_in_a_sentence(setting, name):
    """ComfyUI lets through whatever stands in the place of a link of a type that has no widget."""
    tried = 0
    for link, good in links(name).items():
        if link in ("caption", "anchor", "prompts"):  # texts, of which a literal is one
            continue
        needed = [each.id for each in nodes()[name].define_schema().inputs if not each.optional]
        for literal in LITERALS:
            given = {key: value for key, value in links(name).items() if key in needed}
            with pytest.raises(UnrenderError) as caught:
                executed(name, {**WIDGETS[name], **given, link: literal})
            assert link in sentence(caught.value) or good is PHOTOGRAPH, (link, literal, str(caught.value))
            tried += 1
    assert tried or not [link for link in links(name) if link != "anchor"]


@pytest.mark.parametrize("name", ["UnrenderReadImagePrompt", "UnrenderLoadPromptEmbedding"])
@pytest.mark.parametrize("value", [7, 0.5, True, {"a": 1}])
def test_what_is_no_name_is_refused_by_what_validates(setting, name, value):
    answer = nodes()[name].validate_inputs(value)
    assert answer is not True and str(answer).endswith(".")


@pytest.mark.parametrize("name", [name for name in WIDGETS if "image" in links(name)])
def test_no_pictures_are_said_in_the_same_words_by_every_node(setting, name):
    given = {key: value for key, value in links(name).items() if value is not None}
    with pytest.raises(UnrenderError, match="There is no picture in what is connected to image; connect one or more"):
        executed(name, {**WIDGETS[name], **given, "image": torch.zeros(0, 64, 64, 3)})


def tries(name: str, widget: str, text: Any) -> None:
    """One call, as ComfyUI makes it: what validates, what tells whether it is to run again, and the run."""
    node, inputs = nodes()[name], {**WIDGETS[name], widget: text}
    if "validate_inputs" in vars(node) and widget in ("image", "name"):
        answer = node.validate_inputs(text)
        if answer is not True:
            assert str(answer).endswith(".") and len(str(answer)) < 500
            return
    if "fingerprint_inputs" in vars(node):
        try:
            node.fingerprint_inputs(**inputs)
        except OSError:
            assert name == "UnrenderReadImagePrompt", "which ComfyUI does not ask of what it has refused"
    try:
        executed(name, {**inputs, **links(name, optional=False)})
    except UnrenderError as error:
        sentence(error)


@pytest.mark.parametrize(("name", "widget"), [(name, widget) for name in PLACES for widget in PLACES[name]])
def test_no_path_or_name_breaks_a_node(setting, monkeypatch, name, widget):
    from unrender.nodes import describing, tagging

    for module in (describing, tagging):  # what is a name of a model's is for other tests
        monkeypatch.setattr(module, "chosen_describer", refuse)
    monkeypatch.setattr("unrender.nodes.loading.named_setup", refuse)
    monkeypatch.setattr("unrender.nodes.tuning.setup_for", refuse)
    for text in NAMES:
        tries(name, widget, text)

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(text=st.text(st.characters(codec=None), max_size=12) | st.text("./~\\\"' a:\0\n\ud800$%", max_size=8))
    def any_text(text: str) -> None:
        tries(name, widget, text)

    any_text()
    outside = [path for path in setting.rglob("*.safetensors") if "prompt_embeddings" not in path.parts]
    assert not outside


def refuse(*_: Any, **__: Any) -> Any:
    raise UnrenderError("It would be loaded now")


@pytest.mark.parametrize(
    "bad", [".", "..", "~/x", "~x", "a:b", "a\nb", "a/~b", "a/./b", "a//b", "x" * 400, "x\0y", "\ud800"]
)
def test_an_embedding_takes_no_such_name(setting, bad):
    with pytest.raises(UnrenderError, match="no name for a file on every system; call it "):
        executed(
            "UnrenderSavePromptEmbedding", {"embedding": links("UnrenderSavePromptEmbedding")["embedding"], "name": bad}
        )
    assert not list(setting.rglob("*.safetensors"))


@pytest.mark.parametrize("bad", ["", "~/x", "a/b", "con", "x" * 5000, "x\0y", "\ud800", "a:b"])
def test_a_lora_takes_no_such_name(setting, monkeypatch, bad):
    monkeypatch.setattr("unrender.nodes.tuning.setup_for", refuse)
    good = {**WIDGETS["UnrenderTuneOnPictures"], **links("UnrenderTuneOnPictures", optional=False)}
    with pytest.raises(UnrenderError, match="is no name for a LoRA; use letters, digits") as caught:
        executed("UnrenderTuneOnPictures", {**good, "name": bad})
    sentence(caught.value)


@pytest.mark.parametrize("quotes", ['"{}"', "'{}'", ' "{}" ', "\u201c{}\u201d"])
def test_a_path_that_is_pasted_in_quotation_marks_is_understood(setting, quotes, photographs):
    folder = setting / "my pictures"
    folder.mkdir()
    photographs[0].resize((96, 96)).save(folder / "one.png")
    inputs = {**WIDGETS["UnrenderCaptionFolder"], "folder": quotes.format(folder)}
    out = executed("UnrenderCaptionFolder", {**inputs, "interrogator": micro_setup()})
    assert out.args[0] == 1 and (folder / "one.txt").is_file()
    before = nodes()["UnrenderCaptionFolder"].fingerprint_inputs(**inputs)
    assert before is not None
    gone = f"{setting}/gone/clip.safetensors"
    with pytest.raises(UnrenderError, match="is not here any more") as caught:
        executed("UnrenderLoadInterrogator", {**MICRO, "other_clip": quotes.format(gone)})
    assert quotes.strip()[0] not in str(caught.value)


def test_the_page_and_the_command_line_take_such_paths_too(setting, capsys):
    from unrender.cli import main
    from unrender.core.settings import Settings
    from unrender.server.choices import Request
    from unrender.server.folders import Folders

    assert Folders.of([setting]).checked(f'"{setting}/input"') == Path(setting / "input")
    with pytest.raises(UnrenderError, match="in no folder that this page may use"):
        Folders.of([setting]).checked('"/etc"')
    asked = Request(None, "fast", ' "/a/clip.safetensors" ', "'/a/captioner'").settings(Settings())
    assert (asked.clip, asked.captioner) == ("/a/clip.safetensors", "/a/captioner")
    with pytest.raises(UnrenderError, match="in no folder that this page may use"):
        Folders.of([setting]).check(asked, Settings())
    for command in ("batch", "index", "interrogate", "analyze", "embed"):
        assert main([command, "a" * 5000, "--clip", "micro"]) == 2
        told = capsys.readouterr().err
        assert "Traceback" not in told and len(told) < 700, told[:200]


LOADERS = (
    *("loading.named_setup", "tuning.setup_for", "embedding.setup_for", "graph_clip.GraphClip.of"),
    "models.NamedDescriber.placed",
)


@pytest.mark.parametrize("name", WIDGETS)
def test_what_is_no_choice_is_refused_in_a_sentence_or_taken(setting, monkeypatch, name):
    """ComfyUI itself looks at no choice of such nodes until its later versions."""
    for loader in LOADERS:
        monkeypatch.setattr(f"unrender.nodes.{loader}", refuse)
    for each in nodes()[name].define_schema().inputs:
        for value in ("no such", "", "a" * 99_999, 7, None, True, {"a": "b"}) if hasattr(each, "options") else ():
            tries(name, each.id, value)


WORDS = {
    "UnrenderInterrogate": ("exclude", "prefix", "suffix", "pin"),
    "UnrenderTagPicture": ("exclude", "trigger"),
    "UnrenderDescribePicture": ("instruction", "system"),
    "UnrenderAnalyze": ("categories",),
    "UnrenderMatchPhrases": ("phrases", "templates"),
    "UnrenderLocate": ("phrase",),
    "UnrenderImageToPromptEmbedding": ("weights",),
}


@pytest.mark.parametrize(("name", "widget"), [(name, widget) for name in WORDS for widget in WORDS[name]])
def test_no_words_break_a_node(setting, monkeypatch, name, widget):
    monkeypatch.setattr("unrender.nodes.embedding.setup_for", refuse)
    micro = {"interrogator": micro_setup()} if "interrogator" in links(name) else {}
    for text in (
        "\ud800",
        "a\0b",
        "{}{}",
        "{x!r}",
        "\\",
        '"',
        "\u202e, a",
        "," * 500,
        "word " * 3000,
        "\n\n",
        "()[]((:1.5)",
    ):
        try:
            executed(name, {**WIDGETS[name], **links(name, optional=False), **micro, widget: text})
        except UnrenderError as error:
            sentence(error)
