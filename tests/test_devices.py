"""Which device is taken: one that computes, named as tensors name it; and a line where a better seems to be there."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from pretended_cuda import NAME, PretendedCuda, cuda_fixture  # noqa: F401
from unrender.core import devices
from unrender.core.clip import Clip
from unrender.core.errors import SettingsError

NO_KERNEL = "CUDA error: no kernel image is available for execution on the device\nCUDA kernel errors might be ..."
OLD = "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040). Please update"


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "auto"])
def test_a_device_has_its_index(cuda: PretendedCuda, name: str, caplog: pytest.LogCaptureFixture) -> None:
    device = devices.pick_device(name)
    assert device == torch.empty(1, device=device).device == torch.device("cuda:0")
    assert not caplog.records, "nothing is said where all is well"


def test_free_memory_of_a_device_as_hosts_name_it(cuda: PretendedCuda) -> None:
    held = torch.zeros(1000, device="cuda")
    for device in (torch.device("cuda"), "cuda", "cuda:0", held.device):
        assert devices.memory_of(device) == (cuda.total - held.nbytes, cuda.total)
        assert devices.free_memory(device) == cuda.total - held.nbytes
    with pytest.raises(ValueError, match="specified index"):  # as torch 2.1 to 2.4 do
        torch.cuda.mem_get_info(torch.device("cuda"))
    assert devices.free_memory("cpu") is None


def no_kernel(function: Any, arguments: Any) -> None:
    if function is not torch.Tensor.to and any(isinstance(each, torch.Tensor) for each in arguments):
        raise RuntimeError(NO_KERNEL)


def no_half(function: Any, arguments: Any) -> None:
    if any(isinstance(each, torch.Tensor) and each.dtype is torch.float16 for each in arguments):
        raise RuntimeError("\"conv\" not implemented for 'Half'")


@pytest.mark.parametrize(("kernel", "told"), [(no_kernel, "no kernel image"), (no_half, "not implemented for 'Half'")])
def test_a_device_that_does_not_compute_is_left_alone(
    cuda: PretendedCuda, caplog: pytest.LogCaptureFixture, kernel: Callable[[Any, Any], None], told: str
) -> None:
    cuda.kernel = kernel
    assert devices.pick_device("auto").type == devices.pick_device("auto").type == "cpu"
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith(f"Unrender computes on cpu: cuda:0 ({NAME}) cannot compute (") and told in line
    assert "\n" not in line
    with pytest.raises(SettingsError, match=r"'cuda' cannot compute .*give auto, cpu, or another as device") as error:
        devices.pick_device("cuda")
    assert told in str(error.value)


def test_a_device_that_computes_wrongly(cuda: PretendedCuda, caplog: pytest.LogCaptureFixture) -> None:
    cuda.after = lambda function, result: result * 0 if function is torch.conv2d else result
    assert devices.pick_device().type == "cpu"
    assert "it computes wrongly in float32" in caplog.text


def test_a_half_that_a_device_has_not_is_refused_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As CPUs have no float16 before PyTorch 2.2."""
    lacking = {torch.float16: "not implemented for 'Half'"}
    monkeypatch.setattr(devices, "trouble_in", lambda dtype, device: lacking.get(dtype, ""))
    with pytest.raises(SettingsError, match=r"cpu cannot compute in float16 \(.*\); give auto or exact as precision"):
        Clip.load("nowhere/to-be-found", "cpu", "float16")
    assert devices.describing("float16") is torch.float16, "describers see to it themselves"
    assert devices.pick_arithmetic("bfloat16", devices.CPU).vision == torch.bfloat16


def test_a_device_without_memory_left_computes(cuda: PretendedCuda) -> None:
    cuda.total = 0
    assert devices.trouble_of(torch.device("cuda:0")) == ""


def test_a_device_that_does_not_tell_its_free_memory(cuda: PretendedCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Intel's processors with graphics in them."""

    def untold(device: Any = None) -> tuple[int, int]:
        raise RuntimeError("The device (Intel(R) Graphics) doesn't support querying the available free memory.")

    monkeypatch.setattr(torch.cuda, "mem_get_info", untold)
    assert devices.memory_of("cuda") is None and devices.free_memory("cuda:0") is None
    assert devices.roomy(torch.device("cuda:0")) == f"cuda:0 ({NAME})"


@pytest.mark.parametrize("name", ["hpu", "privateuseone", "npu", "meta", "vulkan", "CUDA", "cuda:x", "cuda:-1", ""])
def test_devices_that_only_pytorch_has_heard_of(name: str) -> None:
    with pytest.raises(SettingsError, match=r"is not here|cannot compute"):
        devices.pick_device(name)


@pytest.mark.parametrize("warned", [True, False])
def test_a_driver_that_is_too_old(
    cuda: PretendedCuda, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, warned: bool
) -> None:
    def unavailable() -> bool:
        if warned:
            warnings.warn(OLD, UserWarning, stacklevel=2)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", unavailable)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as the command line has it for all else
        assert devices.pick_device("auto").type == "cpu"
    assert ("driver on your system is too old (found version 11040)" in caplog.text) is warned
    assert len(caplog.records) == warned


def test_what_pytorch_warns_of_is_passed_on(
    cuda: PretendedCuda, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def available() -> bool:
        warnings.warn("Found GPU0 which is of cuda capability 5.0.", UserWarning, stacklevel=2)
        return True

    monkeypatch.setattr(torch.cuda, "is_available", available)
    assert devices.pick_device("auto").type == "cuda"
    assert "PyTorch says of cuda:0: Found GPU0 which is of cuda capability 5.0" in caplog.text


def test_a_pytorch_for_the_cpu_beside_nvidias_driver(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(devices.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    devices.found.cache_clear()
    device, why = devices.found("cuda")
    devices.found.cache_clear()
    assert device is None and "built for the CPU alone" in why


def test_intels_devices_are_found_and_used_in_half_precision(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As far as that can be told without one: whether it is asked for, and what its name leads to."""
    asked = []
    monkeypatch.setattr(devices, "found", lambda kind: (asked.append(kind), (None, ""))[1])
    devices._best.cache_clear()
    assert devices.pick_device().type == "cpu"
    devices._best.cache_clear()
    assert asked == ["cuda", "xpu", "mps"]
    arithmetic = devices.pick_arithmetic("auto", torch.device("xpu:0"))
    assert (arithmetic.vision, arithmetic.text, arithmetic.rough) == (torch.float16, torch.float32, torch.float16)
    assert devices.pick_arithmetic("auto", torch.device("mps:0")).vision is torch.float32
