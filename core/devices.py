"""Which device and which arithmetic to work with."""

from __future__ import annotations

import torch

from .errors import SettingsError

_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def pick_device(name: str = "auto") -> torch.device:
    """The named device, or for "auto" the best one present: CUDA, then Apple's MPS, then the CPU.

    Raises SettingsError when the name means nothing or no such device is here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SettingsError(
            f"The device {name!r} is not here; give auto, cpu, or a device this PyTorch ({torch.__version__}) can use."
        ) from error
    return device


def pick_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The arithmetic for "auto": half precision on CUDA, float32 elsewhere; otherwise what was asked for."""
    if precision == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    return _DTYPES[precision]
