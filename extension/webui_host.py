"""All that touches a webui itself: settings, queue, memory, folders and scripts. Made for AUTOMATIC1111's, its forks
and SD.Next; what only some of them have is looked for."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from modules import devices, paths, script_callbacks, scripts, shared
from modules.call_queue import queue_lock

from ..core.errors import SettingsError
from ..core.file_names import pasted
from ..server.choices import Preferences, known_mode
from ..server.describing import known_style
from ..server.jobs import Job
from ..server.waiting import held

_SECTION = ("unrender", "Unrender")
_OWN_JOB = "unrender"
_DEFAULT = Preferences()

Script = scripts.Script
ALWAYS_VISIBLE = scripts.AlwaysVisible


def listen(**callbacks: Callable[..., Any]) -> None:
    """Has them called by the webui. The names are those of the webui's events: ui_tabs, app_started, ..."""
    for event, callback in callbacks.items():
        getattr(script_callbacks, f"on_{event}")(callback)


def model_folder() -> Path:
    """Where models, tables and the person's own vocabularies are kept."""
    return Path(paths.models_path) / "unrender"


def device() -> Any:
    """On which the webui would look at pictures itself."""
    of_webui: Any = devices
    if hasattr(of_webui, "get_device_for"):
        return of_webui.get_device_for("interrogate")
    return of_webui.device


# --- settings


def preferences() -> Preferences:
    def option(name: str) -> str:
        return pasted(str(getattr(shared.opts, f"unrender_{name}", None) or "")) or getattr(_DEFAULT, name)

    return Preferences(
        option("clip"),
        option("captioner"),
        option("vocabulary"),
        known_mode(option("mode")),
        option("insertion"),
        option("keeping"),
        option("seeing"),
        option("tagger"),
        known_style(option("style")),
    )


def add_setting(name: str, label: str, component: Any, choices: Callable[[], Iterable[str]], note: str = "") -> None:
    """choices: called whenever the settings page is built, since folders may have come."""
    info: Any = shared.OptionInfo(getattr(_DEFAULT, name), label, component, lambda: {"choices": list(choices())})
    if note and hasattr(info, "info"):
        info = info.info(note)
    info.section = _SECTION
    shared.opts.add_option(f"unrender_{name}", info)


def logins() -> str:
    """The webui's own, as "name:password,name:password": its API's, or else its page's, in the words of either kind
    of webui."""
    options = shared.cmd_opts
    found = [text for text in (getattr(options, "api_auth", None), getattr(options, "auth", None)) if text]
    if found:
        return str(found[0])
    of_page = getattr(_first_of("modules.initialize_util"), "get_gradio_auth_creds", tuple)
    of_page = [f"{name}:{password}" for name, password in of_page()]
    file = getattr(options, "auth_file", None)
    return ",".join([*of_page, *(Path(file).read_text(encoding="utf-8").splitlines() if file else ())])


def folders() -> tuple[Path, ...] | None:
    """Those that visitors may name places in: any, as in the webui's own batch, unless it hides its folders from them;
    then those that it gives out files of."""
    options = shared.cmd_opts
    if not getattr(options, "hide_ui_dir_config", False):
        return None
    return tuple(Path(folder).resolve() for folder in getattr(options, "gradio_allowed_path", None) or ())


# --- taking turns


def interrupted() -> bool:
    return bool(shared.state.interrupted or shared.state.skipped)


def interrupted_in_turn() -> bool:
    """Before one's own turn these are of something else: reloading the webui leaves it interrupted."""
    return shared.state.job == _OWN_JOB and interrupted()


@contextmanager
def turn(job: Job) -> Iterator[None]:
    """The webui does one thing at a time, and while this one lasts Interrupt and Skip are meant for it."""
    job.text = "Waiting for the webui to finish what it does"
    with held(queue_lock, job.check):
        let_checkpoint_load(job)
        job.text = ""
        shared.state.begin(_OWN_JOB)
        try:
            job.check()
            yield
        finally:
            shared.state.end()
            shared.state.interrupted = shared.state.skipped = False


def let_checkpoint_load(job: Job) -> None:
    """While one loads, the webui has parts of transformers replaced. Raises Cancelled."""
    from modules import sd_models

    lock = getattr(getattr(sd_models, "model_data", None), "lock", None)
    if lock is not None:
        with held(lock, job.check):
            return


class GenerationJob(Job):
    """Says how far it is in the progress bar of the generation it belongs to."""

    @property
    def text(self) -> str:
        return shared.state.textinfo or ""

    @text.setter
    def text(self, text: str) -> None:
        shared.state.textinfo = text or None


@contextmanager
def in_generation() -> Iterator[tuple[Job, Callable[[int], AbstractContextManager[None]]]]:
    """For work on behalf of the generation that goes on, whose turn it is: what reports of it in the generation's
    progress bar and hears of Interrupt and Skip, and what makes room on the device. Raises Cancelled."""
    import torch

    place, job = device(), GenerationJob(interrupted)
    let_checkpoint_load(job)
    try:
        # Forge draws in inference mode, and models that are loaded in it could not be moved outside of it
        with torch.inference_mode(False), torch.no_grad():
            yield job, lambda needed: room(place, needed)
    finally:
        job.text = ""


def number_in_batch() -> str:
    """Which picture it is now of those in img2img's Batch tab; empty elsewhere."""
    found = re.fullmatch(r"(\d+) out of (\d+)", shared.state.job or "")
    return f"Picture {found[1]} of {found[2]}" if found else ""


# --- memory


@contextmanager
def room(device: Any, needed: int) -> Iterator[None]:
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


# --- styles


def style_names() -> list[str]:
    return list(shared.prompt_styles.styles)


def is_heading(name: str) -> bool:
    """Whether it is a line that the list has above the styles of each file."""
    known = shared.prompt_styles.styles.get(name)
    return getattr(known, "path", None) == "do_not_save"


def save_style(name: str, prompt: str) -> None:
    """In the place of the one that has the name, if any. Raises SettingsError."""
    from modules.styles import PromptStyle

    known = shared.prompt_styles
    known.reload()  # what was written into its files meanwhile stays
    before = known.styles.get(name)
    if before is None:
        known.styles[name] = PromptStyle(name, prompt, "")
    else:
        known.styles[name] = before._replace(prompt=prompt, negative_prompt="")
    try:
        known.save_styles()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SettingsError(f"The webui's styles cannot be written ({reason})", "see to its styles.csv") from error


# --- generations


def calls_at_each_step() -> bool:
    """Whether the sampler asks extensions at each step, and lets them know for which generation. SD.Next does not."""
    parameters = inspect.signature(script_callbacks.CFGDenoiserParams.__init__).parameters
    return "denoiser" in parameters


def clip_skip() -> int:
    return int(getattr(shared.opts, "CLIP_stop_at_last_layers", 1))


def encoded(checkpoint: Any, text: str, width: int, height: int) -> Any:
    """What the checkpoint's text encoders make of a text; SDXL's get the picture's size along."""
    from modules import prompt_parser

    conditioning = getattr(prompt_parser, "SdConditioning", None)
    texts = [text] if conditioning is None else conditioning([text], width=width, height=height)
    with devices.autocast():
        if hasattr(checkpoint, "set_clip_skip"):
            checkpoint.set_clip_skip(clip_skip())  # Forge's holds until another is set
        return checkpoint.get_learned_conditioning(texts)


def add_axis(
    label: str, vary: Callable[[Any, Any, Any], None], check: Callable[[Any, Any], None], names: Sequence[str] = ()
) -> None:
    """Offers numbers, or some of the names, to vary in an X/Y/Z plot, where this webui has such a script.

    vary: gets a generation, one value, and all of them. check: gets a generation and all values.
    """
    for data in getattr(scripts, "scripts_data", ()):
        if Path(data.path).name == "xyz_grid.py" and hasattr(data.module, "AxisOption"):
            values = {"type": str, "choices": lambda: list(names)} if names else {"type": float}
            option = data.module.AxisOption(label, apply=vary, confirm=check, **values)
            data.module.axis_options.append(option)
            return


# --- the page


def paste_parameters() -> Any:
    """The module that sends parameters from tab to tab; it has moved in the course of time."""
    found = _first_of("modules.infotext_utils", "modules.generation_parameters_copypaste")
    if hasattr(found, "ParamBinding"):
        return found
    return importlib.import_module("modules.generation_parameters_copypaste")


def tool_button() -> Any:
    from modules.ui_components import ToolButton

    return ToolButton


def add_refresh(component: Any, choices: Callable[[], list[str]], elem_id: str) -> None:
    """The webui's own button that has a list filled anew."""
    from modules.ui_common import create_refresh_button

    create_refresh_button(component, lambda: None, lambda: {"choices": choices()}, elem_id)


def _first_of(*names: str) -> Any:
    """The first of the modules that this webui has, or None."""
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None
