"""What servers, hosts and users may do that must change neither answer nor count."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from tests.kits.asgi import body, line, sends, start

import obskit
from obskit.asgi import ObservabilityMiddleware, instrument
from obskit.errors import DuplicateError
from obskit.testing import Observed

pytestmark = pytest.mark.anyio

Call = Callable[..., Any]


async def test_a_server_that_tells_of_the_end_while_the_last_message_is_sent(
    observed: Observed,
) -> None:
    """Hypercorn does so, to a task of the application that waits for the client's leaving."""
    leaving = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await leaving.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body"):
            leaving.set()
            for _ in range(5):
                await asyncio.sleep(0)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        listening = asyncio.create_task(receive())
        await send(start())
        await send(body(b"all"))
        await listening

    await ObservabilityMiddleware(app)({"type": "http", "method": "GET"}, receive, send)
    assert (line(observed)["status"], line(observed)["outcome"]) == (200, "ok")


@pytest.mark.parametrize("given", [{}, {"rows": 1}])
async def test_a_request_that_was_told_something_is_forgotten(
    call: Call, given: dict[str, Any]
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        obskit.current().set(**given)
        await send(start())
        await send(body())

    with obskit.configure(logging="off", registry=CollectorRegistry()) as runtime:
        await call(instrument(app))
        assert runtime.store.told == set()
        assert runtime.store.in_flight == set()


async def test_state_is_the_host_s_own_mapping(observed: Observed, call: Call) -> None:
    state: dict[str, Any] = {"shared": 1}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["state"]["mine"] = scope["state"]["correlation_id"]
        await sends(start(), body())(scope, receive, send)

    await call(instrument(app), state=state, headers=[(b"x-request-id", b"abc")])
    assert state == {"shared": 1, "correlation_id": "abc", "mine": "abc"}


async def test_a_state_that_takes_nothing_is_left_alone(observed: Observed, call: Call) -> None:
    exchange = await call(instrument(sends(start(), body())), state=("odd",))
    assert exchange.header(b"x-request-id").decode() == line(observed)["correlation_id"]


class Odd:
    def __format__(self, _: str) -> str:
        raise RuntimeError

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


@pytest.mark.parametrize("route", [7, ["/a"], Odd(), {"a": 1}], ids=["int", "list", "odd", "dict"])
@pytest.mark.parametrize("status", [200, 503])
async def test_a_route_that_is_no_text(
    observed: Observed, call: Call, route: Any, status: int
) -> None:
    app = instrument(sends(start(status), body()), route=lambda _: route)
    assert (await call(app)).status == status
    assert observed.metrics.delta("http_requests_total", route="unmatched") == 1
    assert observed.metrics.value("http_requests_in_progress", route="unmatched") == 0
    assert {site for site, _ in observed.internal_errors()} == {"http.route"}


async def test_a_start_that_the_server_refuses_is_no_answer(observed: Observed) -> None:
    async def send(message: dict[str, Any]) -> None:
        raise ValueError("no such status")

    app = ObservabilityMiddleware(sends(start(200), body()))
    with pytest.raises(ValueError, match="no such status"):
        await app({"type": "http", "method": "GET", "app": None}, None, send)  # type: ignore[arg-type] # not asked
    assert (line(observed)["status"], line(observed)["outcome"]) == (500, "error")


async def test_a_body_without_a_start(observed: Observed, call: Call) -> None:
    await call(instrument(sends(body(b"x"))))
    assert (line(observed)["status"], line(observed)["outcome"]) == (500, "error")


async def test_a_file_that_the_server_sends_is_as_long_as_the_headers_say(
    observed: Observed, call: Call, tmp_path: Path
) -> None:
    headers = [(b"content-length", b"123")]
    pathsend = {"type": "http.response.pathsend", "path": str(tmp_path / "f")}
    await call(instrument(sends(start(200, headers=headers), pathsend)))
    assert line(observed)["response_bytes"] == 123


async def test_the_answer_to_head_has_no_body(observed: Observed, call: Call) -> None:
    await call(instrument(sends(start(), body(b"not sent"))), method="HEAD")
    assert line(observed)["response_bytes"] == 0


async def item(request: Any) -> PlainTextResponse:
    return PlainTextResponse("item")


async def test_other_labels_under_the_same_names_are_refused_at_once() -> None:
    with obskit.configure(logging="off", registry=CollectorRegistry()):
        instrument(Starlette(routes=[Route("/", item)]))
        instrument(Starlette(routes=[Route("/", item)]))
        with pytest.raises(DuplicateError, match="http_requests"):
            instrument(Starlette(), labels={"app": "second"})


async def test_a_trace_of_the_host_s_own_is_in_the_usual_line(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where obskit traces nothing."""
    provider = TracerProvider(shutdown_on_exit=False)
    with (
        obskit.configure(log_format="json", tracing="off", registry=CollectorRegistry()),
        provider.get_tracer("host").start_as_current_span("theirs") as span,
    ):
        await call(instrument(sends(start(), body())))
    (written,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert int(written["trace_id"], 16) == span.get_span_context().trace_id
