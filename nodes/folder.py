"""Caption Folder: a text beside each picture of a folder, for training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.batch import Captioned, FolderSource, TextSink, caption_folder
from ..core.batch.failures import FAILURES
from ..core.batch.texts import text_path
from ..core.errors import SettingsError
from ..core.settings import MODES
from . import host
from .again import Again, stamp
from .host import io
from .inputs import interrogator_input
from .left import LEFT
from .models import ModelNode, default_setup, given_setup
from .widgets import holds_to_widgets


class CaptionFolder(ModelNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            node_id="UnrenderCaptionFolder",
            display_name="Caption Folder",
            category="unrender",
            search_aliases=[
                *("batch caption", "dataset captions", "caption dataset", "training captions", "lora captions"),
                *("tag folder", "batch tagger", "dataset tagger", "batch interrogate"),
            ],
            description="Writes a text file beside each picture of a folder, such as training takes. After Interrupt, "
            "the next run goes on where this one stopped.",
            is_output_node=True,
            hidden=[io.Hidden.unique_id],
            inputs=[
                io.String.Input(
                    "folder",
                    default="",
                    tooltip="A folder on the machine that ComfyUI runs on, or the name of one in ComfyUI's input "
                    "folder.",
                ),
                io.Combo.Input(
                    "mode",
                    options=list(MODES),
                    default="fast",
                    tooltip="As in Interrogate Picture: best searches for each picture, fast takes the nearest "
                    "phrases, caption is the caption alone.",
                ),
                io.Combo.Input(
                    "existing",
                    options=list(TextSink.ways),
                    default=TextSink.usual,
                    tooltip="What becomes of a picture that has a text already: it is skipped, or the text is "
                    "overwritten, or the prompt is put before it or after it.",
                ),
                io.Boolean.Input("recursive", default=False, tooltip="Take the folders in the folder too."),
                io.String.Input("prefix", default="", tooltip="Words before each text, such as a trigger word."),
                io.String.Input("suffix", default="", tooltip="Words after each text."),
                interrogator_input(),
            ],
            outputs=[
                io.Int.Output("written", display_name="written", tooltip="How many texts were written."),
                io.Int.Output("failed", display_name="failed", tooltip="How many pictures could not be described."),
                io.String.Output("report", display_name="report", tooltip="The same as a line, with what was skipped."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, folder: str | None = "", recursive: bool | None = False, **_: Any) -> Any:
        """Other when a picture was added, taken away or changed, and when what was written is gone."""
        return _CAPTIONED.fingerprint(folder, recursive)

    @classmethod
    @holds_to_widgets
    def execute(
        cls,
        folder: str,
        mode: Any,
        existing: Any,
        recursive: bool,
        prefix: str,
        suffix: str,
        interrogator: Any = None,
    ) -> io.NodeOutput:
        with host.reporting(cls.hidden.unique_id) as progress:
            setup, place = given_setup(interrogator) or default_setup(), _folder(folder)
            settings = replace(setup.settings, prefix=prefix, suffix=suffix)
            with setup.engine(settings, progress) as engine:
                done = caption_folder(engine, place, mode, existing, recursive)
            LEFT.wrote(place)
            _CAPTIONED.given(folder, bool(recursive))
        report = described(done)
        return io.NodeOutput(done.written, done.failed, report, ui=host.shown(report))


def _state(folder: str, recursive: bool) -> Any:
    """How often what was written was found gone, and the pictures as they are."""
    try:
        place = _folder(folder)
        stamps = [(item.name, stamp(item.path)) for item in FolderSource(place, recursive)]
    except (SettingsError, OSError):
        return None
    return LEFT.times_gone(place, lambda: _written(place, recursive), "recursive" if recursive else ""), stamps


_CAPTIONED = Again(_state)


def _written(folder: Path, recursive: bool) -> frozenset[str]:
    """Of the pictures that have a text, and the list of those that failed."""
    try:
        texts = frozenset(item.name for item in FolderSource(folder, recursive) if text_path(item).exists())
    except (SettingsError, OSError):
        return frozenset()
    return texts | {name for name in (FAILURES,) if (folder / name).exists()}


def _folder(name: str) -> Path:
    if not name.strip():
        raise SettingsError("There is no folder", "give the path of one, or its name in ComfyUI's input folder")
    return host.folder_named(name)


def described(done: Captioned) -> str:
    """In one line."""
    parts = [f"{done.written} text{'' if done.written == 1 else 's'} written in {done.seconds:.0f} s"]
    if done.skipped:
        parts.append(f"{done.skipped} skipped, which had one")
    if done.failed:
        parts.append(f"{done.failed} failed, listed in {done.errors}")
    return ", ".join(parts) + "."
