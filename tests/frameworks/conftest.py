"""Requests to an application of any framework, and what must hold of each."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import httpx
import pytest

from obskit.testing import Observed

Get = Callable[..., Any]


@pytest.fixture
def get() -> Get:
    """Make one request; the application's unhandled errors are 500s."""

    async def make(app: Any, path: str, method: str = "GET", **given: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return await client.request(method, path, **given)

    return make


@pytest.fixture
def check(observed: Observed, get: Get) -> Callable[..., Any]:
    """Make one request, and check how it is answered, counted, shown and written about."""

    async def make(app: Any, method: str, path: str, status: int, route: str) -> httpx.Response:
        response: httpx.Response = await get(app, path, method, headers={"x-request-id": "mine"})
        assert (response.status_code, response.headers["x-request-id"]) == (status, "mine")
        labels = {"method": method, "route": route, "status": str(status)}
        assert observed.metrics.delta("http_requests_total", **labels) == 1
        assert observed.metrics.delta("http_requests_total") == 1
        page = (await get(app, "/metrics")).text
        assert f'http_requests_total{{method="{method}",route="{route}",status="{status}"}}' in page
        line = observed.logs.one(event="http request")
        assert (line["route"], line["status"], line["correlation_id"]) == (route, status, "mine")
        return response

    return make


@pytest.fixture
def converse() -> Callable[..., Any]:
    """Speak with a WebSocket: connect, say "hello" and go; return the scope and the answers."""

    async def make(app: Any, path: str) -> tuple[dict[str, Any], list[str]]:
        said = [
            {"type": "websocket.connect"},
            {"type": "websocket.receive", "text": "hello"},
            {"type": "websocket.disconnect", "code": 1000},
        ]
        heard: list[Any] = []
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"shop")],
            "subprotocols": [],
        }

        answered = anyio.Event()

        async def receive() -> Any:
            if len(said) == 1:
                await answered.wait()
            return said.pop(0)

        async def send(message: Any) -> None:
            heard.append(message)
            if message["type"] != "websocket.accept":
                answered.set()

        await app(scope, receive, send)
        return scope, [message["text"] for message in heard if "text" in message]

    return make


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Undo what frameworks do to the root logger: Litestar gives it a handler and a level."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
