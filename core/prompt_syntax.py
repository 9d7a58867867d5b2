"""Escapes text for a host, so that the host's prompt parser takes it literally."""

from __future__ import annotations

import re
from typing import Literal, get_args

from .cures import Choose
from .errors import SettingsError

Host = Literal["comfyui", "webui", "plain"]

_FULL_WIDTH = {ord(mark): ord(mark) + 0xFEE0 for mark in "#{}/"}
"""The twins of ASCII marks in Unicode's full-width forms."""

_COMMANDS = {ord(mark): ord(mark) + 0xFEE0 for mark in "$%"}

_COMFYUI_EMBEDDING = re.compile(r"(?<!\S)embedding:")
_WEBUI_KEYWORD = re.compile(r"\b(?:AND|BREAK)\b")
_WEBUI_UNPROTECTED = re.compile(r"[#{}]|/(?=[/*])|(?<=\*)/")
_WEBUI_PROTECTED = re.compile(r"[\\()\[\]:]|(?<=_)_")
_WEBUI_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_WEBUI_LAST_WEIGHT = re.compile(r"(?<=:)(?=\s*[-+]?[.\d]+\s*$)")


def escape(prompt: str, host: str) -> str:
    r"""Writes `prompt` so that `host` reads it as plain text of weight 1, whatever characters are in it.

    "comfyui": what ComfyUI's text encoder nodes take. A backslash protects round brackets, and needs no
    protection itself. `embedding:` at the start of a word, which nothing protects, becomes `embedding :`; that
    makes the same tokens in CLIP. The null character is dropped, because the parser uses it for its own marks.
    (The `{a|b}` and `//` of ComfyUI's text boxes are the browser's: text that arrives over a link never meets
    them, and must not be escaped for them.)

    "webui": Automatic1111's webui, Forge, reForge and SD.Next. A backslash protects `\ ( ) [ ] :`, and with them
    emphasis, prompt editing, alternation and `<lora:name:1>`. Where a backslash protects nothing, the webuis drop
    it, so one in the middle takes apart a pair: the `__` around wildcards, and a colon and a number at the end
    (`16:9`), which would be the weight of the whole prompt. What no backslash helps is rewritten:
    - the words AND and BREAK become lower-case, which is the same to CLIP;
    - the comment marks `#`, `//`, `/*` and `*/`, and the braces in which SD.Next and a common extension choose
      between words, get full-width forms (`＃`). These look alike, and the clean-up of text before CLIP's and
      T5's tokenizers (ftfy, NFKC) turns them back into ASCII.
    - line breaks, at which SD.Next splits a prompt, become spaces.

    "plain": unchanged. Raises SettingsError for any other host.
    """
    if host == "comfyui":
        return _escape_for_comfyui(prompt)
    if host == "webui":
        return _escape_for_webui(prompt)
    if host == "plain":
        return prompt
    raise SettingsError(f'The host "{host}" is unknown', Choose("host", get_args(Host)))


def unescape_for_webui(prompt: str) -> str:
    """What the webuis' text encoder is given of a prompt without weights: no backslash is left. What `escape` rewrote
    stays rewritten, which is the same to a CLIP."""
    return _WEBUI_ESCAPED.sub(r"\1", prompt)


def escape_for_wildcards(prompt: str) -> str:
    """As for "webui", and so that the extension that draws lines from files (dynamic prompts) reads no command in one:
    it refuses a whole prompt with a `$` or `%` that it does not know."""
    return _escape_for_webui(prompt).translate(_COMMANDS)


def _escape_for_comfyui(prompt: str) -> str:
    prompt = re.sub(r"[()]", r"\\\g<0>", prompt.replace("\0", ""))
    return _COMFYUI_EMBEDDING.sub("embedding :", prompt)


def _escape_for_webui(prompt: str) -> str:
    prompt = re.sub(r"[\r\n]+", " ", prompt)
    prompt = _WEBUI_KEYWORD.sub(lambda match: match[0].lower(), prompt)
    prompt = _WEBUI_UNPROTECTED.sub(lambda match: match[0].translate(_FULL_WIDTH), prompt)
    prompt = _WEBUI_PROTECTED.sub(r"\\\g<0>", prompt)
    return _WEBUI_LAST_WEIGHT.sub(r"\\", prompt)
