"""The buttons that start and stop a piece of work, and the line that says how far it is."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

import gradio as gr

from ..gradio_versions import event, html_output
from ..service import WAIT, Service, follow

T = TypeVar("T")


class Runner:
    """Builds them. name: what the ids of the elements begin with. label: of the button that starts."""

    def __init__(self, service: Service, name: str, label: str) -> None:
        self._service = service
        with gr.Row():
            self._start = gr.Button(label, variant="primary", elem_id=f"{name}_start")
            self._stop = gr.Button("Stop", variant="stop", visible=False, elem_id=f"{name}_stop")
        self._status = html_output(elem_id=f"{name}_status")
        self._key = gr.State("")

    def connect(
        self,
        work: Callable[..., T],
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        shown: Callable[[T], Sequence[Any]],
        said: Callable[[T], str],
        script: str | None = None,
    ) -> None:
        """work: is given the job and the inputs' values. shown: what the outputs get of its result. said: the last
        line. script: as for `event`."""

        def handle(*values: Any) -> Generator[list[Any], None, None]:
            for report in follow(self._service, lambda job: work(job, *values), said):
                found = [gr.update() for _ in outputs] if report.found is None else shown(report.found)
                yield [
                    *found,
                    report.line,
                    gr.update(interactive=report.kind != WAIT),
                    gr.update(visible=report.kind == WAIT),
                    report.key,
                ]

        def forget(key: str) -> Any:
            return gr.update() if self._service.jobs.outdate(key) else ""

        own = [self._status, self._start, self._stop, self._key]
        self._start.click(handle, inputs=list(inputs), outputs=[*outputs, *own], **event(script))
        self._stop.click(self._service.jobs.stop, inputs=[self._key], outputs=[], queue=False, **event())
        for picture in (each for each in inputs if isinstance(each, gr.Image)):  # no old line beside a new picture
            picture.change(forget, inputs=[self._key], outputs=[self._status], queue=False, **event())
