"""Requests as a server makes them, and a real server."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn

Application = Callable[..., Any]


@dataclass
class Exchange:
    """One request: what the application was given, and what it sent."""

    scope: dict[str, Any]
    sent: list[dict[str, Any]] = field(default_factory=list)

    @property
    def status(self) -> int | None:
        starts = [m["status"] for m in self.sent if m["type"] == "http.response.start"]
        return starts[0] if starts else None

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        (start,) = [m for m in self.sent if m["type"] == "http.response.start"]
        return list(start["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(m.get("body", b"") for m in self.sent if "body" in m["type"])

    def header(self, name: bytes) -> bytes | None:
        values = [value for key, value in self.headers if key.lower() == name]
        assert len(values) <= 1, values
        return values[0] if values else None


def http_scope(path: str = "/", **given: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [],
        **given,
    }


@pytest.fixture
def call() -> Callable[..., Any]:
    """Make one raw ASGI call; errors of the application are the caller's."""

    async def make(
        app: Application,
        path: str = "/",
        *,
        body: tuple[bytes, ...] = (b"",),
        exchange: Exchange | None = None,
        **given: Any,
    ) -> Exchange:
        exchange = exchange or Exchange({})
        exchange.scope.update(http_scope(path, **given))
        chunks = list(body)

        async def receive() -> dict[str, Any]:
            if not chunks:
                return {"type": "http.disconnect"}
            chunk = chunks.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

        async def send(message: dict[str, Any]) -> None:
            exchange.sent.append(message)

        await app(exchange.scope, receive, send)
        return exchange

    return make


@pytest.fixture
def get() -> Callable[..., Any]:
    """Make one request with httpx; the application's unhandled errors are 500s."""

    async def make(
        app: Application, path: str, method: str = "GET", **given: Any
    ) -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return await client.request(method, path, **given)

    return make


@pytest.fixture
def new_exchange() -> Callable[[], Exchange]:
    return lambda: Exchange({})


@pytest.fixture
def serve() -> Iterator[Callable[[Application], int]]:
    """Serve an application with uvicorn on a port of its own until the test ends."""
    running: list[tuple[uvicorn.Server, threading.Thread, socket.socket]] = []

    def start(app: Application, **given: Any) -> int:
        listening = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_config=None, access_log=False, **given)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
        thread.start()
        running.append((server, thread, listening))
        end = time.monotonic() + 10
        while not server.started:
            assert time.monotonic() < end
            assert thread.is_alive()
            time.sleep(0.005)
        port: int = listening.getsockname()[1]
        return port

    yield start
    for server, thread, listening in running:
        server.should_exit = True
        thread.join(10)
        listening.close()
        assert not thread.is_alive()


@pytest.fixture
def until() -> Callable[..., None]:
    """Wait for a condition, for ten seconds at the most."""

    def wait(condition: Callable[[], object]) -> None:
        end = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < end, "the condition did not come true"
            time.sleep(0.005)

    return wait
