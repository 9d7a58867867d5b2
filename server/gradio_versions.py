"""Where gradio 3.41, 4.40 and 6 want to be asked differently."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import gradio as gr

from ..core.errors import ImageError
from .choices import FILE, picture_of
from .direct import without_proxies
from .gate import App
from .line import LONGEST

_MAJOR = int(gr.__version__.partition(".")[0])
_LONGEST_QUEUE = 256
"""Of all that waits. A page asks for some twenty values as it is opened, in several tabs at a time."""

_LINE = "unrender_line"


def image_input(decoded: bool = True, **options: Any) -> Any:
    """A picture to be dropped in, given to handlers as PIL's where a host wants it so, read by the engine, which bounds
    what it costs; what cannot be decoded is given as it is, since the engine says in a sentence what is wrong with it.

    decoded: whether it is; if not, handlers are given what its file holds, to be opened when there is room."""
    from ..core.images import open_image

    source: dict[str, Any] = {"source": "upload"} if _MAJOR < 4 else {"sources": ["upload", "clipboard"]}
    picture = gr.Image(type="pil", **source, **_buttons(), **options)

    def preprocess(payload: Any) -> Any:
        data = uploaded(picture, payload)
        if not decoded or data is None:
            return data
        try:
            opened = open_image(data)
        except ImageError:
            return data
        setattr(opened, FILE, data)
        return opened

    picture.preprocess = preprocess
    return picture


def uploaded(picture: Any, payload: Any) -> Any:
    """What a browser sent as a picture. Where it names a file, that is one it has uploaded before, whatever gradio
    makes of the name: some versions read any. picture: the component."""
    url, path = getattr(payload, "url", None), getattr(payload, "path", None)
    if isinstance(url, str) and url.startswith("data:"):
        payload, path = url, None
    if path is None:
        found = picture_of(payload)
        return found.getvalue() if isinstance(found, io.BytesIO) else found
    file, uploads = Path(path).resolve(), Path(picture.GRADIO_CACHE).resolve()
    if not (file.is_relative_to(uploads) and file.is_file()):
        raise gr.Error("The picture is no file that was uploaded here; drop it in again.")
    return file.read_bytes()


def image_output(**options: Any) -> Any:
    """A picture to look at, without loss."""
    form: dict[str, Any] = {} if _MAJOR < 4 else {"format": "png"}
    return gr.Image(type="pil", interactive=False, **form, **_buttons("download"), **options)


def _buttons(*kinds: str) -> dict[str, Any]:
    """Of a picture: those and that of the full screen, where there is one; none that shares, which works on its maker's
    own servers alone."""
    if _MAJOR >= 6:
        return {"buttons": [*kinds, "fullscreen"]}
    return {"show_share_button": False, "show_download_button": "download" in kinds}


def html_output(**options: Any) -> Any:
    padding: dict[str, Any] = {} if _MAJOR < 5 else {"padding": False}
    return gr.HTML(**padding, **options)


def copyable_textbox(**options: Any) -> Any:
    button: dict[str, Any] = {"buttons": ["copy"]} if _MAJOR >= 6 else {"show_copy_button": True}
    return gr.Textbox(**button, **options)


def event(script: str | None = None) -> dict[str, Any]:
    """Arguments of every event: not a route of gradio's own API, and no veil over what it writes to.

    script: JavaScript that is given the inputs and returns them, run in the browser before.
    """
    private: dict[str, Any] = {"api_visibility": "private"} if _MAJOR >= 6 else {"api_name": False}
    in_browser = {"_js" if _MAJOR < 4 else "js": script} if script else {}
    return {"show_progress": "hidden", **private, **in_browser}


def every_click() -> dict[str, Any]:
    """Arguments of a button's event that is heard of also while what it began before goes on."""
    return {"trigger_mode": "multiple"} if _MAJOR >= 4 else {}


def side_by_side() -> dict[str, Any]:
    """Arguments of an event that several people, or tabs, may have going on at a time: they wait in the host's line,
    which tells them so. gradio lets each but the first wait without a word, gradio 3 all events of a page together."""
    return {"concurrency_id": _LINE, "concurrency_limit": LONGEST + 1} if _MAJOR >= 4 else {}


def in_steps(
    listen: Callable[..., Any],
    handler: Callable[..., Generator[list[Any], None, list[Any]]],
    inputs: Sequence[Any],
    told: Sequence[Any],
    found: Sequence[Any],
    pressable: Sequence[Any] = (),
    script: str | None = None,
    **options: Any,
) -> Any:
    """Connects a handler that tells how far it is, and returns the event of its end, which others may follow.

    listen: such as a button's `click`. handler: yields what `told` get while it works, and returns what `told` and
    `found` get when it is done. These are written by an event of their own: gradio sends what a generator gave last
    again when it has ended, over what a person has typed since, and gradio 4 forgets pictures and updates that others
    follow in the same moment. pressable: buttons that can be pressed when it is done; before, gradio would not hear of
    it. script: as for `event`. options: further ones of `listen`.
    """
    last = gr.State()
    # gradio 3 and 4 give it the outputs, too
    of_inputs = script and f"(...values) => ({script})(...values.slice(0, {len(inputs)}))"

    def working(*values: Any) -> Iterator[list[Any]]:
        work, now = handler(*values), [gr.update() for _ in told]
        at_work = [gr.update(interactive=False) for _ in pressable]
        while True:
            try:
                now = next(work)
            except StopIteration as done:
                yield [done.value, *now, *at_work]
                return
            yield [None, *now, *at_work]

    def ending(values: list[Any] | None) -> list[Any]:
        written = values or [gr.update() for _ in (*told, *found)]
        return [None, *written, *(gr.update(interactive=True) for _ in pressable)]

    work = listen(working, inputs=list(inputs), outputs=[last, *told, *pressable], **options, **event(of_inputs))
    return work.then(ending, inputs=[last], outputs=[last, *told, *found, *pressable], queue=False, **event())


def uploads_folder(app: Any) -> Path:
    """Where what browsers send is kept, and what they may have back."""
    return Path(app.uploaded_file_dir).resolve()


def logged_in(app: Any, cookies: dict[str, str]) -> bool:
    """Whether gradio has given one of the cookies to somebody who knew the password."""
    return any(name.startswith("access-token") and value in app.tokens for name, value in cookies.items())


class Alone:
    """A page of its own. blocks: the context to build it in. style: CSS."""

    def __init__(self, title: str, style: str) -> None:
        self._title = title
        looks: dict[str, Any] = {"css": style, "theme": _theme()}
        self._later = looks if _MAJOR >= 6 else {}
        self.blocks = gr.Blocks(title=title, analytics_enabled=False, **({} if _MAJOR >= 6 else looks))

    def build_heading(self) -> None:
        """For who hears the page; the tabs say to all others where they are."""
        html_output(value=f'<h1 class="unrender-spoken">{self._title}</h1>', elem_id="unrender_title")

    def run_when_opened(self, script: str) -> None:
        """script: a JavaScript function."""
        self.blocks.load(None, inputs=[], outputs=[], **event(script))

    def launch(
        self,
        address: str,
        port: int,
        login: tuple[str, str] | None,
        open_browser: bool,
        most_uploaded: int,
        guarded: Callable[[App, Any], App],
    ) -> str:
        """Serves it in a thread of its own, on this address only, and returns where. guarded: given what answers, and
        gradio's application, what is to answer instead."""

        @asynccontextmanager
        async def around_all(app: Any) -> AsyncIterator[None]:
            # gradio's own middleware stands outside of any that it can be given; nothing is served yet
            app.middleware_stack = guarded(app.middleware_stack, app)
            yield

        options: dict[str, Any] = {**self._later, "share": False, "quiet": True, "prevent_thread_lock": True}
        options["app_kwargs"] = {"lifespan": around_all}
        options["show_api" if _MAJOR < 6 else "footer_links"] = False if _MAJOR < 6 else []
        if _MAJOR >= 4:
            options["max_file_size"] = most_uploaded
        if _MAJOR >= 5:
            options["ssr_mode"] = False
        with without_proxies():
            at_once: dict[str, Any] = {"concurrency_count": LONGEST + 1} if _MAJOR < 4 else {}
            _, url, _ = self.blocks.queue(max_size=_LONGEST_QUEUE, **at_once).launch(
                server_name=address, server_port=port, auth=login, inbrowser=open_browser, **options
            )
        self._make_impatient(most_uploaded)
        return url

    def _make_impatient(self, most: int) -> None:
        """gradio makes the server itself, which takes this for each connection anew."""
        from .patience import Patience

        config: Any = self.blocks.server.config
        config.http_protocol_class, config.ws_max_size = Patience, most


def _theme() -> Any:
    """Letters that are on the machine, so that nothing is fetched from elsewhere, and buttons that can be read."""
    own = gr.themes.Default(
        primary_hue="emerald", font=("system-ui", "sans-serif"), font_mono=("ui-monospace", "monospace")
    )
    dark, darker, light = "*primary_700", "*primary_800", "white"
    return own.set(
        button_primary_background_fill=dark,
        button_primary_background_fill_dark=dark,
        button_primary_background_fill_hover=darker,
        button_primary_background_fill_hover_dark=darker,
        button_primary_text_color=light,
        button_primary_text_color_dark=light,
    )
