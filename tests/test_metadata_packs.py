"""Graphs of packs that people use, whose nodes do more, or in another order, than their inputs' names say."""

from __future__ import annotations

import pytest
from comfyui_graphs import node
from metadata_graphs import CHECKPOINT, EMPTY, SAVED, TEXTS, graph, made, prompts, sampler

PROMPT, NEGATIVE = "a glass bottle", "watermark"


def encoding(text_node, **others):
    """A graph whose prompt comes from node 60."""
    return graph({"6": node("CLIPTextEncode", text=["60", 0], clip=["4", 1]), "60": text_node, **others})


@pytest.mark.parametrize(
    ("holder", "right"),
    [
        # in a graph what is linked stands behind what was typed in
        (node("StringConcatenate", string_b="bottle", delimiter=" ", string_a=["61", 0]), "a glass bottle"),
        (node("Text Concatenate", delimiter=", ", text_b="bottle", text_a=["61", 0]), "a glass, bottle"),
        (node("JoinStringMulti", inputcount=10, string_10="bottle", delimiter=" ", string_2=["61", 0]), PROMPT),
        (node("SomethingToString", prefix="see ", suffix=" there", input=["61", 0]), "see a glass there"),
        (node("CR Combine Prompt", part1="a glass", part2="bottle", part3="", part4="", separator=", "), None),
        (node("Text Multiline", text="# a note\na glass\n# another\nbottle"), "a glass\nbottle"),
        (node("Text Parse Tokens", text=PROMPT), PROMPT),
        (node("Any Switch (rgthree)", any_02=["62", 0], any_01=["61", 0]), "a glass"),
        (node("Any Switch (rgthree)", any_01=["99", 0], any_02=["61", 0]), "a glass"),
    ],
    ids=lambda value: value["class_type"] if isinstance(value, dict) else "",
)
def test_texts_are_put_together_as_the_node_does(holder, right):
    right = "a glass, bottle, ," if right is None else right
    others = {"61": node("PrimitiveString", value="a glass"), "62": node("PrimitiveString", value="not this")}
    assert prompts(encoding(holder, **others)) == (right, NEGATIVE)


@pytest.mark.parametrize(
    "holder",
    [
        node("Text Multiline", text="at [time]"),
        node("Text Parse Tokens", text="a [place]"),
        node("PromptComposerTextSingle", text="bottle", weight=1.2, text_in_opt=["61", 0]),
        node("easy prompt", text="bottle", prefix="masterpiece", subject="a woman", action="None"),
        node("easy promptLine", prompt="a fox\na bottle", start_index=1, max_rows=1),
        node("Text List", text_a="a fox", text_b="a bottle"),
        node("Text String Truncate", text="a glass bottle", truncate_by="words", truncate_to=2),
        node("TextCombinations2", text1="a", text2="b", operation="text2 and text1"),
        node("A node of a pack", words="a glass bottle"),
        node("StringConcatenate", string_a=["99", 0], string_b="bottle", delimiter=" "),
    ],
    ids=lambda value: value["class_type"],
)
def test_what_may_be_other_words_is_noted(holder):
    found = made(encoding(holder, **{"61": node("PrimitiveString", value="a glass")}))
    assert found.notes and found.notes[0].startswith("prompt: ") and found.texts


def test_a_schedule_of_prompts_is_no_prompt():
    scheduled = node("BatchPromptSchedule", text='"0": "a fox", "9": "a hare"', clip=["4", 1], pre_text="painted")
    assert "other words" in made(graph({"6": scheduled})).notes[0]


def test_an_encoder_of_pictures_too_that_was_given_no_words_has_none():
    empty = node("TextEncodeQwenImageEditPlus", clip=["4", 1], vae=["4", 2], image1=["51", 0], prompt="")
    assert prompts(graph({"7": empty, "51": node("LoadImage", image="i.png")})) == (PROMPT, "")


def test_what_came_from_a_node_that_is_gone_is_noted():
    found = made(graph({}, negative=["99", 0]))
    assert found.prompt == PROMPT and found.notes == (
        "negative prompt: what came into KSampler #3 is not in the graph",
    )


# Models


@pytest.mark.parametrize(
    "between",
    [
        node("ADE_AnimateDiffLoaderGen1", model_name="motion.ckpt", model=["4", 0]),
        node("Context Big (rgthree)", model=["4", 0], ckpt_name="of the text.safetensors"),
        node("IPAdapterModelApply", model=["4", 0], model_name="adapter.bin"),
    ],
    ids=lambda value: value["class_type"],
)
def test_what_a_node_adds_to_a_model_is_not_the_model(between):
    assert made(graph({"30": between}, model=["30", 0])).model == "sd_xl_base.safetensors"


def test_a_model_that_was_picked_with_its_picture():
    picked = node("CheckpointLoader|pysssss", ckpt_name={"content": "dream.safetensors", "image": None})
    assert made(graph({"4": picked})).model == "dream.safetensors"


# Samplers

XLABS = {
    **CHECKPOINT,
    **TEXTS,
    **EMPTY,
    **SAVED,
    "3": node(
        "XlabsSampler",
        **{"model": ["4", 0], "conditioning": ["6", 0], "neg_conditioning": ["7", 0], "latent_image": ["5", 0]},
        **{"noise_seed": 42, "steps": 20, "true_gs": 3.5, "denoise_strength": 1.0},
    ),
}
KOLORS = {
    "1": node("DownloadAndLoadKolorsModel", model="sd_xl_base.safetensors"),
    "2": node("KolorsTextEncode", chatglm3_model=["5", 0], prompt=PROMPT, negative_prompt=NEGATIVE),
    "3": node("KolorsSampler", kolors_model=["1", 0], kolors_embeds=["2", 0], seed=42, steps=20, cfg=5.0),
    "5": node("DownloadAndLoadChatGLM3", precision="fp16"),
    "8": node("VAEDecode", samples=["3", 0], vae=["1", 0]),
    "9": node("SaveImage", images=["8", 0], filename_prefix="x"),
}
HUNYUAN = {
    "1": node("HyVideoModelLoader", model="sd_xl_base.safetensors"),
    "2": node("HyVideoTextEncode", text_encoders=["5", 0], prompt=PROMPT, negative_prompt=NEGATIVE),
    "3": node("HyVideoSampler", model=["1", 0], hyvid_embeds=["2", 0], seed=42, steps=20),
    "5": node("DownloadAndLoadHyVideoTextEncoder", llm_model="llava"),
    "8": node("HyVideoDecode", samples=["3", 0], vae=["6", 0]),
    "6": node("HyVideoVAELoader", model_name="vae"),
    "9": node("VHS_VideoCombine", images=["8", 0], filename_prefix="x"),
}
CASCADE = graph(
    {
        "34": node("StableCascade_EmptyLatentImage", width=1024, height=1024, compression=42),
        "36": node("StableCascade_StageB_Conditioning", conditioning=["6", 0], stage_c=["3", 0]),
        "37": node("ConditioningZeroOut", conditioning=["6", 0]),
        "33": sampler(
            seed=5, steps=10, model=["41", 0], positive=["36", 0], negative=["37", 0], latent_image=["34", 1]
        ),
        "41": node("UNETLoader", unet_name="stage_b"),
        "8": node("VAEDecode", samples=["33", 0], vae=["4", 2]),
    },
    latent_image=["34", 0],
)
CONFIGURED = graph({"48": node("KSampler Config (rgthree)", steps_total=20, refiner_step=8, cfg=8.0)}, steps=["48", 0])


@pytest.mark.parametrize("given", [XLABS, KOLORS, HUNYUAN, CASCADE, CONFIGURED])
def test_samplers_of_packs(given):
    found = made(given)
    assert (found.prompt, found.negative_prompt, found.seed) == (PROMPT, NEGATIVE, "42")
    assert (found.model, dict(found.settings)["steps"]) == ("sd_xl_base.safetensors", "20")


def test_prompts_of_regions_are_prompts():
    def provided(positive):
        return node("KSamplerAdvancedProvider", cfg=8.0, model=["4", 0], positive=[positive, 0], negative=["7", 0])

    regions = {
        "31": provided("6"),
        "32": node("RegionalPrompt", mask=["33", 0], advanced_sampler=["34", 0]),
        "33": node("SolidMask", value=1.0),
        "34": provided("35"),
        "35": node("CLIPTextEncode", text="red sky", clip=["4", 1]),
        "3": node(
            "RegionalSampler",
            seed=42,
            steps=20,
            samples=["5", 0],
            base_sampler=["31", 0],
            **{"regional_prompts": ["32", 0], "denoise": 1.0},
        ),
    }
    assert prompts(graph(regions)) == ("a glass bottle\nred sky", NEGATIVE)


def test_a_plot_of_many_values_has_no_one_value():
    plot = {
        "60": node("XY Plot", XY_flip="False", X=["61", 0]),
        "61": node("XY Input: Seeds++ Batch", batch_count=3),
    }
    assert "other values" in made(graph(plot, script=["60", 0])).notes[0]
