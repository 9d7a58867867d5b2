"""The captioners among what others publish (`published`)."""

from __future__ import annotations

from .publication import CONFIG, TRANSFORMERS_WEIGHTS, WEIGHTS_INDEX, Published, Sure

_NAMED = "named by several programs of 2026; the size is counted from the parameters"


def _chat(
    name: str,
    repo: str,
    size: int | None,
    needs: tuple[int, int],
    licence: str,
    summary: str,
    parts: bool = True,
    seen: str = _NAMED,
    system: str = "",
    sure: Sure = "told",
    use: str = "",
) -> Published:
    """A model that talks. parts: whether its weights lie in several files."""
    files = {CONFIG: 0, WEIGHTS_INDEX if parts else TRANSFORMERS_WEIGHTS: 0}
    return Published(
        "captioner",
        name,
        repo,
        files,
        sure,
        seen,
        bytes=size,
        summary=summary,
        needs=needs,
        licence=licence,
        use=use,
        system=system,
        half=True,
    )


_CONTINUING = (
    Published(
        "captioner",
        "blip-base",
        "Salesforce/blip-image-captioning-base",
        {CONFIG: 0, TRANSFORMERS_WEIGHTS: 989_800_000},
        "told",
        "mindone, which reads safetensors alone, takes this pull request; the main branch has pickles alone",
        revision="refs/pr/50",
        bytes=991_000_000,
        summary="BLIP with a base vision tower: the small and quick one",
        use="captions, small and quick",
        licence="BSD-3-Clause",
    ),
    Published(
        "captioner",
        "blip-large",
        "Salesforce/blip-image-captioning-large",
        {CONFIG: 0, TRANSFORMERS_WEIGHTS: 1_879_014_680},
        "seen",
        "a program's manifest, at the commit 353689b859fcf0523410b1806dace5fb46ecdf41 of 2025",
        bytes=1_880_000_000,
        summary="BLIP with a large vision tower: the usual choice",
        use="captions; the usual one",
        licence="BSD-3-Clause",
    ),
    Published(
        "captioner",
        "blip2-2.7b",
        "Salesforce/blip2-opt-2.7b",
        {CONFIG: 0, WEIGHTS_INDEX: 0},
        "told",
        "a program calls its download 15 GB",
        bytes=14_980_000_000,
        summary="BLIP-2 over OPT 2.7B",
        licence="MIT",
    ),
    Published(
        "captioner",
        "blip2-flan-t5-xl",
        "Salesforce/blip2-flan-t5-xl",
        {CONFIG: 0, WEIGHTS_INDEX: 0},
        "remembered",
        "nothing found",
        bytes=15_770_000_000,
        summary="BLIP-2 over Flan-T5 XL: follows instructions",
        licence="MIT",
    ),
    Published(
        "captioner",
        "git-large-coco",
        "microsoft/git-large-coco",
        {CONFIG: 0, TRANSFORMERS_WEIGHTS: 1_577_000_000},
        "remembered",
        "nothing found",
        bytes=1_580_000_000,
        summary="GIT trained on COCO: short plain sentences",
        licence="MIT",
    ),
    Published(
        "captioner",
        "florence-2-base",
        "florence-community/Florence-2-base",
        {CONFIG: 0, TRANSFORMERS_WEIGHTS: 0},
        "told",
        "several programs of 2026 name it in place of Microsoft's, which needs code of its own",
        summary="Florence-2: small and good; three lengths by task",
        use="captions, as long as one likes",
        needs=(4, 56),
        licence="MIT",
    ),
    Published(
        "captioner",
        "florence-2-large",
        "florence-community/Florence-2-large",
        {CONFIG: 0, TRANSFORMERS_WEIGHTS: 0},
        "told",
        "several programs of 2026 name it in place of Microsoft's, which needs code of its own",
        summary="Florence-2, the larger one",
        needs=(4, 56),
        licence="MIT",
    ),
)
_PROMPTGEN = tuple(
    Published(
        "captioner",
        f"promptgen-{size}",
        f"MiaoshouAI/Florence-2-{size}-PromptGen-v2.0",
        {CONFIG: 0, TRANSFORMERS_WEIGHTS: 0},
        "told",
        "installers for ComfyUI fetch these files; its configuration names Microsoft's code, which is not run",
        summary=f"Florence-2 {size} by PromptGen: also tags, captions with tags, and the composition",
        needs=(4, 56),
        licence="MIT",
    )
    for size in ("base", "large")
)
_QWEN, _APACHE = (4, 57), "Apache-2.0"
_CHATS = (
    _chat(
        "joycaption",
        "fancyfeast/llama-joycaption-beta-one-hf-llava",
        17_000_000_000,
        (4, 46),
        "that of Llama 3.1, its base",
        "JoyCaption beta one: any picture, nothing left out; written for training image models",
        seen="its card, as programs carry it, says what it needs in memory; its sampling is .6 and .9",
        system="You are a helpful image captioner.",
    ),
    _chat("qwen3-vl-2b", "Qwen/Qwen3-VL-2B-Instruct", 4_260_000_000, _QWEN, _APACHE, "Qwen3-VL, the small one", False),
    _chat(
        *("qwen3-vl-4b", "Qwen/Qwen3-VL-4B-Instruct", 8_880_000_000, _QWEN, _APACHE, "Qwen3-VL: any style, any length"),
        use="sentences, for FLUX, Qwen-Image and the like",
    ),
    _chat("qwen3-vl-8b", "Qwen/Qwen3-VL-8B-Instruct", 17_530_000_000, _QWEN, _APACHE, "Qwen3-VL, the larger one"),
    _chat(
        "qwen2.5-vl-3b", "Qwen/Qwen2.5-VL-3B-Instruct", 7_510_000_000, (4, 49), "Qwen Research License", "Qwen2.5-VL"
    ),
    _chat("qwen2.5-vl-7b", "Qwen/Qwen2.5-VL-7B-Instruct", 16_580_000_000, (4, 49), _APACHE, "Qwen2.5-VL, larger"),
    _chat(
        "gemma-3-4b",
        "google/gemma-3-4b-it",
        8_600_000_000,
        (4, 50),
        "Gemma",
        "Gemma 3; its publisher asks you to agree to terms",
    ),
    _chat(
        "smolvlm-256m",
        "HuggingFaceTB/SmolVLM2-256M-Video-Instruct",
        1_030_000_000,
        (4, 50),
        _APACHE,
        "SmolVLM2: the smallest that talks",
        False,
    ),
    _chat(
        "smolvlm-500m",
        "HuggingFaceTB/SmolVLM2-500M-Video-Instruct",
        2_030_000_000,
        (4, 50),
        _APACHE,
        "SmolVLM2, small",
        False,
    ),
    _chat(
        "smolvlm-2.2b",
        "HuggingFaceTB/SmolVLM2-2.2B-Instruct",
        9_000_000_000,
        (4, 50),
        _APACHE,
        "SmolVLM2, the largest",
        seen="a program's notes, at the commit 482adb53: 9.0 GB of float32 in two files",
    ),
    _chat(
        "internvl3-1b",
        "OpenGVLab/InternVL3-1B-hf",
        1_880_000_000,
        (4, 52),
        "MIT, and its language model's",
        "InternVL3",
        False,
    ),
    _chat(
        "internvl3-2b",
        "OpenGVLab/InternVL3-2B-hf",
        4_180_000_000,
        (4, 52),
        "MIT, and its language model's",
        "InternVL3, larger",
        False,
    ),
    _chat(
        "internvl3-8b",
        "OpenGVLab/InternVL3-8B-hf",
        15_890_000_000,
        (4, 52),
        "MIT, and its language model's",
        "InternVL3, the largest of these",
    ),
    _chat(
        "paligemma2-3b",
        "google/paligemma2-3b-mix-448",
        None,
        (4, 47),
        "Gemma",
        "PaliGemma 2: plain captions; its publisher asks you to agree to terms",
    ),
    _chat(
        "paligemma2-10b",
        "google/paligemma2-10b-mix-448",
        None,
        (4, 47),
        "Gemma",
        "PaliGemma 2, larger",
    ),
    _chat(
        "llava-onevision-0.5b",
        "llava-hf/llava-onevision-qwen2-0.5b-ov-hf",
        1_790_000_000,
        (4, 45),
        _APACHE,
        "LLaVA-OneVision, small",
        False,
    ),
    _chat(
        "llava-onevision-7b",
        "llava-hf/llava-onevision-qwen2-7b-ov-hf",
        16_060_000_000,
        (4, 45),
        _APACHE,
        "LLaVA-OneVision",
    ),
)

CAPTIONERS = (*_CONTINUING, *_PROMPTGEN, *_CHATS)
