"""What there is of a kind (families, projections, outputs, modes, ...) is said once, and every door offers that."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from batch_runs import QuickEngine, draw
from comfyui_nodes import node_schemas
from unrender import cli
from unrender.core.batch import Batch, sink_named, source_named
from unrender.core.batch.columns import COLUMNS
from unrender.core.batch.outputs import OUTPUTS, register
from unrender.core.batch.sinks import EXISTING
from unrender.core.batch.texts import TextSink
from unrender.core.embed.families import FAMILIES, OFFERED, SD1, family_named
from unrender.core.embed.kinds import MIXES, PROJECTIONS, QUALITIES, QUALITY_SUMMARIES, SUMMARIES, USUAL
from unrender.core.errors import SettingsError
from unrender.core.phrases import CATEGORIES, FURTHER_CATEGORIES, NEGATIVE, POSITIVE, load_vocabulary, select_categories
from unrender.core.settings import FITS, MODES, PRECISIONS, SEARCHES, UNCAPTIONED, Settings
from unrender.core.targets import TARGET_NAMES
from unrender.server.choices import BY_QUALITY

DOCS = Path(__file__).parents[1] / "docs"
PLAIN = (
    *("core.embed.families", "core.embed.kinds", "core.batch.outputs", "core.phrases", "core.targets", "core.settings"),
    *("core.choices", "core.clip.layers", "core.variation", "server.api_models", "server.choices"),
)
"""What doors read to know what there is: with none of it comes a library that takes long."""
HEAVY = ("torch", "numpy", "PIL", "transformers", "open_clip", "diffusers", "pyarrow", "ray")


def test_reading_what_there_is_loads_nothing_heavy():
    pytest.importorskip("pydantic", reason="the API's schema needs pydantic")
    script = f"""
import importlib, sys
for name in {PLAIN!r}:
    importlib.import_module(f"unrender.{{name}}")
    print(name, [heavy for heavy in {HEAVY!r} if heavy in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{name} []" for name in PLAIN]


# --- the command line


def command(name):
    parser = cli._parser()
    commands = next(each for each in parser._actions if isinstance(each, argparse._SubParsersAction))
    return commands.choices[name]


def choices(name, option):
    """What an option of a command may be."""
    # of two that have a name the later one counts, as in embed
    return [tuple(each.choices) for each in command(name)._actions if option in each.option_strings][-1]


@pytest.mark.parametrize(
    ("name", "option", "known"),
    [
        ("embed", "--for", OFFERED),
        ("embed", "--projection", PROJECTIONS),
        ("embed", "--mix", MIXES),
        ("vary", "--projection", PROJECTIONS),
        ("vary", "--mix", MIXES),
        ("interrogate", "--mode", MODES),
        ("interrogate", "--for", TARGET_NAMES),
        ("interrogate", "--fit", FITS),
        ("interrogate", "--precision", PRECISIONS),
        ("interrogate", "--search", SEARCHES),
        ("batch", "--mode", MODES),
        ("batch", "--output", tuple(OUTPUTS)),
        ("batch", "--existing", EXISTING),
    ],
)
def test_a_command_takes_what_there_is(name, option, known):
    assert choices(name, option) == known


def test_help_tells_of_every_kind():
    helped = {name: command(name).format_help() for name in ("batch", "embed", "analyze", "interrogate")}
    for name, kind in OUTPUTS.items():
        assert f"  {name:<8} {kind.details}" in helped["batch"]
    for projection in PROJECTIONS:
        assert f"  {projection:<9} {SUMMARIES[projection]}; for " in helped["embed"]
    for quality in QUALITIES:
        assert QUALITY_SUMMARIES[quality].split(":")[0] in helped["embed"]
    assert "at once; for sd15, sd15-skip2 and micro\n" in helped["embed"]
    words = " ".join(helped["analyze"].split())
    assert ", ".join(name.replace(" ", "-") for name in FURTHER_CATEGORIES) in words
    assert ", ".join(POSITIVE) in " ".join(helped["interrogate"].split())


# --- nodes


@pytest.mark.parametrize(
    ("node", "name", "known"),
    [
        ("UnrenderInterrogate", "mode", MODES),
        ("UnrenderCaptionFolder", "mode", MODES),
        ("UnrenderCaptionFolder", "existing", EXISTING),
        ("UnrenderImageToPromptEmbedding", "projection", (USUAL, *PROJECTIONS)),
        ("UnrenderImageToPromptEmbedding", "mix", MIXES),
        ("UnrenderImageToPromptEmbedding", "fit", FITS),
        ("UnrenderBlendPromptEmbeddings", "mix", MIXES),
        ("UnrenderLoadInterrogator", "search", SEARCHES),
        ("UnrenderLoadInterrogator", "precision", PRECISIONS),
    ],
)
def test_a_node_offers_what_there_is(node, name, known):
    (offered,) = [each for each in node_schemas()[node].inputs if each.id == name]
    assert tuple(offered.options) == known


def test_a_node_has_a_switch_for_every_category():
    switches = [each.id for each in node_schemas()["UnrenderInterrogate"].inputs if each.id in CATEGORIES]
    assert tuple(switches) == POSITIVE


# --- page


@pytest.fixture(scope="module")
def page():
    """What each control of the page offers, by its id."""
    gr = pytest.importorskip("gradio")
    from unrender.server import pages
    from unrender.server.host import alone
    from unrender.server.service import Service

    with gr.Blocks() as blocks:
        pages.build(Service(alone(Settings(clip="micro")), str, ["micro"], ["built-in"]))
    parts = [each["props"] for each in blocks.get_config_file()["components"]]
    return {each["elem_id"]: [choice[-1] for choice in each["choices"]] for each in parts if "choices" in each}


@pytest.mark.parametrize(
    ("control", "known"),
    [
        ("mode", MODES),
        ("batch_mode", MODES),
        ("embedding_family", OFFERED),
        ("embedding_quality", (USUAL, *QUALITIES)),
        ("embedding_projection", (BY_QUALITY, *PROJECTIONS)),
        ("categories", POSITIVE),
        ("analyze_categories", (*POSITIVE, *FURTHER_CATEGORIES)),
        ("batch_existing", ("as usual", *EXISTING)),
        ("batch_output", tuple(f"{name}: {kind.summary}" for name, kind in OUTPUTS.items())),
    ],
)
def test_a_page_offers_what_there_is(page, control, known):
    assert tuple(page[f"unrender_{control}"]) == known


# --- API


@pytest.fixture(scope="module")
def schemas():
    fastapi = pytest.importorskip("fastapi")
    from unrender.server.api import router
    from unrender.server.host import alone

    app = fastapi.FastAPI()
    app.include_router(router(alone(Settings(clip="micro"))))
    return app.openapi()["components"]["schemas"]


@pytest.mark.parametrize(
    ("request_", "field", "known"),
    [
        ("InterrogateRequest", "mode", MODES),
        ("PeerPromptRequest", "mode", MODES),
        ("EmbedRequest", "projection", PROJECTIONS),
        ("EmbedRequest", "mix", MIXES),
    ],
)
def test_the_api_takes_what_there_is(schemas, request_, field, known):
    said = schemas[request_]["properties"][field]
    (found,) = [each["enum"] for each in (said, *said.get("anyOf", ())) if "enum" in each]
    assert tuple(found) == known


def test_the_api_names_the_families_that_it_embeds_for(schemas):
    said = schemas["EmbedRequest"]["properties"]["family"]
    assert said["default"] == OFFERED[0]
    assert tuple(said["description"].replace(" or ", ", ").split(", ")) == OFFERED


# --- families


def test_families_are_what_their_encoders_allow():
    for name in OFFERED:
        family = family_named(name)
        assert family.seeing in family.encoders
        assert all(family.is_served_by(projection) for projection in PROJECTIONS if projection != "pinv")
        assert len({encoder.layer for encoder in family.encoders}) == 1, "one setting stops them all"
        (pooled,) = family.pooled_of
        assert pooled.name == family.seeing.name and family.pooled_width == pooled.width
        # ridge and bank take an end from there
        assert family.pooled_by in ("", pooled.name) and (family.pooled_by or pooled.padding == "end")
    with pytest.raises(SettingsError, match="choose sd15, sd15-skip2, sd2, sdxl or micro"):
        family_named("sd9")


def test_a_family_of_a_pooled_vector_alone_is_pythons():
    """No door offers it; docs/embed.md says how it is made, and that it is weak."""
    from unrender.core.embed.blend import checked_way

    said = (DOCS / "embed.md").read_text(encoding="utf-8")
    assert "the effect is weak" in said
    for name in set(FAMILIES) - set(OFFERED):
        family = FAMILIES[name]
        assert f'engine.embed(picture, "{name}"' in said
        assert family.seeing in family.pooled_of and family.seeing.clip == family.clip
        assert sum(encoder.width for encoder in family.pooled_of) == family.pooled_width
        assert checked_way(family).projection == "soft"


def test_a_new_family_is_known_by_its_value_alone(monkeypatch):
    from dataclasses import replace

    from unrender.core.variation.checkpoint import Checkpoint
    from unrender.extension import text_encoders

    wide = replace(SD1.encoders[0], name="clip_w", width=96)
    new = replace(SD1, name="sdw", model="sdw", encoders=(wide,), prefix="wide.")
    monkeypatch.setattr(text_encoders, "FAMILIES", {**FAMILIES, "sdw": new})
    assert text_encoders.family_of(SimpleNamespace(is_sdw=True, is_sd1=False), 4) is new
    monkeypatch.setattr("unrender.core.variation.checkpoint.RENDERED", [*FAMILIES.values(), new])
    monkeypatch.setattr("unrender.core.variation.checkpoint._side", lambda model, tokenizer, encoder, device: encoder)
    model = SimpleNamespace(config=SimpleNamespace(hidden_size=96))
    made = Checkpoint.of(SimpleNamespace(text_encoder=model, tokenizer="words"))
    assert made.family is new and made.encoders == {"clip_w": wide}


def test_kept_maps_are_found_by_the_keys_they_were_kept_under():
    """Which held the name that the class had then."""
    from unrender.core.embed import map_files
    from unrender.core.embed.ridge import RidgeFit

    assert map_files._told(RidgeFit()) == "Fit(prompts=4000, strength=0.003, rank=None, bytes=48000000)"


def test_encoders_left_out_of_checkpoints_are_marked():
    unprojected = {each.name for name in OFFERED for each in FAMILIES[name].encoders if not each.keeps_projection}
    assert unprojected == {"clip_l"}


def test_docs_list_the_families():
    rows = table(DOCS / "embed.md", "`--for`")
    assert [row[0] for row in rows] == [f"`{name}`" for name in OFFERED]
    for name, (_, states, _, pooled) in zip(OFFERED, rows, strict=True):
        assert states == f"77 x {FAMILIES[name].width}"
        assert pooled.partition(":")[0] == str(FAMILIES[name].pooled_width)


# --- phrase categories, modes


def test_categories_are_those_of_the_lists():
    vocabulary = load_vocabulary()
    assert {each.name for each in vocabulary.positive()} == set(POSITIVE)
    assert CATEGORIES == ("artists", "flavors", "mediums", "movements", "sites", NEGATIVE)
    assert [each.name for each in select_categories(vocabulary)] == [
        *("mediums", "artists", "movements", "sites", "flavors")
    ]
    assert [each.name for each in select_categories(vocabulary, FURTHER_CATEGORIES)] == [*FURTHER_CATEGORIES]


def test_some_modes_take_no_caption():
    assert UNCAPTIONED == ("negative", "tags") and set(UNCAPTIONED) < set(MODES)


# --- batch outputs


def table(path, first):
    """The cells of a table in a document, by the first cell of its head."""
    lines = path.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            return rows
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_docs_list_the_outputs():
    rows = []
    for name, kind in OUTPUTS.items():
        place = {"beside": "", "file": f"a file, or {kind.file_name()}", "folder": "a folder"}[kind.where]
        ways = "never overwrites"
        if kind.usual is not None:
            ways = ", ".join(f"`{way}` (default)" if way == kind.usual else f"`{way}`" for way in kind.ways)
        elif kind.ways:
            ways = ", ".join(("refused", *(f"or `{way}`" for way in kind.ways)))
        rows.append([f"`{name}`", kind.details, place, ways])
    assert table(DOCS / "batch.md", "`--output`") == rows


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_sink_is_made_and_refused_as_it_declares(tmp_path, name):
    kind = OUTPUTS[name]
    place = {"beside": None, "file": tmp_path / f"made.{name}", "folder": tmp_path / "made"}[kind.where]
    assert kind.output == name and kind.summary and kind.details
    for way in (None, *kind.ways):
        assert type(sink_named(name, tmp_path, place, way)) is kind
    for way in set(EXISTING) - set(kind.ways):
        with pytest.raises(SettingsError, match="has no meaning"):
            sink_named(name, tmp_path, place, way)
    assert set(kind.takes_columns) <= set(COLUMNS)
    assert tuple(sink_named(name, tmp_path, place, columns=kind.takes_columns).columns) == kind.takes_columns
    for column in set(COLUMNS) - set(kind.takes_columns):
        with pytest.raises(SettingsError, match="has no column"):
            sink_named(name, tmp_path, place, columns=[column])
    if kind.where == "file":
        assert sink_named(name, tmp_path).path == tmp_path / kind.file_name()
    else:
        with pytest.raises(SettingsError, match=r"makes new files|works where the pictures are"):
            sink_named(name, tmp_path, None if kind.where == "folder" else tmp_path)


class CapitalsSink(TextSink):
    """One of a user's own: a text beside each picture, in capitals."""

    output = "capitals"
    summary = "a loud text beside each picture"
    details = "PICTURE.txt beside each picture, in capitals"
    ways = ("skip", "overwrite")

    def plan(self, item, outcome):
        return {"text": super().plan(item, outcome)["text"].upper()}


@pytest.fixture
def capitals():
    register(CapitalsSink)
    yield CapitalsSink
    del OUTPUTS["capitals"]


def test_a_sink_of_ones_own_is_named_like_the_others(tmp_path, capitals):
    folder = draw(tmp_path / "pictures", 2)
    sink = sink_named("capitals", folder, existing="overwrite")
    for _ in Batch(QuickEngine(), source_named([str(folder)], recursive=True), sink, "fast"):
        pass
    assert (folder / "0001.txt").read_text(encoding="utf-8") == "A SQUARE, NUMBER 1"
    with pytest.raises(SettingsError, match="has no meaning"):
        sink_named("capitals", folder, existing="append")
    with pytest.raises(SettingsError, match="There is no output"):
        sink_named("whispers", folder)


def test_the_command_takes_a_sink_of_ones_own(capsys, tmp_path, capitals):
    assert choices("batch", "--output")[-1] == "capitals"
    assert "  capitals PICTURE.txt beside each picture, in capitals\n" in command("batch").format_help()
    folder = draw(tmp_path / "pictures", 1)
    arguments = ["batch", str(folder), "--recursive", "--output", "capitals", "--existing", "overwrite", "--dry-run"]
    assert cli.main([*arguments, "--mode", "fast", "--clip", "micro", "--device", "cpu"]) == 0
    name, text = capsys.readouterr().out.rstrip("\n").split("\t")
    assert name == "below/0000.png" and text and text == text.upper()


def test_two_sinks_have_two_names(capitals):
    register(CapitalsSink)  # again, which is harmless
    with pytest.raises(ValueError, match="'capitals' already"):
        register(type("Other", (CapitalsSink,), {}))
