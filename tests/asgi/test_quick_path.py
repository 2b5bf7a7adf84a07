"""The short way of requests that are answered as usual gives what the long way gives."""

import io
import json
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

import obskit
from obskit.asgi import instrument
from obskit.runtime import active_runtime

pytestmark = pytest.mark.anyio

Get = Callable[..., Any]


async def plain(request: Any) -> Response:
    return PlainTextResponse("fine")


async def missing(request: Any) -> Response:
    return PlainTextResponse("gone", 410)


async def stream(request: Any) -> Response:
    async def chunks() -> Any:
        yield b"one"
        yield b"two"

    return StreamingResponse(chunks())


async def echo(request: Any) -> Response:
    return Response(await request.body(), background=BackgroundTask(lambda: None))


async def told(request: Any) -> Response:
    obskit.current().set(rows=3)
    obskit.bind(user="ann")
    return PlainTextResponse("fine")


async def decided(request: Any) -> Response:
    obskit.current().outcome = "error"
    return PlainTextResponse("not so fine")


async def broken(request: Any) -> Response:
    raise LookupError("x")


def application() -> Starlette:
    endpoints = (plain, missing, stream, echo, told, decided, broken)
    routes = [Route(f"/{one.__name__}/{{id}}", one, methods=["GET", "POST"]) for one in endpoints]
    return instrument(Starlette(routes=routes))


REQUESTS = [
    ("GET", "/plain/1?token=x&page=2", b""),
    ("HEAD", "/plain/1", b""),
    ("BREW", "/plain/1", b""),
    ("GET", "/missing/2", b""),
    ("GET", "/stream/3", b""),
    ("POST", "/echo/4", b"12345"),
    ("GET", "/told/5", b""),
    ("GET", "/decided/6", b""),
    ("GET", "/broken/7", b""),
    ("GET", "/nowhere", b""),
]


async def requested(get: Get) -> tuple[str, list[dict[str, Any]]]:
    """Make all requests; return the page of metrics and the lines, without times."""
    app, out = application(), io.StringIO()
    with redirect_stdout(out):
        for method, path, body in REQUESTS:
            await get(app, path, method, content=body, headers={"x-request-id": f"id{path[1]}"})
    page = active_runtime().render()[0].decode()
    counted = [
        line
        for line in page.splitlines()
        if line.startswith("http_") and not re.search("seconds_(bucket|sum)|_created", line)
    ]
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    access = [line for line in lines if line.get("logger") == "obskit.access"]
    for line in access:
        assert line.pop("timestamp")
        assert line.pop("duration_ms") >= 0
    return "\n".join(counted), access


async def test_both_ways_agree(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    with obskit.configure(service="s", log_format="json", registry=CollectorRegistry()):
        quick = await requested(get)
    with obskit.configure(service="s", log_format="json", registry=CollectorRegistry()) as runtime:
        monkeypatch.setattr(runtime, "listeners", (lambda _: None,))
        slow = await requested(get)
    assert quick == slow
    page, lines = quick
    assert len(lines) == len(REQUESTS)
    assert 'http_requests_total{method="GET",route="/told/{id}",status="200"} 1.0' in page
    assert 'http_requests_total{method="_OTHER",route="/plain/{id}",status="405"} 1.0' in page
    assert [line["status"] for line in lines][-2:] == [500, 404]


def described(exporter: InMemorySpanExporter) -> list[dict[str, Any]]:
    """Return the spans without ids and times."""
    return [
        {
            "name": span.name,
            "kind": span.kind,
            "attributes": dict(span.attributes or {}),
            "status": span.status.status_code,
            "parent": span.parent is not None,
            "events": [event.name for event in span.events],
        }
        for span in exporter.get_finished_spans()
    ]


async def test_both_ways_agree_with_spans(get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for listeners in ((), (lambda _: None,)):
        exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        with obskit.configure(
            service="s", log_format="json", registry=CollectorRegistry(), tracing=provider
        ) as runtime:
            monkeypatch.setattr(runtime, "listeners", listeners)
            page, lines = await requested(get)
        ids = [
            (f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}")
            for span in exporter.get_finished_spans()
        ]
        assert [(line.pop("trace_id"), line.pop("span_id")) for line in lines] == ids
        found.append((page, lines, described(exporter)))
    assert found[0] == found[1]
    assert len(found[0][2]) == len(REQUESTS)


async def test_nothing_is_left_behind(get: Get) -> None:
    with obskit.configure(registry=CollectorRegistry(), log_format="json") as runtime:
        await requested(get)
        assert runtime.store.in_flight == set()
        assert runtime.store.told == set()
    assert obskit.correlation_id() is None
