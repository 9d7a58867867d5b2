"""What made a picture, read from ComfyUI graphs: samplers, conditioning, pipes, outputs."""

from __future__ import annotations

import pytest
from comfyui_graphs import node
from metadata_graphs import CHECKPOINT, EMPTY, SAVED, TEXTS, graph, made, prompts, sampler

BOTH = ("a glass bottle", "watermark")
PAIRED = (
    *("ControlNetApplyAdvanced", "ControlNetApplySD3", "ControlNetInpaintingAliMamaApply", "InpaintModelConditioning"),
    *("InstructPixToPixConditioning", "SD_4XUpscale_Conditioning", "LTXVConditioning", "LTXVImgToVideo"),
    *("WanImageToVideo", "WanVaceToVideo", "HunyuanRefinerLatent", "PairConditioningSetProperties"),
)
PASSED = {
    **dict.fromkeys(("ConditioningSetArea", "ConditioningSetAreaPercentage", "ConditioningSetMask"), "conditioning"),
    **dict.fromkeys(("ConditioningSetTimestepRange", "ConditioningSetAreaStrength", "ControlNetApply"), "conditioning"),
    **dict.fromkeys(("unCLIPConditioning", "FluxGuidance", "StyleModelApply", "ReferenceLatent"), "conditioning"),
    **dict.fromkeys(("StableCascade_StageB_Conditioning", "FluxDisableGuidance"), "conditioning"),
    "ConditioningSetProperties": "cond_NEW",
    "Reroute": "",
    "A node of a pack": "conditioning",
}
MERGED = {
    "ConditioningCombine": ("conditioning_1", "conditioning_2"),
    "ConditioningConcat": ("conditioning_to", "conditioning_from"),
    "ConditioningAverage": ("conditioning_to", "conditioning_from"),
    "ConditioningSetDefaultCombine": ("cond", "cond_DEFAULT"),
    "ConditioningSetPropertiesAndCombine": ("cond", "cond_NEW"),
    "ConditioningMultiCombine": ("conditioning_1", "conditioning_2"),
}
ENCODERS = {
    "CLIPTextEncodeSDXLRefiner": ("text",),
    "CLIPTextEncodeSD3": ("clip_g", "clip_l", "t5xxl"),
    "CLIPTextEncodeFlux": ("clip_l", "t5xxl"),
    "CLIPTextEncodeHiDream": ("clip_g", "clip_l", "t5xxl", "llama"),
    "CLIPTextEncodeHunyuanDiT": ("bert", "mt5xl"),
    "CLIPTextEncodePixArtAlpha": ("text",),
    "TextEncodeHunyuanVideo_ImageToVideo": ("prompt",),
    "TextEncodeQwenImageEdit": ("prompt",),
    "BNK_CLIPTextEncodeAdvanced": ("text",),
    "CLIPTextEncodeLumina2": ("user_prompt",),
}


# Conditioning


@pytest.mark.parametrize("kind", PAIRED)
def test_prompt_and_negative_stay_apart_behind_a_node_of_both(kind):
    names = ("positive_NEW", "negative_NEW") if kind.endswith("SetProperties") else ("positive", "negative")
    both = node(kind, **{names[0]: ["6", 0], names[1]: ["7", 0]}, strength=1.0)
    assert prompts(graph({"30": both}, positive=["30", 0], negative=["30", 1])) == BOTH
    # and where somebody crossed the links, it is so said
    assert prompts(graph({"30": both}, positive=["30", 1], negative=["30", 0])) == BOTH[::-1]


@pytest.mark.parametrize("kind", PASSED)
def test_conditioning_is_followed_through(kind):
    def behind(key):
        return node(kind, **{PASSED[kind]: [key, 0]}, **({} if kind == "Reroute" else {"strength": 1.0}))

    nodes = {"30": behind("6"), "31": behind("7"), "32": behind("30")}
    assert prompts(graph(nodes, positive=["32", 0], negative=["31", 0])) == BOTH


@pytest.mark.parametrize("kind", MERGED)
def test_conditioning_is_put_together(kind):
    one, other = MERGED[kind]
    second = node("CLIPTextEncode", text="galaxy", clip=["4", 1])
    nodes = {"20": second, "30": node(kind, **{one: ["6", 0], other: ["20", 0]})}
    assert prompts(graph(nodes, positive=["30", 0])) == ("a glass bottle\ngalaxy", "watermark")


@pytest.mark.parametrize(
    ("strength", "right"), [(1.0, "a glass bottle"), (0.0, "galaxy"), (0.5, "a glass bottle\ngalaxy")]
)
def test_of_an_average_only_what_has_a_share_counts(strength, right):
    inputs = {"conditioning_to": ["6", 0], "conditioning_from": ["20", 0], "conditioning_to_strength": strength}
    nodes = {"20": node("CLIPTextEncode", text="galaxy", clip=["4", 1]), "30": node("ConditioningAverage", **inputs)}
    assert prompts(graph(nodes, positive=["30", 0]))[0] == right


@pytest.mark.parametrize("kind", ENCODERS)
def test_each_encoder_has_its_texts(kind):
    texts = {name: f"text for {name}" for name in ENCODERS[kind]}
    found = prompts(graph({"6": node(kind, clip=["4", 1], guidance=3.5, **texts)}))
    assert found == ("\n".join(texts.values()), "watermark")


def test_pairs_are_combined_side_by_side():
    pairs = {"positive_A": ["6", 0], "negative_A": ["7", 0], "positive_B": ["20", 0], "negative_B": ["7", 0]}
    nodes = {
        "20": node("CLIPTextEncode", text="galaxy", clip=["4", 1]),
        "30": node("PairConditioningCombine", **pairs),
    }
    found = prompts(graph(nodes, positive=["30", 0], negative=["30", 1]))
    assert found == ("a glass bottle\ngalaxy", "watermark")


def test_what_is_zeroed_out_is_no_prompt():
    zero = {"30": node("ConditioningZeroOut", conditioning=["6", 0])}
    assert prompts(graph(zero, negative=["30", 0])) == ("a glass bottle", "")
    control = {"31": node("ControlNetApplyAdvanced", positive=["6", 0], negative=["30", 0])}
    assert prompts(graph({**zero, **control}, positive=["31", 0], negative=["31", 1])) == ("a glass bottle", "")


# Samplers


def custom(guider, **others):
    parts = {"guider": ["22", 0], "sampler": ["16", 0], "sigmas": ["17", 0], "noise": ["25", 0]}
    return graph(
        {
            "3": node("SamplerCustomAdvanced", **{**parts, "latent_image": ["5", 0], **others}),
            "16": node("KSamplerSelect", sampler_name="dpmpp_2m"),
            "17": node("BasicScheduler", scheduler="simple", steps=["18", 0], denoise=1.0, model=["4", 0]),
            "18": node("PrimitiveInt", value=12),
            "22": guider,
            "25": node("RandomNoise", noise_seed=["26", 0]),
            "26": node("Seed (rgthree)", seed=777),
        }
    )


@pytest.mark.parametrize(
    ("guider", "right"),
    [
        (node("CFGGuider", model=["4", 0], positive=["6", 0], negative=["7", 0], cfg=4.0), BOTH),
        (node("BasicGuider", model=["4", 0], conditioning=["6", 0]), ("a glass bottle", "")),
        (
            node("DualCFGGuider", model=["4", 0], cond1=["6", 0], cond2=["7", 0], negative=["7", 0], cfg_conds=4.0),
            ("a glass bottle\nwatermark", "watermark"),
        ),
        (
            node("PerpNegGuider", model=["4", 0], positive=["6", 0], negative=["7", 0], empty_conditioning=["7", 0]),
            BOTH,
        ),
    ],
    ids=lambda value: value["class_type"] if isinstance(value, dict) else "",
)
def test_samplers_of_parts(guider, right):
    found = made(custom(guider))
    assert (found.prompt, found.negative_prompt, found.notes) == (*right, ())
    assert (found.seed, found.model) == ("777", "sd_xl_base.safetensors")
    settings = dict(found.settings)
    assert (settings["steps"], settings["sampler"], settings["scheduler"]) == ("12", "dpmpp_2m", "simple")
    assert settings.get("cfg_scale", "4.0") == "4.0"


def test_a_sampler_with_its_noise_and_a_schedule_of_its_own():
    parts = {"noise_seed": 5, "add_noise": True, "cfg": 7.0, "sampler": ["16", 0], "sigmas": ["17", 0]}
    nodes = {
        "16": node("SamplerDPMPP_2M_SDE", eta=1.0),
        "17": node("KarrasScheduler", steps=9, sigma_max=14.6),
        "3": node("SamplerCustom", model=["4", 0], positive=["6", 0], negative=["7", 0], **parts),
    }
    found = made(graph(nodes))
    assert (found.prompt, found.seed) == ("a glass bottle", "5")
    assert dict(found.settings)["sampler"] == "SamplerDPMPP_2M_SDE" and dict(found.settings)["scheduler"] == "Karras"


def test_a_picture_has_what_composed_it_and_a_note_of_what_came_after():
    again = {
        "10": node("LatentUpscale", samples=["3", 0], width=9),
        "11": sampler(latent_image=["10", 0], denoise=0.5, seed=7),
    }
    decoded = {"8": node("VAEDecode", samples=["11", 0])}
    found = made(graph({**again, **decoded}))
    assert (found.prompt, found.seed, found.notes) == ("a glass bottle", "42", ())
    face = node("FaceDetailer", image=["12", 0], positive=["21", 0], negative=["7", 0], seed=999, steps=3, denoise=0.5)
    nodes = {
        "12": node("VAEDecode", samples=["3", 0]),
        "8": face,
        "21": node("CLIPTextEncode", text="a face", clip=["4", 1]),
    }
    found = made(graph(nodes))
    assert (found.prompt, found.seed) == ("a glass bottle", "42")
    assert len(found.notes) == 1 and 'FaceDetailer #8: "a face", seed 999' in found.notes[0]


def test_a_sampler_that_began_from_noise_owes_nothing_to_the_picture_before_it():
    nodes = {
        "20": node("CLIPTextEncode", text="galaxy", clip=["4", 1]),
        "11": sampler(latent_image=["3", 0], seed=7, positive=["20", 0]),
        "8": node("VAEDecode", samples=["11", 0]),
    }
    assert made(graph(nodes)).prompt == "galaxy"


def test_a_refiner_is_not_the_base():
    steps = {"add_noise": "enable", "noise_seed": 42, "start_at_step": 0, "return_with_leftover_noise": "enable"}
    base = node(
        "KSamplerAdvanced", **steps, positive=["6", 0], negative=["7", 0], model=["4", 0], latent_image=["5", 0]
    )
    later = {**base["inputs"], "add_noise": "disable", "noise_seed": 0, "start_at_step": 20, "latent_image": ["3", 0]}
    nodes = {"3": base, "11": node("KSamplerAdvanced", **later), "8": node("VAEDecode", samples=["11", 0])}
    assert made(graph(nodes)).seed == "42"


def test_merged_models_are_named_together_and_loras_followed():
    nodes = {
        "40": node("LoraLoader", model=["41", 0], clip=["4", 1], lora_name="l"),
        "41": node("ModelMergeSimple", model1=["4", 0], model2=["42", 0], ratio=0.5),
        "42": node("UNETLoader", unet_name="other.safetensors"),
    }
    assert made(graph(nodes, model=["40", 0])).model == "sd_xl_base.safetensors + other.safetensors"


def test_a_seed_that_was_drawn_when_the_graph_ran_is_no_seed():
    found = made(graph({"26": node("Seed (rgthree)", seed=-1)}, seed=["26", 0]))
    assert found.seed == "" and "drawn" in found.notes[0]
    found = made(graph({"26": node("RandomInt", minimum=1, maximum=9)}, seed=["26", 0]))
    assert found.seed == "" and found.notes == ("seed: RandomInt #26 computed it when it ran",)


# Pipes


EFFICIENT = {
    "1": node("Efficient Loader", ckpt_name="e.safetensors", positive=BOTH[0], negative=BOTH[1], clip_skip=-1),
    "2": node(
        "KSampler (Efficient)", model=["1", 0], positive=["1", 1], negative=["1", 2], latent_image=["1", 3], seed=6
    ),
    "9": node("SaveImage", images=["2", 5], filename_prefix="x"),
}
EASY = {
    "1": node("easy fullLoader", ckpt_name="e.safetensors", positive=BOTH[0], negative=BOTH[1]),
    "2": node("easy preSampling", pipe=["1", 0], steps=20, sampler_name="euler", seed=6),
    "3": node("easy kSampler", pipe=["2", 0], image_output="Hide"),
    "9": node("SaveImage", images=["3", 1], filename_prefix="x"),
}
SDXL = {
    "1": node(
        "Eff. Loader SDXL", base_ckpt_name="e.safetensors", positive=BOTH[0], negative=BOTH[1], positive_ascore=6.0
    ),
    "2": node("KSampler SDXL (Eff.)", sdxl_tuple=["1", 0], noise_seed=6, steps=20, latent_image=["1", 1]),
    "9": node("SaveImage", images=["2", 3], filename_prefix="x"),
}
TINY = {
    "1": node("ttN pipeLoader_v2", ckpt_name="e.safetensors", positive=BOTH[0], negative=BOTH[1], seed=1),
    "2": node("ttN pipeKSampler_v2", pipe=["1", 0], steps=20, seed=6),
    "9": node("SaveImage", images=["2", 7], filename_prefix="x"),
}
IMPACT = {
    **TEXTS,
    **EMPTY,
    "4": node("CheckpointLoaderSimple", ckpt_name="e.safetensors"),
    "1": node("ToBasicPipe", model=["4", 0], clip=["4", 1], vae=["4", 2], positive=["6", 0], negative=["7", 0]),
    "2": node("ImpactKSamplerBasicPipe", basic_pipe=["1", 0], seed=6, steps=2, latent_image=["5", 0]),
    "9": node("SaveImage", images=["8", 0], filename_prefix="x"),
    "8": node("VAEDecode", samples=["2", 1]),
}
CONTEXT = {
    **TEXTS,
    **EMPTY,
    **SAVED,
    "4": node("CheckpointLoaderSimple", ckpt_name="e.safetensors"),
    "1": node("Context (rgthree)", model=["4", 0], positive=["6", 0], negative=["7", 0], seed=["44", 0]),
    "2": node("Context (rgthree)", base_ctx=["1", 0]),
    "3": sampler(model=["2", 1], positive=["2", 4], negative=["2", 5], latent_image=["2", 6], seed=["2", 8]),
    "44": node("Seed (rgthree)", seed=6),
}
WAN = {
    "1": node("WanVideoTextEncode", positive_prompt=BOTH[0], negative_prompt=BOTH[1]),
    "2": node("WanVideoSampler", model=["4", 0], text_embeds=["1", 0], seed=6, steps=3, scheduler="unipc"),
    "4": node("WanVideoModelLoader", model="e.safetensors"),
    "8": node("WanVideoDecode", samples=["2", 0]),
    "9": node("VHS_VideoCombine", images=["8", 0], filename_prefix="x"),
}


@pytest.mark.parametrize("pipe", [EFFICIENT, EASY, SDXL, TINY, IMPACT, CONTEXT, WAN])
def test_pipes_of_packs(pipe):
    found = made(pipe)
    assert (found.prompt, found.negative_prompt, found.seed, found.model) == (*BOTH, "6", "e.safetensors")
    assert found.notes == ()


def test_a_prompt_given_on_the_way_takes_the_place_of_the_pipes():
    found = made({**EASY, "2": node("easy pipeEditPrompt", pipe=["1", 0], positive="galaxy", negative="")})
    assert (found.prompt, found.negative_prompt) == ("galaxy", "watermark")


# Outputs


OTHER = {
    "23": sampler(seed=5, positive=["26", 0]),
    "26": node("CLIPTextEncode", text="galaxy", clip=["4", 1]),
    "28": node("VAEDecode", samples=["23", 0]),
    "29": node("SaveImage", images=["28", 0], filename_prefix="other/y_%date:yyyy-MM-dd%"),
}


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("/a/x_00003_.png", "a glass bottle"),
        ("y_2024-01-01_00003_.png", "galaxy"),
        ("x_00003_ (1).png", "a glass bottle"),
        ("download.png", ""),
    ],
)
def test_of_several_pictures_the_files_name_tells_which(name, right):
    found = made(graph(OTHER), name)
    assert found.prompt == right and found.seed == {"a glass bottle": "42", "galaxy": "5", "": ""}[right]
    assert found.negative_prompt == "watermark" and found.model == "sd_xl_base.safetensors"
    if not right:
        assert "several pictures" in found.notes[0]
        assert '"a glass bottle", seed 42' in found.notes[0] and '"galaxy", seed 5' in found.notes[0]


def test_what_was_saved_goes_before_what_was_only_shown():
    shown = {**OTHER, "29": node("PreviewImage", images=["28", 0])}
    assert made(graph(shown)).prompt == "a glass bottle"
    assert made(graph(shown), "ComfyUI_temp_abcde_00001_.png").prompt == "galaxy"


def test_a_picture_from_a_file_does_not_hide_the_one_that_was_made():
    beside = {"50": node("LoadImage", image="y.png"), "51": node("SaveImage", images=["50", 0], filename_prefix="z")}
    assert prompts(graph(beside)) == BOTH


def test_a_switch_hands_on_the_picture_it_was_set_to():
    chosen = {"71": node("ImpactSwitch", select=2, input1=["8", 0], input2=["28", 0])}
    saved = {"9": node("SaveImage", images=["71", 0], filename_prefix="x")}
    assert made(graph({**OTHER, **chosen, **saved, "29": node("PreviewImage", images=["28", 0])})).prompt == "galaxy"


def test_nodes_that_ask_a_service():
    graph = {
        "1": node("FluxProUltraImageNode", prompt="a boat", seed=4, aspect_ratio="16:9"),
        "2": node("SaveImage", images=["1", 0], filename_prefix="q"),
    }
    found = made(graph)
    assert (found.prompt, found.seed) == ("a boat", "4")


def test_a_graph_that_made_no_picture_that_is_known_is_shown():
    found = made({"1": node("Something", a=1), "2": node("SaveImage", images=["1", 0], filename_prefix="q")})
    assert found.prompt == "" and "no node of the graph" in found.notes[0]
    assert "Something" in dict(found.texts)["prompt"]


def test_the_checkpoint_is_not_needed():
    assert prompts({key: value for key, value in graph().items() if key not in CHECKPOINT}) == BOTH
