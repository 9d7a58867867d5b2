"""Memory that does not suffice, precision that does not, and what a host has switched on around the arithmetic."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from pretended_cuda import PretendedCuda, cuda_fixture  # noqa: F401
from unrender.core.clip import Clip
from unrender.core.describe import KNOWN_CAPTIONERS, Captioner
from unrender.core.engine import Engine, Settings
from unrender.core.errors import ModelError
from unrender.core.foreign import library_reads
from unrender.core.shortage import is_out_of_memory, within_memory
from unrender.core.undisturbed import _newer_places, undisturbed

pytest_plugins = ["captioner_fixtures"]

PICTURE = Image.new("RGB", (64, 64), "red")
SHORT = [
    torch.cuda.OutOfMemoryError("Allocation on device"),
    RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("HIP out of memory. Tried to allocate 20.00 MiB"),
    RuntimeError("MPS backend out of memory (MPS allocated: 8.97 GB, other allocations: 1.2 MB, max allowed: 9.07 GB)"),
    RuntimeError("Invalid buffer size: 24.00 GB"),
    RuntimeError("level_zero backend failed with error: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried to ..."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:114] data. DefaultCPUAllocator: not enough memory: you tried to ..."),
    RuntimeError("std::bad_alloc"),
    RuntimeError("unable to mmap 1710540580 bytes from file <a>: Cannot allocate memory (12)"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    RuntimeError("MIOpen error: miopenStatusAllocFailed"),
    RuntimeError("rocBLAS error: rocblas_status_memory_error"),
    RuntimeError("Native API failed. Native API returns: -5 (PI_ERROR_OUT_OF_RESOURCES)"),
    RuntimeError("level_zero backend failed with error: 40 (UR_RESULT_ERROR_OUT_OF_RESOURCES)"),
    RuntimeError("Failed to allocate private MTLBuffer for size 4294967296"),
    OSError(12, "Cannot allocate memory"),
    OSError("The paging file is too small for this operation to complete. (os error 1455)"),
    MemoryError(),
]
OTHER = [
    RuntimeError("CUDA error: device-side assert triggered"),
    RuntimeError("CUDA error: too many resources requested for launch"),
    ValueError("out of memory"),
    FileNotFoundError(2, "No such file or directory", "out of memory.png"),
    OSError(28, "No space left on device"),
    KeyError("a"),
    None,
]


@pytest.mark.parametrize("error", SHORT, ids=lambda error: str(error)[:40])
def test_all_kinds_of_short_memory_are_known(error: BaseException) -> None:
    assert is_out_of_memory(error)
    with pytest.raises(type(error)), library_reads("The model cannot be read"):  # which it is no fault of
        raise error


@pytest.mark.parametrize("error", OTHER, ids=str)
def test_nothing_else_is_short_memory(error: BaseException | None) -> None:
    assert not is_out_of_memory(error)


def test_short_memory_of_the_system_is_told_as_any_other() -> None:
    with pytest.raises(ModelError, match="It does not fit"), within_memory("It does not fit"):
        raise OSError(12, "Cannot allocate memory")


# --- what does not fit


def test_a_captioner_that_does_not_fit(cuda: PretendedCuda, folders: dict[str, Path]) -> None:
    captioner = Captioner.load("micro", "cuda", wait=True)
    cuda.total = captioner.nbytes // 2
    told = r"micro takes [\d.]+ MB and does not fit on cuda:0 \(.*where .* are free; give a smaller one"
    with pytest.raises(ModelError, match=told) as error:
        captioner.to("cuda")
    assert is_out_of_memory(error.value.__cause__) and "use the device cpu" in str(error.value)
    gc.collect()
    assert cuda.allocated == 0 and captioner.caption([PICTURE])


def test_what_would_fit_is_named(cuda: PretendedCuda) -> None:
    from unrender.core.describe.writing.captioner import _smaller

    for nbytes, memory in ((7_500_000_000, 8_000_000_000), (15_000_000_000, 15_500_000_000), (10**11, 48 * 10**9)):
        named = KNOWN_CAPTIONERS[_smaller(nbytes, (memory, memory)).what.rpartition(" ")[2]]
        fitting = [each.memory for each in KNOWN_CAPTIONERS.values() if each.memory and each.memory < memory // 2]
        assert named.memory == max(fitting)
    assert _smaller(1_000, (1_000, 1_000)).what == "a smaller one"


def test_a_clip_that_does_not_fit_leaves_nothing(cuda: PretendedCuda, tmp_path: Path) -> None:
    cuda.total = 5_000_000
    with Engine(Settings(clip="micro", captioner=None, device="cuda", cache=tmp_path)) as engine:
        with pytest.raises(ModelError, match=r"micro does not fit on cuda:0 .* precision, or use the device cpu"):
            engine.interrogate(PICTURE, "fast")
        assert engine.clip is None and cuda.allocated == 0 and cuda.emptied
        cuda.total = 8 * 10**9
        assert engine.interrogate(PICTURE, "negative").prompt, "with more room the same engine goes on"


def test_a_search_that_does_not_fit(cuda: PretendedCuda, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(clip="micro", captioner=None, device="cuda", cache=tmp_path)
    with Engine(settings) as engine:
        prompt = engine.interrogate(PICTURE, "fast").prompt
        gc.collect()
        before = cuda.allocated

        def kernel(function: Any, arguments: Any) -> None:
            if function is torch.nn.functional.layer_norm:
                raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")

        cuda.kernel = kernel
        with pytest.raises(ModelError, match=r"The memory does not suffice; .*use the device cpu"):
            engine.interrogate(PICTURE, "fast")
        cuda.kernel = lambda function, arguments: None
        gc.collect()
        assert cuda.allocated <= before
        assert engine.interrogate(PICTURE, "fast").prompt == prompt


# --- half precision without numbers


def spoiling(wanted: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    """As the GTX 16 series does: half precision gives NaN in some functions."""

    def after(function: Any, result: Any) -> Any:
        spoils = function is wanted and result.dtype is torch.float16 and result.numel() > 100
        return result.fill_(float("nan")) if spoils else result

    return after


def test_a_clip_goes_on_in_float32(cuda: PretendedCuda, caplog: pytest.LogCaptureFixture) -> None:
    cuda.after = spoiling(torch.nn.functional.layer_norm)
    clip = Clip.load("micro", "cuda")
    with caplog.at_level(logging.WARNING):
        features = clip.encode_images([PICTURE] * 3)
        assert torch.allclose(clip.encode_images([PICTURE]), features[:1], atol=1e-5)
    assert [record.getMessage() for record in caplog.records] == [
        f"micro gives no numbers in float16 on cuda:0 ({torch.cuda.get_device_name()}): its picture encoder goes on in "
        "float32, with twice the memory."
    ]
    exact = Clip.load("micro", "cpu", "exact").encode_images([PICTURE])
    assert float((features[:1].cpu() @ exact.T).squeeze()) > 0.999
    with pytest.raises(ModelError, match="no numbers for pictures; choose exact as precision"):
        Clip.load("micro", "cuda", "float16").encode_images([PICTURE])


@pytest.mark.parametrize("name", ["blip", "blip2_t5"])
def test_a_captioner_goes_on_in_float32(
    cuda: PretendedCuda, folders: dict[str, Path], caplog: pytest.LogCaptureFixture, name: str
) -> None:
    cuda.after = spoiling(torch.nn.functional.linear)
    captioner = Captioner.load(str(folders[name]), "cuda")
    by_the_cpu = Captioner.load(str(folders[name]), "cpu", torch.float32)
    assert captioner.caption([PICTURE]) == by_the_cpu.caption([PICTURE])
    assert sum("goes on in float32" in record.getMessage() for record in caplog.records) == 1


def test_what_has_to_stay_in_float32_stays(folders: dict[str, Path]) -> None:
    captioner = Captioner.load(str(folders["blip2_t5"]), "cpu", torch.float16)

    def kept() -> set[str]:
        return {name for name, each in captioner.module.named_parameters() if each.dtype is torch.float32}

    first = kept()
    assert any(name.endswith("wo.weight") for name in first)
    captioner._model._use(torch.float32)  # as on a CPU
    captioner._model._use(torch.float16)  # and on a GPU again
    assert kept() == first


# --- a host's settings


def test_autocast_does_not_reach_the_arithmetic(tmp_path: Path) -> None:
    settings = Settings(clip="micro", captioner=None, device="cpu", precision="exact", cache=tmp_path)
    with Engine(settings) as engine:
        plain = engine.interrogate(PICTURE, "fast"), engine.text_features(["a cat", "a dog"])
        assert engine.clip is not None
        own = engine.clip.encode_texts(["a cat"]), engine.clip.encode_images([PICTURE])
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.is_autocast_cpu_enabled()
            inside = engine.interrogate(PICTURE, "fast"), engine.text_features(["a cat", "a dog"])
            ours = engine.clip.encode_texts(["a cat"]), engine.clip.encode_images([PICTURE])
            assert torch.is_autocast_cpu_enabled(), "the host's again"
    assert replace(plain[0], seconds=0) == replace(inside[0], seconds=0) and torch.equal(plain[1], inside[1])
    assert all(map(torch.equal, own, ours))


def precisions() -> list[Any]:
    backends = torch.backends
    return [
        torch.get_float32_matmul_precision(),
        backends.cudnn.allow_tf32,
        backends.cuda.matmul.allow_tf32,
        *(place.fp32_precision for place in _newer_places()),
    ]


class _Older:
    """A place in `torch.backends` that knows nothing of the newer way, as before PyTorch 2.9."""

    allow_tf32 = False

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"Unknown attribute {name}")


def test_an_older_pytorch_is_told_in_the_one_way_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Webuis pin 2.1, which has none of the newer places but that of matrix products."""
    older = SimpleNamespace(
        cuda=SimpleNamespace(matmul=_Older()), cudnn=SimpleNamespace(allow_tf32=True), mkldnn=SimpleNamespace()
    )
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("high")
        monkeypatch.setattr(torch, "backends", older)
        with undisturbed():
            assert (torch.get_float32_matmul_precision(), older.cudnn.allow_tf32) == ("highest", False)
        assert (torch.get_float32_matmul_precision(), older.cudnn.allow_tf32) == ("high", True)
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("host", ["highest", "high", "medium"])
@pytest.mark.parametrize("convolutions", [True, False])
def test_tf32_is_off_inside_and_as_before_afterwards(host: str, convolutions: bool) -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    try:
        torch.set_float32_matmul_precision(host)
        torch.backends.cudnn.allow_tf32 = convolutions
        noted = precisions()
        with undisturbed(), undisturbed():
            assert precisions()[:3] == ["highest", False, False]
        assert precisions() == noted
        with pytest.raises(ValueError, match="inside"), undisturbed():
            raise ValueError("inside")
        assert precisions() == noted
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]
