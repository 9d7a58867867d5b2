"""Some tensors of a safetensors file on a hub, without the rest of the file.

The format, https://github.com/huggingface/safetensors: eight bytes with the header's length, little-endian; the header,
JSON, with each tensor's dtype, shape and place; the tensors.
"""

from __future__ import annotations

import io
import json
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ..errors import ModelError
from ..foreign import Unreadable, parsed_json
from ..progress import Progress, Task
from .failures import Unreachable
from .transfer import EnoughError, Located, Meter, Remote, check_stop, get_bytes

_PREFIX = 8
_LARGEST_HEADER = 100_000_000
_NO_SAFETENSORS = "what it sends is no safetensors file"


def tensors_alone(remote: Remote, commit: str, file: str, tensors: Sequence[str], progress: Progress) -> bytes:
    """The content of a safetensors file that holds these tensors of the given one.

    Raises Unreachable, ModelError where one is not there, and Cancelled.
    """
    parts = _Parts(remote, remote.run(lambda _: remote.locate(commit, file)))
    with progress.task(f"Looking for {tensors[0]} in {remote.repo}") as task:
        (length,) = struct.unpack("<Q", parts.read(0, _PREFIX, task))
        if length > _LARGEST_HEADER:
            raise Unreachable(_NO_SAFETENSORS)
        header = _header(parts.read(_PREFIX, _PREFIX + length, task))
    for name in tensors:
        if name not in header:
            raise ModelError(f"{file} of {remote.repo} holds no {name}", "give a file of a full CLIP")
    places = [_place(header[name], _PREFIX + length) for name in tensors]
    total = sum(parts.cost(start, stop) for start, stop in places)
    with progress.task(f"Downloading {tensors[0]} of {remote.repo}", total, "B") as task:
        contents = [parts.read(start, stop, task) for start, stop in places]
    entries, end = {}, 0
    for name, content in zip(tensors, contents, strict=True):
        entries[name] = {**header[name], "data_offsets": [end, end + len(content)]}
        end += len(content)
    packed = json.dumps(entries).encode()
    return struct.pack("<Q", len(packed)) + packed + b"".join(contents)


class _Parts:
    """Stretches of one file, also from a server that sends files from their beginning on whatever it is asked for."""

    def __init__(self, remote: Remote, located: Located) -> None:
        self._remote = remote
        self._located = located
        self._are_sent = True
        self._has_answered = False

    def cost(self, start: int, stop: int) -> int:
        """Bytes that have to come for this stretch."""
        return stop - start if self._are_sent else stop

    def read(self, start: int, stop: int, task: Task) -> bytes:
        if self._are_sent:
            # a server that may compress its answer sends no parts
            asked = {"Range": f"bytes={start}-{stop - 1}", "Accept-Encoding": "identity"}
            window = _Window(0, stop - start)
            self._receive(window, asked, task)
            self._are_sent = not window.is_exceeded
            if self._are_sent or start == 0:
                return window.getvalue()
        window = _Window(start, stop - start)
        self._receive(window, {}, task)
        return window.getvalue()

    def _receive(self, window: _Window, asked: dict[str, str], task: Task) -> None:
        def receive(stop: threading.Event) -> None:
            window.stop = stop
            with suppress(EnoughError):
                get_bytes(self._located.url, window, {**self._located.headers, **asked}, window.count, 0)
                raise OSError("the connection broke")

        meter = Meter(task, lambda: window.arrived)
        self._remote.run(receive, meter, forever=self._has_answered)
        self._has_answered = True
        meter.update()


class _Window(io.BytesIO):
    """Lets the first bytes pass, keeps those that follow, and ends the transfer when it has them all."""

    def __init__(self, skipped: int, count: int) -> None:
        super().__init__()
        self.count = count
        self.arrived = 0
        self.stop = threading.Event()
        self._skipped = skipped

    @property
    def is_exceeded(self) -> bool:
        return self.arrived > self._skipped + self.count

    def write(self, buffer: bytes) -> int:  # type: ignore[override]
        check_stop(self.stop)
        begin = max(0, self._skipped - self.arrived)
        self.arrived += len(buffer)
        super().write(buffer[begin : begin + self.count - self.tell()])
        if self.tell() == self.count:
            raise EnoughError
        return len(buffer)

    def seek(self, position: int, whence: int = 0) -> int:
        """How the library starts over when a broken transfer cannot be taken up again."""
        raise OSError("the connection broke")


def _header(content: bytes) -> dict[str, Any]:
    try:
        header = parsed_json(content)
    except Unreadable as error:
        raise Unreachable(_NO_SAFETENSORS) from error
    if not isinstance(header, dict):
        raise Unreachable(_NO_SAFETENSORS)
    return header


def _place(entry: Any, first: int) -> tuple[int, int]:
    """Where in the file a tensor's bytes start and stop. first: where those of all tensors start."""
    try:
        start, stop = entry["data_offsets"]
        if 0 <= int(start) < int(stop):
            return first + int(start), first + int(stop)
    except (KeyError, TypeError, ValueError) as error:
        raise Unreachable(_NO_SAFETENSORS) from error
    raise Unreachable(_NO_SAFETENSORS)
