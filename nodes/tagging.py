"""Tag Picture: what a tagger sees, as tags."""

from __future__ import annotations

import json
from typing import Any

from ..core.describe import Description, check_describer, checked
from ..core.describe.tagging.tagger import KNOWN_TAGGERS
from ..core.describe.tagging.words import written
from ..core.phrases import phrases_in
from ..core.prompt_syntax import escape
from ..core.published import MICRO_TAGGER, USUAL_TAGGER
from ..core.settings import TAG_ORDERS, USUAL_THRESHOLDS, CaptionSettings, TagSettings
from ..core.tags import of_category, rating_of
from ..core.targets import TARGET_NAMES, TARGETS
from . import host
from .files import path_of, tagger_folders
from .host import io
from .inputs import only
from .kept import keep
from .looks import pictures_alone
from .models import ModelNode, chosen_describer
from .taken import opened, toy_note
from .widgets import holds_to_widgets
from .wording import TAGGING

_ALIASES = [
    *("wd14", "wd14 tagger", "wd tagger", "booru tags", "danbooru tags", "tagger", "image tagger", "tag image"),
    *("image to tags", "deepbooru", "auto tag", "characters in image", "image rating", "nsfw rating"),
]
_PUBLISHED, _AUTOMATIC, _OWN = "published", "automatic", "own"


class TagPicture(ModelNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            node_id="UnrenderTagPicture",
            display_name="Tag Picture",
            category="unrender",
            search_aliases=_ALIASES,
            description="Says by tags what is in a picture, as prompts for Pony, Illustrious, NoobAI and Anima are "
            "made of them. The tagger is downloaded into models/unrender when first used.",
            is_input_list=True,
            is_output_node=True,
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
            inputs=_inputs(),
            outputs=_outputs(),
        )

    @classmethod
    @holds_to_widgets
    def execute(cls, image: list[Any], **inputs: list[Any]) -> io.NodeOutput:
        with host.reporting(cls.hidden.unique_id, TAGGING) as progress:
            values = only(inputs)
            pictures, settings = pictures_alone(image), CaptionSettings(tags=_tag_settings(values))
            name = path_of(values["tagger"], tagger_folders(), "tagger")
            check_describer(name)
            describer = chosen_describer(cls.hidden, name).placed(progress)
            with progress.task("Tagging"):
                found = checked(describer.describe(map(opened, pictures), settings, progress))
        host_syntax = "comfyui" if values["escape"] and _weighted(values["order"]) else "plain"
        texts = [escape(each.text, host_syntax) for each in found]
        characters = [escape(_characters(each, settings.tags), host_syntax) for each in found]
        ratings = [rating_of(each.tags) for each in found]
        keep(cls.hidden, {0: texts, 1: characters})
        shown = host.shown(*texts, notes=toy_note(name, pictures, "tagger"))
        return io.NodeOutput(texts, characters, ratings, [_json(each) for each in found], ui=shown)


def _inputs() -> list[Any]:
    return [
        io.Image.Input("image", tooltip="The picture, or a batch of them: each gets its tags."),
        io.Combo.Input(
            "tagger",
            options=[*KNOWN_TAGGERS, *tagger_folders(), MICRO_TAGGER],
            default=USUAL_TAGGER,
            tooltip="What tells the tags. Folders under models/unrender with model.safetensors, config.json and "
            "selected_tags.csv are offered too. micro-tagger is a toy for trying things out.",
        ),
        io.Combo.Input(
            "thresholds",
            options=[_PUBLISHED, _AUTOMATIC, _OWN],
            default=_PUBLISHED,
            tooltip="published: those that the tagger's makers give. automatic: for each picture where the confidences "
            "fall most. own: the two below.",
        ),
        io.Float.Input(
            "general_threshold",
            default=USUAL_THRESHOLDS[0],
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="The confidence that a tag has to reach, with thresholds set to own.",
        ),
        io.Float.Input(
            "character_threshold",
            default=USUAL_THRESHOLDS[1],
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="The same for characters.",
        ),
        io.String.Input("exclude", default="", tooltip="Tags that are left out, between commas."),
        io.String.Input("trigger", default="", tooltip="A word before all tags, such as a LoRA's trigger word."),
        io.Combo.Input(
            "order",
            options=["confidence", "alphabet", *TARGET_NAMES],
            default="confidence",
            tooltip="The surest first, the alphabet, or the order in which this model has learned them, with the words "
            "for quality that it knows.",
        ),
        io.Boolean.Input("rating", default=False, tooltip="The rating among the tags. It has an output of its own."),
        io.Boolean.Input(
            "escape",
            default=True,
            tooltip="Write round brackets as \\( and \\), so that CLIP Text Encode does not take them for weights.",
        ),
        *host.advanced(
            io.Int.Input("most", default=200, min=1, max=1000, tooltip="General tags at most."),
            io.Boolean.Input("underscores", default=False, tooltip="Write long_hair instead of long hair."),
            io.Boolean.Input(
                "implied",
                default=False,
                tooltip="Also the tags that others imply, such as animal ears beside cat ears.",
            ),
        ),
    ]


def _outputs() -> list[Any]:
    return [
        io.String.Output("tags", display_name="tags", is_output_list=True, tooltip="Tags for each picture."),
        io.String.Output(
            "characters", display_name="characters", is_output_list=True, tooltip="The characters among them."
        ),
        io.String.Output(
            "found_rating", display_name="rating", is_output_list=True, tooltip="The likeliest rating of each picture."
        ),
        io.String.Output(
            "json",
            display_name="JSON",
            is_output_list=True,
            tooltip="Every tag with its category and confidence, for other programs.",
        ),
    ]


def _tag_settings(values: dict[str, Any]) -> TagSettings:
    own, order = values["thresholds"] == _OWN, values["order"]
    known = order in TAG_ORDERS
    return TagSettings(
        general=values["general_threshold"] if own else None,
        character=values["character_threshold"] if own else None,
        automatic=values["thresholds"] == _AUTOMATIC,
        most=values["most"],
        rating=values["rating"],
        exclude=tuple(phrases_in(values["exclude"])),
        order=order if known else "target",
        target="" if known else order,
        underscores=values["underscores"],
        implied=values["implied"],
        trigger=values["trigger"].strip(),
    )


def _weighted(order: str) -> bool:
    """Whether ComfyUI reads weights in the prompts of what the order is for."""
    return order not in TARGETS or TARGETS[order].weighted


def _characters(found: Description, settings: TagSettings) -> str:
    return ", ".join(written(tag.name, settings) for tag in of_category(found.tags, "character"))


def _json(found: Description) -> str:
    return json.dumps([vars(tag) for tag in found.tags], ensure_ascii=False)
