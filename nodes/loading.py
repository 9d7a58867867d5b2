"""Where an INTERROGATOR comes from: models by name, or the models in the graph."""

from __future__ import annotations

from typing import Any

from ..core.choices import BUILT_IN, CLIPS, NONE, VOCABULARIES
from ..core.describe import known_describers
from ..core.describe.tagging.tagger import KNOWN_TAGGERS
from ..core.engine import Engine
from ..core.file_names import pasted
from ..core.published import MICRO_TAGGER, TOYS
from ..core.settings import PRECISIONS, SEARCHES, USUAL_SEARCH, CaptionSettings, Settings
from . import host
from .again import Again
from .files import (
    captioner_folders,
    clip_files,
    path_of,
    phrase_files,
    tagger_folders,
    vocabulary_folders,
    vocabulary_of,
)
from .host import io
from .inputs import InterrogatorType, fit_input
from .models import Setup, named_captioner, named_setup
from .widgets import holds_to_widgets

_PHRASES = Again(phrase_files)


def _captioner_inputs(default: str) -> list[Any]:
    return [
        io.Combo.Input(
            "captioner",
            options=[*known_describers(), *tagger_folders(), *captioner_folders(), *TOYS, NONE],
            default=default,
            tooltip="What writes the caption a prompt begins with, or tells the tags. Downloaded when first used; "
            "folders in transformers format, and taggers', under models/unrender are offered too. none: the prompt is "
            "phrases alone, unless a caption is connected.",
        ),
        *host.advanced(
            io.String.Input(
                "instruction",
                default="",
                tooltip="What the captioner is asked, or for BLIP and GIT how the caption begins.",
            ),
            io.Int.Input(
                "caption_length",
                default=0,
                min=0,
                max=4096,
                tooltip="Tokens of a caption at most; 0 for what suits the captioner.",
            ),
            io.Int.Input(
                "beams", default=1, min=1, max=16, tooltip="Beams of the captioner's search; 1 is the quickest."
            ),
        ),
    ]


def _tagger_input() -> Any:
    """The last one, so that the values of graphs that were saved without it stay those of the others."""
    return io.Combo.Input(
        "tagger",
        options=[NONE, *KNOWN_TAGGERS, *tagger_folders(), MICRO_TAGGER],
        default=NONE,
        optional=True,
        tooltip="What tells the tags of the mode tags, and in other modes those that follow the caption.",
    )


def _search_inputs() -> list[Any]:
    return [
        io.Combo.Input(
            "vocabulary",
            options=[*VOCABULARIES, *vocabulary_folders()],
            default=BUILT_IN,
            tooltip="The phrases to choose from. Folders under models/unrender/phrases with files such as artists.txt, "
            "a phrase a line, are offered too; extended adds lists such as lenses and light; clip-interrogator and "
            "clip-gaze are the lists of those packages, if installed.",
        ),
        *host.advanced(
            io.Combo.Input(
                "search",
                options=list(SEARCHES),
                default=USUAL_SEARCH,
                tooltip="How best searches. honest: what the picture shows, as far as the CLIP and the caption are "
                "sure of it together. written: the captioner writes while the CLIP looks on. peer: the phrase that "
                "brings the prompt nearest each time, as clip-interrogator does. beam: several prompts side by side, "
                "which takes longer.",
            ),
            fit_input(),
        ),
    ]


class LoadInterrogator(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            node_id="UnrenderLoadInterrogator",
            display_name="Load Interrogator",
            category="unrender",
            search_aliases=["clip interrogator loader", "interrogator settings"],
            description="Chooses the models and the vocabulary for Interrogate Picture and loads the CLIP, downloading "
            "it into models/unrender when first used.",
            hidden=[io.Hidden.unique_id],
            inputs=[
                io.Combo.Input(
                    "clip",
                    options=[*CLIPS, *clip_files()],
                    default="ViT-L-14/openai",
                    tooltip="The CLIP that judges: ViT-L-14/openai for SD 1, SDXL and FLUX, ViT-H-14 for SD 2, bigG "
                    "for SDXL's other half. Files with a whole CLIP under models/unrender, clip_vision and "
                    "text_encoders are offered too. micro is a toy for trying things out.",
                ),
                *_captioner_inputs("blip-large"),
                *_search_inputs(),
                *host.advanced(
                    io.Combo.Input(
                        "precision",
                        options=list(PRECISIONS),
                        default="auto",
                        tooltip="auto is quick and decides in float32; exact is float32 throughout.",
                    ),
                    io.String.Input(
                        "other_clip",
                        default="",
                        optional=True,
                        tooltip="Any other CLIP, in place of the choice above: an open_clip name/tag, a hub name or a "
                        "folder.",
                    ),
                    _tagger_input(),
                ),
            ],
            outputs=[
                InterrogatorType.Output(
                    "interrogator", display_name="interrogator", tooltip="For the interrogator input of other nodes."
                )
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, vocabulary: str | None = BUILT_IN, **_: Any) -> Any:
        return _PHRASES.fingerprint(vocabulary)

    @classmethod
    @holds_to_widgets
    def execute(cls, clip: str, precision: str, other_clip: str = "", **inputs: Any) -> io.NodeOutput:
        with host.reporting(cls.hidden.unique_id) as progress:
            name = path_of(pasted(other_clip) or clip, clip_files())
            settings = _settings(inputs, clip=name, precision=precision)
            Engine(settings).check()
            setup = named_setup(settings)
            setup.source.clip(progress)
        return io.NodeOutput(setup)


class InterrogatorFromGraph(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            node_id="UnrenderInterrogatorFromClip",
            display_name="Interrogator From CLIP",
            category="unrender",
            search_aliases=["interrogator from checkpoint", "reuse clip"],
            description="Interrogates with the text encoder and the vision model that are in the graph already, so "
            "that no other CLIP is loaded. LoRAs on the CLIP take part.",
            hidden=[io.Hidden.unique_id],
            inputs=[
                io.Clip.Input("clip", tooltip="The checkpoint's CLIP: that of SD 1, SD 2, SDXL, SD 3 or FLUX."),
                io.ClipVision.Input(
                    "clip_vision",
                    tooltip="The vision model that belongs to the CLIP: ViT-L for SD 1, SDXL, SD 3 and FLUX, ViT-H for "
                    "SD 2, bigG for SDXL and SD 3.",
                ),
                *_captioner_inputs(NONE),
                *_search_inputs(),
                *host.advanced(_tagger_input()),
            ],
            outputs=[
                InterrogatorType.Output(
                    "interrogator", display_name="interrogator", tooltip="For the interrogator input of other nodes."
                )
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, vocabulary: str | None = BUILT_IN, **_: Any) -> Any:
        return _PHRASES.fingerprint(vocabulary)

    @classmethod
    @holds_to_widgets
    def execute(cls, clip: Any, clip_vision: Any, **inputs: Any) -> io.NodeOutput:
        from .graph_clip import GraphClip

        with host.reporting(cls.hidden.unique_id) as progress:
            settings = _settings(inputs)
            Engine(settings).check()
            source = GraphClip.of(clip, clip_vision, progress)
            progress.check()
        return io.NodeOutput(Setup(settings, source, named_captioner(settings)))


def _settings(inputs: dict[str, Any], **values: Any) -> Settings:
    describers = {**captioner_folders(), **tagger_folders()}
    settings = Settings(
        captioner=path_of(inputs["captioner"], describers, "captioner"),
        tagger=path_of(inputs.get("tagger", NONE), tagger_folders(), "tagger"),
        captioning=CaptionSettings(inputs["instruction"], inputs["caption_length"] or None, inputs["beams"]),
        phrases=vocabulary_of(inputs["vocabulary"]),
        search=inputs["search"],
        fit=inputs["fit"],
        cache=host.model_folders()[0],
        **values,
    )
    _PHRASES.given(inputs["vocabulary"])
    return settings
