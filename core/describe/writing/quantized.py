"""Weights in eight or four bits, by bitsandbytes, which needs CUDA."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ...cures import Choose, Install
from ...errors import MissingPackageError, SettingsError
from ...settings import Quantization

if TYPE_CHECKING:
    import torch

_PACKAGES = ("bitsandbytes", "accelerate")
BITS: dict[Quantization, float] = {"8bit": 8, "4bit": 4.5}
"""A weight's, with its share of the scales."""


def check_quantization(name: str, quantization: Quantization, device: torch.device) -> None:
    """Raises SettingsError where the device is none for it, MissingPackageError."""
    if device.type != "cuda":
        raise SettingsError(
            f"is {quantization}, which bitsandbytes does on CUDA alone, and {name} goes to {device}",
            Choose("quantization", ("none",)),
            control="quantization",
        )
    lacking = tuple(each for each in _PACKAGES if find_spec(each) is None)
    if lacking:
        problem = f"{name} in {quantization.removesuffix('bit')} bits needs {' and '.join(lacking)}"
        raise MissingPackageError(problem, Install(lacking), Choose("quantization", ("none",)))


def quantizing(quantization: Quantization, device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """Options of from_pretrained, by which weights are read onto the device, where they stay."""
    from ...transformers_access import transformers_attribute

    how: dict[str, Any] = {"load_in_8bit": True}
    if quantization == "4bit":
        how = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": dtype}
        how |= {"bnb_4bit_use_double_quant": True}
    config = transformers_attribute("BitsAndBytesConfig")
    return {"quantization_config": config(**how), "device_map": {"": str(device)}}
