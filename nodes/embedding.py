"""Image To Prompt Embedding: pictures in a prompt's place."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

from ..core.embed.blend import Blend
from ..core.embed.families import Family
from ..core.embed.kinds import MIXES, PROJECTIONS, QUALITIES, TUNED, USUAL, Quality, is_tuned
from ..core.embed.projection import PUBLISHED_ALPHA
from ..core.embed.seen import Seen
from ..core.embed.soft.descent import MOST_TOKENS
from ..core.embed.tuned_places import place_of, tuned_folder, tuned_names
from ..core.errors import SettingsError
from ..core.printable import quoted
from ..core.progress import Progress
from ..core.settings import Settings
from . import host
from .again import Again, stamp
from .conditioning import embedding_outputs, given
from .files import check_name
from .host import io
from .inputs import InterrogatorType, fit_input
from .looks import PICTURES, opened_looks
from .models import ModelNode, Setup, default_setup, given_setup
from .text_encoders import family_of, text_sides
from .widgets import holds_to_widgets

_ALIASES = [
    *("image variation", "image prompt", "image as prompt", "image to embedding", "textual inversion"),
    *("image to conditioning", "ip adapter", "unclip", "revision", "soft prompt", "prompt inversion"),
]


def _ways(projection: str, quality: str) -> Any:
    """The file of a projection that was tuned; for what is usual, all that the command verify has found."""
    cache = host.model_folders()[0]
    if is_tuned(str(projection)):
        with suppress(SettingsError):
            return stamp(place_of(projection, tuned_folder(cache)))
    if projection == quality == USUAL:
        return [(path.name, stamp(path)) for path in sorted((cache / "embed").glob("recommended-*"))]
    return None


_WAYS = Again(_ways)
_AS_SUITS = -1
"""Of the tokens that are added: as many as suit."""


class ImageToPromptEmbedding(ModelNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            node_id="UnrenderImageToPromptEmbedding",
            display_name="Image To Prompt Embedding",
            category="unrender",
            search_aliases=_ALIASES,
            description="Puts a picture in a prompt's place, with what no words say of it: its CLIP embedding becomes "
            "what the text encoder of Stable Diffusion 1, 2 or XL would have said. With nothing but picture and "
            "checkpoint the CLIP of that family is downloaded into models/unrender when first used.",
            hidden=[io.Hidden.unique_id],
            inputs=[*_main_inputs(), *_settings(), *_optional_inputs()],
            outputs=embedding_outputs(),
        )

    @classmethod
    def fingerprint_inputs(cls, projection: str | None = USUAL, quality: str | None = USUAL, **_: Any) -> Any:
        """Other when what the projection or the quality stands for is."""
        return _WAYS.fingerprint(projection, quality)

    @classmethod
    @holds_to_widgets
    def execute(
        cls,
        image: Any,
        clip: Any,
        projection: str,
        strength: float,
        text: str,
        alpha: float,
        mix: Any,
        weights: str,
        fit: Any,
        clip_vision: Any = None,
        mask: Any = None,
        interrogator: Setup | None = None,
        gap_pictures: Any = None,
        anchor: str = "",
        correction: float = Blend.correction,
        temperature: float = Blend.temperature,
        quality: Any = USUAL,
        tokens: int = _AS_SUITS,
    ) -> io.NodeOutput:
        from .graph_clip import check_belongs

        with host.reporting(cls.hidden.unique_id) as progress, progress.task("Embedding"):
            family = family_of(clip)
            pictures = opened_looks(image, "image", mask)
            varied = None if gap_pictures is None else opened_looks(gap_pictures, "gap_pictures")
            described, added = anchor.strip() or None, None if tokens == _AS_SUITS else tokens
            each = numbers_in(weights)
            blend = Blend(each, mix, text.strip(), alpha, strength, described, correction, temperature, tokens=added)
            check_name(projection, "projection")
            _WAYS.given(projection, quality)
            chosen = None if projection == USUAL else projection
            asked: Quality | None = None if quality == USUAL else quality
            setup = setup_for(clip, family, pictures, clip_vision, given_setup(interrogator), progress)
            # none is downloaded for the search unless it was chosen
            captioner = None if interrogator is None else setup.settings.captioner
            settings = replace(setup.settings, fit=fit, captioner=captioner)
            with setup.engine(settings, progress, clip.patcher) as engine:
                engine.check_embedding(len(pictures), family.name, chosen, blend, asked)
                gap = None if varied is None else engine.measure_gap(varied)
                if interrogator is not None:
                    check_belongs(setup, family.seeing.name, progress)
                sides = text_sides(clip, family)
                joining = setup.source.projection
                embedding = engine.embed(
                    *(pictures, family.name, chosen, blend, gap),
                    quality=asked,
                    encoders=sides,
                    text_projection=joining,
                )
        return given(embedding)


def _main_inputs() -> list[Any]:
    return [
        io.MultiType.Input(
            "image",
            PICTURES,
            tooltip="The picture, or a batch of them, which become one embedding; or what CLIP Vision Encode "
            "makes of them.",
        ),
        io.Clip.Input("clip", tooltip="The checkpoint's CLIP, of Stable Diffusion 1, 2 or XL; LoRAs on it take part."),
    ]


def _settings() -> list[Any]:
    return [
        *host.advanced(io.Combo.Input("projection", options=_projections(), default=USUAL, tooltip=_PROJECTION)),
        io.Float.Input(
            "strength",
            default=1.0,
            min=0.0,
            max=1.0,
            step=0.05,
            tooltip="1 is the picture, 0 the text alone or an empty prompt.",
        ),
        io.String.Input(
            "text",
            default="",
            multiline=True,
            tooltip="Words that change the picture, without weights. Where a prompt describes it, as with best, with "
            "anchored and with an anchor, they take that one's place, else they stand beside what was seen; with ridge "
            "and bank they need a strength below 1.",
        ),
        *host.advanced(
            io.Float.Input(
                "alpha",
                default=PUBLISHED_ALPHA,
                min=0.0,
                max=10.0,
                step=0.05,
                tooltip="How much the text changes the picture, with pinv.",
            ),
            io.Combo.Input("mix", options=list(MIXES), default=MIXES[0], tooltip=MIX_TOOLTIP),
            io.String.Input(
                "weights",
                default="",
                tooltip="How much each picture of a batch counts, between commas; equally without.",
            ),
            fit_input(),
        ),
    ]


def _projections() -> list[str]:
    """With what was tuned on pictures, which lies in models/unrender/tuned."""
    tuned = tuned_names(tuned_folder(host.model_folders()[0]))
    return [USUAL, *PROJECTIONS, *(f"{TUNED}{name}" for name in tuned)]


def _optional_inputs() -> list[Any]:
    return [
        io.ClipVision.Input(
            "clip_vision",
            optional=True,
            tooltip="The vision model that belongs to the checkpoint's CLIP, so that nothing is downloaded: "
            "ViT-L for Stable Diffusion 1, ViT-H for 2, bigG for SDXL.",
        ),
        io.Mask.Input("mask", optional=True, tooltip="White where the picture counts; all else is left out."),
        InterrogatorType.Input(
            "interrogator",
            optional=True,
            tooltip="Or a CLIP from Load Interrogator, whose vision model sees the picture.",
        ),
        io.MultiType.Input(
            "gap_pictures",
            PICTURES,
            optional=True,
            tooltip="About 40 varied pictures, as a batch, by which all but pinv tell what all pictures have in "
            "common from what this one shows; or what CLIP Vision Encode makes of them.",
        ),
        io.String.Input(
            "anchor",
            optional=True,
            force_input=True,
            tooltip="For soft and anchored: a prompt that describes the picture, from Interrogate Picture or any other "
            "node. Without it best and anchored search for one, with a caption only where an interrogator with a "
            "captioner is connected.",
        ),
        *host.advanced(
            io.Float.Input(
                "correction",
                optional=True,
                default=Blend.correction,
                min=0.0,
                max=4.0,
                step=0.05,
                tooltip="For anchored: how much of what is seen beyond the prompt is added to it.",
            ),
            io.Float.Input(
                "temperature",
                optional=True,
                default=Blend.temperature,
                min=0.01,
                max=1.0,
                step=0.01,
                tooltip="For bank: the lower, the more the prompts most like the picture count.",
            ),
        ),
        *_later_inputs(),
    ]


def _later_inputs() -> list[Any]:
    """After those that workflows were saved with before values had names: what goes by places finds them there."""
    return [
        io.Combo.Input("quality", optional=True, options=[USUAL, *QUALITIES], default=USUAL, tooltip=_QUALITY),
        *host.advanced(
            io.Int.Input(
                "tokens",
                optional=True,
                default=_AS_SUITS,
                min=_AS_SUITS,
                max=MOST_TOKENS,
                tooltip="For soft: how many tokens that are no words follow the words; -1 for as many as suit.",
            )
        ),
    ]


_QUALITY = (
    "usual is what the command verify found to suit the text encoders, else best. best: the prompt that a search "
    "finds, and a soft prompt for what it lacks. good: a soft prompt alone, in seconds. quick: at once, nothing is "
    "learned, asked or searched. The first run of best and good reads lists of words: minutes where there is no GPU."
)

_PROJECTION = (
    "usual goes by the quality, and any other takes its place. soft: a text that ends in tokens which "
    "are no words, moved until it meets the picture. pinv: the published closed form for Stable "
    "Diffusion 1, at once. The others learn from text alone, for minutes at their first use: ridge a map, bank an "
    "average of prompts like the picture, anchored a prompt that describes it plus what the map sees beyond."
)

MIX_TOOLTIP = (
    "How several become one: their mean, the mean of their directions, or the positions shared out among them."
)


def setup_for(
    clip: Any, family: Family, pictures: Any, clip_vision: Any, interrogator: Setup | None, progress: Progress
) -> Setup:
    """Whose CLIP sees the pictures, or has seen them: what is connected, else the family's by name."""
    if clip_vision is not None and interrogator is not None:
        raise SettingsError("Both clip_vision and interrogator can see the picture", "connect one of them")
    from .graph_clip import FamilysClip, GraphClip, check_seen

    part = family.seeing.name
    if interrogator is not None:
        check_seen(pictures, part)
        own = interrogator.source
        return replace(interrogator, source=own.plain()) if isinstance(own, GraphClip) else interrogator
    if clip_vision is not None:
        source = GraphClip.of(clip, clip_vision, progress, part).plain()
    elif isinstance(pictures, Seen):
        source = GraphClip.without_vision(clip, pictures.features.shape[-1], progress, part).plain()
    else:
        usual = default_setup(family.clip)
        return replace(usual, source=FamilysClip(usual.source, part))
    return Setup(Settings(captioner=None, cache=host.model_folders()[0]), source, None)


def numbers_in(text: str) -> list[float] | None:
    """The numbers of a text box, between commas or blanks; None where it is empty."""
    try:
        return [float(number) for number in text.replace(",", " ").split()] or None
    except ValueError:
        raise SettingsError(
            f"The weights are {quoted(text)}", "give a number for each picture, such as: 2, 1"
        ) from None
