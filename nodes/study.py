"""Nodes that say what is in a picture: Analyze, Match Phrases, Locate."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..core.embed.seen import Seen
from ..core.errors import MissingPackageError
from ..core.phrases import FURTHER_CATEGORIES, phrases_in
from . import host
from .host import io
from .inputs import interrogator_input
from .kept import keep
from .looks import PICTURES, in_turn, looked_at, pictures_of_one_size, setup_for
from .models import ModelNode, default_setup, given_setup
from .pictures import as_batch, as_image, as_mask
from .taken import opened, toy_note
from .widgets import holds_to_widgets
from .wording import WORDS

if TYPE_CHECKING:
    from ..core.study.analyze import Analysis
    from ..core.study.explain import HeatMap
    from ..core.study.match import Match

_LEAST = 0.05
"""Of a concept's likelihood that is told beside its family's likeliest."""


class Analyze(ModelNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            node_id="UnrenderAnalyze",
            display_name="Analyze Picture",
            category="unrender",
            search_aliases=[
                *("describe image", "what is in the image", "image style", "artist", "medium"),
                *("classify image", "zero shot", "image tags"),
            ],
            description="Says for each category, such as mediums, artists or movements, which phrases suit a picture "
            "best and how likely each is among all of its category.",
            is_output_node=True,
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
            inputs=[
                io.MultiType.Input(
                    "image",
                    PICTURES,
                    tooltip="The picture, or a batch of them: each is analysed. Or what CLIP Vision Encode makes of "
                    "them.",
                ),
                io.String.Input(
                    "categories",
                    default="",
                    tooltip="Which categories, between commas; none for all of the vocabulary. Further ones are "
                    f"{', '.join(FURTHER_CATEGORIES)}.",
                ),
                io.Int.Input("top", default=5, min=1, max=20, tooltip="How many phrases of each category."),
                io.Boolean.Input("dark", default=False, tooltip="Draw the chart light on dark."),
                interrogator_input(),
            ],
            outputs=[
                io.String.Output("table", display_name="table", is_output_list=True, tooltip="To be read."),
                io.String.Output("json", display_name="JSON", is_output_list=True, tooltip="For other programs."),
                io.Image.Output("chart", display_name="chart", is_output_list=True, tooltip="Needs matplotlib."),
            ],
        )

    @classmethod
    @holds_to_widgets
    def execute(cls, image: Any, categories: str, top: int, dark: bool, interrogator: Any = None) -> io.NodeOutput:
        with host.reporting(cls.hidden.unique_id) as progress, progress.task("Analyzing"):
            looks = looked_at(image)
            setup = given_setup(interrogator) or setup_for(looks)
            with setup.engine(setup.settings, progress) as engine:
                analyses = engine.analyze(in_turn(looks), phrases_in(categories) or None, top)
            charts = _charts(analyses, looks, dark)
        tables = [analysis_table(analysis) for analysis in analyses]
        keep(cls.hidden, {0: tables})
        note = [] if isinstance(looks, Seen) else toy_note(analyses[0].model, looks)
        texts = [json.dumps(analysis.to_dict(), ensure_ascii=False) for analysis in analyses]
        return io.NodeOutput(tables, texts, charts, ui=host.shown(*numbered(tables), notes=note))


def numbered(texts: Sequence[str]) -> list[str]:
    """The texts of several pictures, each with a heading."""
    if len(texts) == 1:
        return list(texts)
    return [f"Picture {number + 1} of {len(texts)}\n{text}" for number, text in enumerate(texts)]


def _charts(analyses: Sequence[Analysis], looks: list[Any] | Seen, dark: bool) -> list[Any]:
    """Without matplotlib something that stops those nodes alone that want a chart."""
    from ..core.drawing.chart import chart_image

    try:
        pictures = [None] * len(looks) if isinstance(looks, Seen) else map(opened, looks)
        shown = zip(analyses, pictures, strict=True)
        return [as_image(chart_image(analysis, picture, dark)) for analysis, picture in shown]
    except MissingPackageError as error:
        return [host.stop_here(error.said(WORDS))] * len(analyses)


def analysis_table(analysis: Analysis) -> str:
    """A line for each phrase: likelihood, cosine similarity, phrase; then one for each family that is sure."""
    lines = []
    for found in analysis.categories:
        lines += ["", f"{found.category} (of {found.phrases:,})"]
        lines += [f"{entry.likelihood:7.1%}  {entry.similarity:.3f}  {entry.phrase}" for entry in found.top]
    lines += _by_family(analysis)
    notes = dict.fromkeys(found.note for found in analysis.categories if found.note)
    return "\n".join([*lines[1:], *(line for note in notes for line in ("", note))])


def _by_family(analysis: Analysis) -> list[str]:
    """Likelihood, support in deviations, and what the family's question is answered with; then what is not sure."""
    sure = [found for found in analysis.families if found.sure]
    unsure = [
        f"{found.family} ({found.top[0].wording} {found.top[0].likelihood:.0%})"
        for found in analysis.families
        if not found.sure
    ]
    lines = ["", "by family (likelihood, support)"] if sure else []
    for found in sure:
        first, *others = found.top
        beside = "".join(f"; {other.wording} {other.likelihood:.0%}" for other in others if other.likelihood >= _LEAST)
        lines.append(f"{first.likelihood:7.1%}  {first.support:+5.1f}  {found.family}: {first.wording}{beside}")
    return [*lines, *(["", f"not sure: {'; '.join(unsure)}"] if unsure else [])]


class MatchPhrases(ModelNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            node_id="UnrenderMatchPhrases",
            display_name="Match Phrases",
            category="unrender",
            search_aliases=[
                "clip score",
                "clip similarity",
                "rank prompts",
                "zero shot classification",
                "compare text and image",
            ],
            description="Ranks phrases of yours by how well they suit a picture.",
            is_output_node=True,
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
            inputs=[
                io.MultiType.Input(
                    "image",
                    PICTURES,
                    tooltip="The picture, or a batch of them: each gets a ranking. Or what CLIP Vision Encode makes of "
                    "them.",
                ),
                io.String.Input(
                    "phrases",
                    default="a photograph\na painting\na drawing\na 3D render",
                    multiline=True,
                    tooltip="What to choose from, a phrase a line.",
                ),
                io.String.Input(
                    "templates",
                    default="",
                    tooltip="Sentences to put the phrases into, with {} in the phrase's place, such as: a photo of {}. "
                    "Several, between semicolons, are averaged.",
                ),
                interrogator_input(),
            ],
            outputs=[
                io.String.Output(
                    "ranking", display_name="ranking", is_output_list=True, tooltip="All phrases, the best first."
                ),
                io.String.Output(
                    "best", display_name="best", is_output_list=True, tooltip="The phrase that suits best."
                ),
                io.Float.Output(
                    "likelihood",
                    display_name="likelihood",
                    is_output_list=True,
                    tooltip="The best phrase's share among them all, 0 to 1.",
                ),
            ],
        )

    @classmethod
    @holds_to_widgets
    def execute(cls, image: Any, phrases: str, templates: str, interrogator: Any = None) -> io.NodeOutput:
        lines = [line.strip() for line in phrases.splitlines() if line.strip()]
        sentences = [sentence.strip() for sentence in templates.split(";") if sentence.strip()]
        with host.reporting(cls.hidden.unique_id) as progress:
            looks = looked_at(image)
            setup = given_setup(interrogator) or setup_for(looks)
            with setup.engine(setup.settings, progress) as engine:
                match = engine.match(in_turn(looks), lines, sentences)
        rankings = [ranking(match, picture) for picture in range(len(looks))]
        best = [match.ranked_phrases(picture)[0] for picture in range(len(looks))]
        phrases_found = [match.phrases[entry.index] for entry in best]
        note = [] if isinstance(looks, Seen) else toy_note(match.model, looks)
        keep(cls.hidden, {0: rankings, 1: phrases_found})
        return io.NodeOutput(
            rankings,
            phrases_found,
            [entry.likelihood for entry in best],
            ui=host.shown(*numbered(rankings), notes=note),
        )


def ranking(match: Match, picture: int) -> str:
    """A line for each phrase, the best first: likelihood, cosine similarity, phrase."""
    entries = match.ranked_phrases(picture)
    return "\n".join(f"{e.likelihood:7.1%}  {e.similarity:.3f}  {match.phrases[e.index]}" for e in entries)


class Locate(ModelNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            node_id="UnrenderLocate",
            display_name="Locate Phrase",
            category="unrender",
            search_aliases=["heatmap", "attention map", "segment by text", "text to mask", "clipseg", "find in image"],
            description="Where in a picture a phrase finds its support, by what the CLIP's vision model says of each "
            "patch. Coarse: good for a rough mask or crop.",
            hidden=[io.Hidden.unique_id],
            inputs=[
                io.Image.Input("image", tooltip="The picture, or a batch of them."),
                io.String.Input("phrase", default="a person", tooltip="What to look for."),
                io.Float.Input(
                    "threshold",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="0 gives a soft mask. Above, the mask is what has at least this share of the greatest "
                    "support.",
                ),
                interrogator_input(),
            ],
            outputs=[
                io.Mask.Output("mask", display_name="mask", tooltip="0 to 1, as large as the picture."),
                io.Image.Output("heat_map", display_name="heat map", tooltip="The picture with the support in colour."),
            ],
        )

    @classmethod
    @holds_to_widgets
    def execute(cls, image: Any, phrase: str, threshold: float, interrogator: Any = None) -> io.NodeOutput:
        from ..core.drawing.overlay import draw_overlay

        masks, overlays, model = [], [], ""
        with host.reporting(cls.hidden.unique_id) as progress:
            setup, pictures = given_setup(interrogator) or default_setup(), pictures_of_one_size(image)
            with setup.engine(setup.settings, progress) as engine:
                for picture in progress.track(map(opened, pictures), "Locating", len(pictures)):
                    location = engine.locate(picture, phrase)
                    model = location.model
                    masks.append(as_mask(support_share(location.heat, picture.size, threshold)))
                    overlays.append(as_image(draw_overlay(picture, location.heat, location.boxes, max(picture.size))))
        note = toy_note(model, pictures)
        return io.NodeOutput(as_batch(masks), as_batch(overlays), ui=host.shown(notes=note) or None)


def support_share(heat: HeatMap, size: tuple[int, int], threshold: float) -> Any:
    """Float32 [height, width]: the support as a share of the greatest, or whether it reaches a share above 0."""
    values = heat.resized(*size)
    shares = values / max(float(values.max()), 1e-6)
    return shares if threshold <= 0 else (shares >= threshold).astype("float32")
