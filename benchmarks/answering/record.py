"""What was answered, without what no two runs share."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

KINDS = ("answers", "errors", "help")
_SHORT = 20_000  # a text of so many bytes is kept as it is
_HEADER = 8  # bytes of a safetensors file that say how long its header is

_VOLATILE = (
    (rb'("seconds": ?)[\d.e-]+', rb"\1?"),
    (rb"\bin [\d,]+ s, [\d,.]+ a second", b"in ? s, ? a second"),
    (rb"\([\d,]+ s\)", b"(? s)"),
    (rb'(#|id=")(image|[pm])[0-9a-f]{10}\b', rb"\1\2?"),  # names that matplotlib draws by lot in an SVG file
)


class Record:
    """By question: answers, the words of refusals and remarks, and help. home: the run's folder, which none names."""

    def __init__(self, home: Path, version: str) -> None:
        rule = rb'(unrender |"version": ?")' + re.escape(version).encode()
        self._volatile = ((re.escape(str(home)).encode(), b"HOME"), (rule, rb"\1?"), *_VOLATILE)
        self.answers: dict[str, dict[str, Any]] = {}
        self.errors: dict[str, dict[str, Any]] = {}
        self.help: dict[str, dict[str, Any]] = {}

    def answer(self, name: str, content: bytes) -> None:
        content = self._settled(content)
        self.answers[name] = {"sha256": hashlib.sha256(content).hexdigest()}
        if len(content) <= _SHORT and _is_text(content):
            self.answers[name]["text"] = content.decode()

    def file(self, name: str, path: str, content: bytes) -> None:
        """One that a question left behind."""
        if re.fullmatch(r"errors.*\.csv", Path(path).name):
            self.words(f"{name} | {path}", content)
        else:
            # a cached table's name ends in a hash of its bytes, whose order is left to chance
            self.answer(f"{name} | {re.sub(r'[.][0-9a-f]{8}(?=[.]safetensors$)', '', path)}", content)

    def words(self, name: str, content: bytes, status: int | str | None = None) -> None:
        """Of a refusal or a remark; none are no words."""
        if content:
            self.errors[name] = {"status": status, "text": self._settled(content).decode(errors="replace")}

    def helped(self, name: str, content: bytes) -> None:
        self.help[name] = {"text": self._settled(content).decode()}

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for kind in KINDS:
            text = json.dumps(getattr(self, kind), indent=1, ensure_ascii=False)
            (folder / f"{kind}.json").write_text(text + "\n", encoding="utf-8")

    def _settled(self, content: bytes) -> bytes:
        if not _is_text(content):
            return _in_order(content)
        for pattern, instead in self._volatile:
            content = re.sub(pattern, instead, content)
        return re.sub(rb'(?<="embedding":")[\w+/=]+', _file_in_order, content)


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode()
    except UnicodeDecodeError:
        return False


def _in_order(content: bytes) -> bytes:
    """A safetensors file with its header by the alphabet: the library writes its metadata in any order."""
    end = _HEADER + int.from_bytes(content[:_HEADER], "little")
    if content[_HEADER : _HEADER + 1] != b"{" or end > len(content):
        return content
    return json.dumps(json.loads(content[_HEADER:end]), sort_keys=True).encode() + content[end:]


def _file_in_order(found: re.Match[bytes]) -> bytes:
    return base64.b64encode(_in_order(base64.b64decode(found[0])))
