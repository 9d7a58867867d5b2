"""A film of frames: a folder of them, an animated PNG, or an MP4 where ffmpeg is there."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..errors import MissingPackageError, SettingsError, UnrenderError
from ..files import replacing, writing
from ..foreign import shown
from ..places import check_file
from .apng import write_apng
from .frames import Frames

ANIMATED, MOVIES = (".png", ".apng"), (".mp4",)
_UNFINISHED = ".frames"
"""Follows the name of a film of one file, where its frames are until it is there."""


@dataclass(frozen=True)
class Film:
    """output: a folder for the frames, or the file that is made of them. per_second: how many frames are shown. Raises
    SettingsError."""

    output: Path
    per_second: float = 12.0

    def __post_init__(self) -> None:
        if not 0 < self.per_second <= 240:  # which NaN is not
            raise SettingsError(f"The frames a second are {self.per_second:g}", "give a number above 0, 240 at most")

    @property
    def is_file(self) -> bool:
        return self.output.suffix != "" and not self.output.is_dir()

    @property
    def frames(self) -> Frames:
        return Frames(self.output.with_name(self.output.name + _UNFINISHED) if self.is_file else self.output)

    def check(self) -> None:
        """Whether it can be made and written, as far as that is known before there are frames. Raises SettingsError,
        MissingPackageError."""
        if not self.is_file:
            return
        suffix = self.output.suffix.casefold()
        if suffix not in (*ANIMATED, *MOVIES):
            cure = "give one such as out.png or out.mp4, or a folder's"
            raise SettingsError(f"{self.output} has no name of a film", cure)
        check_file(self.output)
        if suffix in MOVIES:
            ffmpeg()

    def make(self, frames: Sequence[Path]) -> None:
        """Writes the file of these PNG files, all of one size; nothing where a folder is asked for. Raises
        UnrenderError, MissingPackageError."""
        if not self.is_file:
            return
        with writing(self.output):
            if self.output.suffix.casefold() in MOVIES:
                _write_movie(frames, self.output, self.per_second)
            else:
                _write_animated(frames, self.output, self.per_second)


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


def _write_animated(frames: Sequence[Path], output: Path, per_second: float) -> None:
    try:
        with replacing(output) as file:
            write_apng(frames, file, per_second)
    except ValueError as error:
        problem = f"No film can be made of the frames ({error})"
        raise UnrenderError(problem, "remove that one and begin again") from error


def _write_movie(frames: Sequence[Path], output: Path, per_second: float) -> None:
    """As H.264 in the pixels that every player knows, which come in pairs: an odd side gains a white line."""
    command = [ffmpeg(), "-y", "-nostdin", "-loglevel", "error", "-f", "image2pipe", "-framerate", f"{per_second:g}"]
    command += ["-c:v", "png", "-i", "-", "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white", "-c:v", "libx264"]
    command += ["-pix_fmt", "yuv420p", "-movflags", "+faststart"]
    with tempfile.TemporaryDirectory(dir=output.absolute().parent, prefix=".film-") as folder:
        made = Path(folder) / "film.mp4"
        with tempfile.TemporaryFile() as said:
            running = subprocess.Popen([*command, str(made)], stdin=subprocess.PIPE, stdout=said, stderr=said)
            _feed(running.stdin, frames)
            if running.wait():
                said.seek(0)
                problem = shown(said.read().decode("utf-8", "replace"), 200) or f"status {running.returncode}"
                raise UnrenderError(f"ffmpeg makes no film of the frames ({problem})", "name a .png file instead")
        made.replace(output)


def _feed(pipe: IO[bytes] | None, frames: Sequence[Path]) -> None:
    """Of a pipe that breaks ffmpeg itself says the reason."""
    assert pipe is not None
    with contextlib.suppress(BrokenPipeError):
        for frame in frames:
            pipe.write(frame.read_bytes())
    with contextlib.suppress(BrokenPipeError):
        pipe.close()
