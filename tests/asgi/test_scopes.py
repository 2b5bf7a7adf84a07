"""Other connections, other event loops."""

from collections.abc import Callable
from typing import Any

import pytest
import trio
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from tests.kits.asgi import body, line, sends, start

import obskit
from obskit.asgi import ObservabilityMiddleware, instrument
from obskit.testing import Observed

pytestmark = pytest.mark.anyio

Get = Callable[..., Any]
Call = Callable[..., Any]
Messages = list[dict[str, Any]]


async def test_a_scope_with_the_least_that_asgi_asks(observed: Observed) -> None:
    sent: Messages = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await ObservabilityMiddleware(sends(start(), body()))({"type": "http"}, None, send)  # type: ignore[arg-type] # doubles
    assert sent[0]["status"] == 200
    assert line(observed)["client"] == ""


@pytest.mark.parametrize("kind", ["websocket", "carrier-pigeon"])
async def test_other_scopes_pass_through(observed: Observed, kind: str) -> None:
    given: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        given.extend([scope, receive])
        await send({"type": f"{kind}.message"})

    sent: Messages = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope, receive = {"type": kind, "path": "/metrics"}, object()
    await instrument(app)(scope, receive, send)
    assert given[0] is scope
    assert given[1] is receive
    assert scope == {"type": kind, "path": "/metrics"}
    assert sent == [{"type": f"{kind}.message"}]
    assert observed.spans.all() == []


async def test_websockets_work(observed: Observed) -> None:
    async def echo(websocket: Any) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    messages = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "hello"}]
    sent: Messages = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    app = instrument(Starlette(routes=[WebSocketRoute("/ws", echo)]))
    await app({"type": "websocket", "path": "/ws", "headers": []}, receive, send)
    assert [message["type"].removeprefix("websocket.") for message in sent] == [
        *("accept", "send", "close")
    ]
    assert sent[1]["text"] == "hello"
    assert observed.metrics.value("http_requests_total") == 0


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_under_trio(observed: Observed, call: Call, anyio_backend: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await trio.lowlevel.checkpoint()
        obskit.bind(seen=True)
        if scope["path"] == "/hang":
            await trio.sleep_forever()
        await send(start())
        await send(body(b"x"))

    wrapped = instrument(app)
    assert (await call(wrapped)).body == b"x"
    with trio.move_on_after(0.01) as scope:
        await call(wrapped, "/hang")
    assert scope.cancelled_caught
    ok, cancelled = observed.logs.all(event="http request", seen=True)
    assert (ok["status"], ok["outcome"]) == (200, "ok")
    assert (cancelled["status"], cancelled["outcome"]) == (None, "cancelled")
