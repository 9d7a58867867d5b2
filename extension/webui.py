"""What a webui is given: the tab, the button in img2img, the section in txt2img and img2img, the API, the settings."""

from __future__ import annotations

import html
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

from ..core.choices import CLIPS
from ..core.prompt_syntax import escape, unescape_for_webui
from ..core.settings import MODES, WRITING_STYLES, Settings
from ..server.choices import AUTOMATIC, INSERTIONS, KEEPINGS, captioners, taggers, vocabularies
from ..server.describing import AS_USUAL
from ..server.folders import Folders
from ..server.host import Host
from ..server.models import Models
from ..server.service import Service
from ..server.wording import sentence_for
from . import webui_host
from .each_picture import InterrogateEach, Words
from .embeddings import Embeddings
from .generation import TITLE
from .image_as_prompt import ImageAsPrompt, add_axes
from .sampling import steer

if TYPE_CHECKING:
    from ..server.pages import PromptPage

_logger = logging.getLogger(__name__)
_ALLOW = "name one that is, or start the webui with --gradio-allowed-path and that folder"
_PROMPT_OF_TAB = {"txt2img": "txt2img", "img2img": "img2img", "inpaint": "img2img", "extras": ""}
"""The tabs that a prompt or a picture can be sent to, and in which one the prompt field is, if any."""


def register() -> tuple[type[webui_host.Script], ...]:
    """Tells the webui what to call, and returns the scripts that it has to find in the module it loads. Nothing
    optional is imported before a page is built."""
    models = Models()
    host = _host(models)
    pages = _Pages(host)
    webui_host.listen(
        ui_settings=_add_settings,
        before_ui=add_axes,
        after_component=pages.after_component,
        ui_tabs=pages.tabs,
        cfg_denoiser=steer,
        app_started=partial(_add_api, host),
        script_unloaded=models.unload,
    )
    return (
        type("ImageAsPrompt", (ImageAsPrompt,), {"embeddings": Embeddings(models)}),
        type("InterrogateEach", (InterrogateEach,), {"words": Words(models)}),
    )


class _Pages:
    """What is built into one page of the webui; Reload UI registers another."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._listeners: list[Callable[..., None]] = []
        self._prompts: set[str] = set()
        self._styles: dict[str, Any] = {}

    def after_component(self, component: Any, **options: Any) -> None:
        elem_id = options.get("elem_id")
        if elem_id in ("txt2img_prompt", "img2img_prompt"):
            self._prompts.add(elem_id.partition("_")[0])
        if elem_id in ("txt2img_styles", "img2img_styles"):
            self._styles[elem_id] = component
        if not self._listeners:
            self._listeners.append(self._listener())
        self._listeners[0](component, **options)

    def _listener(self) -> Callable[..., None]:
        """What adds the button; where that fails the webui builds its page without it, and the tab says why."""
        try:
            from .toolbar import Toolbar

            return Toolbar(self._service(), webui_host.tool_button()).after_component
        except Exception as error:  # noqa: BLE001  other extensions' faults look like this, too
            _logger.warning("No button in img2img: %s", sentence_for(error))
            return lambda component, **options: None

    def tabs(self) -> list[tuple[Any, str, str]]:
        import gradio as gr

        with gr.Blocks(analytics_enabled=False) as blocks:
            try:
                self._build()
            except Exception as error:  # noqa: BLE001  a tab with the reason in it is better than no tab
                gr.HTML(f'<p class="unrender-fault">{html.escape(sentence_for(error))}</p>')
        return [(blocks, "Unrender", "unrender")]

    def _build(self) -> None:
        from ..server.pages import build
        from .styles import style_row

        known = webui_host.paste_parameters().paste_fields
        tabs = [
            tab for tab, prompt in _PROMPT_OF_TAB.items() if tab in known and (not prompt or prompt in self._prompts)
        ]
        page = build(self._service(), tabs, lambda prompt: style_row(prompt, list(self._styles.values())))
        for tab in tabs:
            _connect_sending(page.send[tab], tab, page, _PROMPT_OF_TAB[tab])

    def _service(self) -> Service:
        known = vocabularies(webui_host.model_folder())
        written = partial(escape, host="webui")
        return Service(self._host, written, captioners(), known, unescape_for_webui)


def _host(models: Models) -> Host:
    def settings() -> Settings:
        return webui_host.preferences().settings(webui_host.model_folder(), str(webui_host.device()))

    def room(needed: int) -> AbstractContextManager[None]:
        return webui_host.room(webui_host.device(), needed)

    return Host(
        models,
        settings,
        webui_host.preferences,
        webui_host.turn,
        room,
        webui_host.interrupted_in_turn,
        folders=Folders(webui_host.folders(), _ALLOW),
    )


def _add_api(host: Host, _: Any, app: Any) -> None:
    """With the webui's own logins: it does not ask for them on behalf of others."""
    from ..server.api import router
    from ..server.api_route import login_guard, logins_in

    logins = logins_in(webui_host.logins())
    app.include_router(router(host, login_guard(logins) if logins else None))


def _add_settings() -> None:
    import gradio as gr

    # not among the choices' arguments, of which the webui also makes updates
    open_list = partial(gr.Dropdown, allow_custom_value=True)
    sd15 = "ViT-L-14/openai for SD 1 and SDXL, ViT-H-14 for SD 2; micro is a toy that needs no download"
    webui_host.add_setting("clip", "CLIP that judges", open_list, lambda: CLIPS, sd15)
    webui_host.add_setting("captioner", "Captioner", open_list, captioners, "writes the sentence a prompt begins with")
    beside_captions = (
        "whose tags are the prompt in mode tags, and follow the caption in the others; none is wd-vit in mode tags"
    )
    webui_host.add_setting("tagger", "Tagger", open_list, taggers, beside_captions)
    asked = (
        "how a chat model or a server is asked to describe a picture; other captioners write as they were trained to"
    )
    webui_host.add_setting("style", "Style of the caption", gr.Radio, lambda: (AS_USUAL, *WRITING_STYLES), asked)
    webui_host.add_setting("vocabulary", "Vocabulary", open_list, lambda: vocabularies(webui_host.model_folder()))
    beside = "🔎 is the last of the small buttons beside img2img's prompt, after Interrogate where the webui has that"
    webui_host.add_setting("mode", "Mode of the button in img2img", gr.Radio, lambda: MODES, beside)
    webui_host.add_setting(
        "insertion", "What the button does with the words in the prompt field", gr.Radio, lambda: INSERTIONS
    )
    of_family = (
        "automatic is the one that belongs to the checkpoint; its own copy, say in a folder, can be named instead"
    )
    webui_host.add_setting(
        "seeing", f"CLIP that sees pictures for {TITLE}", open_list, lambda: (AUTOMATIC, *CLIPS), of_family
    )
    webui_host.add_setting("keeping", "Where models are kept between uses", gr.Radio, lambda: KEEPINGS)


def _connect_sending(button: Any, tab: str, page: PromptPage, target: str) -> None:
    """The prompt alone goes into the field: read as a generation's parameters it would reset others. All tabs but
    txt2img get the picture. target: the tab whose prompt field it is; empty for a tab without."""
    from .prompt_field import put_into

    pasting = webui_host.paste_parameters()
    if target:
        button.click(inputs=[page.prompt], **put_into(f"{target}_prompt"))
    binding = pasting.ParamBinding(
        paste_button=button, tabname=tab, source_image_component=None if tab == "txt2img" else page.picture
    )
    pasting.register_paste_params_button(binding)
