"""Interrogate: pictures in, prompts out."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..core.describe.asked import askings
from ..core.errors import SettingsError
from ..core.prompt.together import unequal
from ..core.prompt_syntax import escape
from ..core.results import Interrogation
from ..core.settings import MODES, UNCAPTIONED, UNSEARCHED, Mode, Settings
from . import host
from .host import io
from .inputs import category_switches, interrogator_input, only, with_words
from .kept import keep
from .looks import pictures_alone
from .models import ModelNode, Setup, default_setup, given_setup
from .phrases_found import MOST_SHOWN, phrase_table, shown_phrases, similarities_without
from .taken import opened, toy_note
from .widgets import holds_to_widgets

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from ..core.engine import Engine

_ALIASES = [
    *("clip interrogator", "interrogate clip", "blip", "blip caption"),
    *("image to prompt", "img2prompt", "image2prompt", "prompt from image", "reverse prompt", "prompt generator"),
    *("image to text", "img2txt", "img2text", "image2text", "text from image", "picture to text"),
    *("describe", "describe image", "describe picture", "caption", "image caption", "captioner", "auto caption"),
    *("tagger", "image tagger", "tag image", "auto tag"),
]
_MODES = (
    "best searches phrase by phrase. fast takes the nearest phrases. classic: caption, medium, artist, site, movement "
    "and flavors. negative is what the picture is least like, for the negative prompt. caption is the caption alone, "
    "tags those of the interrogator's tagger."
)


class Interrogate(ModelNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            node_id="UnrenderInterrogate",
            display_name="Interrogate Picture (Image to Text)",
            category="unrender",
            search_aliases=_ALIASES,
            description="Finds the prompt that would have rendered a picture. Without an interrogator it uses "
            "ViT-L-14/openai, the CLIP that Stable Diffusion 1 listens to, and the captioner blip-large; both are "
            "downloaded into models/unrender when first used.",
            is_input_list=True,
            is_output_node=True,
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
            inputs=_inputs(),
            outputs=_outputs(),
        )

    @classmethod
    @holds_to_widgets
    def execute(cls, image: list[Any], **inputs: list[Any]) -> io.NodeOutput:
        captions = inputs.pop("caption", None)
        with host.reporting(cls.hidden.unique_id) as progress:
            values = only(inputs)
            setup = given_setup(values.get("interrogator")) or default_setup()
            settings = with_words(setup.settings, values)
            pictures = pictures_alone(image)
            found = interrogate(setup, settings, pictures, values["mode"], captions, progress)
        results = [result for result, _ in found]
        prompts = [escape(result.prompt, "comfyui" if values["escape"] else "plain") for result in results]
        written = [result.caption for result in results]
        keep(cls.hidden, {0: prompts, 2: written})
        similarities = [math.nan if result.similarity is None else result.similarity for result in results]
        toy = _toys(results[0].model, settings, pictures, values["mode"], captions is not None)
        shown = {**host.shown(*prompts, notes=toy), "unrender_phrases": shown_phrases(found)}
        tables = [phrase_table(result) for result in results]
        texts = [json.dumps(result.to_dict(), ensure_ascii=False) for result in results]
        return io.NodeOutput(prompts, similarities, written, tables, texts, ui=shown)


def _inputs() -> list[Any]:
    return [
        io.Image.Input("image", tooltip="The picture, or a batch of them: each gets a prompt."),
        io.Combo.Input("mode", options=list(MODES), default="best", tooltip=_MODES),
        io.Int.Input(
            "max_phrases",
            default=Settings().max_phrases,
            min=1,
            max=75,
            tooltip="How many phrases may follow the caption.",
        ),
        *category_switches(),
        io.String.Input(
            "exclude",
            default="",
            tooltip="Phrases that are never added to the caption, between commas; a name is an artist's.",
        ),
        io.String.Input("prefix", default="", tooltip="Words before the prompt, such as a trigger word."),
        io.String.Input("suffix", default="", tooltip="Words after the prompt."),
        io.Boolean.Input(
            "escape",
            default=True,
            tooltip="Write round brackets as \\( and \\), so that CLIP Text Encode does not take them for weights.",
        ),
        io.String.Input(
            "caption",
            optional=True,
            force_input=True,
            tooltip="A caption from any other node, in the captioner's place: one for all pictures, or one for each.",
        ),
        interrogator_input(),
        io.String.Input(
            "pin",
            default="",
            optional=True,
            tooltip="Phrases that a searched prompt always has, between commas. A phrase on the node is pinned with a "
            "click.",
        ),
    ]


def _outputs() -> list[Any]:
    return [
        io.String.Output("prompt", display_name="prompt", is_output_list=True, tooltip="A prompt per picture."),
        io.Float.Output(
            "similarity",
            display_name="similarity",
            is_output_list=True,
            tooltip="How near the prompt comes to the picture in the CLIP's eyes: the cosine of their "
            "embeddings, for good prompts about 0.3.",
        ),
        io.String.Output(
            "found_caption",
            display_name="caption",
            is_output_list=True,
            tooltip="The caption each prompt begins with.",
        ),
        io.String.Output(
            "table",
            display_name="table",
            is_output_list=True,
            tooltip="To be read: what each phrase brings, how likely it is, and what was left out, and why.",
        ),
        io.String.Output("json", display_name="JSON", is_output_list=True, tooltip="The same for other programs."),
    ]


def interrogate(
    setup: Setup,
    settings: Settings,
    images: Sequence[Any],
    mode: Mode,
    captions: Sequence[str] | None,
    progress: host.NodeProgress,
) -> list[tuple[Interrogation, list[float]]]:
    """A result for each picture, with what the first prompts' similarities are without each of their phrases.
    captions: one for each, one for all, or None for the captioner's.

    All captions are written first, so that the captioner and the CLIP need not be on the device together.
    """
    texts = given_captions(captions, len(images))
    found = []
    with setup.engine(settings, progress) as engine:
        engine.check(mode, texts)
        if texts is None and mode not in UNCAPTIONED and setup.captioner is not None:
            texts = _described(setup, settings, images, progress)
        for number, image in enumerate(images):
            progress.check()
            progress.subject = f"Picture {number + 1} of {len(images)} · " if len(images) > 1 else ""
            caption = texts[number] if texts else ""
            found.append(_weighed(engine, opened(image), mode, caption, number < MOST_SHOWN))
    return found


def _weighed(engine: Engine, image: Image, mode: Mode, caption: str, weigh: bool) -> tuple[Interrogation, list[float]]:
    """weigh: also find what the prompt is without each of its phrases, which takes another pass."""
    features: list[Tensor] = []
    look = features.append if weigh and mode not in UNSEARCHED else None
    (result,) = engine.interrogate_each(iter([image]), mode, [caption], seen=look)
    return result, similarities_without(engine, result, features[0][0]) if features else []


def given_captions(captions: Sequence[str] | None, count: int) -> list[str] | None:
    if captions is None:
        return None
    if len(captions) not in (1, count):
        raise SettingsError(unequal(len(captions), "captions", count), "give one for each, or one for all")
    return list(captions) * (count if len(captions) == 1 else 1)


def _toys(model: str, settings: Settings, pictures: Sequence[Any], mode: Mode, captioned: bool) -> list[str]:
    """What is to be said where micro had a part in it. model: that judged. captioned: whether captions were given."""
    by_clip = [] if mode == "tags" else toy_note(model, pictures)
    asked = {asking.name: asking.caption for asking in askings(settings, mode, captioned)}
    notes = [
        toy_note(name, pictures, f"{'captioner' if caption else 'tagger'} in Load Interrogator")
        for name, caption in asked.items()
    ]
    return next(filter(None, [by_clip, *notes]), [])


def _described(setup: Setup, settings: Settings, images: Sequence[Any], progress: host.NodeProgress) -> list[str]:
    assert setup.captioner is not None
    with progress.task("Captioning"):
        return setup.captioner.describe(map(opened, images), settings.captioning, progress)
