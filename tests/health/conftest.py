"""Ports that fail for real, and a watch over the threads of checks."""

import socket
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def hung_port() -> "Iterator[int]":
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.fixture
def check_threads() -> "Iterator[Callable[[], list[threading.Thread]]]":
    """The daemon threads of checks that are alive; none may be left at the end."""

    def alive() -> list[threading.Thread]:
        return [t for t in threading.enumerate() if t.name.startswith("obskit-health-")]

    yield alive
    for thread in alive():
        thread.join(timeout=5)
    assert alive() == []
