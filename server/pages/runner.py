"""The buttons that start and stop a piece of work, the line that says how far it is, and the question whether to
download what it needs."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple, TypeVar

import gradio as gr

from ..gradio_versions import event, html_output, in_steps, side_by_side
from ..jobs import Job
from ..service import ASK, DONE, WAIT, Report, Service, follow

T = TypeVar("T")

_PRESS = "() => {{ document.querySelector('#{name}_start')?.click(); return []; }}"
"""JavaScript: a button that cannot be pressed now is not."""


class _Asked(NamedTuple):
    """which: of the works. agreed: the names that may be downloaded for it."""

    which: int = 0
    agreed: tuple[str, ...] = ()


class Runner:
    """Builds them. name: what the ids of the elements begin with. label: of the button that starts. key: holds that of
    the job while one runs."""

    def __init__(self, service: Service, name: str, label: str) -> None:
        self._service = service
        self._name = name
        with gr.Row(elem_classes="unrender-buttons"):
            self._start = gr.Button(label, variant="primary", elem_id=f"{name}_start")
            self._stop = gr.Button("Stop", variant="stop", visible=False, elem_id=f"{name}_stop")
        self.status = html_output(elem_id=f"{name}_status", elem_classes="unrender-status")
        with gr.Row(visible=False, elem_id=f"{name}_question") as self._question:
            self._agree = gr.Button("Download", variant="primary", elem_id=f"{name}_agree")
            self._decline = gr.Button("Cancel", elem_id=f"{name}_decline")
        self.key = gr.State("")
        self._asked = gr.State(_Asked())

    def connect(
        self,
        work: Callable[..., T],
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        shown: Callable[[T], Sequence[Any]],
        said: Callable[[T], str],
        script: str | None = None,
        enter: Sequence[Any] = (),
        also: Sequence[tuple[Any, Callable[..., T]]] = (),
    ) -> None:
        """work: is given the job and the inputs' values. shown: what the outputs get of its result. said: the last
        line. script: as for `event`, of the inputs. enter: fields in which Enter presses the button. also: further
        buttons, each with other work upon the same."""
        starts, works = [self._start, *(button for button, _ in also)], [work, *(each for _, each in also)]

        def handle(asked: _Asked, *values: Any) -> Generator[list[Any], None, list[Any]]:
            asked = _Asked(*asked)
            chosen = works[asked.which]

            def seen(job: Job) -> tuple[T, Sequence[Any]]:
                found = chosen(job, *values)
                return found, shown(found)

            report: Report[tuple[T, Sequence[Any]]] = Report("", DONE)
            for report in follow(self._service, seen, lambda pair: said(pair[0]), asked.agreed):
                if report.kind == WAIT:
                    yield self._told(report, asked)
            found = [gr.update() for _ in outputs] if report.found is None else report.found[1]
            return [*self._told(report, asked), *found]

        def beginning(which: int) -> Callable[..., Generator[list[Any], None, list[Any]]]:
            def begin(*values: Any) -> Generator[list[Any], None, list[Any]]:
                return (yield from handle(_Asked(which), *values))

            return begin

        told = [self.status, self._stop, self._question, self._asked, self.key]
        ways: dict[str, Any] = {"told": told, "found": outputs, "pressable": [*starts, self._agree], **side_by_side()}
        for which, button in enumerate(starts):
            in_steps(button.click, beginning(which), inputs, script=script, **ways)
        behind = f"(asked, ...values) => [asked, ...({script})(...values)]" if script else None
        in_steps(self._agree.click, handle, [self._asked, *inputs], script=behind, **ways)
        self._connect_ends()
        for field in enter:
            field.submit(None, inputs=[], outputs=[], **event(_PRESS.format(name=self._name)))
        for picture in (each for each in inputs if isinstance(each, gr.Image)):
            picture.change(
                self._forget, inputs=[self.key], outputs=[self.status, self._question], queue=False, **event()
            )

    def _forget(self, key: str) -> list[Any]:
        """No old line or question beside a new picture."""
        if self._service.jobs.outdate(key):
            return [gr.update(), gr.update()]
        return ["", gr.update(visible=False)]

    def _connect_ends(self) -> None:
        self._stop.click(self._service.jobs.stop, inputs=[self.key], outputs=[], queue=False, **event())
        self._decline.click(
            lambda: ["", gr.update(visible=False)],
            inputs=[],
            outputs=[self.status, self._question],
            queue=False,
            **event(),
        )

    def _told(self, report: Report, asked: _Asked) -> list[Any]:
        """What the own parts but the buttons get."""
        is_question = report.kind == ASK
        return [
            report.line,
            gr.update(visible=report.kind == WAIT),
            gr.update(visible=is_question),
            asked._replace(agreed=(*asked.agreed, *report.asked)) if is_question else _Asked(),
            report.key,
        ]
