"""All that touches a webui: its pages, settings, queue, memory and folders. Made for AUTOMATIC1111's and its forks."""

from __future__ import annotations

import html
import importlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules import devices, paths, script_callbacks, scripts, shared
from modules.call_queue import queue_lock

from ..core.choices import CLIPS
from ..core.prompt_syntax import escape
from ..core.results import Interrogation
from ..core.settings import MODES, Settings
from .choices import AUTOMATIC, INSERTIONS, KEEPINGS, Preferences, Request, captioners, known_mode, vocabularies
from .generation import TITLE, Asked, accordion, embedding_of, keys_of
from .jobs import Job, Jobs
from .models import Models
from .sampling import failing, steer
from .service import Service
from .wording import sentence_for

if TYPE_CHECKING:
    from ..core.embed.embedding import PromptEmbedding
    from ..core.embed.families import Family
    from .conditioning import Steering

_logger = logging.getLogger(__name__)
_SECTION = ("unrender", "Unrender")
_DEFAULT = Preferences()


def register() -> type[scripts.Script]:
    """Tells the webui what to call, and returns the script that it has to find in the module it loads. Nothing optional
    is imported before a page is built."""
    models = Models()
    pages = _Pages(models)
    script_callbacks.on_ui_settings(_add_settings)
    script_callbacks.on_after_component(pages.after_component)
    script_callbacks.on_ui_tabs(pages.tabs)
    script_callbacks.on_cfg_denoiser(steer)
    script_callbacks.on_app_started(partial(_add_api, models))
    script_callbacks.on_script_unloaded(models.unload)
    return type("ImageAsPrompt", (_ImageAsPrompt,), {"embeddings": _Embeddings(models)})


class _Pages:
    """What is built into one page of the webui; Reload UI registers another."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._jobs = Jobs()
        self._listeners: list[Callable[..., None]] = []
        self._prompts: dict[str, Any] = {}

    def after_component(self, component: Any, **options: Any) -> None:
        elem_id = options.get("elem_id")
        if elem_id in ("txt2img_prompt", "img2img_prompt"):
            self._prompts[elem_id.partition("_")[0]] = component
        if not self._listeners:
            self._listeners.append(self._listener())
        self._listeners[0](component, **options)

    def _listener(self) -> Callable[..., None]:
        """What adds the button; where that fails the webui builds its page without it, and the tab says why."""
        try:
            from modules.ui_components import ToolButton

            from .toolbar import Toolbar

            return Toolbar(self._service(), ToolButton).after_component
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
        import gradio as gr

        from .page import prompt_page

        with gr.Tabs(elem_id="unrender_pages"), gr.TabItem("Prompt", elem_id="unrender_page_prompt"):
            page = prompt_page(self._service(), list(self._prompts))
        for name, target in self._prompts.items():
            _connect_sending(page.send[name], name, page.prompt, target, page.picture)

    def _service(self) -> Service:
        folder = model_folder()
        return Service(
            self._interrogate,
            lambda: Job(_interrupted),
            lambda prompt: escape(prompt, "webui"),
            preferences,
            captioners(),
            vocabularies(folder),
            self._jobs,
        )

    def _interrogate(self, request: Request, job: Job) -> Interrogation:
        device = devices.get_device_for("interrogate")
        settings = request.settings(model_folder(), str(device))
        job.text = "Waiting for the webui to finish what it does"
        with _turn(job):
            job.text = ""
            return self._models.interrogate(
                request, settings, preferences().keeping, lambda needed: _room(device, needed), job
            )


def _add_api(models: Models, _: Any, app: Any) -> None:
    """With the logins of the webui's own API, or else of its page: it does not ask for them on behalf of others."""
    from .api import router
    from .api_host import Host
    from .api_route import login_guard, logins_in

    def settings() -> Settings:
        return preferences().settings(model_folder(), str(devices.get_device_for("interrogate")))

    def room(needed: int) -> AbstractContextManager[None]:
        return _room(devices.get_device_for("interrogate"), needed)

    of_page = getattr(_first_of("modules.initialize_util"), "get_gradio_auth_creds", dict)
    logins = logins_in(shared.cmd_opts.api_auth) or dict(of_page())
    host = Host(models, settings, preferences, _turn, room, _interrupted)
    app.include_router(router(host, login_guard(logins) if logins else None))


class _ImageAsPrompt(scripts.Script):
    """The accordion in txt2img and img2img, and its part in a generation."""

    embeddings: _Embeddings

    def title(self) -> str:
        return TITLE

    def show(self, is_img2img: bool) -> Any:
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list[Any]:
        try:
            controls, self.infotext_fields = accordion("img2img" if is_img2img else "txt2img")
            self.paste_field_names = [name for _, name in self.infotext_fields]
            return controls
        except Exception as error:  # noqa: BLE001  a webui without this accordion is better than none
            _logger.warning("No %s: %s", TITLE, sentence_for(error))
            return []

    def process(self, p: Any, *values: Any) -> None:
        p.unrender_steering = None
        with failing(p):
            asked = Asked.of(*values)
            if asked:
                p.extra_generation_params.update(asked.infotext(keys_of(asked)))

    def process_batch(self, p: Any, *values: Any, **_: Any) -> None:
        """Here and not earlier: by now this batch's LoRAs are chosen."""
        with failing(p):
            asked = Asked.of(*values)
            if asked:
                p.unrender_steering = self.embeddings.steering(p, asked)


class _Embeddings:
    """Makes what a generation is steered with; keeps the last embedding, which is often needed again."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._last: tuple[Any, PromptEmbedding] | None = None

    def steering(self, p: Any, asked: Asked) -> Steering:
        from .conditioning import Conditioning, Steering
        from .text_encoders import family_of

        checkpoint = p.sd_model
        family = family_of(checkpoint, int(getattr(shared.opts, "CLIP_stop_at_last_layers", 1)))
        # the webui changes weights for LoRAs only when it encodes the next text
        with devices.autocast():
            empty = checkpoint.get_learned_conditioning(_texts([""], p))
        made = self._embedding(p, asked, family)
        assert made.states is not None
        return Steering(
            Conditioning(made.states, made.pooled),
            Conditioning.of(empty, family.pooled_width),
            asked.way,
            asked.strength,
            asked.start,
            asked.end,
        )

    def _embedding(self, p: Any, asked: Asked, family: Family) -> PromptEmbedding:
        seeing = preferences().seeing
        loras = [(kind, [each.items for each in chosen]) for kind, chosen in (p.extra_network_data or {}).items()]
        key = (seeing, family.name, str(getattr(p.sd_model, "sd_checkpoint_info", "")), repr(loras), keys_of(asked))
        if self._last is None or self._last[0] != key:
            clip = family.clip if seeing == AUTOMATIC else seeing
            self._last = key, embedding_of(asked, family, lambda pictures: self._embed(p, pictures, family, clip))
        return self._last[1]

    def _embed(self, p: Any, pictures: Sequence[Any], family: Family, clip: str) -> PromptEmbedding:
        from .text_encoders import text_sides

        _let_checkpoint_load()
        device = devices.get_device_for("interrogate")
        settings = Settings(clip=clip, captioner=None, device=str(device), cache=model_folder())
        try:
            return self._models.embed(
                pictures,
                family,
                lambda: text_sides(p.sd_model, family, device),
                settings,
                preferences().keeping,
                lambda needed: _room(device, needed),
                _GenerationJob(_interrupted),
            )
        finally:
            shared.state.textinfo = None


class _GenerationJob(Job):
    """Says how far it is in the progress bar of the generation it belongs to."""

    @property
    def text(self) -> str:
        return shared.state.textinfo or ""

    @text.setter
    def text(self, text: str) -> None:
        shared.state.textinfo = text or None


def _texts(texts: list[str], p: Any) -> Any:
    """As the webui's text encoders take them; SDXL's get the picture's size along."""
    from modules import prompt_parser

    conditioning = getattr(prompt_parser, "SdConditioning", None)
    return texts if conditioning is None else conditioning(texts, width=p.width, height=p.height)


def model_folder() -> Path:
    """Where models, tables and the person's own vocabularies are kept."""
    return Path(paths.models_path) / "unrender"


def preferences() -> Preferences:
    def option(name: str) -> str:
        return str(getattr(shared.opts, f"unrender_{name}", None) or getattr(_DEFAULT, name))

    return Preferences(
        option("clip"),
        option("captioner"),
        option("vocabulary"),
        known_mode(option("mode")),
        option("insertion"),
        option("keeping"),
        option("seeing").strip(),
    )


def _add_settings() -> None:
    import gradio as gr

    # not among the choices' arguments, of which the webui also makes updates
    open_list = partial(gr.Dropdown, allow_custom_value=True)
    sd15 = "ViT-L-14/openai for SD 1 and SDXL, ViT-H-14 for SD 2; micro is a toy that needs no download"
    _add_setting("clip", "CLIP that judges", open_list, lambda: CLIPS, sd15)
    _add_setting("captioner", "Captioner", open_list, captioners, "writes the sentence a prompt begins with")
    _add_setting("vocabulary", "Vocabulary", open_list, lambda: vocabularies(model_folder()))
    _add_setting("mode", "Mode of the button in img2img", gr.Radio, lambda: MODES)
    _add_setting("insertion", "What the button does with the words in the prompt field", gr.Radio, lambda: INSERTIONS)
    of_family = (
        "automatic is the one that belongs to the checkpoint; its own copy, say in a folder, can be named instead"
    )
    _add_setting("seeing", f"CLIP that sees pictures for {TITLE}", open_list, lambda: (AUTOMATIC, *CLIPS), of_family)
    _add_setting("keeping", "Where models are kept between uses", gr.Radio, lambda: KEEPINGS)


def _add_setting(name: str, label: str, component: Any, choices: Callable[[], Iterable[str]], note: str = "") -> None:
    """choices: called whenever the settings page is built, since folders may have come."""
    info: Any = shared.OptionInfo(getattr(_DEFAULT, name), label, component, lambda: {"choices": list(choices())})
    if note and hasattr(info, "info"):
        info = info.info(note)
    info.section = _SECTION
    shared.opts.add_option(f"unrender_{name}", info)


def _connect_sending(button: Any, tab: str, prompt: Any, target: Any, picture: Any) -> None:
    """The prompt alone goes into the field: read as a generation's parameters it would reset others. img2img gets the
    picture as well."""
    from .gradio_versions import event

    pasting = _first_of("modules.infotext_utils", "modules.generation_parameters_copypaste")
    button.click(lambda text: text, inputs=[prompt], outputs=[target], **event())
    binding = pasting.ParamBinding(
        paste_button=button, tabname=tab, source_image_component=picture if tab == "img2img" else None
    )
    pasting.register_paste_params_button(binding)


def _interrupted() -> bool:
    return bool(shared.state.interrupted or shared.state.skipped)


@contextmanager
def _turn(job: Job) -> Iterator[None]:
    """The webui does one thing at a time, and while this one lasts Interrupt and Skip are meant for it."""
    with queue_lock:
        _let_checkpoint_load()
        shared.state.begin(job="unrender")
        try:
            job.check()
            yield
        finally:
            shared.state.end()
            shared.state.interrupted = shared.state.skipped = False


def _let_checkpoint_load() -> None:
    """While one loads, the webui has parts of transformers replaced."""
    from modules import sd_models

    lock = getattr(getattr(sd_models, "model_data", None), "lock", None)
    if lock is not None:
        with lock:
            return


@contextmanager
def _room(device: Any, needed: int) -> Iterator[None]:
    """At least so many free bytes on the device, by the webui's own means; afterwards it has its place again."""
    manager = _memory_manager()
    if manager is not None:
        manager.free_memory(needed, device)  # what it put away it brings back by itself
        try:
            yield
        finally:
            manager.soft_empty_cache()
        return
    moved = _send_checkpoint_away(device, needed)
    try:
        yield
    finally:
        devices.torch_gc()
        if moved is not None:
            from modules import sd_models

            sd_models.send_model_to_device(moved)


def _memory_manager() -> Any:
    """Forge's or reForge's; None in webuis without one."""
    found = _first_of("backend.memory_management", "ldm_patched.modules.model_management")
    return found if hasattr(found, "free_memory") else None


def _first_of(*names: str) -> Any:
    """The first of the modules that this webui has, or None."""
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


def _send_checkpoint_away(device: Any, needed: int) -> Any:
    """The checkpoint if it was moved and has to come back, otherwise None."""
    from modules import sd_models

    from ..core.devices import free_memory

    lowvram = _first_of("modules.lowvram")
    if hasattr(lowvram, "send_everything_to_cpu"):
        lowvram.send_everything_to_cpu()
    devices.torch_gc()
    free = free_memory(device)
    checkpoint = getattr(getattr(sd_models, "model_data", None), "sd_model", None)
    if free is None or free >= needed or checkpoint is None or not hasattr(sd_models, "send_model_to_cpu"):
        return None
    sd_models.send_model_to_cpu(checkpoint)
    return checkpoint
