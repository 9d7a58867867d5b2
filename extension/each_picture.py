"""Words for each picture of img2img, found when its turn comes: in its Batch tab, and for one picture alone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

from ..core.errors import Cancelled, SettingsError
from ..core.printable import quoted
from ..core.prompt_syntax import escape
from ..core.settings import MODES, Mode, Settings
from ..server.choices import INSERTIONS, inserted
from ..server.models import Models
from ..server.needs import needs_of
from ..server.wording import sentence_for
from . import webui_host
from .file_keys import key_of
from .sampling import failing

if TYPE_CHECKING:
    from PIL.Image import Image

_logger = logging.getLogger(__name__)

TITLE = "Interrogate each picture"
OFF = "off"
AS_SET = "as in the settings"
_STOPPED = "It was skipped, or all was interrupted, before its words were found."


class InterrogateEach(webui_host.Script):
    """The section in img2img. A picture whose words cannot be found is left out and told of, the others go on; a
    request through the API fails instead."""

    words: Words

    def title(self) -> str:
        return TITLE

    def show(self, is_img2img: bool) -> Any:
        return is_img2img and webui_host.ALWAYS_VISIBLE

    def ui(self, is_img2img: bool) -> list[Any]:
        try:
            return _section()
        except Exception as error:  # noqa: BLE001  a webui without this section is better than none
            _logger.warning("No %s: %s", TITLE, sentence_for(error))
            return []

    def before_process(self, p: Any, way: Any = OFF, mode: Any = AS_SET, *_: Any) -> None:
        """Before the webui makes its list of prompts, with styles, for the picture at hand."""
        p.unrender_each = None
        pictures = getattr(p, "init_images", None)
        if way == OFF or not pictures:
            return
        p.unrender_each = turn = _Turn(p)
        try:
            asked, chosen = _way(way), _mode(mode)
            turn.put(self.words.found(pictures[0], chosen), asked, chosen)
        except Cancelled:
            turn.leave_out(_STOPPED)
        except Exception as error:
            if getattr(p, "is_api", False):
                with failing(p):
                    raise
            else:
                turn.leave_out(sentence_for(error))

    def process(self, p: Any, *_: Any) -> None:
        if turn := getattr(p, "unrender_each", None):
            turn.begin()

    def postprocess(self, p: Any, processed: Any, *_: Any) -> None:
        if turn := getattr(p, "unrender_each", None):
            turn.end(processed)


class _Turn:
    """One picture's. What is changed of the generation, which a batch goes on to use, is as before at the end."""

    def __init__(self, p: Any) -> None:
        self._p = p
        self._before: dict[str, Any] = {}
        self._left_out: str | None = None
        self._number = webui_host.number_in_batch()

    def put(self, found: str, way: str, mode: Mode) -> None:
        field = "negative_prompt" if mode == "negative" else "prompt"
        typed = getattr(self._p, field)
        several = isinstance(typed, list)
        texts = [inserted(found, each, way) for each in (typed if several else [typed])]
        self._set(**{field: texts if several else texts[0]})

    def leave_out(self, sentence: str) -> None:
        self._left_out = sentence

    def begin(self) -> None:
        if self._left_out is not None:
            self._set(n_iter=0, do_not_save_grid=True)

    def end(self, processed: Any) -> None:
        p = self._p
        for name, value in self._before.items():
            setattr(p, name, value)
        # of a batch the webui shows what belongs to its first picture
        p.unrender_shown = first = getattr(p, "unrender_shown", None) or processed
        if self._left_out:
            line = f"{self._number or 'The picture'} is left out: {self._left_out}"
            _logger.warning("%s", line)
            first.comments = f"{getattr(first, 'comments', '') or ''}{line}\n"

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            self._before.setdefault(name, getattr(self._p, name, None))
            setattr(self._p, name, value)


class Words:
    """Finds them with the models of the settings page; keeps the last, since a script may draw one picture often."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._last: tuple[Any, str] | None = None

    def found(self, picture: Image, mode: Mode) -> str:
        """As the prompt field takes them. Raises what `Engine.interrogate` does."""
        from ..core.images import image_key, open_image
        from ..core.phrases.families import own_files

        settings = webui_host.preferences().settings(webui_host.model_folder(), str(webui_host.device()))
        opened = open_image(picture)
        key = (image_key(opened), mode, settings, key_of(own_files(settings.phrases)))
        if self._last is None or self._last[0] != key:
            self._last = key, escape(self._interrogated(opened, mode, settings), "webui")
        return self._last[1]

    def _interrogated(self, picture: Image, mode: Mode, settings: Settings) -> str:
        with webui_host.in_generation() as (job, room):
            keeping = webui_host.preferences().keeping
            with self._models.engine(settings, needs_of(settings, mode), keeping, room, job) as engine:
                return engine.interrogate(picture, mode).prompt


def _section() -> list[Any]:
    import gradio as gr

    with gr.Accordion(TITLE, open=False, elem_id="unrender_each"):
        way = gr.Radio(
            [OFF, *INSERTIONS],
            value=OFF,
            label="What its words do with the typed prompt, in the tab Batch for every picture anew",
            elem_id="unrender_each_way",
        )
        mode = gr.Radio([AS_SET, *MODES], value=AS_SET, label="Mode", elem_id="unrender_each_mode")
    for part in (way, mode):
        part.do_not_save_to_config = True
    return [way, mode]


def _way(given: Any) -> str:
    if given not in INSERTIONS:
        problem = f"Words cannot {quoted(given)} the typed prompt"
        raise SettingsError(problem, f"choose one of {', '.join((OFF, *INSERTIONS))}")
    return str(given)


def _mode(given: Any) -> Mode:
    if given == AS_SET:
        return webui_host.preferences().mode
    if given not in MODES:
        raise SettingsError(f"There is no mode {quoted(given)}", f"choose one of {', '.join((AS_SET, *MODES))}")
    return cast("Mode", given)
