"""The describers that run elsewhere: a server that speaks OpenAI's chat completions, on this computer or another.

Ollama, LM Studio, llama.cpp's server, vLLM, `transformers serve` and many more do. What is sent is the picture, made
smaller, and what is asked of it; to the address that was named, and to no other.
"""

from __future__ import annotations

import importlib.util
import re
import unicodedata
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...cures import Choose, Give, Install
from ...errors import MissingPackageError, ModelError, UndescribedError
from ...foreign import shown
from ...hub import Hub
from ...hub.failures import Unreachable
from ...printable import printable
from ...progress import SILENT, Progress
from ...settings import CaptionSettings, EndpointSettings
from ..answers import answered
from ..describer import Describer, Description
from ..kind import Kind
from ..trimming import without_thoughts
from .address import Address, claims
from .key import Key, key_for

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from .answer import Writing
    from .client import Client

_PACKAGE = "openai"
_MOST_SHOWN = 12
_KEPT = "/api/generate"
_REFUSED_FIELDS = (400, 422)


class Endpoint(Describer):
    """A model of a server. key: looked up when a request is made, and held no longer."""

    def __init__(self, name: str, address: Address, key: Callable[[Address], Key] = key_for) -> None:
        self.name = name
        self._address = address
        self._key = key
        self._refused: set[str] = set()
        self._thinks = False

    def describe(
        self, images: Iterable[Image], settings: CaptionSettings | None = None, progress: Progress = SILENT
    ) -> list[Description]:
        """See `Describer`. One request a picture, one after the other. Beams are the server's own business.

        A picture that the server refuses or has no words for has a failure. Raises ModelError (the server is not there,
        or fails for all; a key that others could read on the way), Cancelled."""
        from .client import Client

        settings = settings or CaptionSettings()
        key = self._key(self._address)
        found: list[Description] = []
        with Client(self._address, key, settings.endpoint, progress) as client:
            self._keep(client, settings.endpoint.keep_alive)
            for image in images:
                progress.check()
                found.append(self._described(client, image, key, settings))
                del image
            self._let_go(client, settings.endpoint.keep_alive)
        return found

    def _described(self, client: Client, image: Image, key: Key, settings: CaptionSettings) -> Description:
        try:
            writing = self._written(client, image, settings)
            if writing.end == "length" and _only_thought(writing) and not self._thinks:
                self._thinks = True  # and has to be given room for it, which others would fill with words
                writing = self._written(client, image, settings)
            return Description(self._text(writing, key, settings))
        except UndescribedError as error:
            return Description("", failure=error.with_traceback(None))

    def _written(self, client: Client, image: Image, settings: CaptionSettings) -> Writing:
        from .request import fields_for, to_leave_out

        while True:
            fields = fields_for(image, self._address.model, settings, self._thinks, self._refused)
            try:
                return client.chat(fields)
            except Unreachable as trouble:
                told = trouble
            name = to_leave_out(told.said, settings, fields, self._refused) if told.status in _REFUSED_FIELDS else None
            if name is None:
                raise self._error(told, client)
            self._refused.add(name)

    def _text(self, writing: Writing, key: Key, settings: CaptionSettings) -> str:
        if key.is_told_by(writing.text):
            raise _failed(self._address, Unreachable("its answer holds the key"))
        if writing.end == "content_filter":
            raise _failed(self._address, Unreachable("its filter held the answer back", of_picture=True))
        if text := _words(writing, settings):
            return text
        if _only_thought(writing):
            more = (Give("max_length", "more"), "turn thinking off")
            raise _failed(self._address, Unreachable("the model thought, and wrote nothing", *more, of_picture=False))
        cure = "try a model that sees pictures"
        raise _failed(self._address, Unreachable("the model wrote nothing", cure, of_picture=False))

    def _keep(self, client: Client, keep_alive: str) -> None:
        """Ollama takes it in its own API alone (ollama #11458), by a request without a prompt; requests in OpenAI's
        leave it as it is (ollama #9355). So it comes first; what is to be let go at once, last."""
        if not keep_alive or _is_zero(keep_alive):
            return
        try:
            client.post(_KEPT, self._kept(_of_ollama(keep_alive)))
        except Unreachable as trouble:
            told = trouble
        else:
            return
        raise ModelError(
            f"{self._address.base} does not take how long it is to keep the model, as Ollama does: {told.reason}",
            "say nothing of that",
        )

    def _let_go(self, client: Client, keep_alive: str) -> None:
        if keep_alive and _is_zero(keep_alive):
            with suppress(Unreachable):  # the words are there, and not to be lost by this
                client.post(_KEPT, self._kept(0))

    def _kept(self, keep_alive: str | int) -> dict[str, Any]:
        return {"model": self._address.model, "keep_alive": keep_alive, "stream": False}

    def _error(self, trouble: Unreachable, client: Client) -> ModelError:
        if trouble.status != 404 or trouble.cures:
            return _failed(self._address, trouble)
        try:
            listed = client.models()
        except Unreachable:
            return _failed(self._address, trouble)
        if self._address.model in listed:
            return _failed(self._address, trouble)
        return _no_model(self._address, f"has no model {shown(self._address.model)!r}", listed)


def _words(writing: Writing, settings: CaptionSettings) -> str:
    """One line; "" where there is nothing that could be seen."""
    text = " ".join(answered(printable(writing.text), settings, cut=writing.end == "length").split())
    return "" if all(unicodedata.category(letter) in ("Cf", "Zs") for letter in text) else text


def _only_thought(writing: Writing) -> bool:
    return not without_thoughts(writing.text) and (writing.thought or bool(writing.text.strip()))


def endpoint_models(address: str, settings: EndpointSettings | None = None, progress: Progress = SILENT) -> list[str]:
    """What a server says that it has. address: without a model. Raises ModelError, MissingPackageError, Cancelled."""
    from .client import Client

    check_endpoint(address)
    place = Address.of(address)
    try:
        with Client(place, key_for(place), settings or EndpointSettings(), progress) as client:
            return client.models()
    except Unreachable as trouble:
        told = trouble
    if told.status == 404 and "/v1" not in place.base:
        told.cures = (f"ask {place.base}/v1",)
    raise _failed(place, told, "does not list its models")


def check_endpoint(name: str) -> None:
    """What is known to be wrong without a network. Raises ModelError, MissingPackageError."""
    key_for(Address.of(name))
    if importlib.util.find_spec(_PACKAGE) is None:
        raise MissingPackageError("To ask a server needs openai", Install((_PACKAGE,)), Give("captioner"))


def load_endpoint(
    name: str,
    device: str | torch.device = "auto",
    dtype: torch.dtype | None = None,
    hub: Hub | None = None,
    progress: Progress = SILENT,
    wait: bool = False,
) -> Endpoint:
    """Asks the server for its model where the name has none. Raises ModelError, MissingPackageError, Cancelled."""
    check_endpoint(name)
    address = Address.of(name)
    if address.model:
        return Endpoint(name, address)
    listed = endpoint_models(address.base, progress=progress)
    if len(listed) != 1:
        raise _no_model(address, f"has {len(listed)} models, and none is named", listed)
    return Endpoint(name, Address(address.base, listed[0]))


def _no_model(address: Address, problem: str, listed: list[str]) -> ModelError:
    names = tuple(f"{address.base}#{shown(each)}" for each in listed[:_MOST_SHOWN])
    cures = (Choose("captioner", names),) if names else ()
    return ModelError(f"{address.base} {problem}", *cures)


def _failed(address: Address, trouble: Unreachable, what: str = "does not describe the picture") -> ModelError:
    start = ("start the server",) if "refused" in trouble.reason and not trouble.status and address.is_here else ()
    problem, cures = f"{address.base} {what}: {trouble.reason}", (*trouble.cures, *start)
    if trouble.of_picture is None:
        return ModelError(problem, *cures)
    return UndescribedError(problem, *cures, certain=trouble.of_picture)


def _of_ollama(keep_alive: str) -> str | int:
    """A number of seconds is a number there, and no text."""
    return int(keep_alive) if keep_alive.lstrip("-").isdecimal() else keep_alive


def _is_zero(keep_alive: str) -> bool:
    return re.fullmatch(r"0+(\.0*)?[a-z]*", keep_alive) is not None


def _nowhere(name: str, hub: Hub | None = None, progress: Progress = SILENT) -> Path | None:
    check_endpoint(name)
    return None


KIND = Kind("endpoint", {}, lambda name, hub: claims(name), check_endpoint, _nowhere, load_endpoint)
