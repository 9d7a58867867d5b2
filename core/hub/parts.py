"""Some tensors of a safetensors file on a hub, without the rest of the file.

The format, https://github.com/huggingface/safetensors: eight bytes with the header's length, little-endian; the header,
JSON, with each tensor's dtype, shape and place; the tensors.
"""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Sequence
from typing import Any

from ..errors import ModelError
from ..foreign import Unreadable, parsed_json
from ..progress import Progress, Task
from .failures import Unreachable, broken
from .http import followed
from .transfer import IDENTITY, Meter, Remote, check_stop

_PREFIX = 8
_LARGEST_HEADER = 100_000_000
_NO_SAFETENSORS = "what it sends is no safetensors file"


def tensors_alone(remote: Remote, commit: str, file: str, tensors: Sequence[str], progress: Progress) -> bytes:
    """The content of a safetensors file that holds these tensors of the given one.

    Raises Unreachable, ModelError where one is not there, and Cancelled.
    """
    parts = _Parts(remote, remote.address(commit, file))
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

    def __init__(self, remote: Remote, address: str) -> None:
        self._remote = remote
        self._address = address
        self._are_sent = True

    def cost(self, start: int, stop: int) -> int:
        """Bytes that have to come for this stretch."""
        return stop - start if self._are_sent else stop

    def read(self, start: int, stop: int, task: Task) -> bytes:
        window = _Window(stop - start)

        def receive(stopped: threading.Event) -> None:
            headers = {**self._remote.headers(), **IDENTITY, "Range": f"bytes={start}-{stop - 1}"}
            patience = self._remote.patience
            with followed("GET", self._address, headers, patience.seconds) as answer:
                self._are_sent = answer.status == 206
                window.begin(0 if self._are_sent else start)
                for piece in answer.pieces():
                    check_stop(stopped)
                    window.take(piece)
                    patience.deliver(window.arrived)
                    if window.is_full:
                        return
            raise broken()

        meter = Meter(task, lambda: window.arrived)
        self._remote.insist(receive, meter)
        meter.update()
        return bytes(window.content)


class _Window:
    """Lets the first bytes pass and keeps those that follow, as many as are wanted."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.begin(0)

    def begin(self, skipped: int) -> None:
        self._skipped = skipped
        self.arrived = 0
        self.content = bytearray()

    @property
    def is_full(self) -> bool:
        return len(self.content) == self._count

    def take(self, piece: bytes) -> None:
        begin = max(0, self._skipped - self.arrived)
        self.arrived += len(piece)
        self.content += piece[begin : begin + self._count - len(self.content)]


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
