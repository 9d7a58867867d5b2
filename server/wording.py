"""What a person is told of an error, in the words of the page and of the API."""

from __future__ import annotations

import logging

from ..core.cures import CONTROLS, Control, Step, Words
from ..core.errors import Cancelled, UnrenderError
from ..core.installing import install_command, plain_command
from ..core.shortage import is_out_of_memory, is_told_of_memory
from .private import without_places

_logger = logging.getLogger(__name__)

WITHOUT_FIELD: tuple[Control, ...] = (
    *("device", "precision", "memory", "fit", "trigger", "prefix", "suffix", "pool", "beam_width"),
    *("beam_shortlist", "beam_refresh", "min_phrases", "max_phrases", "token_limit", "peer_defects", "captioning"),
    *("cache", "beams", "host", "correction", "temperature", "gap_pictures", "tokens"),
    *("quantization", "longest_side", "timeout", "retries", "endpoint_key"),
    *("learning_texts", "learning_strength", "learning_rank", "cut", "norm", "dino", "steps", "guidance", "seed"),
    *("denoise", "size", "columns", "shard", "jobs", "workers", "index"),
    *("judge", "judge_by_rendering"),
)
"""What neither page nor API sets: the program that they are part of does, or the command line."""

ONLY_ON_THE_PAGE: tuple[Control, ...] = ("checkpoint", "output", "place", "existing")

_PLAIN: dict[Control, str] = {
    **{name: name.replace("_", " ") for name in CONTROLS},
    "cache": "UNRENDER_CACHE",
}
_ELSEWHERE = "start this program with {what} as {control}"
_STEPS: dict[Step, str] = {
    "resume": "go on with the earlier run",
    "copy the model": "name a folder or file that holds a copy",
    "list models": "choose one of the list",
    "describe a folder": "describe all of it with the command line's batch",
    "index the folder": "index the folder first, with the command line",
    "use the CPU": "start this program on the CPU",
}

PAGE = Words(
    controls={
        **_PLAIN,
        "clip": "the CLIP",
        "captioner": "the captioner",
        "tagger": "the tagger",
        "writing_temperature": "the temperature",
        "max_length": "the most tokens",
        "phrases": "the vocabulary",
        "limits": "the most phrases of a category",
        "images": "the picture",
        "family": "the family",
        "quality": "the quality",
        "projection": "the projection",
        "anchor": "Words that describe the pictures",
        "search": "Search (best)",
        "exclude": "Exclude",
        "pinned": "Always use",
        "existing": "Where there is a text already",
    },
    steps={**_STEPS, "resume": "tick Go on with an earlier run"},
    give="give {what} as {control}",
    choose="choose {values} as {control}",
    leave_out="leave {control} empty",
    install="run `{command}` and restart this program",
    elsewhere=WITHOUT_FIELD,
    give_elsewhere=_ELSEWHERE,
)

API = Words(
    controls={
        **{name: f'"{name}"' for name in CONTROLS},
        **{name: _PLAIN[name] for name in (*WITHOUT_FIELD, *ONLY_ON_THE_PAGE)},
        "phrases": '"vocabulary"',
        "images": '"images"',
        "writing_temperature": '"temperature"',
    },
    steps={**_STEPS, "list models": "send one that GET /interrogator/models lists"},
    give="send {what} as {control}",
    choose="send {values} as {control}",
    leave_out="leave out {control}",
    install="have `{command}` run in the environment of this program, and restart it",
    installer=plain_command,
    elsewhere=WITHOUT_FIELD,
    give_elsewhere=_ELSEWHERE,
)


def sentence_for(error: Exception, words: Words = PAGE) -> str:
    """What a person is told of an error, whatever it is; what nobody foresaw goes to the log as well."""
    if isinstance(error, UnrenderError):
        return error.said(words)
    if isinstance(error, ImportError):
        name = (error.name or "a package").partition(".")[0]
        return (
            f"{name} cannot be imported ({_one_line(error)}); install it again with "
            f"`{install_command((name,))}`, then restart."
        )
    if is_out_of_memory(error):
        return "The memory is used up; choose smaller models, or unload the checkpoint first."
    _logger.error("Unrender failed in a way nobody foresaw.", exc_info=error)
    return f"This failed in a way nobody foresaw ({type(error).__name__}: {_one_line(error)}); the console says where."


def sentence_for_strangers(error: Exception) -> str:
    """As `sentence_for`, in the API's words; without paths of this machine, and of what nobody foresaw the kind alone:
    the log has the rest."""
    if isinstance(error, UnrenderError) or is_out_of_memory(error):
        return without_places(sentence_for(error, API))
    _logger.error("Unrender failed in a way nobody foresaw.", exc_info=error)
    return f"This failed in a way nobody foresaw ({type(error).__name__}); the console of this program says where."


def status_of(error: Exception) -> int:
    """The HTTP status that tells of an error: the request's fault, short memory or a stop, or this program's fault."""
    if isinstance(error, Cancelled) or is_told_of_memory(error):
        return 503
    return 422 if isinstance(error, UnrenderError) else 500


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".")
