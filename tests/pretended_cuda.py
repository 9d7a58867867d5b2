"""A CUDA device for machines without one: it computes on the CPU and refuses what a real one refuses.

Every tensor remembers on which device it would be, and every call of torch from Python is looked at before it is done:
tensors of two devices in one call are an error in torch's own words, except where torch itself allows them. Moving
copies, what is allocated is counted against a size, and `torch.cuda` answers as it does in torch 2.1, which takes no
device without an index for its free memory. Calls from within torch's own C++ are not seen, nor need they be: what they
mix was handed over in Python.
"""

from __future__ import annotations

import os
import threading
import types
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, handle_torch_function, has_torch_function

REAL = os.environ.get("UNRENDER_TEST_DEVICE")
"""A real device for the tests that take any, such as cuda:0."""

NAME = "NVIDIA GeForce GTX 1660"
_MARK, _HELD = "_pretended_device", "_pretended_memory"
TORCH = tuple(int(part) for part in torch.__version__.split(".")[:2])
_GETTERS = {torch.Tensor.device.__get__: None, torch.Tensor.is_cuda.__get__: None, torch.Tensor.is_cpu.__get__: None}
_TO_NUMPY = (torch.Tensor.numpy, torch.Tensor.__array__)
_SETS_DATA = torch.Tensor.data.__set__
_GET_ITEM, _SET_ITEM = torch.Tensor.__getitem__, torch.Tensor.__setitem__
_HIDDEN = (_GET_ITEM, _SET_ITEM) if TORCH < (2, 2) else ()
"""Which torch 2.1 does not tell modes of. Set on the class once, they make a sequence of every tensor for good, and
then torch makes no tensor of a list of single numbers' tensors: nobody does it where there is no need."""
_MAY_MIX = (torch.Tensor.copy_, _GET_ITEM, _SET_ITEM, _SETS_DATA, torch._has_compatible_shallow_copy_type)


class PretendedCuda(TorchFunctionMode):
    """total: bytes of memory. kernel: is told of each function that computes there, with its arguments, and may raise.
    after: may replace what a function gave there. emptied: how often torch was asked to give back what it keeps."""

    def __init__(self, total: int = 8 * 10**9) -> None:
        super().__init__()
        self.total, self.most, self.emptied = total, 0, 0
        self.kernel: Callable[[Any, Any], None] = lambda function, arguments: None
        self.after: Callable[[Any, Any], Any] = lambda function, result: result
        self._held: dict[int, list[int]] = {}  # by storage: its size, and how many tensors are in it
        self._lock = threading.RLock()

    @property
    def allocated(self) -> int:
        return sum(size for size, _ in list(self._held.values()))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _GETTERS:
            return _told(func, args[0])
        if func in _TO_NUMPY and _place(args[0]):
            raise TypeError(
                f"can't convert {_place(args[0])} device type tensor to numpy. Use Tensor.cpu() to copy the tensor to "
                "host memory first."
            )
        if func is torch.Tensor.get_device:
            return 0 if _place(args[0]) else -1
        if func == _SETS_DATA:
            func(*args)
            self._put(args[0], _place(args[1]))
            return None
        if func in (torch.Tensor.to, torch.Tensor.cpu, torch.Tensor.cuda, torch.Tensor.type_as):
            return self._moved(func, *args, **kwargs)
        return self._computed(func, args, kwargs)

    def _computed(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        given = list(_tensors((args, kwargs)))
        asked = kwargs.get("device")
        asked = None if asked is None else torch.device(asked)
        _refuse_mixing(func, args, given, asked)
        place = next(filter(None, map(_place, given)), None) if asked is None else asked
        if place is not None and place.type == "cuda":
            place = torch.device("cuda", place.index or 0)
            self.kernel(func, args)
            if asked is not None:
                kwargs = {**kwargs, "device": "cpu"}
        if place is None or place.type != "cuda":
            return func(*args, **kwargs)
        result = _in_half_too(func, args, kwargs)
        known = {id(each) for each in given}
        for each in _tensors(result):
            if id(each) not in known:
                self._put(each, place)
        return self.after(func, result)

    def _moved(self, func: Any, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        here = _place(tensor)
        target, dtype = here, None
        if func is torch.Tensor.cpu:
            target = None
        elif func is torch.Tensor.cuda:
            target = torch.device("cuda", 0)
        else:
            for value in (*args, *(kwargs.get(name) for name in ("device", "dtype", "other"))):
                if isinstance(value, Tensor):
                    target, dtype = _place(value), value.dtype
                elif isinstance(value, torch.dtype):
                    dtype = value
                elif isinstance(value, str | torch.device) or type(value) is int:
                    device = torch.device(value)
                    if device.type == "meta":
                        return func(tensor, *args, **kwargs)
                    target = torch.device("cuda", device.index or 0) if device.type == "cuda" else None
        result = tensor if dtype is None else tensor.to(dtype)
        if target != here or kwargs.get("copy"):
            result = result.clone() if result is tensor else result.view_as(result)
        if result is not tensor:
            self._put(result, target)
        return result

    def _put(self, tensor: Tensor, place: torch.device | None) -> None:
        """Marks a tensor as being on a device, or as being in main memory."""
        if before := tensor.__dict__.pop(_HELD, None):
            before()
        if place is None or tensor.device.type != "cpu" or tensor.layout is not torch.strided:
            tensor.__dict__.pop(_MARK, None)
            return
        storage = tensor.untyped_storage()
        key, size = storage.data_ptr(), storage.nbytes()
        with self._lock:
            if key not in self._held and self.allocated + size > self.total:
                raise torch.cuda.OutOfMemoryError(
                    f"CUDA out of memory. Tried to allocate {size / 2**20:.2f} MiB. GPU 0 has a total capacity of "
                    f"{self.total / 2**30:.2f} GiB"
                )
            self._held.setdefault(key, [size, 0])[1] += 1
            self.most = max(self.most, self.allocated)
        tensor.__dict__[_MARK] = place
        tensor.__dict__[_HELD] = held = weakref.finalize(tensor, self._let_go, key)
        held.atexit = False

    def _let_go(self, key: int) -> None:
        with self._lock:
            held = self._held.get(key)
            if held is not None:
                held[1] -= 1
                if not held[1]:
                    del self._held[key]


def _place(tensor: Any) -> torch.device | None:
    """The pretended device that a tensor is on; None for main memory."""
    return tensor.__dict__.get(_MARK) if isinstance(tensor, Tensor) else None


def _told(func: Any, tensor: Tensor) -> Any:
    place = _place(tensor)
    if place is None:
        return func(tensor)
    return {"device": place, "is_cuda": True, "is_cpu": False}[func.__self__.__name__]


def _tensors(values: Any) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, dict):
        for value in values.values():
            yield from _tensors(value)
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _tensors(value)


def _in_half_too(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """What older PyTorch cannot compute in float16 on a CPU, though on every CUDA device, in float32 and rounded."""
    try:
        return func(*args, **kwargs)
    except RuntimeError as error:
        if "not implemented for 'Half'" not in str(error):
            raise
    result = func(*_cast(args, torch.float16, torch.float32), **_cast(kwargs, torch.float16, torch.float32))
    if func.__name__.endswith("_") and not func.__name__.endswith("__"):
        return args[0].copy_(result)
    return result if kwargs.get("dtype") else _cast(result, torch.float32, torch.float16)


def _cast(values: Any, before: torch.dtype, after: torch.dtype) -> Any:
    if isinstance(values, Tensor):
        return values.to(after) if values.dtype is before else values
    if isinstance(values, dict):
        return {name: _cast(value, before, after) for name, value in values.items()}
    if type(values) in (list, tuple):
        return type(values)(_cast(value, before, after) for value in values)
    return values


def _refuse_mixing(func: Any, args: Any, given: list[Tensor], asked: torch.device | None) -> None:
    if func is _GET_ITEM or func is _SET_ITEM:
        _refuse_indices(func, *args)
    generator = next((each for each in args if isinstance(each, torch.Generator)), None)
    places = {str(_place(each) or each.device.type) for each in given if each.dim() or _place(each)} - {"meta"}
    if func not in _MAY_MIX and len(places) > 1:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, "
            f"{' and '.join(sorted(places, reverse=True))}! (when checking the arguments of {func.__name__})"
        )
    if generator is not None and asked is not None and asked.type != generator.device.type:
        raise RuntimeError(f"Expected a '{asked.type}' device type for generator but found '{generator.device.type}'")


def _refuse_indices(func: Any, tensor: Tensor, index: Any, *values: Any) -> None:
    chosen = [each for each in _tensors((index,)) if each.dim()]
    if any(_place(each) not in (None, _place(tensor)) for each in chosen):
        place = _place(tensor) or "cpu"
        raise RuntimeError(f"indices should be either on cpu or on the same device as the indexed tensor ({place})")
    parts = index if isinstance(index, tuple) else (index,)
    scattered = bool(chosen) or any(isinstance(part, list) for part in parts)
    for value in values:
        if scattered and isinstance(value, Tensor) and value.dim() and _place(value) != _place(tensor):
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices "
                "(when checking the arguments of index_put_)"
            )


@contextmanager
def pretended(total: int = 8 * 10**9) -> Iterator[PretendedCuda]:
    """The machine has one CUDA device, on every thread that is started inside."""
    from unrender.core import devices

    cuda = PretendedCuda(total)
    start, make = threading.Thread._bootstrap_inner, torch.nn.Parameter.__new__  # type: ignore[attr-defined]

    def started(thread: threading.Thread) -> None:
        with cuda:
            start(thread)

    def made(cls: Any, data: Any = None, requires_grad: bool = True) -> Any:
        """A parameter is made of its data past all that can be looked at."""
        parameter = make(cls, data, requires_grad)
        if _place(data):
            cuda._put(parameter, _place(data))
        return parameter

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "_bootstrap_inner", started)
        patch.setattr(torch.nn.Parameter, "__new__", made)
        for function in _HIDDEN:
            patch.setattr(torch.Tensor, function.__name__, _looked_at(function))
        # asks the driver whether a graph is being captured, which no pretence answers
        patch.setattr(torch.optim.Optimizer, "_accelerator_graph_capture_health_check", lambda _: None, raising=False)
        patch.setattr(torch.optim.Optimizer, "_cuda_graph_capture_health_check", lambda _: None, raising=False)
        for name, answer in _answers(cuda).items():
            patch.setattr(torch.cuda, name, answer)
        forget(devices)
        with cuda:
            yield cuda
    forget(devices)


def _looked_at(function: Any) -> Any:
    """As all of torch's functions are, but for those that older PyTorch leaves out."""

    def called(*args: Any) -> Any:
        if has_torch_function(args[:1]):
            return handle_torch_function(function, args[:1], *args)
        return function(*args)

    return called


def forget(devices: Any) -> None:
    """What was found out of devices, which are others now."""
    for function in vars(devices).values():
        if hasattr(function, "cache_clear"):
            function.cache_clear()


def _answers(cuda: PretendedCuda) -> dict[str, Any]:
    from torch.cuda._utils import _get_device_index

    def indexed(device: Any) -> None:
        _get_device_index(0 if device is None else device)  # which raises for one without an index

    def mem_get_info(device: Any = None) -> tuple[int, int]:
        indexed(device)
        return cuda.total - cuda.allocated, cuda.total

    def empty_cache() -> None:
        cuda.emptied += 1

    properties = types.SimpleNamespace(name=NAME, total_memory=cuda.total, major=7, minor=5, multi_processor_count=22)
    return {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "_lazy_init": lambda: None,
        "is_initialized": lambda: True,
        "synchronize": lambda device=None: None,
        "empty_cache": empty_cache,
        "mem_get_info": mem_get_info,
        "memory_allocated": lambda device=None: cuda.allocated,
        "memory_reserved": lambda device=None: cuda.allocated,
        "get_device_name": lambda device=None: NAME,
        "get_device_capability": lambda device=None: (7, 5),
        "get_device_properties": lambda device=None: properties,
        "get_arch_list": lambda: ["sm_75", "sm_86"],
        "is_bf16_supported": lambda *_, **__: False,
    }


@pytest.fixture(name="cuda")
def cuda_fixture() -> Iterator[PretendedCuda]:
    with pretended() as cuda:
        yield cuda


@pytest.fixture(name="device", scope="module")
def device_fixture() -> Iterator[str]:
    """A name for the settings: a real device where one is given, and the pretended one by the name that webuis have
    for it elsewhere."""
    if REAL:
        yield REAL
        return
    with pretended():
        yield "cuda"
