"""Ids are taken over only when they are valid, and nothing leaks between requests."""

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from tests.kits.asgi import body, line, sends, start

import obskit
from obskit.asgi import instrument
from obskit.testing import Observed

pytestmark = pytest.mark.anyio

Get = Callable[..., Any]
Call = Callable[..., Any]
Messages = list[dict[str, Any]]


@pytest.mark.parametrize(
    ("headers", "identifier"),
    [
        ({"x-request-id": "one", "x-correlation-id": "two"}, "one"),
        ({"X-CORRELATION-ID": "two"}, "two"),
        ({"x-request-id": "not valid", "x-correlation-id": "two"}, "two"),
        ({"x-request-id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}, "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ({"x-request-id": "x" * 128}, "x" * 128),
    ],
)
async def test_a_valid_id_is_kept(
    observed: Observed, get: Get, headers: dict[str, str], identifier: str
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert obskit.correlation_id() == identifier
        await PlainTextResponse("ok")(scope, receive, send)

    response = await get(instrument(app), "/", headers=headers)
    assert response.headers["x-request-id"] == identifier
    assert line(observed)["correlation_id"] == identifier


@pytest.mark.parametrize(
    "value",
    [
        b"a\r\nset-cookie: x=1",
        b"a\nb",
        b"",
        b" ",
        b"x" * 129,
        b"\xff\xfe",
        "é".encode(),
        b"\x1b[31m",
        b"a b",
        b"a;b",
        b"-\x00-",
    ],
    ids=str,
)
@pytest.mark.parametrize("fails", [True, False])
async def test_an_invalid_id_is_replaced_and_never_reflected(
    observed: Observed, call: Call, new_exchange: Callable[[], Any], value: bytes, fails: bool
) -> None:
    async def endpoint(request: Request) -> Response:
        if fails:
            raise ValueError("no")
        return PlainTextResponse("ok")

    app = instrument(Starlette(routes=[Route("/", endpoint)]))
    exchange = new_exchange()
    try:
        await call(app, exchange=exchange, headers=[(b"X-Request-ID", value)])
    except ValueError:
        assert fails
    assert exchange.status == (500 if fails else 200)
    identifier = exchange.header(b"x-request-id")
    assert re.fullmatch(rb"[0-9a-f]{32}", identifier)
    assert line(observed)["correlation_id"] == identifier.decode()


async def test_an_id_of_the_application_s_own_is_replaced(observed: Observed, call: Call) -> None:
    headers = [(b"X-Request-Id", b"mine"), (b"content-type", b"a/b"), (b"x-REQUEST-id", b"too")]
    exchange = await call(
        instrument(sends(start(headers=headers), body())), headers=[(b"x-request-id", b"theirs")]
    )
    assert exchange.header(b"x-request-id") == b"theirs"
    assert exchange.header(b"content-type") == b"a/b"


async def test_the_header_is_a_setting(observed: Observed, call: Call) -> None:
    obskit.configure(correlation_headers=("X-Trace",))
    exchange = await call(instrument(sends(start(), body())), headers=[(b"x-trace", b"abc")])
    assert exchange.header(b"x-trace") == b"abc"
    assert exchange.header(b"x-request-id") is None


@pytest.mark.parametrize("headers", [None, (), iter(()), [("x-text", "no bytes")]])
async def test_headers_of_odd_kinds_reach_the_server(
    observed: Observed, call: Call, headers: Any
) -> None:
    exchange = await call(instrument(sends(start(headers=headers), body())))
    assert exchange.status == 200
    assert [pair for pair in exchange.headers if pair[0] == "x-text"] == [
        pair for pair in headers or () if pair
    ]


async def test_nothing_leaks_from_one_request_to_the_next(observed: Observed, call: Call) -> None:
    """Servers run the requests of one connection in one context."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(obskit.correlation_id())
        obskit.bind(**{f"field_{len(seen)}": True})
        await PlainTextResponse("ok")(scope, receive, send)

    wrapped = instrument(app)
    with obskit.bound(correlation_id="outer", outer=True):
        for _ in range(5):
            await call(wrapped)
        assert obskit.correlation_id() == "outer"
    assert len(set(seen)) == 5
    for number, access in enumerate(observed.logs.all(event="http request"), 1):
        assert [name for name in access if name.startswith("field_")] == [f"field_{number}"]
        assert "outer" not in access


async def test_what_a_thread_binds_is_on_the_access_line(observed: Observed, get: Get) -> None:
    threads = []

    def tenant() -> None:
        threads.append(threading.current_thread())
        obskit.bind(tenant="acme")

    app = FastAPI(dependencies=[Depends(tenant)])

    @app.get("/")
    def endpoint(tasks: BackgroundTasks) -> str:
        obskit.get_logger("app").info("inside")
        tasks.add_task(lambda: obskit.get_logger("app").info("afterwards"))
        return "ok"

    await get(instrument(app), "/")
    assert threads[0] is not threading.main_thread()
    identifier = line(observed)["correlation_id"]
    for event in ("inside", "http request", "afterwards"):
        assert observed.logs.one(event=event, tenant="acme", correlation_id=identifier)


async def test_an_id_that_the_application_binds_is_the_answer_s_too(
    observed: Observed, get: Get
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        obskit.bind(correlation_id="job-1")
        await PlainTextResponse("ok")(scope, receive, send)

    response = await get(instrument(app), "/", headers={"x-request-id": "theirs"})
    assert response.headers["x-request-id"] == line(observed)["correlation_id"] == "job-1"


async def test_a_malformed_header_hides_no_request(observed: Observed, call: Call) -> None:
    headers = [(b"x-request-id", b"one"), (b"half",)]
    exchange = await call(instrument(sends(start(), body())), headers=headers)
    assert exchange.header(b"x-request-id") == b"one"
    assert line(observed)["correlation_id"] == "one"
    assert [site for site, _ in observed.internal_errors()] == ["asgi.headers"]
