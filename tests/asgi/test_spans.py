"""Server spans, and faults of telemetry that leave the request as it was."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
)
from opentelemetry.trace import NonRecordingSpan, SpanKind, StatusCode
from prometheus_client import CollectorRegistry
from tests.kits.asgi import body, line, sends, start

import obskit
from obskit._guard import guard
from obskit.asgi import ObservabilityMiddleware, instrument
from obskit.errors import DeclarationError
from obskit.testing import Observed

pytestmark = pytest.mark.anyio

Get = Callable[..., Any]
Call = Callable[..., Any]
Messages = list[dict[str, Any]]


SPAN_CONTEXT = trace.SpanContext(1, 2, is_remote=False)
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
    with guard.recording() as faults, trace.use_span(Failing(SPAN_CONTEXT)):
        await call(ObservabilityMiddleware(sends(start(500), body(b"x"))))
    assert {site for site, _ in faults} == {"operation.span"}


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
        assert await outgoing(instrument, call, traceparent=PARENT, baggage="a=b") == {}
    assert [site for site, _ in faults] == ["operation.span"]


# What the span says


class Noting(Sampler):
    """Notes what a sampler may decide by."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}

    def should_sample(
        self, parent_context: Any, trace_id: int, name: str, *given: Any, **more: Any
    ) -> SamplingResult:
        self.asked = dict(given[1])
        return SamplingResult(Decision.RECORD_AND_SAMPLE, self.asked)

    def get_description(self) -> str:
        return "noting"


REQUEST: dict[str, Any] = {
    "method": "GET",
    "scheme": "https",
    "query_string": b"page=2&access_token=abc&sig=def",
    "server": ("10.0.0.1", 8443),
    "client": ("192.0.2.7", 50000),
    "http_version": "2",
    "headers": [(b"host", b"shop.example:8000"), (b"user-agent", b"curl/8.5")],
}


async def test_what_samplers_may_ask_for_is_there_at_the_start(call: Call) -> None:
    sampler = Noting()
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    obskit.configure(tracing=provider, logging="off", registry=CollectorRegistry())
    await call(ObservabilityMiddleware(sends(start(), body())), "/items/1", **REQUEST)
    assert sampler.asked == {
        "http.request.method": "GET",
        "url.path": "/items/1",
        "url.scheme": "https",
        "url.query": "page=2&access_token=REDACTED&sig=REDACTED",
        "server.address": "shop.example",
        "server.port": 8000,
        "client.address": "192.0.2.7",
        "network.protocol.version": "2",
        "user_agent.original": "curl/8.5",
    }


async def attributes(observed: Observed, call: Call, app: Any, **given: Any) -> dict[str, Any]:
    await call(app, **given)
    return dict(observed.spans.all()[-1].attributes or {})


async def test_what_is_known_at_the_end(observed: Observed, call: Call) -> None:
    app = ObservabilityMiddleware(sends(start(404), body()), route=lambda scope: "/items/{id}")
    found = await attributes(observed, call, app, path="/items/1")
    assert found["http.route"] == "/items/{id}"
    assert found["http.response.status_code"] == 404
    assert "error.type" not in found
    assert observed.spans.one("GET /items/{id}").status.status_code is StatusCode.UNSET


async def test_a_server_error_has_a_type_and_a_status(observed: Observed, call: Call) -> None:
    app = ObservabilityMiddleware(sends(start(503), body()))
    found = await attributes(observed, call, app)
    assert found["error.type"] == "503"
    assert found["obskit.outcome"] == "error"
    assert "http.route" not in found
    assert observed.spans.one("GET unmatched").status.status_code is StatusCode.ERROR


async def test_a_client_that_has_gone_is_told_apart(observed: Observed, call: Call) -> None:
    """The status that only the metrics have is not in the span."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await receive()
        await receive()

    found = await attributes(observed, call, ObservabilityMiddleware(app))
    assert found["obskit.outcome"] == "client_disconnect"
    assert "http.response.status_code" not in found


async def test_an_unknown_method_is_kept_apart(observed: Observed, call: Call) -> None:
    app = ObservabilityMiddleware(sends(start(), body()))
    found = await attributes(observed, call, app, method="BREW")
    assert found["http.request.method"] == "_OTHER"
    assert found["http.request.method_original"] == "BREW"
    assert observed.spans.all()[-1].name == "HTTP unmatched"


@pytest.mark.parametrize(
    ("host", "scheme", "expected"),
    [
        (b"shop", "http", ("shop", 80)),
        (b"shop", "https", ("shop", 443)),
        (b"shop", "gopher", ("shop", None)),
        (b"[::1]:8000", "http", ("::1", 8000)),
        (b"[::1]", "http", ("::1", 80)),
        (b"shop:", "http", ("shop", 80)),
        (b"shop:99999999999", "http", ("shop", 80)),
        (b"", "http", ("10.0.0.1", 8080)),
    ],
)
async def test_the_server_is_the_one_that_the_client_asked(
    observed: Observed, call: Call, host: bytes, scheme: str, expected: tuple[str, int | None]
) -> None:
    found = await attributes(
        observed,
        call,
        ObservabilityMiddleware(sends(start(), body())),
        headers=[(b"host", host)],
        scheme=scheme,
        server=("10.0.0.1", 8080),
    )
    assert (found["server.address"], found.get("server.port")) == expected


async def test_what_is_not_known_is_left_out(observed: Observed, call: Call) -> None:
    found = await attributes(observed, call, ObservabilityMiddleware(sends(start(), body())))
    assert set(found) == {
        *("http.request.method", "url.path", "url.scheme", "network.protocol.version"),
        "http.response.status_code",
    }


async def test_what_the_client_sends_is_bounded(observed: Observed, call: Call) -> None:
    found = await attributes(
        observed,
        call,
        ObservabilityMiddleware(sends(start(), body()), request_headers=["x-long"]),
        path="/" + "p" * 100_000,
        method="M" * 100_000,
        query_string=b"q=" + b"q" * 100_000,
        headers=[(name, b"v" * 100_000) for name in (b"host", b"user-agent", b"x-long")],
    )
    lengths = {
        name: len(value[0] if isinstance(value, tuple) else str(value))
        for name, value in found.items()
    }
    assert max(lengths.values()) == 2048
    assert lengths["http.request.header.x-long"] == 1024


# Headers


async def test_headers_that_are_asked_for(observed: Observed, call: Call) -> None:
    """Secrets are hidden; other headers, and bodies, are nowhere."""
    answer = start(headers=[(b"X-Cache", b"HIT"), (b"set-cookie", b"sid=s3cret"), (b"x", b"y")])
    app = ObservabilityMiddleware(
        sends(answer, body(b"s3cret")),
        request_headers=["X-Tenant", "authorization", "x-absent", "x-session-id"],
        response_headers=["x-cache", "Set-Cookie"],
    )
    given = [(b"x-tenant", b"acme"), (b"authorization", b"Bearer s3cret")]
    given += [(b"x-session-id", b"s3cret"), (b"cookie", b"s3cret"), (b"x-other", b"s3cret")]
    found = await attributes(observed, call, app, headers=given)
    assert {name: value for name, value in found.items() if ".header." in name} == {
        "http.request.header.x-tenant": ("acme",),
        "http.request.header.authorization": ("[REDACTED]",),
        "http.request.header.x-session-id": ("[REDACTED]",),
        "http.response.header.x-cache": ("HIT",),
        "http.response.header.set-cookie": ("[REDACTED]",),
    }
    assert "s3cret" not in str(found)


async def test_a_span_of_the_host_s_has_the_headers_too(
    call: Call, tracer: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    obskit.configure(tracing=tracer, logging="off", registry=CollectorRegistry())
    app = ObservabilityMiddleware(
        sends(start(headers=[(b"x-cache", b"HIT")]), body()),
        request_headers=["x-tenant"],
        response_headers=["x-cache"],
    )
    with tracer.get_tracer("host").start_as_current_span("theirs", kind=SpanKind.SERVER):
        await call(app, headers=[(b"x-tenant", b"acme")])
    (span,) = exporter.get_finished_spans()
    assert dict(span.attributes or {}) == {
        "http.request.header.x-tenant": ("acme",),
        "http.response.header.x-cache": ("HIT",),
    }


@pytest.mark.parametrize("option", ["request_headers", "response_headers"])
@pytest.mark.parametrize(
    "given",
    ["x-tenant", b"x-tenant", 7, ["x tenant"], [""], [7], [f"x-{n}" for n in range(33)]],
)
def test_wrong_headers_are_refused(option: str, given: Any) -> None:
    with pytest.raises(DeclarationError, match=option):
        ObservabilityMiddleware(sends(), **{option: given})


# The caller's trace


async def traced(call: Call, policy: Any, *headers: tuple[bytes, bytes]) -> dict[str, str]:
    """Make a request, and return the headers of what is called in turn."""

    def app(handler: Any) -> Any:
        return ObservabilityMiddleware(handler, inbound_trace=policy)

    return await outgoing(app, call, **{name.decode(): value.decode() for name, value in headers})


def traceparent(span: ReadableSpan) -> str:
    """Return the header with which a span is the parent of another service's."""
    context = span.context
    assert context is not None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def trace_id(span: ReadableSpan) -> str:
    return traceparent(span)[3:35]


INBOUND = ((b"traceparent", PARENT.encode()), (b"tracestate", b"v=x"), (b"baggage", b"tenant=acme"))


async def test_always_continues_the_caller_s_trace(observed: Observed, call: Call) -> None:
    sent = await traced(call, "always", *INBOUND)
    (span,) = observed.spans.all()
    assert span.parent is not None
    assert trace_id(span) == PARENT[3:35]
    assert sent == {"traceparent": traceparent(span), "tracestate": "v=x", "baggage": "tenant=acme"}
    assert line(observed)["trace_id"] == PARENT[3:35]


async def test_link_begins_a_trace_that_is_linked_to_the_caller_s(
    observed: Observed, call: Call
) -> None:
    sent = await traced(call, "link", *INBOUND)
    (span,) = observed.spans.all()
    assert span.parent is None
    (link,) = span.links
    assert f"{link.context.trace_id:032x}-{link.context.span_id:016x}" == PARENT[3:52]
    assert trace_id(span) != PARENT[3:35]
    assert sent == {"traceparent": traceparent(span), "baggage": "tenant=acme"}
    assert line(observed)["trace_id"] == trace_id(span)


async def test_never_ignores_the_caller_s_trace(observed: Observed, call: Call) -> None:
    sent = await traced(call, "never", *INBOUND)
    (span,) = observed.spans.all()
    assert (span.parent, list(span.links)) == (None, [])
    assert trace_id(span) != PARENT[3:35]
    assert sent == {"traceparent": traceparent(span)}
    assert line(observed)["trace_id"] == trace_id(span)


@pytest.mark.parametrize("policy", ["link", "never"])
@pytest.mark.parametrize("flag", ["00", "01"])
async def test_the_caller_does_not_decide_what_is_sampled(
    call: Call, policy: Any, flag: str
) -> None:
    exporter = InMemorySpanExporter()
    sampler = ParentBased(ALWAYS_ON if flag == "00" else ALWAYS_OFF)
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    obskit.configure(tracing=provider, logging="off", registry=CollectorRegistry())
    await traced(call, policy, (b"traceparent", PARENT[:-2].encode() + flag.encode()))
    assert len(exporter.get_finished_spans()) == (1 if flag == "00" else 0)


@pytest.mark.parametrize("policy", ["link", "never"])
async def test_a_malformed_parent_is_no_link(observed: Observed, call: Call, policy: Any) -> None:
    await traced(call, policy, (b"traceparent", b"nonsense"))
    (span,) = observed.spans.all()
    assert (span.parent, list(span.links)) == (None, [])


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("always", {"traceparent": PARENT, "tracestate": "v=x", "baggage": "tenant=acme"}),
        ("link", {"baggage": "tenant=acme"}),
        ("never", {}),
    ],
)
async def test_what_is_passed_on_where_nothing_is_traced(
    call: Call, policy: Any, expected: dict[str, str]
) -> None:
    obskit.configure(tracing="off", logging="off", registry=CollectorRegistry())
    assert await traced(call, policy, *INBOUND) == expected


# The line


async def test_the_line_has_the_server_span_s_ids_wherever_the_answer_ends(
    observed: Observed, call: Call
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        with obskit.observe("inner"):
            await sends(start(), body())(scope, receive, send)
            obskit.get_logger().info("afterwards")

    await call(ObservabilityMiddleware(app))
    server = observed.spans.one("GET unmatched")
    inner = observed.spans.one("inner")
    assert server.context is not None
    assert inner.context is not None
    assert line(observed)["span_id"] == f"{server.context.span_id:016x}"
    assert observed.logs.one(event="afterwards")["span_id"] == f"{inner.context.span_id:016x}"
