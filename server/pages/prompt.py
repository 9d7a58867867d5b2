"""The page Prompt: a picture in, the words that would have rendered it out."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from ...core.choices import NONE
from ...core.phrases import POSITIVE
from ...core.settings import MODES, SEARCHES
from ...core.targets import TARGET_NAMES, TARGETS
from ..choices import ABOUT_MODES, ABOUT_SEARCHES, ANY, Request, known_mode
from ..describing import AS_USUAL
from ..gradio_versions import copyable_textbox, event, every_click, html_output, in_steps
from ..jobs import Job
from ..results_shown import Shown, tokens_shown
from ..service import DONE, WAIT, Report, Service, told_of
from ..suited import chosen_for
from ..weighed import Judge, Weighed, weigh
from ..work import Found, found_prompt
from .controls import (
    clip_list,
    emptied_with,
    example_button,
    never_saved,
    open_list,
    picture_input,
    preferred,
    vocabulary_list,
)
from .describing import describing, describing_controls
from .file_prompt import FilePrompt
from .runner import Runner

_PHRASES = slice(8, 10)
"""Where among the controls the fields are in which Enter begins the work."""

_MOST = 32
"""Phrases that the page offers at most: as many fill a prompt."""


_CHIPS = (Path(__file__).parent / "chips.js").read_text(encoding="utf-8")
_TEXT = """(...values) => {
    window.unrenderChips.waits = false;
    return [...values.slice(0, -1), document.querySelector('#unrender_prompt textarea').value];
}"""
"""JavaScript: the prompt as it stands in its field, whatever its component has heard of by now."""

_AGAIN = """() => {
    if (window.unrenderChips.waits) document.querySelector('#unrender_weigh').click();
    return [];
}"""
"""JavaScript: gradio 3 hears of no click while what one before it began goes on."""


@dataclass(frozen=True)
class PromptPage:
    """The parts a host connects with its own; send: the buttons by the name of the tab they send to."""

    picture: Any
    prompt: Any
    send: Mapping[str, Any]


def prompt_page(service: Service, send_to: Sequence[str], below: Callable[[Any], None]) -> PromptPage:
    """Builds the page into the gradio context it is called in: the picture, what was found, and what to choose, in the
    order in which a narrow screen shows them. below: as for `build`."""
    with gr.Row(elem_id="unrender_prompt_page"):
        with gr.Column(variant="panel", elem_id="unrender_prompt_asked"):
            picture = picture_input("unrender_picture", decoded=bool(send_to))
            example = example_button("unrender_example", picture)
            mode = _mode(service)
        with gr.Column(variant="panel", elem_id="unrender_prompt_found"):
            runner = Runner(service, "unrender", "Find the prompt")
            prompt = copyable_textbox(label="Prompt", lines=4, elem_id="unrender_prompt", interactive=True)
            results = _Results()
            with gr.Row(elem_id="unrender_send"):
                send = {name: gr.Button(f"Send to {name}", elem_id=f"unrender_send_{name}") for name in send_to}
            below(prompt)
            again = results.rest()
            in_file = FilePrompt()
        with gr.Column(variant="panel", elem_id="unrender_prompt_choices"):
            choices = _controls(service)
            described = describing_controls(service)
            controls = [mode, *choices.all, *described.all]
            _follow_target(service, choices, mode, described.tagger)

    def find(job: Job, caption: str, changing: str, *values: Any) -> tuple[Found, Judge]:
        return found_for(job, changing, _request(*values))

    def find_again(job: Job, caption: str, changing: str, *values: Any) -> tuple[Found, Judge]:
        return found_for(job, changing, replace(_request(*values), caption=caption or ""))

    def found_for(job: Job, changing: str, request: Request) -> tuple[Found, Judge]:
        service.jobs.stop(changing)
        found = found_prompt(service.host, request, job)
        return found, Judge.of(found, request, job.outdated)

    def shown(found: tuple[Found, Judge]) -> list[Any]:
        return [service.written(found[0].interrogation.prompt), *Shown.of(found[0], service.written), found[1]]

    found = [prompt, *results.parts]
    runner.connect(
        find,
        [results.caption, results.changing, picture, *controls],
        [*found, results.judge],
        shown,
        lambda found: told_of(found[0].interrogation),
        enter=controls[_PHRASES],
        also=[(again, find_again)],
    )
    results.connect(service, picture, prompt, runner.key)
    in_file.connect(picture, prompt, example)
    emptied_with(picture, found)
    never_saved(picture, *found, *controls, *in_file.parts)
    return PromptPage(picture, prompt, send)


class _Results:
    """What is told of a prompt, in the order of `Shown`, and of what a person makes of it."""

    def __init__(self) -> None:
        with gr.Row(elem_id="unrender_facts"):
            self._similarity = _fact("Similarity", "unrender_similarity")
            self._tokens = _fact("Tokens", "unrender_tokens")
        self._note = html_output(elem_id="unrender_note")
        self._phrases = html_output(elem_id="unrender_phrases")
        self._changed = html_output(elem_id="unrender_changed_status", elem_classes="unrender-status")
        self._weigh = gr.Button("Weigh", elem_id="unrender_weigh", elem_classes="unrender-unseen")
        self.judge, self.changing = gr.State(Judge()), gr.State("")

    def rest(self) -> Any:
        """Builds what stands further below, and returns the button that finds again."""
        with gr.Row(equal_height=True, elem_id="unrender_captioned"):
            self.caption = gr.Textbox(label="Caption", lines=1, max_lines=4, scale=4, elem_id="unrender_caption")
            again = gr.Button("Find with this caption", scale=1, min_width=140, elem_id="unrender_again")
        self._left_out = html_output(elem_id="unrender_left_out")
        self._tags = html_output(elem_id="unrender_found_tags")
        return again

    @property
    def parts(self) -> list[Any]:
        told = [self._similarity, self._tokens, self._note, self._phrases, self._changed]
        return [*told, self.caption, self._left_out, self._tags]

    def connect(self, service: Service, picture: Any, prompt: Any, finding: Any) -> None:
        """The unseen button, which chips.js presses when it has changed the prompt: what was asked before ends.
        finding: holds the key of the job that finds a prompt."""

        def tell(judge: Judge, picture: Any, finding: str, text: str) -> Generator[list[Any], None, list[Any]]:
            report: Report[Weighed] = Report("", DONE)
            for report in weigh(service, judge, picture, text, finding):
                if report.kind == WAIT:
                    yield [report.line, report.key]
            if (found := report.found) is None:
                return [report.line, report.key, *(gr.update() for _ in weighed)]
            tokens = tokens_shown(found.tokens, judge.room)
            return [report.line, report.key, f"{found.similarity:.4f}", tokens, found.judge]

        told, weighed = [self._changed, self.changing], [self._similarity, self._tokens, self.judge]
        self._weigh.click(service.jobs.stop, inputs=[self.changing], outputs=[], queue=False, **event())
        asked = [self.judge, picture, finding, prompt]
        ended = in_steps(self._weigh.click, tell, asked, told, weighed, script=_TEXT, **every_click())
        ended.then(None, inputs=[], outputs=[], **event(_AGAIN))
        picture.change(None, inputs=[], outputs=[], **event(_CHIPS))
        picture.change(service.jobs.stop, inputs=[self.changing], outputs=[], queue=False, **event())


def _fact(label: str, elem_id: str) -> Any:
    return gr.Textbox(label=label, lines=1, interactive=False, min_width=80, elem_id=elem_id)


def _mode(service: Service) -> Any:
    mode = gr.Radio(list(MODES), value=preferred(service, "mode"), label="Mode", elem_id="unrender_mode")
    about = html_output(value=lambda: _about(service.preferences().mode), elem_id="unrender_mode_about")
    mode.change(_about, inputs=[mode], outputs=[about], queue=False, **event())
    return mode


def _about(mode: str) -> str:
    return f'<p class="unrender-note">{ABOUT_MODES[known_mode(mode)]}</p>'


def _about_search(search: str | None) -> str:
    return f'<p class="unrender-note">{ABOUT_SEARCHES.get(search or AS_USUAL, "")}</p>'


@dataclass(frozen=True)
class _Choices:
    """all: in the order of `_request`, behind picture and mode. about: says what was chosen for a target."""

    all: Sequence[Any]
    clip: Any
    captioner: Any
    target: Any
    about: Any
    most: Any


def _controls(service: Service) -> _Choices:
    usual = service.host.settings
    with gr.Row():
        target = gr.Dropdown([ANY, *TARGET_NAMES], value=ANY, label="Target", elem_id="unrender_target")
        vocabulary = vocabulary_list(service, "unrender_vocabulary_name")
    about = html_output(elem_id="unrender_target_about")
    with gr.Row():
        clip = clip_list(service, "unrender_clip_model")
        captioner = open_list(
            service.captioners, preferred(service, "captioner"), "Captioner", "unrender_captioner_model"
        )
    with gr.Row():
        search = gr.Dropdown(
            [AS_USUAL, *SEARCHES],
            value=lambda: usual().search or AS_USUAL,
            label="Search (best)",
            elem_id="unrender_search",
        )
        most = gr.Slider(1, _MOST, value=lambda: _most(usual()), step=1, label="Most phrases", elem_id="unrender_most")
    about_search = html_output(value=lambda: _about_search(usual().search), elem_id="unrender_search_about")
    search.change(_about_search, inputs=[search], outputs=[about_search], queue=False, **event())
    categories = gr.CheckboxGroup(
        list(POSITIVE), value=list(POSITIVE), label="Phrases of", elem_id="unrender_categories"
    )
    exclude = gr.Textbox(
        label="Exclude",
        placeholder="phrases never to use, between commas; a bare name excludes an artist",
        lines=1,
        elem_id="unrender_exclude",
    )
    pinned = gr.Textbox(
        label="Always use",
        placeholder="phrases that a searched prompt has in any case, between commas",
        lines=1,
        elem_id="unrender_pinned",
    )
    all_of_them = [clip, captioner, target, vocabulary, search, most, categories, exclude, pinned]
    return _Choices(all_of_them, clip, captioner, target, about, most)


def _follow_target(service: Service, choices: _Choices, mode: Any, tagger: Any) -> None:
    """What suits the target is chosen with it, from what is on this disk."""

    def suited(name: str) -> list[Any]:
        usual, preferred = service.host.settings(), service.preferences()
        if name not in TARGETS:
            own = (preferred.clip, preferred.captioner, preferred.tagger, preferred.mode, _most(usual), "")
            return [gr.update(value=value) for value in own]
        found = chosen_for(TARGETS[name], usual)
        models = (found.settings.clip, found.settings.captioner or NONE, found.settings.tagger or NONE)
        told = f'<p class="unrender-note">{escape(found.told)}</p>' if found.told else ""
        return [gr.update(value=value) for value in (*models, found.mode, _most(found.settings), told)]

    outputs = [choices.clip, choices.captioner, tagger, mode, choices.most, choices.about]
    choices.target.change(suited, inputs=[choices.target], outputs=outputs, queue=False, **event())


def _most(lengths: Any) -> int:
    return min(lengths.max_phrases, _MOST)


def _request(
    picture: Any,
    mode: Any,
    clip: Any,
    captioner: Any,
    target: Any,
    vocabulary: Any,
    search: Any,
    most: Any,
    categories: Any,
    exclude: Any,
    pinned: Any,
    *described: Any,
) -> Request:
    return Request(
        picture,
        mode,
        clip or "",
        captioner or "",
        vocabulary,
        categories,
        exclude or "",
        target=target or ANY,
        search=search if search in SEARCHES else None,
        most=int(most),
        describing=describing(described),
        pinned=pinned or "",
    )
