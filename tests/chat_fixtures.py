"""A server to describe pictures, for each test its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chat_server import ChatServer, chat_serving


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    with chat_serving(ChatServer()) as server:
        yield server
