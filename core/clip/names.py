"""The CLIP models one can name, and where their weights lie on the hub."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..published import (
    CLIPS,
    CLIPS_FOR_OPEN_CLIP,
    MAIN,
    OPEN_CLIP_WEIGHTS,
    for_open_clip,
    in_transformers_format,
)
from .open_clip_names import pretrained


@dataclass(frozen=True)
class KnownClip:
    """A model that can be named.

    repo, file: its weights in open_clip's format, file empty when they exist in no format that is opened.
    transformers_repo, transformers_revision: the same model in transformers' format, where the hub has it.
    settings: open_clip's entry for the tag (mean, std, quick_gelu, ...), empty without open_clip.
    """

    name: str
    repo: str
    file: str
    transformers_repo: str
    settings: Mapping[str, Any]
    transformers_revision: str = MAIN

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
        named = dict.fromkeys(each.name for each in (*CLIPS, *CLIPS_FOR_OPEN_CLIP))
        return [_known(name, {}) for name in named]
    tagged = ((model, tag, settings) for model, tags in architectures.items() for tag, settings in tags.items())
    return [_known(f"{model}/{tag}", settings) for model, tag, settings in tagged]


def is_well_known(name: str) -> bool:
    """Of a name whose weights can be had, whatever open_clip says of it, which takes a while to import."""
    return in_transformers_format(name) is not None


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
    openai = for_open_clip(name)
    if not file and openai is not None:
        repo, file = openai.repo, OPEN_CLIP_WEIGHTS
    other = in_transformers_format(name)
    if other is None:
        return KnownClip(name, repo, file, "", settings)
    return KnownClip(name, repo, file, other.repo, settings, other.revision)


def _weights_on_hub(entry: str) -> tuple[str, str]:
    """open_clip writes "organisation/repo/" for its default file, or "organisation/repo/file"."""
    parts = entry.split("/")
    if len(parts) < 3:
        return "", ""
    repo, file = "/".join(parts[:2]), parts[2] or OPEN_CLIP_WEIGHTS
    return repo, file if file.endswith(".safetensors") else ""
