"""Texts of ComfyUI graphs that were put together, chosen or computed, workflows without a graph, and hostile graphs."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from comfyui_graphs import node
from metadata_graphs import graph, made, prompts, sampler

CHOICE = {
    "61": node("String Literal", string="not this"),
    "62": node("PrimitiveStringMultiline", value="a glass bottle"),
    "63": node("PrimitiveInt", value=2),
    "64": node("PrimitiveBoolean", value=False),
}


def encoding(text_node, **others):
    """A graph whose prompt comes from node 60."""
    return graph({"6": node("CLIPTextEncode", text=["60", 0], clip=["4", 1]), "60": text_node, **CHOICE, **others})


# Texts that are in the file


@pytest.mark.parametrize(
    "holder",
    [
        node("PrimitiveString", value="a glass bottle"),
        node("String Literal", string="a glass bottle"),
        node("Text Multiline", text="a glass bottle"),
        node("CR Prompt Text", prompt="a glass bottle"),
        node("ttN text", text="a glass bottle"),
        node("easy positive", positive="a glass bottle"),
        node("Power Primitive (rgthree)", type="STRING", value="a glass bottle"),
        node("Power Prompt (rgthree)", prompt="a glass bottle", opt_model=["4", 0], opt_clip=["4", 1]),
        node("ShowText|pysssss", text=["62", 0], text_0="of the run before"),
        node("Reroute (rgthree)", **{"": ["62", 0]}),
        node("PreviewAny", source=["62", 0]),
        node(
            "ImpactWildcardProcessor", wildcard_text="{a|b}", populated_text="a glass bottle", mode="populate", seed=1
        ),
        node("StringReplace", string="a GLASS bottle", find="GLASS", replace="glass"),
        node("StringTrim", string="  a glass bottle\n", mode="Both"),
        node("CaseConverter", string="A GLASS bottle", mode="lowercase"),
        node("StringSubstring", string="see a glass bottle", start=4, end=40),
    ],
    ids=lambda value: value["class_type"],
)
def test_a_text_that_is_in_the_file(holder):
    assert prompts(encoding(holder)) == ("a glass bottle", "watermark")


@pytest.mark.parametrize(
    ("join", "right"),
    [
        (node("StringConcatenate", string_a=["62", 0], string_b="galaxy", delimiter=", "), ", "),
        (node("StringConcatenate", string_a=["62", 0], string_b="galaxy", delimiter=""), ""),
        (
            node(
                "Text Concatenate",
                delimiter=", ",
                clean_whitespace="true",
                text_a=["62", 0],
                text_b="galaxy",
                text_c="",
            ),
            ", ",
        ),
        (node("JoinStrings", string1=["62", 0], string2="galaxy", delimiter=" | "), " | "),
        (node("JoinStringMulti", inputcount=2, string_1=["62", 0], string_2="galaxy", delimiter="\\n"), "\n"),
        (node("CR Text Concatenate", text1=["62", 0], text2="galaxy", separator="; "), "; "),
        (node("easy promptConcat", prompt1=["62", 0], prompt2="galaxy", separator=", "), ", "),
        (node("StringFunction|pysssss", action="append", tidy_tags="yes", text_a=["62", 0], text_b="galaxy"), ", "),
        (node("Concat of a pack", text_a=["62", 0], text_b="galaxy", delimiter=" / "), " / "),
    ],
    ids=lambda value: value["class_type"] if isinstance(value, dict) else "",
)
def test_texts_are_joined_as_the_node_joins_them(join, right):
    assert prompts(encoding(join)) == (f"a glass bottle{right}galaxy", "watermark")


@pytest.mark.parametrize(
    "switch",
    [
        node("ImpactSwitch", select=2, input1=["61", 0], input2=["62", 0], sel_mode=False),
        node("ImpactSwitch", select=["63", 0], input1=["61", 0], input2=["62", 0]),
        node("Any Switch (rgthree)", any_02=["62", 0], any_03=["61", 0]),
        node("Text Input Switch", text_a=["61", 0], text_b=["62", 0], boolean=False),
        node("CR Text Input Switch", Input=2, text1=["61", 0], text2=["62", 0]),
        node("easy textIndexSwitch", index=1, text0=["61", 0], text1=["62", 0]),
        node("easy ifElse", boolean=["64", 0], on_true=["61", 0], on_false=["62", 0]),
        node("ComfySwitchNode", switch=False, on_true=["61", 0], on_false=["62", 0]),
        node("LazySwitchKJ", switch=True, on_true=["62", 0], on_false=["61", 0]),
        node("ImpactConditionalBranch", cond=True, tt_value=["62", 0], ff_value=["61", 0]),
    ],
    ids=lambda value: value["class_type"],
)
def test_of_a_switch_the_chosen_branch_counts(switch):
    assert prompts(encoding(switch)) == ("a glass bottle", "watermark")


def test_switches_of_conditioning_and_of_models():
    nodes = {
        "70": node("CR Conditioning Input Switch", Input=2, conditioning1=["7", 0], conditioning2=["6", 0]),
        "71": node("Model Input Switch", model_a=["4", 0], model_b=["72", 0], boolean=True),
        "72": node("UNETLoader", unet_name="other"),
    }
    found = made(graph(nodes, positive=["70", 0], model=["71", 0]))
    assert (found.prompt, found.model) == ("a glass bottle", "sd_xl_base.safetensors")


# Texts that are not


@pytest.mark.parametrize(
    "computing",
    [
        node("OllamaGenerate", prompt="describe a castle", model="x"),
        node("WD14Tagger|pysssss", image=["66", 0], threshold=0.3),
        node("Florence2Run", image=["66", 0], text_input="describe", task="caption"),
        node("DPRandomGenerator", text="{a|b} castle", seed=4),
        node("ImpactWildcardProcessor", wildcard_text="{a|b}", populated_text="", mode="populate", seed=1),
        node("Text Random Line", text="a\nb", seed=3),
        node("RegexReplace", string="a castle", regex_pattern="a+", replace="b"),
        node("UnrenderInterrogate", image=["66", 0], mode="fast"),
        node("A node of a pack", instruction="write of a castle", temperature=0.7),
        node("SDXLPromptStyler", text_positive="a castle", text_negative="", style="photo"),
    ],
    ids=lambda value: value["class_type"],
)
def test_what_a_node_computed_is_said_not_guessed(computing):
    found = made(encoding(computing))
    assert found.prompt == "" and found.negative_prompt == "watermark"
    assert len(found.notes) == 1 and computing["class_type"] in found.notes[0] and " ran" in found.notes[0]
    assert "castle" not in found.notes[0]
    assert computing["class_type"] in json.loads(dict(found.texts)["prompt"])["60"]["class_type"]


def test_a_part_that_is_missing_is_said():
    found = made(encoding(node("StringConcatenate", string_a="a glass bottle", string_b=["65", 0], delimiter=", "),
                          **{"65": node("WD14Tagger|pysssss", image=["66", 0])}))  # fmt: skip
    assert found.prompt == "a glass bottle"
    assert "a part is missing here: WD14Tagger" in found.notes[0]


@pytest.mark.parametrize(
    ("unknown", "note"),
    [
        (node("ImpactSwitch", select=["64", 0], input1=["61", 0], input2=["62", 0]), "chose one of its inputs"),
        (node("A joiner, joins", text_a=["61", 0], text_b="b"), "joins texts in a way"),
        (node("A node of a pack", text=["62", 0], strip=True), "may have changed the text"),
        (node("Text of a pack", text="a", prompt="b"), "made its text of several"),
    ],
)
def test_what_is_not_known_is_noted(unknown, note):
    found = made(encoding(unknown, **{"64": node("ImpactCompare", a=1, b=2, cmp=">")}))
    assert note in found.notes[0] and "prompt" in dict(found.texts)


@pytest.mark.parametrize("values", [["a found text"], [["a found text"]], ["show", "a found text"]])
def test_a_node_that_showed_a_computed_text_has_kept_it(values):
    shown = {"id": 60, "type": "ShowText|pysssss", "widgets_values": values}
    nodes = encoding(node("ShowText|pysssss", text=["65", 0]), **{"65": node("OllamaGenerate", prompt="x")})
    found = made(nodes, workflow={"nodes": [shown], "links": []})
    assert found.prompt == "a found text" and "showed" in found.notes[0]


def test_the_workflow_keeps_what_interrogate_had_found():
    kept = {"id": 60, "type": "UnrenderInterrogate", "properties": {"unrender_text": "a lighthouse"}}
    found = made(encoding(node("UnrenderInterrogate", image=["66", 0])), workflow={"nodes": [kept], "links": []})
    assert found.prompt == "a lighthouse" and "Interrogate Picture" in found.notes[0]


# Workflows without the graph that was run


def test_the_workflow_alone_is_read_and_said_to_be_that():
    for path in (Path(__file__).parent.parent / "workflows").glob("Interrogate and render*.json"):
        found = made(None, workflow=path.read_text(encoding="utf-8"))
        assert found.generator == "ComfyUI" and found.model.endswith(".safetensors")
        assert "Interrogate Picture" in found.notes[0] and "workflow only" in found.notes[-1]


def page_node(number, kind, values=(), inputs=(), outputs=(), **others):
    """inputs: pairs of a name and a link's number; a widget's has none."""
    return {
        **{"id": number, "type": kind, "widgets_values": list(values)},
        "inputs": [
            {"name": name, "link": link, "type": "*"} | ({"widget": {"name": name}} if link is None else {})
            for name, link in inputs
        ],
        **{"outputs": [{"name": name, "type": "*"} for name in outputs], **others},
    }


SUBGRAPH = {
    "id": "5f1c-uuid",
    "nodes": [
        page_node(1, "CLIPTextEncode", [""], [("clip", None), ("text", 11)]),
        page_node(2, "CLIPTextEncode", ["watermark"]),
        page_node(
            3,
            "KSampler",
            [42, "randomize", 20, 8, "euler", "normal", 1],
            [("positive", 12), ("negative", 13), ("latent_image", 15)],
        ),
        page_node(4, "EmptyLatentImage", [512, 512, 1]),
    ],
    "links": [
        {"id": 11, "origin_id": -10, "origin_slot": 0, "target_id": 1, "target_slot": 1},
        {"id": 12, "origin_id": 1, "origin_slot": 0, "target_id": 3, "target_slot": 1},
        {"id": 13, "origin_id": 2, "origin_slot": 0, "target_id": 3, "target_slot": 2},
        {"id": 14, "origin_id": 3, "origin_slot": 0, "target_id": -20, "target_slot": 0},
        {"id": 15, "origin_id": 4, "origin_slot": 0, "target_id": 3, "target_slot": 3},
    ],
}
OUTER = {
    "nodes": [
        page_node(7, "PrimitiveString", ["a glass bottle"]),
        page_node(8, "SetNode", ["words"], [("STRING", 1)]),
        page_node(9, "GetNode", ["words"]),
        page_node(10, "Reroute", [], [("", 2)]),
        page_node(11, "5f1c-uuid", [], [("text", 3)]),
        page_node(12, "VAEDecode", [], [("samples", 4)]),
        page_node(13, "ImageUpscale", [], [("image", 5)], ["IMAGE"], mode=4),
        page_node(14, "SaveImage", ["x"], [("images", 6)]),
    ],
    "links": [[1, 7, 0, 8, 0, "*"], [2, 9, 0, 10, 0, "*"], [3, 10, 0, 11, 0, "*"], [4, 11, 0, 12, 0, "*"],
              [5, 12, 0, 13, 0, "*"], [6, 13, 0, 14, 0, "*"]],
    "definitions": {"subgraphs": [SUBGRAPH]},
}  # fmt: skip


def test_subgraphs_set_and_get_and_bypassed_nodes_of_a_workflow():
    found = made(None, workflow=OUTER)
    assert (found.prompt, found.negative_prompt, found.seed) == ("a glass bottle", "watermark", "42")
    assert dict(found.settings)["steps"] == "20"
    assert len(found.notes) == 1


def test_ids_of_nodes_in_subgraphs_are_ids_like_others():
    nodes = {
        "12:3": node("CLIPTextEncode", text=["12:4", 0], clip=["4", 1]),
        "12:4": node("PrimitiveString", value="galaxy"),
    }
    assert prompts(graph(nodes, positive=["12:3", 0])) == ("galaxy", "watermark")


# Hostile graphs


MANY = 10_000


def chain(kind, name, end, **inputs):
    links = {str(1000 + at): node(kind, **{name: [str(1001 + at), 0]}, **inputs) for at in range(MANY)}
    return {**links, str(1000 + MANY): end}


def doubled(kind, one, other, end, **inputs):
    return {
        **{
            str(1000 + at): node(kind, **{one: [str(1001 + at), 0], other: [str(1001 + at), 0]}, **inputs)
            for at in range(MANY)
        },
        str(1000 + MANY): end,
    }


END = node("CLIPTextEncode", text="a glass bottle", clip=["4", 1])
TEXT_END = node("PrimitiveString", value="a glass bottle")
TEXT_START = {"6": node("CLIPTextEncode", text=["1000", 0], clip=["4", 1])}
SLOW = {
    "a chain of texts": graph({**TEXT_START, **chain("Reroute", "", TEXT_END)}),
    "a chain of conditioning": graph(chain("ConditioningSetArea", "conditioning", END, width=1), positive=["1000", 0]),
    "conditioning doubled": graph(
        doubled("ConditioningCombine", "conditioning_1", "conditioning_2", END), positive=["1000", 0]
    ),
    "samplers in a row": graph(
        {
            **{str(1000 + at): sampler(latent_image=[str(1001 + at), 0], denoise=0.5) for at in range(MANY)},
            "9": node("SaveImage", images=["1000", 0], filename_prefix="x"),
        }
    ),
    "previews": graph({str(1000 + at): node("PreviewImage", images=["8", 0]) for at in range(MANY)}),
    "a wide node": graph({"1000": node("PreviewImage", **{f"images_{at}": ["8", 0] for at in range(MANY)})}),
}


@pytest.mark.parametrize("name", SLOW)
def test_ten_thousand_nodes_are_no_matter(name):
    text = json.dumps(SLOW[name])
    started = time.process_time()
    found = made(text)
    assert time.process_time() - started < 5  # about half a second
    assert found.prompt == "a glass bottle"


def test_a_ring_ends():
    ring = {
        str(1000 + at): node(
            "ConditioningCombine",
            conditioning_1=[str(1000 + (at + 1) % MANY), 0],
            conditioning_2=[str(1000 + (at + 7) % MANY), 0],
        )
        for at in range(MANY)
    }
    started = time.process_time()
    found = made(graph({**ring, "8": node("VAEDecode", samples=["8", 0])}, positive=["1000", 0]))
    assert time.process_time() - started < 5 and found.prompt == ""
    assert "prompt" in dict(found.texts)


def test_texts_that_double_at_each_node_stay_small():
    text = json.dumps(
        graph({**TEXT_START, **doubled("StringConcatenate", "string_a", "string_b", TEXT_END, delimiter="é")})
    )
    limited = (
        "import resource, sys, json; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30));"
        "from unrender.core.metadata.comfyui import read_graphs;"
        "found = read_graphs({'prompt': sys.stdin.read()}); print(len(found.prompt), found.notes)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run([sys.executable, "-c", limited], input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-500:]
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 10
    assert int(done.stdout.split()[0]) <= 20_000 and "too long" in done.stdout


@pytest.mark.parametrize(
    "prompt",
    [
        '{"1": {"class_type": ["KSampler"], "inputs": {}}}',
        *(
            json.dumps(
                {"3": {"class_type": "KSampler", "inputs": inputs, "_meta": {"title": [], "unrender": {"x": 1}}}}
            )
            for inputs in (
                [],
                {"positive": [["1"], 0], "seed": float("nan"), "latent_image": [1, float("inf")]},
                {"positive": {"a": 1}, "latent_image": ["3", 0], "sampler_name": ["3", 0], "steps": -0.0},
                {"positive": ["3", -7], "negative": ["3", 10**20], "seed": 1, "latent_image": ["3", 0]},
                {"positive": ["3", True], "latent_image": ["3", 0], "seed": ["3", 0], "model": ["3", 0]},
            )
        ),
        '[{"class_type": "KSampler"}]',
        '{"\\ud800": {"class_type": "\\udfff", "inputs": {"text": "\\ud83d"}}}',
        '{"1": ' * 3000,
    ],
)
@pytest.mark.parametrize(
    "workflow", [None, "[]", '{"nodes": [[], {"id": {}}], "links": [[], {}, 3, ["a", [], {}, "", null]]}']
)
def test_graphs_of_another_form_are_shown_or_left(prompt, workflow):
    found = made(prompt, workflow=workflow)
    json.dumps(found.to_dict()).encode()
    assert found.seed in ("", "1")


def test_subgraphs_that_hold_each_other_end():
    inner = [{"id": str(at), "nodes": [page_node(n, str((at + n) % 12)) for n in range(1, 9)]} for at in range(12)]
    started = time.process_time()
    made(None, workflow={"nodes": [page_node(1, "0"), page_node(2, "SaveImage")], "definitions": {"subgraphs": inner}})
    assert time.process_time() - started < 5
