"""The engine's sentences in a page's terms: they propose options of the command line, which a page does not have."""

from __future__ import annotations

import logging
import sys

from ..core.errors import Cancelled, UnrenderError

_logger = logging.getLogger(__name__)

_TERMS = (
    (
        "name a folder or file that holds a copy, or use --captioner micro or --captioner none",
        "name a folder that holds a copy in its place, or choose another captioner or none",
    ),
    (
        "name a folder or file that holds a copy, or use --clip micro",
        "name a folder or file that holds a copy as the CLIP, or choose micro, a toy that needs no download",
    ),
    ("--captioner micro or --captioner none", "another captioner or none"),
    ("--captioner none", "none as the captioner"),
    ("--clip micro", "another CLIP"),
    ("--device cpu, or", "or"),
    ("; `unrender models` lists what can be named.", "; choose one of the list."),
    ("`unrender models` lists", "the list of models has"),
    ("go on with it with --resume", "go on with it"),
    ("go on with --resume", "choose to go on with an earlier run"),
    ("--existing overwrite", "overwrite"),
    ("--existing ", ""),
    ("--output ", "the output "),
    ("; leave out -o.", "; leave the place empty."),
    ("with -o.", "as the place."),
)


def sentence_for(error: Exception) -> str:
    """What a person is told of an error, whatever it is; what nobody foresaw goes to the log as well."""
    if isinstance(error, UnrenderError):
        return _in_page_terms(str(error))
    if isinstance(error, ImportError):
        name = (error.name or "a package").partition(".")[0]
        return (
            f"{name} cannot be imported ({_one_line(error)}); install it again with "
            f'"{sys.executable}" -m pip install {name}, then restart.'
        )
    if _is_out_of_memory(error):
        return "The memory is used up; choose smaller models, or unload the checkpoint first."
    _logger.error("Unrender failed in a way nobody foresaw.", exc_info=error)
    return f"This failed in a way nobody foresaw ({type(error).__name__}: {_one_line(error)}); the console says where."


def status_of(error: Exception) -> int:
    """The HTTP status that tells of an error: the request's fault, short memory or a stop, or this program's fault."""
    if isinstance(error, Cancelled) or _is_out_of_memory(error) or _is_out_of_memory(error.__cause__):
        return 503
    return 422 if isinstance(error, UnrenderError) else 500


def _in_page_terms(sentence: str) -> str:
    for option, term in _TERMS:
        sentence = sentence.replace(option, term)
    return sentence


def _is_out_of_memory(error: BaseException | None) -> bool:
    from ..core.devices import is_out_of_memory

    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and is_out_of_memory(error))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".")
