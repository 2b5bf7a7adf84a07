"""Each request is counted once and timed to its last byte."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.trace import SpanKind
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from tests.kits.asgi import body, line, sends, start

import obskit
from obskit.asgi import ObservabilityMiddleware, instrument
from obskit.clock import ManualClock
from obskit.errors import DeclarationError
from obskit.instruments import HttpNames
from obskit.testing import Observed, observing

pytestmark = pytest.mark.anyio

Get = Callable[..., Any]
Call = Callable[..., Any]
Messages = list[dict[str, Any]]


async def test_a_request_in_all_three_signals(observed: Observed, get: Get) -> None:
    async def item(request: Request) -> Response:
        obskit.current().set(size="big")
        await request.body()
        return PlainTextResponse("hello", 201)

    app = instrument(Starlette(routes=[Route("/items/{id}", item, methods=["POST"])]))
    await get(app, "/items/7?secret=hidden", "POST", content=b"abc")

    labels = {"method": "POST", "route": "/items/{id}"}
    delta = observed.metrics.delta
    assert delta("http_requests_total", **labels, status="201") == 1
    for name, total in (("request_size_bytes", 3), ("response_size_bytes", 5)):
        assert delta(f"http_{name}_sum", **labels) == total
        assert delta(f"http_{name}_count", **labels) == 1
    assert delta("http_request_duration_seconds_count", **labels) == 1
    assert observed.metrics.value("http_requests_in_progress") == 0

    operation = observed.operation("POST /items/{id}").once().with_outcome("ok")
    operation.with_labels(**labels, status="201").with_attributes(size="big")

    span = observed.spans.one("POST /items/{id}")
    assert span.kind is SpanKind.SERVER
    assert span.attributes is not None
    assert (
        dict(span.attributes).items()
        >= {
            "http.request.method": "POST",
            "url.path": "/items/7",
            "http.route": "/items/{id}",
            "http.response.status_code": 201,
            "size": "big",
        }.items()
    )

    access = line(observed)
    assert access.pop("duration_ms") >= 0
    assert span.context is not None
    assert access == access | {
        "level": "info",
        "logger": "obskit.access",
        "method": "POST",
        "route": "/items/{id}",
        "path": "/items/7?secret=REDACTED",
        "status": 201,
        "outcome": "ok",
        "request_bytes": 3,
        "response_bytes": 5,
        "client": "127.0.0.1",
        "size": "big",
        "trace_id": f"{span.context.trace_id:032x}",
        "span_id": f"{span.context.span_id:016x}",
    }
    assert "hidden" not in str(access)


async def test_attributes_do_not_replace_fields_of_the_access_line(
    observed: Observed, get: Get
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        obskit.current().set(status="paid", path="mine", order=1)
        await PlainTextResponse("ok")(scope, receive, send)

    await get(instrument(app), "/x")
    access = line(observed)
    assert (access["status"], access["path"], access["order"]) == (200, "/x", 1)
    assert (access["status_"], access["path_"]) == ("paid", "mine")


@pytest.mark.parametrize(
    ("status", "level", "outcome"),
    [
        (200, "info", "ok"),
        (302, "info", "ok"),
        (404, "info", "ok"),
        (500, "error", "error"),
        (503, "error", "error"),
    ],
)
async def test_levels_and_outcomes_by_status(
    observed: Observed, get: Get, status: int, level: str, outcome: str
) -> None:
    await get(instrument(sends(start(status), body())), "/")
    assert (line(observed)["level"], line(observed)["outcome"]) == (level, outcome)
    observed.operation("GET unmatched").once().with_outcome(outcome)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(method=st.text(max_size=20).filter(lambda text: text not in {"GET", "PUT", "PATCH"}))
async def test_methods_that_nobody_knows_are_one_value(call: Call, method: str) -> None:
    with observing() as observed:
        await call(instrument(sends(start(), body())), method=method)
        known = {"CONNECT", "DELETE", "HEAD", "OPTIONS", "POST", "QUERY", "TRACE"}
        label = method if method in known else "_OTHER"
        assert observed.metrics.delta("http_requests_total", method=label) == 1


async def test_ten_thousand_paths_are_one_series(observed: Observed, call: Call) -> None:
    app = instrument(Starlette(), access_log=False)
    for number in range(500):
        await call(app, f"/{number}", headers=[(b"host", f"h{number}".encode())])
    counted = [
        labels for name, labels, _ in observed.metrics.moved() if name == "http_requests_total"
    ]
    assert [dict(labels) for labels in counted] == [
        {"method": "GET", "route": "unmatched", "status": "404"}
    ]


async def test_names_are_data(observed: Observed, get: Get) -> None:
    names = HttpNames(
        requests="api_calls_total",
        duration="api_seconds",
        request_size="api_in_bytes",
        response_size="api_out_bytes",
        in_progress="api_now",
        method="verb",
        route="endpoint",
        status="status_code",
        buckets=(1.0,),
    )
    await get(instrument(sends(start(), body(b"x")), names=names), "/")
    labels = {"verb": "GET", "endpoint": "unmatched"}
    assert observed.metrics.delta("api_calls_total", **labels, status_code="200") == 1
    assert observed.metrics.delta("api_seconds_bucket", **labels, le="1.0") == 1
    assert observed.metrics.delta("api_out_bytes_sum", **labels) == 1


async def test_the_namespace_is_in_front(observed: Observed, get: Get) -> None:
    app = instrument(sends(start(), body()))
    await get(app, "/")
    obskit.configure(namespace="shop", service="s")
    await get(app, "/")
    assert observed.metrics.delta("shop_http_requests_total") == 1


async def test_without_an_access_log(observed: Observed, get: Get) -> None:
    await get(instrument(sends(start(500), body()), access_log=False), "/")
    observed.logs.none(event="http request")
    assert observed.metrics.delta("http_requests_total", status="500") == 1


async def test_the_access_line_obeys_the_level(observed: Observed, get: Get) -> None:
    obskit.configure(log_level="warning")
    await get(instrument(sends(start(), body())), "/")
    observed.logs.none()


async def test_excluded_paths_are_passed_through_unseen(observed: Observed, call: Call) -> None:
    app = ObservabilityMiddleware(sends(start(), body()), excluded_paths=["/quiet/", "/at/all"])
    for path in ("/quiet", "/quiet/", "//quiet", "/at/all"):
        assert (await call(app, path)).header(b"x-request-id") is None
    observed.logs.none()
    observed.operation("GET unmatched").never()
    assert (await call(app, "/metrics")).header(b"x-request-id")


async def test_two_middlewares_count_once(observed: Observed, get: Get) -> None:
    app = instrument(ObservabilityMiddleware(ObservabilityMiddleware(sends(start(), body()))))
    response = await get(app, "/")
    assert observed.metrics.delta("http_requests_total") == 1
    assert len(response.headers.get_list("x-request-id")) == 1
    assert observed.spans.tree() == {"GET unmatched": {}}


async def test_it_is_in_progress_with_its_route_until_the_last_byte(
    observed: Observed, get: Get
) -> None:
    inside, during_task = [], []

    def running() -> float:
        return observed.metrics.value(
            "http_requests_in_progress", method="GET", route="/items/{id}"
        )

    async def item(request: Request) -> Response:
        inside.append((running(), observed.in_flight()))
        return PlainTextResponse("ok", background=BackgroundTask(after))

    async def after() -> None:
        during_task.append(running())

    await get(instrument(Starlette(routes=[Route("/items/{id}", item)])), "/items/1")
    assert inside == [(1, ["GET"])]
    assert during_task == [0]


@pytest.mark.parametrize("status", [200, 503])
async def test_the_duration_ends_with_the_last_byte(get: Get, status: int) -> None:
    clock = ManualClock()

    async def chunks() -> Any:
        for _ in range(3):
            clock.advance(1)
            yield b"x"

    async def endpoint(request: Request) -> Response:
        clock.advance(2)
        return StreamingResponse(chunks(), status, background=BackgroundTask(clock.advance, 60))

    with observing(clock) as observed:
        await get(instrument(Starlette(routes=[Route("/", endpoint)])), "/")
        assert line(observed)["duration_ms"] == 5000
        labels = {"method": "GET", "route": "/"}
        assert observed.metrics.delta("http_request_duration_seconds_sum", **labels) == 5
        assert observed.metrics.delta("http_response_size_bytes_sum") == 3


async def test_a_file_sent_by_its_path_ends_the_request(call: Call) -> None:
    clock = ManualClock()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send({"type": "http.response.pathsend", "path": "/srv/file"})
        clock.advance(60)

    with observing(clock) as observed:
        exchange = await call(ObservabilityMiddleware(app))
        assert exchange.sent[1] == {"type": "http.response.pathsend", "path": "/srv/file"}
        assert line(observed)["duration_ms"] == 0


async def test_bytes_are_those_that_were_seen(observed: Observed, call: Call) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send(start())
        await send(body(b"ab", more=True))
        await send({"type": "http.response.body", "more_body": True})
        await send({"type": "http.response.body", "body": None, "more_body": True})
        await send(body(b"cde"))

    await call(
        instrument(app),
        body=(b"123", b"", b"4567"),
        method="PUT",
        headers=[(b"content-length", b"999")],
    )
    assert (line(observed)["request_bytes"], line(observed)["response_bytes"]) == (7, 5)


async def test_other_messages_and_extensions_pass_through(observed: Observed, call: Call) -> None:
    messages: Messages = [
        {"type": "http.response.debug", "info": {}},
        {"type": "http.response.push", "path": "/style.css", "headers": []},
        start(trailers=True),
        body(b"x"),
        {"type": "http.response.trailers", "headers": [(b"a", b"b")], "more_trailers": False},
    ]
    exchange = await call(instrument(sends(*messages)))
    assert [m["type"] for m in exchange.sent] == [m["type"] for m in messages]
    assert [exchange.sent[index] for index in (0, 1, 3, 4)] == [
        messages[index] for index in (0, 1, 3, 4)
    ]
    assert exchange.sent[2]["trailers"] is True
    assert observed.metrics.delta("http_requests_total") == 1


@pytest.mark.parametrize(
    "given",
    [
        {"excluded_paths": "/metrics"},
        {"excluded_paths": 5},
        {"excluded_paths": [5]},
        {"route": "/x"},
        {"names": 5},
    ],
    ids=str,
)
def test_wrong_arguments_are_refused_at_once(given: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match=next(iter(given))):
        ObservabilityMiddleware(sends(), **given)
