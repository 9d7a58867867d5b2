"""What ComfyUI's nodes, and those of packs that many people use, call their inputs and outputs: all of it data.

A node that is named nowhere here is followed by the names of its inputs, which packs take from one another.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .graph import Node

POSITIVE, NEGATIVE, TEXT = "positive", "negative", "text"
SIDES = (POSITIVE, NEGATIVE)


class Value(NamedTuple):
    """names: of inputs that hold it. via: of inputs that lead to what does, whatever else they carry."""

    names: tuple[str, ...]
    via: tuple[str, ...] = ()


BUNDLES = re.compile(
    r"(optional_)?(\w+_)?(pipe|pipe_?line|ctx|context|bus|sdxl_tuple|loader|guider|"
    r"(text|hyvid|kolors)_embeds|(base|advanced)_sampler|regional_prompts)(_opt|_?\d+)?",
    re.IGNORECASE,
)
"""Inputs that carry several things at once, such as the model, both prompts, the seed."""

VALUES = {
    "seed": Value(("seed", "noise_seed", "seed_num", "base_seed"), ("noise",)),
    "model": Value(
        (
            *("ckpt_name", "unet_name", "base_ckpt_name", "model_name", "checkpoint", "checkpoint_name", "gguf_name"),
            *("model_path", "diffusion_model_name", "unet", "stage_c", "model", "diffusion_model", "base_model"),
        ),
        (
            *("model", "model1", "model2", "model_a", "model_b", "optional_model", "model_override", "base_model"),
            *("MODEL", "guider", "unet", "diffusion_model", "hi_model", "model_opt", "kolors_model"),
        ),
    ),
    "steps": Value(("steps", "base_steps", "steps_total"), ("sigmas",)),
    "cfg_scale": Value(("cfg", "cfg_scale", "cfg_conds"), ("guider",)),
    "sampler": Value(("sampler_name", "sampler"), ("sampler",)),
    "scheduler": Value(("scheduler", "scheduler_name"), ("sigmas",)),
    "denoise": Value(("denoise", "denoise_strength"), ("sigmas",)),
}
"""What a sampler was given, by the name it is shown under."""

ANY_VALUE = ("value", "int", "float", "number", "int_value", "boolean", "Number", "Value", "INT", "string", "text")
"""Inputs of nodes that hold a single value, and nothing else that would change it."""

MERGED = frozenset({"model1", "model2", "model_a", "model_b"})

SIDE_INPUTS = {
    POSITIVE: re.compile(r"(optional_|base_)?(pos|positive)(_(?!asc)\w+|\d+)?", re.IGNORECASE),
    NEGATIVE: re.compile(r"(optional_|base_)?(neg|negative)(_(?!asc)\w+|\d+)?|uncond\w*", re.IGNORECASE),
}
NOT_SIDES = re.compile(r"\w+_(token_normalization|weight_interpretation|scale|strength|ascore)", re.IGNORECASE)
CONDITIONING = re.compile(r"(optional_)?cond(itioning)?(_?\w+|\d+)?|prompt_embeds", re.IGNORECASE)
"""Inputs that carry encoded text of either side."""

NOT_CONDITIONING = re.compile(r"cond(itioning)?_(mode|strength|width|height|aspect|area|lerp|start|end)\w*", re.I)

ENCODED = (
    *("text", "prompt", "text_g", "clip_g", "text_l", "clip_l", "t5xxl", "llama", "qwen25_7b", "bert", "mt5xl"),
    *("user_prompt", "tags", "lyrics", "populated_text", "wildcard_text", "string"),
)
"""Texts of nodes that encode them, in the order in which they are shown."""

_BOTH_IN_ORDER = (
    *("ControlNetApplyAdvanced", "ControlNetApplySD3", "ControlNetInpaintingAliMamaApply"),
    *("InpaintModelConditioning", "InstructPixToPixConditioning", "SD_4XUpscale_Conditioning"),
    *("LTXVConditioning", "LTXVAddGuide", "LTXVCropGuides", "LTXVImgToVideo", "HunyuanRefinerLatent"),
    *("PairConditioningCombine", "PairConditioningSetDefaultCombine", "PairConditioningSetProperties"),
    *("PairConditioningSetPropertiesAndCombine", "WanImageToVideo", "WanFunControlToVideo"),
    *("Wan22FunControlToVideo", "WanFunInpaintToVideo", "WanFirstLastFrameToVideo", "WanVaceToVideo"),
    *("WanCameraImageToVideo", "WanTrackToVideo", "WanAnimateToVideo", "WanHuMoImageToVideo"),
    *("WanSoundImageToVideo", "WanSoundImageToVideoExtend", "ACN_AdvancedControlNetApply"),
    *("ACN_AdvancedControlNetApply_v2", "Apply ControlNet Stack", "ConditioningSetMaskAndCombine"),
    *("ConditioningSetMaskAndCombine3", "ConditioningSetMaskAndCombine4", "ConditioningSetMaskAndCombine5"),
)
OUTPUT_SIDES = {
    **{kind: {0: POSITIVE, 1: NEGATIVE} for kind in _BOTH_IN_ORDER},
    "WanPhantomSubjectToVideo": {0: POSITIVE, 1: NEGATIVE, 2: NEGATIVE},
    "ApplyInstantID": {1: POSITIVE, 2: NEGATIVE},
    "BrushNet": {1: POSITIVE, 2: NEGATIVE},
    "Efficient Loader": {1: POSITIVE, 2: NEGATIVE},
    "KSampler (Efficient)": {1: POSITIVE, 2: NEGATIVE},
    "KSampler Adv. (Efficient)": {1: POSITIVE, 2: NEGATIVE},
    "Unpack SDXL Tuple": {2: POSITIVE, 3: NEGATIVE, 6: POSITIVE, 7: NEGATIVE},
    "easy fullLoader": {4: POSITIVE, 5: NEGATIVE},
    "easy pipeOut": {2: POSITIVE, 3: NEGATIVE},
    "easy pipeEdit": {2: POSITIVE, 3: NEGATIVE},
    "easy fullkSampler": {3: POSITIVE, 4: NEGATIVE},
    "easy controlnetLoader": {1: POSITIVE, 2: NEGATIVE},
    "easy controlnetLoaderADV": {1: POSITIVE, 2: NEGATIVE},
    "ttN pipeLoader": {2: POSITIVE, 3: NEGATIVE},
    "ttN pipeLoader_v2": {2: POSITIVE, 3: NEGATIVE, 10: POSITIVE, 11: NEGATIVE},
    "ttN pipeKSampler": {2: POSITIVE, 3: NEGATIVE},
    "ttN pipeKSampler_v2": {2: POSITIVE, 3: NEGATIVE},
    "ttN pipeOUT": {1: POSITIVE, 2: NEGATIVE},
    "ttN pipeEDIT": {2: POSITIVE, 3: NEGATIVE},
    "ttN pipeEncodeConcat": {1: POSITIVE, 2: NEGATIVE},
    "ttN conditioning": {1: POSITIVE, 2: NEGATIVE, 4: POSITIVE, 5: NEGATIVE},
    "FromBasicPipe": {3: POSITIVE, 4: NEGATIVE},
    "FromBasicPipe_v2": {4: POSITIVE, 5: NEGATIVE},
    "FromDetailerPipe": {3: POSITIVE, 4: NEGATIVE},
    "Context (rgthree)": {4: POSITIVE, 5: NEGATIVE},
    "Context Big (rgthree)": {4: POSITIVE, 5: NEGATIVE, 18: POSITIVE, 19: POSITIVE, 20: NEGATIVE, 21: NEGATIVE},
    "Context Switch (rgthree)": {4: POSITIVE, 5: NEGATIVE},
    "Context Merge (rgthree)": {4: POSITIVE, 5: NEGATIVE},
    "Bus Node": {4: POSITIVE, 5: NEGATIVE},
    "Prompt Styles Selector": {0: POSITIVE, 1: NEGATIVE},
    "easy loraPromptApply": {2: POSITIVE, 3: NEGATIVE},
}
"""Which prompt each output carries, of nodes that have both. An output that is not named carries what is asked."""

NO_TEXT = frozenset(
    {
        *("ConditioningZeroOut", "SVD_img2vid_Conditioning", "SV3D_Conditioning", "StableZero123_Conditioning"),
        *("StableZero123_Conditioning_Batched", "LotusConditioning", "Hunyuan3Dv2Conditioning"),
        *("Hunyuan3Dv2ConditioningMultiView",),
    }
)
"""Their output is conditioned on no text, whatever text went into them."""


def unused(node: Node) -> tuple[str, ...]:
    """The inputs that change nothing at the strength they were given."""
    strength = node.inputs.get("conditioning_to_strength") if node.kind == "ConditioningAverage" else None
    if not isinstance(strength, (int, float)) or strength not in (0, 1):
        return ()
    return ("conditioning_from",) if strength else ("conditioning_to",)


STAGES = ("StableCascade_StageB_Conditioning",)
"""What a sampler after them makes larger came to it beside its prompts."""

PICTURE = re.compile(
    r"(images?|pixels|samples|latents?|latent_image|init_image|input_image|stage_c)(_?\d+|_[a-d])?", re.I
)
"""Inputs on the way from a saved picture back to its sampler."""

ADDS_TO_BUNDLE = frozenset({"ttN pipeEncodeConcat"})
"""Their own texts stand beside those of the bundle, not in their place."""

SAVES = re.compile(r"save|image ?saver|export|output", re.IGNORECASE)
SHOWS = re.compile(r"preview|show|display|compar", re.IGNORECASE)
SAMPLES = re.compile(r"k_?sampler|sampler ?custom|^sampler|detailer|ultimatesdupscale|\w{3,}sampler\b", re.IGNORECASE)
VARIES = re.compile(r"xyz? ?plot|xyz? ?grid", re.IGNORECASE)
"""Kinds that have a sampler make a picture for each of several values."""

SCHEDULES = re.compile(r"(\w+?)Scheduler", re.IGNORECASE)
