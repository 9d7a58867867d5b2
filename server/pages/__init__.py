"""The pages of the tab: one builder for gradio 3.41 to 6, inside a webui and alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from ..service import Service
from .analyze import analyze_page
from .batch import batch_page
from .embedding import embedding_page
from .models import models_page
from .prompt import PromptPage, prompt_page

__all__ = ["PromptPage", "build"]


def build(
    service: Service, send_to: Sequence[str] = (), below: Callable[[Any], None] = lambda prompt: None
) -> PromptPage:
    """Builds all pages into the gradio context it is called in.

    send_to: names of tabs that take a prompt or a picture. below: builds what a host has to offer for the prompt, given
    its field."""
    with gr.Tabs(elem_id="unrender_pages"):
        with gr.Tab("Prompt", elem_id="unrender_page_prompt"):
            page = prompt_page(service, send_to, below)
        with gr.Tab("Analyze", elem_id="unrender_page_analyze"):
            analyze_page(service)
        with gr.Tab("Embedding", elem_id="unrender_page_embedding") as tab:
            embedding_page(service, tab)
        with gr.Tab("Batch", elem_id="unrender_page_batch"):
            batch_page(service)
        with gr.Tab("Models", elem_id="unrender_page_models") as tab:
            models_page(service, tab)
    return page
