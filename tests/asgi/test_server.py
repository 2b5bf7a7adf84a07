"""Behind a real server, over real sockets."""

import asyncio
import http.client
import socket
import threading
from collections.abc import Callable
from typing import Any

from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

import obskit
from obskit.asgi import instrument
from obskit.testing import Observed

Serve = Callable[..., int]
Until = Callable[[Callable[[], object]], None]


def test_requests_of_one_connection_share_nothing(
    observed: Observed, serve: Serve, until: Until
) -> None:
    def tenant(request: Request) -> None:
        obskit.bind(tenant=request.query_params["tenant"])

    app = FastAPI(dependencies=[Depends(tenant)])

    @app.get("/bind/{n}")
    async def endpoint(n: int) -> str | None:
        obskit.bind(**{f"n{n}": True})
        return obskit.correlation_id()

    connection = http.client.HTTPConnection("127.0.0.1", serve(instrument(app)), timeout=10)
    for number in range(20):
        connection.request("GET", f"/bind/{number}?tenant=t{number}")
        response = connection.getresponse()
        identifier = response.headers["x-request-id"]
        assert response.read().decode() == f'"{identifier}"'
    connection.close()

    until(lambda: len(observed.logs.all(event="http request")) == 20)
    lines = observed.logs.all(event="http request")
    assert len({line["correlation_id"] for line in lines}) == 20
    for number, line in enumerate(lines):
        assert line["tenant"] == f"t{number}"
        assert [name for name in line if name[0] == "n" and name[1:].isdigit()] == [f"n{number}"]
    assert observed.metrics.delta("http_requests_total", route="/bind/{n}", status="200") == 20


def test_a_client_that_leaves_in_the_middle_of_a_stream(
    observed: Observed, serve: Serve, until: Until
) -> None:
    cleaned = threading.Event()

    async def endless() -> Any:
        try:
            while True:
                yield b"x" * 1_000
                await asyncio.sleep(0.001)
        finally:
            cleaned.set()

    async def stream(request: Request) -> Response:
        return StreamingResponse(endless())

    port = serve(instrument(Starlette(routes=[Route("/stream", stream)])))
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        assert observed.in_flight() == ["GET"]
    assert cleaned.wait(10)
    until(lambda: not observed.in_flight())
    line = observed.logs.one(event="http request")
    assert (line["status"], line["outcome"], line["route"]) == (499, "client_disconnect", "/stream")
    assert observed.metrics.delta("http_requests_total") == 1
    assert observed.metrics.delta("http_requests_total", route="/stream", status="499") == 1


def test_a_client_that_leaves_before_the_answer(
    observed: Observed, serve: Serve, until: Until
) -> None:
    started = threading.Event()

    async def wait(request: Request) -> Response:
        started.set()
        while not await request.is_disconnected():  # noqa: ASYNC110 - a question to the server
            await asyncio.sleep(0.001)
        return PlainTextResponse("for nobody")

    port = serve(instrument(Starlette(routes=[Route("/wait", wait)])))
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
        assert started.wait(10)
    until(lambda: not observed.in_flight())
    line = observed.logs.one(event="http request")
    assert (line["status"], line["outcome"]) == (499, "client_disconnect")


def test_an_unhandled_error_carries_the_id(observed: Observed, serve: Serve) -> None:
    async def fail(request: Request) -> Response:
        raise ValueError("no")

    port = serve(instrument(Starlette(routes=[Route("/", fail)])), log_level="critical")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/", headers={"x-correlation-id": "mine"})
    response = connection.getresponse()
    assert (response.status, response.headers.get_all("x-request-id")) == (500, ["mine"])
    connection.close()


def test_a_scrape_while_requests_are_running(
    observed: Observed, serve: Serve, until: Until
) -> None:
    release = threading.Event()

    async def hold(request: Request) -> Response:
        while not release.is_set():  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(0.001)
        return PlainTextResponse("ok")

    port = serve(instrument(Starlette(routes=[Route("/hold/{n}", hold)])))
    clients = [http.client.HTTPConnection("127.0.0.1", port, timeout=10) for _ in range(3)]
    for number, client in enumerate(clients):
        client.request("GET", f"/hold/{number}")
    until(lambda: len(observed.in_flight()) == 3)
    scrape = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    scrape.request("GET", "/metrics")
    page = scrape.getresponse().read().decode()
    release.set()
    for client in (*clients, scrape):
        if client is not scrape:
            assert client.getresponse().read() == b"ok"
        client.close()
    assert 'http_requests_in_progress{method="GET",route="/hold/{n}"} 3.0' in page
    until(lambda: not observed.in_flight())
