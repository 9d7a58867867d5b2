"""Which class of transformers a folder's configuration asks for, and whether it writes captions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ...cures import Give, Install
from ...errors import MissingPackageError, ModelError
from ...foreign import Unreadable, read_json, shown
from ...published import CONFIG
from ...transformers_access import transformers_attribute, transformers_version

_MAPPINGS = ("MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES", "MODEL_FOR_VISION_2_SEQ_MAPPING_NAMES")


def check_class(name: str, config: dict[str, Any]) -> type:
    """The model class of a captioner's configuration.

    Raises ModelError when it is another kind of model or needs code of its own, which is never run;
    MissingPackageError when it needs a newer transformers.
    """
    captioners = _captioner_classes()
    wanted = _class_name(config, captioners)
    if wanted is None:
        raise ModelError(f"{name} does not say in its config.json what model it is, so it cannot be loaded")
    has_own_code = bool(config.get("auto_map"))
    known = wanted in captioners.values() and str(config.get("model_type")) in captioners
    if known:
        found = transformers_attribute(wanted)
        if isinstance(found, type):
            return found
    wanted = shown(wanted)
    if has_own_code:
        raise ModelError(
            f"{name} comes with program code that would have to be run, which is never done",
            Give("captioner", "one that transformers knows itself"),
        )
    if isinstance(transformers_attribute(wanted), type):
        raise ModelError(f"{name} is a {wanted}, which writes no captions", Give("captioner", "an image-to-text model"))
    raise _too_new(name, wanted, config)


def _captioner_classes() -> dict[str, str]:
    """Model type to class name of all that this transformers counts among image-to-text models."""
    transformers_attribute("AutoModel")  # brings the module in, past a broken torchvision
    from transformers.models.auto import modeling_auto

    classes: dict[str, str] = {}
    for mapping in _MAPPINGS:
        classes.update(getattr(modeling_auto, mapping, {}))
    return classes


def _class_name(config: dict[str, Any], captioners: dict[str, str]) -> str | None:
    named = config.get("architectures")
    if isinstance(named, list) and named and isinstance(named[0], str):
        return named[0] if named[0].isidentifier() else None
    return captioners.get(str(config.get("model_type")))


def _too_new(name: str, wanted: str, config: dict[str, Any]) -> MissingPackageError:
    installed = ".".join(map(str, transformers_version()))
    saved = str(config.get("transformers_version") or "")
    newer = re.fullmatch(r"\d{1,3}(\.\d{1,3}){1,3}", saved)
    return MissingPackageError(
        f"{name} is a {wanted}, which transformers {installed} does not know",
        Install((f"'transformers>={saved}'",)) if newer else Install(("transformers",), "--upgrade"),
        Give("captioner"),
    )


def read_config(folder: Path) -> dict[str, Any]:
    """The folder's config.json. Raises ModelError when there is none that can be read."""
    try:
        return read_json(folder / CONFIG)
    except Unreadable as error:
        raise ModelError(
            f"{folder} has no readable {CONFIG} ({error})", "give a folder in transformers format"
        ) from error
