"""Read Image Prompt: what a picture's file itself says of how it was made."""

from __future__ import annotations

import json
from typing import Any

from ..core.errors import ImageError
from ..core.foreign import shown
from ..core.metadata import FileMetadata, read_metadata
from . import host
from .again import Again, stamp
from .host import io
from .kept import keep, recall
from .widgets import holds_to_widgets

_LARGEST_SEED = 2**64 - 1
_SILENT = "The file says nothing of how it was made."
_READ = Again(lambda image: stamp(host.input_file(image)))


class ReadImagePrompt(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            node_id="UnrenderReadImagePrompt",
            display_name="Read Image Prompt",
            category="unrender",
            search_aliases=["png info", "image metadata", "read metadata", "generation data", "exif", "prompt reader"],
            description="Reads the prompt and settings that a generator wrote into a picture's file: ComfyUI, "
            "AUTOMATIC1111, Forge, InvokeAI, NovelAI, SwarmUI, Fooocus. No model is needed; nothing of it is checked.",
            is_output_node=True,
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
            inputs=[
                io.Combo.Input(
                    "image",
                    options=host.input_pictures(),
                    upload=io.UploadType.image,
                    image_folder=io.FolderType.input,
                    tooltip="A picture's file in the input folder.",
                )
            ],
            outputs=[
                io.String.Output("prompt", display_name="prompt", tooltip="As it was written, weights included."),
                io.String.Output("negative_prompt", display_name="negative prompt", tooltip="As it was written."),
                io.Int.Output("seed", display_name="seed", tooltip="0 where the file names none."),
                io.String.Output("model", display_name="model", tooltip="The checkpoint's name or hash."),
                io.String.Output(
                    "json",
                    display_name="JSON",
                    tooltip="All that was found, and what is not known, for other programs.",
                ),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, image: str | None = None) -> Any:
        recall()
        return _READ.fingerprint(image)

    @classmethod
    def validate_inputs(cls, image: str | None) -> bool | str:
        """None: what a link gives, which is known once the graph runs."""
        return image is None or host.input_file_exists(image) or _missing(image)

    @classmethod
    @holds_to_widgets
    def execute(cls, image: str) -> io.NodeOutput:
        with host.reporting(cls.hidden.unique_id):
            if not host.input_file_exists(image):
                raise ImageError(_missing(image))
            _READ.given(image)
            found = read_metadata(host.input_file(image))
        seed = seed_number(found.seed)
        kept = (found.prompt, found.negative_prompt, str(seed), found.model)
        keep(cls.hidden, {number: [text] for number, text in enumerate(kept)})
        text = json.dumps(found.to_dict(), ensure_ascii=False)
        return io.NodeOutput(
            found.prompt,
            found.negative_prompt,
            seed,
            found.model,
            text,
            ui=host.shown(description(found)),
        )


def _missing(image: Any) -> str:
    return f"There is no picture {shown(str(image))} in the input folder; choose another."


def seed_number(seed: str) -> int:
    """The seed as a sampler takes it; 0 for none, or one that is no such number."""
    return int(seed) if seed.isdecimal() and len(seed) <= 20 and int(seed) <= _LARGEST_SEED else 0


def description(found: FileMetadata) -> str:
    """What is shown on the node."""
    named = {
        "made with": found.generator,
        "prompt": found.prompt,
        "negative prompt": found.negative_prompt,
        "seed": found.seed,
        "model": found.model,
        **dict(found.settings),
    }
    notes = [f"note: {note}" for note in found.notes]
    return "\n".join([*(f"{name}: {text}" for name, text in named.items() if text), *notes]) or _SILENT
