"""What a captioner's weights take, told before they take it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from ...devices import model_dtype, named, native_half
from ...hub.names import check_weights
from ...micro.toy import MICRO
from ...pretrained import stored_tensors
from ...progress import Progress
from ...settings import Quantization
from ...shortage import size
from .classes import read_config
from .quantized import BITS

_log = logging.getLogger(__name__)


def suiting(name: str, folder: Path, device: torch.device) -> torch.dtype:
    """What the device computes fast in, and the model was made for: some leave float16's range."""
    usual, half = model_dtype(device), native_half(device)
    if name == MICRO:  # which has nothing to gain
        return usual
    config = read_config(folder)
    if device.type == "cpu":
        return half if half is not None and config.get("model_type") == "blip" else usual
    parts = [part for part in (config, config.get("text_config")) if isinstance(part, dict)]
    told = [part.get(key) for part in parts for key in ("dtype", "torch_dtype")]
    able = usual is torch.float16 and (device.type != "cuda" or torch.cuda.is_bf16_supported())
    return torch.bfloat16 if able and "bfloat16" in told else usual


@contextmanager
def announced(
    name: str, folder: Path, device: torch.device, dtype: torch.dtype, quantization: Quantization, progress: Progress
) -> Iterator[None]:
    """A task of reading them, by the weights' own headers. Raises ModelError where these are damaged."""
    numbers = sum(each.numel for each in stored_tensors(folder, check_weights(folder)).values())
    takes = size(int(numbers * BITS.get(quantization, 8 * dtype.itemsize) / 8))
    _log.info("%s takes %s on %s.", name, takes, named(device))
    with progress.task(f"Reading {name}, {takes} for {device}"):
        yield
