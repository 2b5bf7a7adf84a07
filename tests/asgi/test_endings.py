"""However a request ends, it is counted once; only an error page may be made for it."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.trace import StatusCode
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from tests.kits.asgi import body, line, sends, start

import obskit
from obskit.asgi import ObservabilityMiddleware, instrument
from obskit.testing import Observed

pytestmark = pytest.mark.anyio

Get = Callable[..., Any]
Call = Callable[..., Any]
Messages = list[dict[str, Any]]


async def test_an_error_before_the_start(
    observed: Observed, call: Call, new_exchange: Callable[[], Any]
) -> None:
    """The page is made here rather than by the server, whose own would carry no id."""
    error = ValueError("no")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise error

    exchange = new_exchange()
    with pytest.raises(ValueError, match="no") as raised:
        await call(instrument(app), exchange=exchange)
    assert raised.value is error
    assert (exchange.status, exchange.body) == (500, b"Internal Server Error")
    access = line(observed)
    assert (access["level"], access["status"], access["outcome"]) == ("error", 500, "error")
    assert exchange.header(b"x-request-id") == access["correlation_id"].encode()
    assert access["error_type"] == "ValueError"
    assert access["exception"].endswith("ValueError: no")
    observed.operation("GET unmatched").once().with_error("ValueError")
    span = observed.spans.one("GET unmatched")
    assert span.status.status_code is StatusCode.ERROR
    assert [event.name for event in span.events] == ["exception"]


async def test_an_error_after_the_start(observed: Observed, call: Call) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(b"half", more=True))
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await call(instrument(app))
    access = line(observed)
    assert (access["status"], access["outcome"], access["response_bytes"]) == (200, "error", 4)
    assert observed.metrics.delta("http_requests_total") == 1


async def test_an_error_after_the_last_byte_changes_nothing(observed: Observed, call: Call) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(b"all"))
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await call(instrument(app))
    assert line(observed)["outcome"] == "ok"
    assert observed.metrics.delta("http_requests_total") == 1


async def test_an_application_that_returns_without_answering(
    observed: Observed, call: Call
) -> None:
    exchange = await call(instrument(sends()))
    assert exchange.sent == []
    assert (line(observed)["status"], line(observed)["outcome"]) == (500, "error")
    assert "exception" not in line(observed)
    assert observed.metrics.delta("http_requests_total", status="500") == 1


async def test_an_application_that_stops_in_the_middle(observed: Observed, call: Call) -> None:
    await call(instrument(sends(start(), body(b"half", more=True))))
    assert observed.metrics.delta("http_requests_total", status="200") == 1
    assert observed.in_flight() == []


async def test_a_starlette_error_page_and_its_error_are_one_request(
    observed: Observed, get: Get
) -> None:
    async def fail(request: Request) -> Response:
        raise ValueError("no")

    response = await get(instrument(Starlette(routes=[Route("/", fail)])), "/")
    assert (response.status_code, response.text) == (500, "Internal Server Error")
    access = line(observed)
    assert (access["status"], access["error_type"]) == (500, "ValueError")
    assert access["exception"].endswith("ValueError: no")
    assert response.headers["x-request-id"] == access["correlation_id"]


async def test_an_error_is_logged_once(observed: Observed, get: Get) -> None:
    @obskit.observe("inner")
    async def inner() -> None:
        raise ValueError("no")

    async def fail(request: Request) -> Response:
        await inner()
        raise AssertionError

    await get(instrument(Starlette(routes=[Route("/", fail)])), "/")
    assert observed.logs.one(event="operation failed", operation="inner")["exception"]
    assert "exception" not in line(observed)
    assert line(observed)["error_type"] == "ValueError"
    assert observed.spans.tree() == {"GET /": {"inner": {}}}


async def test_a_cancelled_request(observed: Observed, call: Call) -> None:
    started = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(call(instrument(app)))
    await started.wait()
    assert observed.in_flight() == ["GET"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    access = line(observed)
    assert (access["status"], access["outcome"]) == (None, "cancelled")
    assert access["level"] == "warning"
    assert observed.metrics.delta("http_requests_total", status="cancelled") == 1
    observed.operation("GET unmatched").once().with_outcome("cancelled")
    assert observed.spans.one("GET unmatched").status.status_code is StatusCode.UNSET


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
async def test_what_belongs_to_the_host_is_never_swallowed(
    observed: Observed, call: Call, kind: type[BaseException]
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise kind

    with pytest.raises(kind):
        await call(instrument(app))
    assert observed.metrics.delta("http_requests_total") == 1
    assert obskit.correlation_id() is None


async def test_a_client_that_goes_away_while_it_is_read(observed: Observed, call: Call) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await Request(scope, receive).body()

    with pytest.raises(ClientDisconnect):
        await call(instrument(app), body=())
    assert (line(observed)["status"], line(observed)["outcome"]) == (499, "client_disconnect")


async def test_a_client_that_goes_away_and_an_application_that_answers_all_the_same(
    observed: Observed, call: Call
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        await request.body()
        assert await request.is_disconnected()
        await PlainTextResponse("for nobody")(scope, receive, send)

    await call(instrument(app))
    assert (line(observed)["status"], line(observed)["outcome"]) == (499, "client_disconnect")


async def test_a_disconnect_after_the_answer_is_none(observed: Observed, call: Call) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await PlainTextResponse("ok")(scope, receive, send)
        assert (await receive())["type"] == "http.disconnect"

    await call(instrument(app))
    assert (line(observed)["status"], line(observed)["outcome"]) == (200, "ok")


async def fails(scope: Any, receive: Any, send: Any) -> None:
    raise ValueError("no")


async def test_the_error_page_of_a_head_request_has_no_body(
    observed: Observed, call: Call, new_exchange: Callable[[], Any]
) -> None:
    exchange = new_exchange()
    with pytest.raises(ValueError, match="no"):
        await call(instrument(fails), method="HEAD", exchange=exchange)
    assert (exchange.body, exchange.header(b"content-length")) == (b"", b"21")


async def test_error_pages_of_the_framework_around_are_left_to_it(
    observed: Observed, get: Get
) -> None:
    """Inside a Starlette application, its own handler of errors answers."""

    async def page(request: Request, error: Exception) -> Response:
        return PlainTextResponse("sorry", 500)

    async def fail(request: Request) -> Response:
        raise ValueError("no")

    app = Starlette(routes=[Route("/", fail)], exception_handlers={Exception: page})
    app.add_middleware(ObservabilityMiddleware)
    assert (await get(app, "/")).text == "sorry"
    assert line(observed)["status"] == 500


@pytest.mark.parametrize("kind", [asyncio.CancelledError, KeyboardInterrupt])
async def test_only_errors_have_an_error_page(
    observed: Observed, call: Call, new_exchange: Callable[[], Any], kind: type[BaseException]
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise kind

    exchange = new_exchange()
    with pytest.raises(kind):
        await call(instrument(app), exchange=exchange)
    assert exchange.sent == []


async def test_a_client_that_has_gone_has_no_error_page(
    observed: Observed, call: Call, new_exchange: Callable[[], Any]
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await Request(scope, receive).body()

    exchange = new_exchange()
    with pytest.raises(ClientDisconnect):
        await call(instrument(app), body=(), exchange=exchange)
    assert exchange.sent == []


@pytest.mark.parametrize("last", ["http.response.start", "http.response.body"])
async def test_a_send_that_fails_because_the_client_has_gone(observed: Observed, last: str) -> None:
    """Servers raise an ``OSError`` then: no error of the application's."""

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == last:
            raise ConnectionResetError

    app = instrument(sends(start(), body(b"all")))
    with pytest.raises(ConnectionResetError):
        await app({"type": "http", "method": "GET", "path": "/"}, None, send)
    access = line(observed)
    assert (access["status"], access["outcome"]) == (499, "client_disconnect")
    assert access["level"] == "info"
    assert observed.metrics.delta("http_requests_total", status="499") == 1
    assert "exception" not in access


async def test_an_oserror_of_the_application_s_own_is_an_error(
    observed: Observed, call: Call
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ConnectionResetError("the database has gone")

    with pytest.raises(ConnectionResetError):
        await call(instrument(app))
    assert (line(observed)["status"], line(observed)["outcome"]) == (500, "error")


async def test_a_client_that_goes_away_before_the_error_page(observed: Observed) -> None:
    async def send(message: dict[str, Any]) -> None:
        raise BrokenPipeError

    with pytest.raises(ValueError, match="no"):
        await instrument(fails)({"type": "http", "method": "GET", "path": "/"}, None, send)
    assert (line(observed)["status"], line(observed)["outcome"]) == (499, "client_disconnect")
    assert observed.internal_errors() == []


async def test_a_server_that_refuses_the_error_page(observed: Observed) -> None:
    async def send(message: dict[str, Any]) -> None:
        raise RuntimeError("not now")

    with pytest.raises(ValueError, match="no"):
        await instrument(fails)({"type": "http", "method": "GET", "path": "/"}, None, send)
    assert (line(observed)["status"], line(observed)["outcome"]) == (500, "error")
    assert [site for site, _ in observed.internal_errors()] == ["asgi.send"]
