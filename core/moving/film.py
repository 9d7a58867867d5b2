"""Frames as they come, kept on the disk, so that a film that was stopped goes on; and what is made of them."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from PIL import Image

from ..errors import MissingPackageError, SettingsError, UnrenderError
from ..files import replace_whole, replacing, save_picture
from ..foreign import shown
from ..places import check_file, check_folder

NOTE = "film.json"
"""Beside the frames: what they are of."""
ANIMATED, MOVIES = (".png", ".apng"), (".mp4",)
_UNFINISHED = ".frames"
"""Follows the name of a film of one file, where its frames are until it is there."""


@dataclass(frozen=True)
class Film:
    """output: a folder for the frames, or a file that is made of them: an animated PNG, or an MP4. per_second: how many
    frames are shown."""

    output: Path
    per_second: float = 12.0

    def __post_init__(self) -> None:
        if not 0 < self.per_second <= 240:  # which NaN is not
            raise SettingsError(f"The frames a second are {self.per_second:g}", "give a number above 0, 240 at most")

    @property
    def is_file(self) -> bool:
        return self.output.suffix != "" and not self.output.is_dir()

    @property
    def folder(self) -> Path:
        """Where the frames are."""
        return self.output.with_name(self.output.name + _UNFINISHED) if self.is_file else self.output

    def check(self, asked: Mapping[str, Any]) -> None:
        """Whether it can be written, and what lies there is of the same film, as far as that is known before. asked:
        what the frames depend on. Raises SettingsError, MissingPackageError."""
        suffix = self.output.suffix.casefold()
        if self.is_file and suffix not in (*ANIMATED, *MOVIES):
            raise SettingsError(
                f"{self.output} has no name of a film", "give one such as out.png or out.mp4, or a folder's"
            )
        if self.is_file:
            check_file(self.output)
        if self.is_file and suffix in MOVIES:
            ffmpeg()
        check_folder(self.folder, [NOTE])
        there = self._noted()
        if there is not None and there != _key(asked):
            raise SettingsError(
                f"{self.folder} holds the frames of another film, or of this one with other settings",
                "name another place, or remove that folder",
            )
        if there is None and self.folder.is_dir() and any(self.folder.iterdir()):
            raise SettingsError(f"{self.folder} holds other files", "name a folder that is new or empty")

    def begin(self, asked: Mapping[str, Any]) -> None:
        """Raises what `check` does, and UnrenderError where the folder cannot be written."""
        self.check(asked)
        with _writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            note = {"film": _key(asked), "asked": asked}
            replace_whole(self.folder / NOTE, f"{json.dumps(note, indent=1)}\n".encode())

    def place(self, frame: int) -> Path:
        """Of a frame, which is there whole or not at all."""
        return self.folder / f"{frame + 1:06}.png"

    def put(self, frame: int, picture: Image.Image) -> None:
        """Raises UnrenderError where it cannot be written, as on a full disk."""
        with _writing(self.place(frame)):
            save_picture(picture, self.place(frame))

    def missing(self, count: int) -> list[int]:
        """Which of so many frames are not there yet."""
        return [frame for frame in range(count) if not self.place(frame).is_file()]

    def finish(self, count: int) -> None:
        """Makes the file of its frames, which are then removed; nothing where the folder is what was asked for. Raises
        UnrenderError, and the frames stay."""
        if not self.is_file:
            return
        frames = [self.place(frame) for frame in range(count)]
        with _writing(self.output):
            if self.output.suffix.casefold() in MOVIES:
                _write_movie(frames, self.output, self.per_second)
            else:
                _write_animated(frames, self.output, self.per_second)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _noted(self) -> str | None:
        """Which film the folder's frames are of; None where it does not say."""
        try:
            noted = json.loads((self.folder / NOTE).read_text("utf-8"))
            return str(noted["film"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _key(asked: Mapping[str, Any]) -> str:
    return sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _write_animated(frames: Sequence[Path], output: Path, per_second: float) -> None:
    from .apng import write_apng

    try:
        with replacing(output) as file:
            write_apng(frames, file, per_second)
    except ValueError as error:
        raise UnrenderError(
            f"No film can be made of the frames ({error})", "remove that one and begin again"
        ) from error


def ffmpeg() -> str:
    """The program's path. Raises MissingPackageError where there is none."""
    found = shutil.which("ffmpeg")
    if found is None:
        raise MissingPackageError(
            "An MP4 is made by the program ffmpeg, which is not found on the PATH",
            "install it from https://ffmpeg.org or with the system's packages",
            "name a .png file for an animated PNG",
        )
    return found


def _write_movie(frames: Sequence[Path], output: Path, per_second: float) -> None:
    """As H.264 in the pixels that every player knows, which come in pairs: an odd side gains a white line."""
    program = ffmpeg()
    with tempfile.TemporaryDirectory(dir=output.absolute().parent, prefix=f".{output.stem}-") as folder:
        made = Path(folder) / "film.mp4"
        command = [program, "-y", "-nostdin", "-loglevel", "error", "-f", "image2pipe", "-framerate", f"{per_second:g}"]
        command += ["-c:v", "png", "-i", "-", "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white", "-c:v", "libx264"]
        command += ["-pix_fmt", "yuv420p", "-movflags", "+faststart", str(made)]
        with tempfile.TemporaryFile() as said:
            running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=said, stderr=said)
            _fed(running.stdin, frames)
            if running.wait():
                said.seek(0)
                problem = shown(said.read().decode("utf-8", "replace"), 200) or f"status {running.returncode}"
                raise UnrenderError(f"ffmpeg makes no film of the frames ({problem})", "name a .png file instead")
        made.replace(output)


def _fed(pipe: IO[bytes] | None, frames: Sequence[Path]) -> None:
    """What ffmpeg makes of a broken pipe, it says itself."""
    assert pipe is not None
    with contextlib.suppress(BrokenPipeError):
        for frame in frames:
            pipe.write(frame.read_bytes())
    with contextlib.suppress(BrokenPipeError):
        pipe.close()


@contextlib.contextmanager
def _writing(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnrenderError(
            f"{place} cannot be written ({error.strerror or error})",
            "see to it, make room for instance, and give the same command again: it goes on where it was",
        ) from error
