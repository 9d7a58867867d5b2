"""A server that is to be asked again, or is waited for; stopping is heard meanwhile."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from chat_server import (
    WORDS,
    Answer,
    Asked,
    ChatServer,
    Handler,
    cut_off,
    drips,
    says,
    silent,
    writes,
)
from PIL import Image
from unrender.core.describe import load_describer
from unrender.core.errors import Cancelled, ModelError
from unrender.core.progress import Progress
from unrender.core.settings import CaptionSettings, EndpointSettings

pytest.importorskip("openai", reason="the library that asks servers is not installed (extra endpoint)")
pytest_plugins = ["chat_fixtures"]
PICTURE = Image.new("RGB", (32, 32), "red")


def busy(status: int = 429, **headers: str) -> Answer:
    return says({"error": {"message": "slow down"}}, status, **headers)


def until(seconds: float) -> Answer:
    """Told as a date."""

    def answer(handler: Handler, asked: Asked) -> None:
        then = datetime.now(timezone.utc) + timedelta(seconds=seconds)
        busy(Retry_After=format_datetime(then, usegmt=True))(handler, asked)

    return answer


@pytest.mark.parametrize(
    ("first", "least", "most"),
    [
        (busy(), 0.4, 2),
        (busy(503), 0.4, 2),
        (busy(Retry_After="1"), 0.9, 3),
        (busy(Retry_After="0"), 0.4, 2),
        (until(2), 0.4, 4),
        (until(-999), 0.4, 2),
        (busy(Retry_After="soon"), 0.4, 2),
        (busy(Retry_After="-5"), 0.4, 2),
        (busy(Retry_After="nan"), 0.4, 2),
        (cut_off, 0.4, 2),
    ],
)
def test_what_may_pass_is_asked_again(chat_server: ChatServer, first: Answer, least: float, most: float) -> None:
    chat_server.answers = [first, writes()]
    started = time.monotonic()
    assert load_describer(chat_server.name).caption([PICTURE]) == [WORDS]
    assert least <= time.monotonic() - started < most
    assert len(chat_server.chats) == 2


@pytest.mark.parametrize("answer", [busy(Retry_After="3600"), busy(Retry_After="9" * 400), until(86_400)])
def test_nobody_waits_for_hours(chat_server: ChatServer, answer: Answer) -> None:
    chat_server.answers = [answer]
    with pytest.raises(ModelError, match=r"it asks to wait for \d+ (minutes|hours); try again later"):
        load_describer(chat_server.name).caption([PICTURE])
    assert len(chat_server.chats) == 1


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_it_is_asked_again_as_often_as_is_set(chat_server: ChatServer, retries: int) -> None:
    chat_server.answers = [busy(Retry_After="0")]
    with pytest.raises(ModelError, match='it answered 429, in its words: "slow down"'):
        settings = CaptionSettings(endpoint=EndpointSettings(retries=retries))
        load_describer(chat_server.name).caption([PICTURE], settings)
    assert len(chat_server.chats) == retries + 1


# --- stopping ---


class Stopping(Progress):
    """Says so some time after it was first asked."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._since = seconds, 0.0

    def check(self) -> None:
        self._since = self._since or time.monotonic()
        if time.monotonic() - self._since > self._seconds:
            raise Cancelled


@pytest.mark.parametrize("answer", [silent, drips, busy(Retry_After="100")])
def test_stopping_is_heard_while_a_server_is_waited_for(chat_server: ChatServer, answer: Answer) -> None:
    chat_server.answers = [answer]
    threads, started = threading.active_count(), time.monotonic()
    with pytest.raises(Cancelled):
        load_describer(chat_server.name).caption([PICTURE], None, Stopping(0.3))
    assert time.monotonic() - started < 2
    if answer in (silent, drips):
        assert chat_server.left.wait(3), "the server is to hear that nobody listens any more"
    assert threading.active_count() <= threads + 1


def test_it_is_asked_from_within_an_event_loop_too(chat_server: ChatServer) -> None:
    """As ComfyUI runs its nodes."""

    async def node() -> list[str]:
        return load_describer(chat_server.name).caption([PICTURE])

    assert asyncio.run(node()) == [WORDS]
