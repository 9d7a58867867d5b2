"""What is said of a repository on a hub that is relied on, and the names that many of its files have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

MAIN = "main"
"""The branch that a repository has."""

CONFIG = "config.json"
TRANSFORMERS_WEIGHTS, WEIGHTS_INDEX = "model.safetensors", "model.safetensors.index.json"
OPEN_CLIP_WEIGHTS, OPEN_CLIP_CONFIG = "open_clip_model.safetensors", "open_clip_config.json"
PIPELINE_INDEX = "model_index.json"
TAG_LIST, PREPROCESS = "selected_tags.csv", "preprocess.json"
TAGGER_FILES, TAGGER_EXTRAS = (CONFIG, TAG_LIST, TRANSFORMERS_WEIGHTS), (PREPROCESS,)

Kind = Literal["CLIP", "CLIP for open_clip", "captioner", "tagger", "diffusion", "judge", "for a folder"]
Sure = Literal["seen", "told", "remembered"]
"""Whether a public program that fetches these files says how large they are; names them; or none was found."""


@dataclass(frozen=True)
class Published:
    """A repository, as far as it is relied on.

    name: by which a model is named here. files: what has to lie there, in bytes, 0 where they are not known; counted
    from the model's parameters where the last digits are zeros. seen: where. bytes: of all that a download takes, where
    it can be told without asking. use: what it is recommended for. needs: the first transformers that reads it.
    lacks: tensors that one might expect in it. licence: its name, as the repository has it. thresholds: of a tagger,
    for general tags and for characters, where its publisher says them. system: of a model that talks, the message that
    its publisher says before questions. half: whether its weights lie in half precision.
    """

    kind: Kind
    name: str
    repo: str
    files: Mapping[str, int]
    sure: Sure
    seen: str
    revision: str = MAIN
    bytes: int | None = None
    summary: str = ""
    use: str = ""
    needs: tuple[int, int] = (4, 30)
    formerly: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    licence: str = ""
    thresholds: tuple[float, float] | None = None
    system: str = ""
    half: bool = False

    @property
    def memory(self) -> int | None:
        """Bytes of the weights in half precision; None where their size is not known."""
        whole = self.bytes or sum(size for name, size in self.files.items() if name.endswith(".safetensors"))
        return (whole if self.half else whole // 2) or None
