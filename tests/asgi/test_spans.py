"""Server spans, and faults of telemetry that leave the request as it was."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanKind
from prometheus_client import CollectorRegistry
from tests.kits.asgi import body, sends, start

import obskit
from obskit._guard import guard
from obskit.asgi import ObservabilityMiddleware, instrument
from obskit.testing import Observed

pytestmark = pytest.mark.anyio

Get = Callable[..., Any]
Call = Callable[..., Any]
Messages = list[dict[str, Any]]


PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_the_caller_s_span_is_the_parent(observed: Observed, call: Call) -> None:
    await call(instrument(sends(start(), body())), headers=[(b"traceparent", PARENT.encode())])
    span = observed.spans.one("GET unmatched")
    assert span.parent is not None
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"


@pytest.mark.parametrize("header", [b"", b"nonsense", b"00-" + b"0" * 32 + b"-x-01", b"\xff" * 55])
async def test_a_malformed_parent_is_none(observed: Observed, call: Call, header: bytes) -> None:
    with obskit.observe("around"):
        await call(instrument(sends(start(), body())), headers=[(b"traceparent", header)])
    assert observed.spans.one("GET unmatched").parent is None


class Faulty(SpanProcessor):
    def __init__(self, method: str) -> None:
        setattr(self, method, self.fail)

    def fail(self, *arguments: Any) -> None:
        raise RuntimeError("span processor")


@pytest.mark.parametrize("method", ["on_start", "on_end"])
async def test_a_span_processor_that_raises_leaves_the_request_alone(
    call: Call, method: str
) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Faulty(method))
    registry = CollectorRegistry()
    obskit.configure(tracing=provider, registry=registry, logging="off")
    with guard.recording() as faults:
        exchange = await call(instrument(sends(start(), body(b"x"))))
    assert (exchange.status, exchange.body) == (200, b"x")
    assert {site for site, _ in faults} == {"operation.span"}
    labels = {"method": "GET", "route": "unmatched", "status": "200"}
    assert registry.get_sample_value("http_requests_total", labels) == 1


async def test_a_registry_without_room_leaves_the_request_alone(call: Call) -> None:
    registry = CollectorRegistry()
    obskit.configure(registry=registry, max_series=2, logging="off", tracing="off")
    app = instrument(sends(start(), body(b"x")), route=lambda scope: scope["path"])
    for number in range(10):
        assert (await call(app, f"/{number}")).body == b"x"
    counted = {
        sample.labels["route"]: sample.value
        for metric in registry.collect()
        if metric.name == "http_requests"
        for sample in metric.samples
        if sample.name == "http_requests_total"
    }
    assert counted == {"/0": 1, "/1": 1, "_overflow": 8}


class BrokenRegistry(CollectorRegistry):
    def register(self, collector: Any) -> None:
        raise MemoryError("registry")


async def test_a_registry_that_raises_leaves_the_request_alone(call: Call) -> None:
    obskit.configure(registry=BrokenRegistry(), logging="off", tracing="off")
    with guard.recording() as faults:
        exchange = await call(instrument(sends(start(), body(b"x"))))
    assert exchange.body == b"x"
    assert {site for site, _ in faults} == {"metrics.declare"}


class Frozen(dict[str, Any]):
    def __setitem__(self, name: str, value: Any) -> None:
        raise TypeError("this scope does not change")


async def test_a_request_that_cannot_begin_runs_without_us(observed: Observed) -> None:
    sent: Messages = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    app = ObservabilityMiddleware(sends(start(), body(b"x")))
    await app(Frozen(type="http", path="/", headers=[]), None, send)  # type: ignore[arg-type] # doubles
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert [site for site, _ in observed.internal_errors()] == ["asgi.begin"]


@pytest.mark.parametrize("telemetry", [True, False])
async def test_one_server_span_where_the_framework_makes_one_too(
    get: Get, monkeypatch: pytest.MonkeyPatch, telemetry: bool
) -> None:
    """FastAPI traces its own requests as soon as there is a global provider."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    obskit.configure(tracing="auto", logging="off", registry=CollectorRegistry())
    app = FastAPI(telemetry={"tracing": telemetry})

    @app.get("/items/{id}")
    async def endpoint(id: int) -> int:  # noqa: A002 - as users name it
        with obskit.observe("inside"):
            return id

    await get(instrument(app), "/items/1")
    spans = exporter.get_finished_spans()
    (server,) = [span for span in spans if span.kind is SpanKind.SERVER]
    assert server.name == "GET /items/{id}"
    assert server.context is not None
    trace_ids = {span.context.trace_id for span in spans if span.context is not None}
    assert trace_ids == {server.context.trace_id}


async def test_a_span_of_the_host_s_learns_the_outcome_while_it_is_open(
    call: Call, tracer: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    """A middleware further out, such as contrib's, ends its span when the application returns."""
    obskit.configure(tracing=tracer, logging="off", registry=CollectorRegistry())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        obskit.current().set(tenant="acme")
        await sends(start(500), body())(scope, receive, send)

    with tracer.get_tracer("host").start_as_current_span("theirs", kind=SpanKind.SERVER):
        await call(ObservabilityMiddleware(app))
    (span,) = exporter.get_finished_spans()
    assert dict(span.attributes or {}) == {"obskit.outcome": "error", "tenant": "acme"}


async def test_a_span_of_the_host_s_that_fails_is_counted(call: Call) -> None:
    class Failing(NonRecordingSpan):
        kind = SpanKind.SERVER

        def is_recording(self) -> bool:
            return True

        def set_attribute(self, key: str, value: Any) -> None:
            raise RuntimeError(key)

    obskit.configure(tracing=TracerProvider(), logging="off", registry=CollectorRegistry())
    with guard.recording() as faults, trace.use_span(Failing(trace.INVALID_SPAN_CONTEXT)):
        await call(ObservabilityMiddleware(sends(start(500), body(b"x"))))
    assert [site for site, _ in faults] == ["operation.span"]


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exporter: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


async def outgoing(app: Any, call: Call, **headers: str) -> dict[str, str]:
    """Return what a handler would write into the headers of its own requests."""
    written: dict[str, str] = {}

    async def handler(scope: Any, receive: Any, send: Any) -> None:
        obskit.inject(written)
        await sends(start(), body())(scope, receive, send)

    given = [(name.encode(), value.encode()) for name, value in headers.items()]
    await call(app(handler), headers=given)
    written.pop("X-Request-ID")
    return written


async def test_a_trace_passes_through_where_tracing_is_off(call: Call) -> None:
    obskit.configure(tracing="off", logging="off", registry=CollectorRegistry())
    headers = {"traceparent": PARENT, "tracestate": "vendor=x", "baggage": "tenant=acme"}
    assert await outgoing(instrument, call, **headers) == headers
    assert await outgoing(instrument, call, baggage="tenant=acme") == {"baggage": "tenant=acme"}
    assert await outgoing(instrument, call) == {}
    assert obskit.inject({}) == {}


async def test_a_span_of_the_host_s_is_passed_on_where_our_tracing_is_off(
    call: Call, tracer: TracerProvider
) -> None:
    obskit.configure(tracing="off", logging="off", registry=CollectorRegistry())
    with tracer.get_tracer("host").start_as_current_span("theirs"):
        theirs = obskit.inject({})
        assert await outgoing(instrument, call, traceparent=PARENT) == theirs


async def test_a_trace_passes_through_where_no_span_can_be_made(call: Call) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Faulty("on_start"))
    obskit.configure(tracing=provider, logging="off", registry=CollectorRegistry())
    assert await outgoing(instrument, call, traceparent=PARENT) == {"traceparent": PARENT}


async def test_trace_headers_that_cannot_be_read_are_counted(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("propagator")

    obskit.configure(tracing="off", logging="off", registry=CollectorRegistry())
    monkeypatch.setattr(W3CBaggagePropagator, "extract", fail)
    with guard.recording() as faults:
        assert await outgoing(instrument, call, traceparent=PARENT) == {}
    assert [site for site, _ in faults] == ["operation.span"]
