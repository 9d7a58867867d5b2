"""The page Analyze: what a picture is made of, which of one's own phrases suits it, and where a phrase is in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr

from ...core.choices import NONE
from ...core.phrases import FURTHER_CATEGORIES, POSITIVE
from ..bars import analysis_bars, match_bars
from ..choices import Study
from ..gradio_versions import html_output, image_output
from ..jobs import Job
from ..results_shown import seen_by
from ..service import Service
from ..work import Analysed, Located, analysis, location, matched
from .controls import clip_list, emptied_with, never_saved, picture_input, vocabulary_list
from .describing import tagger_list
from .runner import Runner

_IN_DARK = "(...values) => [document.body.classList.contains('dark'), ...values.slice(1)]"
"""JavaScript: the arguments with whether the page is a dark one as the first."""


def analyze_page(service: Service) -> None:
    """Builds the page into the gradio context it is called in."""
    with gr.Row(elem_id="unrender_analyze_page"):
        with gr.Column(variant="panel"):
            picture = picture_input("unrender_analyze_picture")
            with gr.Row():
                clip = clip_list(service, "unrender_analyze_clip")
                vocabulary = vocabulary_list(service, "unrender_analyze_vocabulary")
        with gr.Column(variant="panel"), gr.Tabs(elem_id="unrender_analyze_ways"):
            study = [picture, clip, vocabulary]
            with gr.Tab("Categories", elem_id="unrender_analyze_way_categories"):
                found = _categories(service, study)
            with gr.Tab("Own phrases", elem_id="unrender_analyze_way_match"):
                found += _own_phrases(service, study)
            with gr.Tab("Heat map", elem_id="unrender_analyze_way_locate"):
                found += _heat_map(service, study)
    emptied_with(picture, found)
    never_saved(*study)


def _categories(service: Service, study: list[Any]) -> list[Any]:
    """Where it shows what it finds; so the others."""
    chosen = gr.Dropdown(
        [*POSITIVE, *FURTHER_CATEGORIES],
        value=[],
        multiselect=True,
        label="Categories; none are all of the vocabulary",
        elem_id="unrender_analyze_categories",
    )
    tagger = tagger_list(service, "unrender_analyze_tagger")
    runner = Runner(service, "unrender_analyze", "Analyze")
    labels = html_output(elem_id="unrender_analyze_labels")
    chart = image_output(label="Chart", elem_id="unrender_analyze_chart")
    dark = gr.Checkbox(False, visible=False, elem_id="unrender_analyze_dark")

    def work(job: Job, dark: bool, chosen: Any, tagger: Any, *study: Any) -> Analysed:
        asked = replace(_study(*study), tagger=tagger or NONE)
        return analysis(service.host, asked, list(chosen or []), bool(dark), job)

    def shown(found: Analysed) -> list[Any]:
        return [analysis_bars(found.analysis), found.chart]

    def said(found: Analysed) -> str:
        return found.remark or seen_by(found.analysis.model)

    runner.connect(work, [dark, chosen, tagger, *study], [labels, chart], shown, said, _IN_DARK)
    never_saved(chosen, tagger, dark)
    return [labels, chart]


def _own_phrases(service: Service, study: list[Any]) -> list[Any]:
    phrases = gr.Textbox(
        label="Phrases, one a line", placeholder="a cat\na dog", lines=5, elem_id="unrender_match_phrases"
    )
    template = gr.Textbox(
        label="Template", placeholder="a photo of {}; may be empty", lines=1, elem_id="unrender_match_template"
    )
    runner = Runner(service, "unrender_match", "Match")
    labels = html_output(elem_id="unrender_match_labels")

    def work(job: Job, phrases: str, template: str, *study: Any) -> Any:
        return matched(service.host, _study(*study), phrases or "", template or "", job)

    runner.connect(
        work,
        [phrases, template, *study],
        [labels],
        lambda found: [match_bars(found)],
        lambda found: (
            f"{seen_by(found.model)} The likelihood says which of these phrases suits best, not what is true."
        ),
        enter=[template],
    )
    never_saved(phrases, template)
    return [labels]


def _heat_map(service: Service, study: list[Any]) -> list[Any]:
    phrase = gr.Textbox(label="Phrase", placeholder="a red boat", lines=1, elem_id="unrender_locate_phrase")
    runner = Runner(service, "unrender_locate", "Look for it")
    heat = image_output(label="Where the phrase finds its support", elem_id="unrender_locate_heat")

    def work(job: Job, phrase: str, *study: Any) -> Located:
        return location(service.host, _study(*study), phrase or "", job)

    shown, said = lambda found: [found.heat], lambda found: f"{found.summary} {seen_by(found.location.model)}"
    runner.connect(work, [phrase, *study], [heat], shown, said, enter=[phrase])
    never_saved(phrase)
    return [heat]


def _study(picture: Any, clip: Any, vocabulary: Any) -> Study:
    return Study(picture, clip or "", vocabulary)
