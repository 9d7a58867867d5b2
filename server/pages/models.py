"""The page Models: what is in memory and on disk, downloads, and vocabularies of one's own."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ...core.choices import CLIPS, NONE
from ...core.micro.toy import TOYS
from ..gradio_versions import event, html_output
from ..jobs import Job
from ..service import DONE, FAULT, Report, Service
from ..stores import describers_table, disk_table, downloaded, memory_table, vocabulary_table
from ..wording import sentence_for
from .controls import never_saved, open_list
from .runner import Runner


def models_page(service: Service, tab: Any) -> None:
    """Builds the page into the gradio context it is called in. tab: its own, whose choice brings it up to date."""
    with gr.Row(elem_id="unrender_models_page"):
        with gr.Column(variant="panel"):
            memory = html_output(elem_id="unrender_models_memory")
            unload = gr.Button("Unload all", elem_id="unrender_models_unload")
            unloaded = html_output(elem_id="unrender_models_unloaded")
            vocabularies = html_output(elem_id="unrender_models_vocabularies")
        with gr.Column(variant="panel"):
            names = [name for name in (*CLIPS, *service.captioners) if name not in (*TOYS, NONE)]
            name = open_list(names, None, "Model, or OWNER/NAME on the hub", "unrender_models_name")
            runner = Runner(service, "unrender_models_download", "Download")
            disk = html_output(elem_id="unrender_models_disk")
            describers = html_output(elem_id="unrender_models_describers")

    def look() -> list[str]:
        tables = (memory_table, disk_table, vocabulary_table, describers_table)
        return [table(service.host) for table in tables]

    def free() -> list[str]:
        try:
            service.host.unload()
        except Exception as error:  # noqa: BLE001  whatever it is, the person is told
            return [Report[None](sentence_for(error), FAULT).line, memory_table(service.host)]
        return [Report[None]("The memory is free again.", DONE).line, memory_table(service.host)]

    def fetch(job: Job, name: str | None) -> str:
        return downloaded(service.host, name or "", job)

    unload.click(free, inputs=[], outputs=[unloaded, memory], queue=False, **event())
    runner.connect(
        fetch,
        [name],
        [disk, describers],
        lambda said: [disk_table(service.host), describers_table(service.host)],
        lambda said: said,
    )
    tab.select(look, inputs=[], outputs=[memory, disk, vocabularies, describers], queue=False, **event())
    never_saved(name)
