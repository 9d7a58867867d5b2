"""Pictures as they come, kept in a folder with a note of what they are of, so that work which was stopped goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from PIL import Image

from ..errors import SettingsError
from ..files import replace_whole, save_picture, writing
from ..places import check_folder

NOTE = "frames.json"


@dataclass(frozen=True)
class Frames:
    folder: Path

    def check(self, asked: Mapping[str, Any]) -> None:
        """Whether the folder can be written, and what lies there is of the same work. asked: all that decides the
        pictures. Raises SettingsError."""
        check_folder(self.folder, [NOTE])
        there = self._noted()
        if there is not None and there != _key(asked):
            raise SettingsError(
                f"{self.folder} holds the frames of other work, or of this with other settings",
                "name another place, or remove that folder",
            )
        try:
            others = there is None and self.folder.is_dir() and any(self.folder.iterdir())
        except OSError as error:
            raise SettingsError(f"{self.folder} cannot be read ({error.strerror})", "name another place") from error
        if others:
            raise SettingsError(f"{self.folder} holds other files", "name a folder that is new or empty")

    def begin(self, asked: Mapping[str, Any]) -> None:
        """Raises what `check` does, and UnrenderError where the folder cannot be written."""
        self.check(asked)
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            note = {"frames": _key(asked), "asked": asked}
            replace_whole(self.folder / NOTE, f"{json.dumps(note, indent=1)}\n".encode())

    def place(self, frame: int) -> Path:
        """Of a frame's file, which is there whole or not at all."""
        return self.folder / f"{frame + 1:06}.png"

    def put(self, frame: int, picture: Image.Image) -> None:
        """Raises UnrenderError where it cannot be written, as on a full disk."""
        with writing(self.place(frame)):
            save_picture(picture, self.place(frame))

    def missing(self, count: int) -> list[int]:
        """Which of so many frames are not there yet."""
        return [frame for frame in range(count) if not self.place(frame).is_file()]

    def remove(self) -> None:
        """What cannot be removed stays."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _noted(self) -> str | None:
        """Which work the folder's frames are of; None where it does not say."""
        try:
            return str(json.loads((self.folder / NOTE).read_text("utf-8"))["frames"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _key(asked: Mapping[str, Any]) -> str:
    return sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
