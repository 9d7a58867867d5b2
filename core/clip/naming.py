"""What is known to be wrong of a CLIP's name without a network, and before anything of it is read."""

from __future__ import annotations

import re
from pathlib import Path

from ..cures import Choose, Give, Take
from ..errors import ModelError
from ..foreign import existing, shown
from ..hub.names import is_local_name
from ..published import CONFIG, OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS, TRANSFORMERS_WEIGHTS, VIT_L
from ..settings import NO_CLIP
from .names import find_known, is_well_known, nearest_names

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def check_clip(name: str) -> None:
    """Raises ModelError for what no CLIP can be loaded by."""
    if name == NO_CLIP:
        raise ModelError("No CLIP was chosen, and this needs one", Give("clip", "one"))
    path = existing(name)
    if name == "micro" or (is_well_known(name) and path is None):
        return
    if path is not None and path.is_dir():
        is_transformers_folder(path)
    elif path is not None:
        if not path.is_file():
            raise ModelError(f"{path} is neither a file nor a folder", Give("clip"))
        if path.suffix != ".safetensors":
            raise ModelError(f"{path} is not a safetensors file, and no other format is opened", "convert it first")
    elif (known := find_known(name)) is not None:
        if not known.safetensors:
            raise ModelError(
                f"{known.name} exists only as a pickle, which is never opened",
                Give("clip", f"one such as {VIT_L}"),
                Take("list models"),
            )
    elif not _looks_like_a_hub_id(name):
        raise _unknown(name)


def is_transformers_folder(folder: Path) -> bool:
    """Whether a CLIP's folder is in transformers' format rather than open_clip's. Raises ModelError for neither."""
    if (folder / CONFIG).is_file() and holds_weights(folder, TRANSFORMERS_WEIGHTS):
        return True
    if (folder / OPEN_CLIP_CONFIG).is_file() and (folder / OPEN_CLIP_WEIGHTS).is_file():
        return False
    raise ModelError(
        f"{folder} is no CLIP folder: it needs {CONFIG} with {TRANSFORMERS_WEIGHTS} (transformers), "
        f"or {OPEN_CLIP_CONFIG} with {OPEN_CLIP_WEIGHTS}"
    )


def holds_weights(folder: Path, name: str) -> bool:
    """In one file of that name, or in several that an index lists."""
    return (folder / name).is_file() or (folder / f"{name}.index.json").is_file()


def _looks_like_a_hub_id(name: str) -> bool:
    """organisation/repo, unless the part before the slash is one of open_clip's architectures."""
    if not _HUB_ID.fullmatch(name) or is_local_name(name):
        return False
    organisation = name.partition("/")[0].casefold()
    return not organisation.startswith(("vit-", "rn50", "rn101", "convnext", "coca", "eva0", "mobileclip", "xlm-"))


def _unknown(name: str) -> ModelError:
    near = [] if is_local_name(name) else nearest_names(name)
    cure = Choose("clip", tuple(near)) if near else Take("list models")
    return ModelError(f"There is no CLIP model, folder or file {shown(name)!r}", cure)
