"""WebSocket connections behind a real server, over real sockets."""

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketException
from starlette.responses import PlainTextResponse
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

import obskit
from obskit.asgi import ObservabilityMiddleware, instrument
from obskit.testing import Observed

Serve = Callable[..., int]
Until = Callable[[Callable[[], object]], None]

app = FastAPI()


@app.websocket("/echo/{room}")
async def echo(websocket: WebSocket, room: str) -> None:
    obskit.bind(**{f"room_{room}": True})
    await websocket.accept(subprotocol=next(iter(websocket.scope["subprotocols"]), None))
    async for message in websocket.iter_text():
        await websocket.send_text(f"{obskit.correlation_id()} {message}")


@app.websocket("/push")
async def push(websocket: WebSocket) -> None:
    await websocket.accept()
    while True:
        await websocket.send_bytes(b"x" * 100_000)
        await asyncio.sleep(0)


@app.websocket("/fail")
async def fail(websocket: WebSocket) -> None:
    await websocket.accept()
    raise ValueError("no")


@app.websocket("/policy")
async def policy(websocket: WebSocket) -> None:
    await websocket.accept()
    raise WebSocketException(1008)


@app.websocket("/refuse")
async def refuse(websocket: WebSocket) -> None:
    await websocket.close()


@app.websocket("/deny")
async def deny(websocket: WebSocket) -> None:
    await websocket.send_denial_response(PlainTextResponse("sorry", 402))


@pytest.fixture(name="port")
def _port(observed: Observed, serve: Serve) -> int:
    return serve(ObservabilityMiddleware(app), log_level="critical")


def client(port: int, path: str, **given: Any) -> ClientConnection:
    return connect(  # type: ignore[no-any-return] # it takes anything
        f"ws://127.0.0.1:{port}{path}", open_timeout=10, close_timeout=10, **given
    )


def ended(observed: Observed, until: Until) -> dict[str, Any]:
    until(lambda: observed.logs.all(event="websocket connection"))
    return observed.logs.one(event="websocket connection")


def test_a_conversation(observed: Observed, port: int, until: Until) -> None:
    headers = {"x-correlation-id": "mine"}
    with client(port, "/echo/a", subprotocols=["chat"], additional_headers=headers) as one:
        assert one.response is not None
        assert one.response.headers.get_all("x-request-id") == ["mine"]
        assert one.subprotocol == "chat"
        for number in range(3):
            one.send(str(number))
            assert one.recv() == f"mine {number}"
        labels = {"route": "/echo/{room}"}
        assert observed.metrics.value("websocket_connections_in_progress", **labels) == 1
        until(lambda: observed.metrics.value("websocket_messages_total", **labels) == 6)
        assert observed.in_flight() == ["WEBSOCKET /echo/{room}"]
    found = ended(observed, until)
    assert (found["close_code"], found["closed_by"], found["outcome"]) == (1000, "client", "ok")
    assert (found["path"], found["client"], found["correlation_id"]) == (
        *("/echo/a", "127.0.0.1"),
        "mine",
    )
    assert observed.metrics.value("websocket_connections_in_progress") == 0


@pytest.mark.parametrize("implementation", ["websockets-sansio", "wsproto"])
def test_a_client_that_vanishes(
    observed: Observed, serve: Serve, until: Until, implementation: str
) -> None:
    if implementation == "wsproto":
        pytest.importorskip("wsproto")
    port = serve(ObservabilityMiddleware(app), log_level="critical", ws=implementation)
    with client(port, "/echo/a") as one:
        one.send("hello")
        one.recv()
        one.socket.shutdown(socket.SHUT_RDWR)  # no closing frame
        found = ended(observed, until)
    assert (found["close_code"], found["outcome"]) == (1006, "client_disconnect")
    assert observed.metrics.delta("websocket_connections_total", close="abnormal") == 1


def test_a_client_that_vanishes_while_it_is_sent_to(
    observed: Observed, port: int, until: Until
) -> None:
    with client(port, "/push") as one:
        one.recv()
        one.socket.shutdown(socket.SHUT_RDWR)
        found = ended(observed, until)
    assert (found["outcome"], found["close_code"]) == ("client_disconnect", 1006)
    assert found["messages_out"] >= 1


@pytest.mark.parametrize(
    ("code", "kind"), [(1001, "normal"), (4321, "application"), (3000, "registered")]
)
def test_codes_of_clients(
    observed: Observed, port: int, until: Until, code: int, kind: str
) -> None:
    with client(port, "/echo/a") as one:
        one.close(code, "bye")
    assert ended(observed, until)["close_code"] == code
    assert observed.metrics.delta("websocket_connections_total", close=kind) == 1


def test_a_client_that_closes_without_a_code(observed: Observed, port: int, until: Until) -> None:
    with client(port, "/echo/a") as one:
        one.socket.sendall(b"\x88\x80\x00\x00\x00\x00")  # a closing frame with nothing in it
        found = ended(observed, until)
    assert (found["close_code"], found["outcome"]) == (1005, "ok")


def test_an_application_that_raises(observed: Observed, port: int, until: Until) -> None:
    with client(port, "/fail") as one, pytest.raises(ConnectionClosedError):
        one.recv()
    found = ended(observed, until)
    assert (found["outcome"], found["error_type"]) == ("error", "ValueError")


def test_an_application_that_closes(observed: Observed, port: int, until: Until) -> None:
    with client(port, "/policy") as one, pytest.raises(ConnectionClosed) as closed:
        one.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    found = ended(observed, until)
    assert (found["close_code"], found["closed_by"]) == (1008, "application")


@pytest.mark.parametrize(("path", "status"), [("/refuse", 403), ("/deny", 402), ("/none", 403)])
def test_handshakes_that_are_refused(
    observed: Observed, port: int, until: Until, path: str, status: int
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        client(port, path)
    assert refused.value.response.status_code == status
    found = ended(observed, until)
    if path == "/deny":
        assert refused.value.response.headers["x-request-id"] == found["correlation_id"]
        assert refused.value.response.body == b"sorry"
    assert (found["status"], found["close_code"]) == (status, None)
    assert observed.metrics.delta("websocket_connections_total", close="rejected") == 1


def test_two_at_a_time_and_one_after_the_other(observed: Observed, port: int, until: Until) -> None:
    for _ in range(3):
        with client(port, "/echo/a") as one, client(port, "/echo/b") as other:
            for number in range(5):
                one.send(f"a{number}")
                other.send(f"b{number}")
            heard = [str(one.recv()).split() for _ in range(5)]
            assert [text for _, text in heard] == [f"a{number}" for number in range(5)]
            (identifier,) = {found for found, _ in heard}
            assert not str(other.recv()).startswith(identifier)
    until(lambda: len(observed.logs.all(event="websocket connection")) == 6)
    lines = observed.logs.all(event="websocket connection")
    assert len({found["correlation_id"] for found in lines}) == 6
    for found in lines:
        room = found["path"][-1]
        assert [name for name in found if name.startswith("room_")] == [f"room_{room}"]


async def stop_while_connected(application: Any) -> int | None:
    """Serve an application until somebody is connected, then stop; return the client's code."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(application, log_config=None))
        serving = asyncio.create_task(server.serve([listening]))
        url = f"ws://127.0.0.1:{listening.getsockname()[1]}/echo/a"
        async with connect_async(url, open_timeout=10, close_timeout=10) as one:
            server.should_exit = True
            with pytest.raises(ConnectionClosed) as closed:
                await one.recv()
        await serving
    return None if closed.value.rcvd is None else closed.value.rcvd.code


def test_a_server_that_stops(observed: Observed) -> None:
    assert asyncio.run(stop_while_connected(ObservabilityMiddleware(app))) == 1012
    found = observed.logs.one(event="websocket connection")
    assert (found["close_code"], found["closed_by"], found["outcome"]) == (1012, "server", "ok")


def test_a_scrape_sees_connections_of_now(observed: Observed, serve: Serve) -> None:
    other = FastAPI()
    other.websocket("/echo/{room}")(echo)
    port = serve(instrument(other), log_level="critical")
    with client(port, "/echo/a") as one:
        one.send("hello")
        one.recv()
        page = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    assert 'websocket_connections_in_progress{route="/echo/{room}"} 1.0' in page
    assert 'websocket_messages_total{direction="in",route="/echo/{room}"} 1.0' in page


def talk(one: ClientConnection, times: int) -> None:
    for _ in range(times):
        one.send("x" * 1000)


def test_hundreds_of_messages_in_both_directions(
    observed: Observed, port: int, until: Until
) -> None:
    with client(port, "/echo/a") as one:
        sender = threading.Thread(target=talk, args=(one, 500))
        sender.start()
        heard = [one.recv() for _ in range(500)]
        sender.join(10)
    assert len(heard) == 500
    found = ended(observed, until)
    assert (found["messages_in"], found["messages_out"]) == (500, 500)
