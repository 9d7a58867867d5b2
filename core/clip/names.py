"""The CLIP models one can name, and where their weights lie on the hub."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .open_clip_names import pretrained

OPEN_CLIP_WEIGHTS = "open_clip_model.safetensors"
TRANSFORMERS_WEIGHTS = "model.safetensors"

# Where the hub holds an open_clip name in transformers' format as well.
_TRANSFORMERS_REPOS = {
    "ViT-B-32/openai": "openai/clip-vit-base-patch32",
    "ViT-B-16/openai": "openai/clip-vit-base-patch16",
    "ViT-L-14/openai": "openai/clip-vit-large-patch14",
    "ViT-L-14-336/openai": "openai/clip-vit-large-patch14-336",
    "ViT-B-32/laion2b_s34b_b79k": "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
    "ViT-B-16/laion2b_s34b_b88k": "laion/CLIP-ViT-B-16-laion2B-s34B-b88K",
    "ViT-L-14/laion2b_s32b_b82k": "laion/CLIP-ViT-L-14-laion2B-s32B-b82K",
    "ViT-L-14/datacomp_xl_s13b_b90k": "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K",
    "ViT-H-14/laion2b_s32b_b79k": "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
    "ViT-g-14/laion2b_s12b_b42k": "laion/CLIP-ViT-g-14-laion2B-s12B-b42K",
    "ViT-bigG-14/laion2b_s39b_b160k": "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k",
}

# open_clip before 3.0 knows these only as pickles on another server.
_OPENAI_REPOS = {
    "ViT-B-32/openai": "timm/vit_base_patch32_clip_224.openai",
    "ViT-B-16/openai": "timm/vit_base_patch16_clip_224.openai",
    "ViT-L-14/openai": "timm/vit_large_patch14_clip_224.openai",
    "ViT-L-14-336/openai": "timm/vit_large_patch14_clip_336.openai",
}


@dataclass(frozen=True)
class KnownClip:
    """A model that can be named.

    repo, file: its weights in open_clip's format, file empty when they exist in no format that is opened.
    transformers_repo: the same model in transformers' format, where the hub has it.
    settings: open_clip's entry for the tag (mean, std, quick_gelu, ...), empty without open_clip.
    """

    name: str
    repo: str
    file: str
    transformers_repo: str
    settings: Mapping[str, Any]

    @property
    def architecture(self) -> str:
        return self.name.partition("/")[0]

    @property
    def quick_gelu(self) -> bool:
        """Whether the weights were trained with the sigmoid approximation of GELU; open_clip 2 does not say."""
        return bool(self.settings.get("quick_gelu", self.name.endswith("/openai")))

    @property
    def safetensors(self) -> bool:
        """Whether its weights can be had as safetensors."""
        return bool(self.file or self.transformers_repo)


def known_models() -> list[KnownClip]:
    """Every model open_clip names, or the best-known ones when open_clip cannot be imported; not `micro`."""
    try:
        architectures = pretrained()
    except (ImportError, RuntimeError, OSError):
        # a torchvision that does not fit its torch fails with RuntimeError
        return [_known(name, {}) for name in _TRANSFORMERS_REPOS]
    return [_known(f"{model}/{tag}", settings) for model, tags in architectures.items() for tag, settings in tags.items()]


def is_well_known(name: str) -> bool:
    """Of a name whose weights can be had, whatever open_clip says of it, which takes a while to import."""
    return name in _TRANSFORMERS_REPOS


def find_known(name: str) -> KnownClip | None:
    """The known model of that name; the tag's letter case does not matter."""
    wanted = name.casefold()
    return next((known for known in known_models() if known.name.casefold() == wanted), None)


def nearest_names(name: str, count: int = 4) -> list[str]:
    """The known names most like a misspelt one."""
    names = {known.name.casefold(): known.name for known in known_models() if known.safetensors}
    names["micro"] = "micro"
    close = difflib.get_close_matches(name.casefold(), names, n=count, cutoff=0.5)
    return [names[match] for match in close]


def _known(name: str, settings: Mapping[str, Any]) -> KnownClip:
    repo, file = _weights_on_hub(str(settings.get("hf_hub", "")))
    if not file and name in _OPENAI_REPOS:
        repo, file = _OPENAI_REPOS[name], OPEN_CLIP_WEIGHTS
    return KnownClip(name, repo, file, _TRANSFORMERS_REPOS.get(name, ""), settings)


def _weights_on_hub(entry: str) -> tuple[str, str]:
    """open_clip writes "organisation/repo/" for its default file, or "organisation/repo/file"."""
    parts = entry.split("/")
    if len(parts) < 3:
        return "", ""
    repo, file = "/".join(parts[:2]), parts[2] or OPEN_CLIP_WEIGHTS
    return repo, file if file.endswith(".safetensors") else ""
