"""Telemetry of the host's own, around the middleware and inside: one server span in any case."""

import importlib
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from tests.kits.asgi import body, line, sends, start

import obskit
from obskit.asgi import ObservabilityMiddleware, instrument
from obskit.asgi._foreign import HostTelemetry, SpanReader
from obskit.runtime import active_runtime
from obskit.testing import Observed

pytestmark = pytest.mark.anyio

Get = Callable[..., Any]
Call = Callable[..., Any]
Around = Callable[..., Any]

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def read(request: Request) -> Response:
    obskit.current().set(tenant="acme")
    with obskit.observe("inside"):
        return JSONResponse({"id": request.path_params["id"]})


async def refuse(request: Request) -> Response:
    return Response(status_code=503)


async def fail(request: Request) -> Response:
    raise RuntimeError("broken")


ROUTES = [Route("/items/{id}", read), Route("/refused", refuse), Route("/broken", fail)]


def plain(**given: Any) -> Any:
    return Starlette(routes=ROUTES, **given)


def fastapi_app(**given: Any) -> Any:
    fastapi = pytest.importorskip("fastapi")
    return fastapi.FastAPI(routes=ROUTES, **given)


def fastapi_native(provider: Any) -> Any:
    pytest.importorskip("fastapi.telemetry", reason="FastAPI traces from 0.142 on")
    return fastapi_app(telemetry={"tracer_provider": provider, "auto_configure": False})


def starlettes() -> Any:
    reason = "Starlette has this middleware from 1.7 on"
    return pytest.importorskip("starlette.middleware.opentelemetry", reason=reason)


def contribs() -> Any:
    reason = "opentelemetry-instrumentation-asgi is not installed"
    return pytest.importorskip("opentelemetry.instrumentation.asgi", reason=reason)


def contribs_for_fastapi() -> Any:
    reason = "opentelemetry-instrumentation-fastapi is not installed"
    module = pytest.importorskip("opentelemetry.instrumentation.fastapi", reason=reason)
    return module.FastAPIInstrumentor


def logfires() -> Any:
    pytest.importorskip("opentelemetry.instrumentation.fastapi")
    logfire = pytest.importorskip("logfire", reason="logfire is not installed")
    return logfire.configure(
        local=True,
        send_to_logfire=False,
        console=False,
        inspect_arguments=False,
        distributed_tracing=True,
        additional_span_processors=[SimpleSpanProcessor(Recorded())],
    )


class Recorded(SpanExporter):
    """Hands spans of logfire's own provider to the recorder."""

    def export(self, spans: Any) -> Any:
        exporter = active_runtime().backends.span_processor.span_exporter  # type: ignore[union-attr] # a test's
        return exporter.export(spans)


INSIDE: dict[str, Around] = {}
OUTSIDE: dict[str, Around] = {}


def inside(make: Around) -> Around:
    INSIDE[make.__name__] = make
    return make


def outside(make: Around) -> Around:
    OUTSIDE[make.__name__] = make
    return make


@inside
def native_in_middleware(provider: Any) -> Any:
    return ObservabilityMiddleware(fastapi_native(provider))


@inside
def starlette_in_middleware(provider: Any) -> Any:
    middleware = starlettes().OpenTelemetryMiddleware
    return ObservabilityMiddleware(middleware(plain(), tracer_provider=provider))


@inside
def starlette_in_stack(provider: Any) -> Any:
    theirs = Middleware(starlettes().OpenTelemetryMiddleware, tracer_provider=provider)
    return instrument(plain(middleware=[theirs]))


@inside
def contrib_in_middleware(provider: Any) -> Any:
    middleware = contribs().OpenTelemetryMiddleware
    return ObservabilityMiddleware(middleware(plain(), tracer_provider=provider))


@inside
def contrib_in_stack(provider: Any) -> Any:
    theirs = Middleware(contribs().OpenTelemetryMiddleware, tracer_provider=provider)
    return ObservabilityMiddleware(plain(middleware=[theirs]))


@inside
def contrib_for_fastapi_inside(provider: Any) -> Any:
    app = fastapi_app()
    contribs_for_fastapi().instrument_app(app, tracer_provider=provider)
    return instrument(app)


@inside
def contrib_for_native_inside(provider: Any) -> Any:
    app = fastapi_native(provider)
    contribs_for_fastapi().instrument_app(app, tracer_provider=provider)
    return ObservabilityMiddleware(app)


@inside
def logfire_asgi_inside(provider: Any) -> Any:
    return ObservabilityMiddleware(logfires().instrument_asgi(plain()))


@inside
def logfire_fastapi_inside(provider: Any) -> Any:
    app = fastapi_app()
    logfires().instrument_fastapi(app)
    return instrument(app)


@outside
def native_outside(provider: Any) -> Any:
    return instrument(fastapi_native(provider))


@outside
def native_around_added_middleware(provider: Any) -> Any:
    app = fastapi_native(provider)
    app.add_middleware(ObservabilityMiddleware)
    return app


@outside
def starlette_outside(provider: Any) -> Any:
    middleware = starlettes().OpenTelemetryMiddleware
    return middleware(ObservabilityMiddleware(plain()), tracer_provider=provider)


@outside
def contrib_outside(provider: Any) -> Any:
    middleware = contribs().OpenTelemetryMiddleware
    return middleware(ObservabilityMiddleware(plain()), tracer_provider=provider)


@outside
def contrib_for_fastapi_outside(provider: Any) -> Any:
    app = fastapi_app()
    app.add_middleware(ObservabilityMiddleware)
    contribs_for_fastapi().instrument_app(app, tracer_provider=provider)
    return app


@outside
def logfire_fastapi_outside(provider: Any) -> Any:
    app = fastapi_app()
    app.add_middleware(ObservabilityMiddleware)
    logfires().instrument_fastapi(app)
    return app


@pytest.fixture(autouse=True)
def _unpatched() -> Iterator[None]:
    """Take back what contrib has done to Starlette's background tasks."""
    yield
    from starlette.background import BackgroundTask  # noqa: PLC0415 - when all is over

    original = BackgroundTask.__dict__.get("_otel_original_call")
    if original is not None:
        BackgroundTask.__call__ = original  # type: ignore[method-assign] # as it was
        del BackgroundTask._otel_original_call  # type: ignore[attr-defined] # contrib's


@pytest.fixture
def provider(observed: Observed) -> Any:
    """The provider that obskit's own spans go to, for the host's."""
    tracing = active_runtime().tracing
    assert tracing is not None
    return tracing.provider


def servers(observed: Observed) -> list[ReadableSpan]:
    return [span for span in observed.spans.all() if span.kind is SpanKind.SERVER]


def ids(span: ReadableSpan) -> tuple[str, str]:
    assert span.context is not None
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


def is_ours(span: ReadableSpan) -> bool:
    assert span.instrumentation_scope is not None
    return span.instrumentation_scope.name == "obskit"


BOTH = {**INSIDE, **OUTSIDE}


@pytest.mark.parametrize("host", BOTH.values(), ids=BOTH.keys())
async def test_one_server_span_the_host_s(
    observed: Observed, get: Get, provider: Any, host: Around
) -> None:
    """It has the request's attributes, and its ids are in the access line."""
    app = host(provider)
    for _ in range(2):  # as the first request finds it, and as it is known from then on
        assert (await get(app, "/items/1")).status_code == 200
    lines = observed.logs.all(event="http request")
    for server, written in zip(servers(observed), lines, strict=True):
        assert not is_ours(server)
        assert (server.attributes or {})["tenant"] == "acme"
        assert (written["trace_id"], written["span_id"]) == ids(server)
    insides = observed.spans.all("inside")
    assert [ids(span)[0] for span in insides] == [written["trace_id"] for written in lines]


@pytest.mark.parametrize("path", ["/refused", "/broken"])
@pytest.mark.parametrize("host", BOTH.values(), ids=BOTH.keys())
async def test_the_host_s_span_learns_of_failures(
    observed: Observed, get: Get, provider: Any, host: Around, path: str
) -> None:
    await get(host(provider), path)
    (server,) = servers(observed)
    assert not is_ours(server)
    assert (server.attributes or {})["obskit.outcome"] == "error"
    written = line(observed)
    assert (written["trace_id"], written["span_id"]) == ids(server)


@pytest.mark.parametrize("host", BOTH.values(), ids=BOTH.keys())
async def test_the_host_s_span_continues_the_caller_s_trace(
    observed: Observed, get: Get, provider: Any, host: Around
) -> None:
    await get(host(provider), "/items/1", headers={"traceparent": PARENT})
    (server,) = servers(observed)
    assert server.parent is not None
    assert f"{server.parent.trace_id:032x}-{server.parent.span_id:016x}" == PARENT[3:52]
    assert line(observed)["trace_id"] == PARENT[3:35]


# Where the host's telemetry begins no span


def starlette_excluding(provider: Any) -> Any:
    middleware = starlettes().OpenTelemetryMiddleware
    theirs = middleware(plain(), tracer_provider=provider, excluded_urls="items,broken")
    return ObservabilityMiddleware(theirs)


def contrib_excluding(provider: Any) -> Any:
    middleware = contribs().OpenTelemetryMiddleware
    urls = importlib.import_module("opentelemetry.util.http")
    excluded = urls.parse_excluded_urls("items,broken")
    theirs = middleware(plain(), tracer_provider=provider, excluded_urls=excluded)
    return ObservabilityMiddleware(theirs)


def native_excluding(provider: Any) -> Any:
    app = fastapi_native(provider)
    app._telemetry["exclude"] = lambda scope: True
    return ObservabilityMiddleware(app)


def native_without_provider(provider: Any) -> Any:
    return ObservabilityMiddleware(fastapi_native(None))


def native_switched_off(provider: Any) -> Any:
    return ObservabilityMiddleware(fastapi_app(telemetry={"tracing": False}))


def contrib_without_provider(provider: Any) -> Any:
    return ObservabilityMiddleware(contribs().OpenTelemetryMiddleware(plain()))


def starlette_without_provider(provider: Any) -> Any:
    return ObservabilityMiddleware(starlettes().OpenTelemetryMiddleware(plain()))


def behind_another_middleware(provider: Any) -> Any:
    """The host's telemetry is not reached: something in front of it answers."""
    middleware = contribs().OpenTelemetryMiddleware
    theirs = middleware(plain(), tracer_provider=provider)

    class InFront:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await plain()(scope, receive, send)

    return ObservabilityMiddleware(InFront(theirs))


SILENT = (
    *(starlette_excluding, contrib_excluding, native_excluding),
    *(native_without_provider, contrib_without_provider, starlette_without_provider),
    native_switched_off,
)


@pytest.mark.parametrize("host", SILENT)
async def test_ours_where_the_host_begins_none(
    observed: Observed, get: Get, provider: Any, host: Around
) -> None:
    """It lasts as long as the request, and is the parent of what is inside."""
    await get(host(provider), "/items/1", headers={"traceparent": PARENT})
    (server,) = servers(observed)
    assert is_ours(server)
    assert server.name == "GET /items/{id}"
    assert server.parent is not None
    assert f"{server.parent.trace_id:032x}-{server.parent.span_id:016x}" == PARENT[3:52]
    assert observed.spans.tree() == {"GET /items/{id}": {"inside": {}}}
    written = line(observed)
    assert (written["trace_id"], written["span_id"]) == ids(server)
    assert server.end_time is not None
    assert server.start_time is not None
    lasted = (server.end_time - server.start_time) / 1e6
    assert lasted == pytest.approx(written["duration_ms"], abs=0.01)


@pytest.mark.parametrize("host", SILENT)
async def test_ours_has_the_error_where_the_host_begins_none(
    observed: Observed, get: Get, provider: Any, host: Around
) -> None:
    await get(host(provider), "/broken")
    (server,) = servers(observed)
    assert (server.attributes or {})["error.type"] == "RuntimeError"
    written = line(observed)
    assert (written["trace_id"], written["span_id"]) == ids(server)


async def test_ours_where_the_host_s_telemetry_is_not_reached(
    observed: Observed, get: Get, provider: Any
) -> None:
    await get(behind_another_middleware(provider), "/items/1")
    (server,) = servers(observed)
    assert is_ours(server)
    assert server.name == "GET /items/{id}"
    written = line(observed)
    assert (written["trace_id"], written["span_id"]) == ids(server)


@pytest.mark.parametrize("host", [starlette_excluding, native_without_provider])
async def test_a_trace_passes_through_where_nobody_traces(
    get: Get, host: Around, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: dict[str, str] = {}

    async def endpoint(request: Request) -> Response:
        obskit.inject(written)
        return Response()

    with obskit.configure(tracing="off", logging="off"):
        monkeypatch.setitem(globals(), "ROUTES", [Route("/items/{id}", endpoint)])
        await get(host(None), "/items/1", headers={"traceparent": PARENT})
    assert written["traceparent"] == PARENT


@pytest.mark.parametrize("host", BOTH.values(), ids=BOTH.keys())
async def test_the_host_s_ids_are_in_the_lines_where_our_tracing_is_off(
    observed: Observed, get: Get, provider: Any, host: Around
) -> None:
    """Its span is left as it is."""
    with obskit.configure(tracing="off"):
        await get(host(provider), "/broken")
    (server,) = servers(observed)
    assert not is_ours(server)
    assert "obskit.outcome" not in (server.attributes or {})
    if host in INSIDE.values():
        written = line(observed)
        assert (written["trace_id"], written["span_id"]) == ids(server)


# Sampling


@pytest.mark.parametrize("name", [n for n in BOTH if "logfire" not in n])
async def test_a_request_that_the_host_does_not_sample_has_no_span(
    observed: Observed, get: Get, name: str
) -> None:
    """Its trace is not sampled, rather than given another chance in a trace of its own."""
    unsampled = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    await get(BOTH[name](unsampled), "/items/1")
    assert [span for span in observed.spans.all() if span.name != "inside"] == []
    assert len(line(observed)["trace_id"]) == 32


async def test_what_is_around_the_server_is_not_the_request_s(
    observed: Observed, call: Call, provider: Any
) -> None:
    """A span that is open where the server was started is no parent of any request."""
    with provider.get_tracer("main").start_as_current_span("main"):
        await call(ObservabilityMiddleware(sends(start(), body())))
    (server,) = servers(observed)
    assert server.parent is None


# Applications mounted in others


def mounting(app: Any, path: str = "/inner/{tenant}") -> Any:
    return Starlette(routes=[Route("/items/{id}", read), Mount(path, app=app)])


MOUNTED: dict[str, Around] = {
    "native": fastapi_native,
    "starlette": lambda provider: starlettes().OpenTelemetryMiddleware(
        plain(), tracer_provider=provider
    ),
    "starlette in stack": lambda provider: plain(
        middleware=[Middleware(starlettes().OpenTelemetryMiddleware, tracer_provider=provider)]
    ),
}


@pytest.mark.parametrize("kind", MOUNTED)
@pytest.mark.parametrize("wrap", [ObservabilityMiddleware, instrument])
async def test_a_mounted_application_traces_its_own_requests(
    observed: Observed, get: Get, provider: Any, kind: str, wrap: Any
) -> None:
    """And ours are the spans of the others."""
    app = wrap(mounting(MOUNTED[kind](provider)))
    await get(app, "/inner/acme/items/1")
    await get(app, "/items/2")
    theirs, ours = servers(observed)
    assert not is_ours(theirs)
    assert (theirs.attributes or {})["tenant"] == "acme"
    assert is_ours(ours)
    lines = observed.logs.all(event="http request")
    spans = [(written["trace_id"], written["span_id"]) for written in lines]
    assert spans == [ids(theirs), ids(ours)]
    assert [ids(s)[0] for s in observed.spans.all("inside")] == [ids(theirs)[0], ids(ours)[0]]


async def test_mounts_in_mounts(observed: Observed, get: Get, provider: Any) -> None:
    app = ObservabilityMiddleware(mounting(mounting(fastapi_native(provider)), "/outer"))
    await get(app, "/outer/inner/acme/items/1")
    await get(app, "/outer/items/1")
    assert [is_ours(server) for server in servers(observed)] == [False, True]


async def test_contrib_in_a_mount_makes_no_server_span(
    observed: Observed, get: Get, provider: Any
) -> None:
    theirs = contribs().OpenTelemetryMiddleware(plain(), tracer_provider=provider)
    await get(ObservabilityMiddleware(mounting(theirs)), "/inner/acme/items/1")
    (server,) = servers(observed)
    assert is_ours(server)


# WebSocket connections


async def chat(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    obskit.current().set(tenant="acme")
    await send({"type": "websocket.close", "code": 1000})


async def connect(app: Any) -> None:
    """Open a connection that the application closes."""
    messages: list[dict[str, Any]] = [{"type": "websocket.connect"}]
    scope = {"type": "websocket", "path": "/chat", "headers": [], "query_string": b""}

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        pass

    await app(scope, receive, send)


def chatting(app: Any) -> Any:
    app.mount("/", chat)
    return app


CHATS: dict[str, Around] = {
    "native": lambda provider: chatting(fastapi_native(provider)),
    "contrib": lambda provider: contribs().OpenTelemetryMiddleware(chat, tracer_provider=provider),
}


@pytest.mark.parametrize("kind", CHATS)
async def test_one_server_span_of_a_connection(
    observed: Observed, provider: Any, kind: str
) -> None:
    await connect(ObservabilityMiddleware(CHATS[kind](provider)))
    (server,) = servers(observed)
    assert not is_ours(server)
    assert (server.attributes or {})["tenant"] == "acme"
    (written,) = [w for w in observed.logs.all() if w["logger"] == "obskit.access"]
    assert (written["trace_id"], written["span_id"]) == ids(server)


async def test_ours_where_the_host_traces_no_connections(observed: Observed, provider: Any) -> None:
    middleware = starlettes().OpenTelemetryMiddleware
    await connect(ObservabilityMiddleware(middleware(chat, tracer_provider=provider)))
    (server,) = servers(observed)
    assert is_ours(server)


# Detection


async def test_middleware_that_is_put_up_anew_is_looked_at_again(
    observed: Observed, get: Get, provider: Any
) -> None:
    app = plain()
    watched = ObservabilityMiddleware(app)
    await get(watched, "/items/1")
    app.middleware_stack = None
    app.add_middleware(starlettes().OpenTelemetryMiddleware, tracer_provider=provider)
    await get(watched, "/items/1")
    app.middleware_stack = None
    app.user_middleware.clear()
    await get(watched, "/items/1")
    assert [is_ours(server) for server in servers(observed)] == [True, False, True]


async def test_contrib_taken_out_again(observed: Observed, get: Get, provider: Any) -> None:
    instrumentor = contribs_for_fastapi()
    app = fastapi_app()
    watched = ObservabilityMiddleware(app)
    instrumentor.instrument_app(app, tracer_provider=provider)
    await get(watched, "/items/1")
    instrumentor.uninstrument_app(app)
    await get(watched, "/items/1")
    assert [is_ours(server) for server in servers(observed)] == [False, True]


async def test_contrib_that_comes_too_late(observed: Observed, get: Get, provider: Any) -> None:
    """It leaves an application alone whose middleware it does not know."""
    app = instrument(fastapi_app())
    contribs_for_fastapi().instrument_app(app, tracer_provider=provider)
    assert (await get(app, "/items/1")).status_code == 200
    (server,) = servers(observed)
    if metadata.version("opentelemetry-instrumentation-fastapi").startswith("0.51"):
        pytest.skip("contrib 0.51 does not look at the middleware that it finds")
    assert is_ours(server)


async def test_an_application_that_holds_another_under_asgi_app(
    observed: Observed, get: Get, provider: Any
) -> None:
    """As Quart's do."""

    class Holder:
        def __init__(self) -> None:
            self.asgi_app = contribs().OpenTelemetryMiddleware(plain(), tracer_provider=provider)

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.asgi_app(scope, receive, send)

    await get(ObservabilityMiddleware(Holder()), "/items/1")
    (server,) = servers(observed)
    assert not is_ours(server)


async def test_two_of_ours_around_one_application(
    observed: Observed, get: Get, provider: Any
) -> None:
    app = starlettes().OpenTelemetryMiddleware(plain(), tracer_provider=provider)
    for watched in (ObservabilityMiddleware(app), ObservabilityMiddleware(app)):
        await get(watched, "/items/1")
    assert [is_ours(server) for server in servers(observed)] == [False, False]
    assert isinstance(app.app, SpanReader)
    assert not isinstance(app.app.app, SpanReader)


class Endless:
    """Every attribute leads to another of its kind."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await sends(start(), body())(scope, receive, send)

    @property
    def app(self) -> "Endless":
        return Endless()


class Raising(Endless):
    @property
    def app(self) -> Endless:
        raise RuntimeError("not to be read")


@pytest.mark.parametrize("make", [Endless, Raising])
async def test_applications_of_odd_shapes_are_served(
    observed: Observed, call: Call, make: Any
) -> None:
    watched = ObservabilityMiddleware(make(), route=lambda scope: "/")
    for _ in range(2):
        assert (await call(watched)).status == 200
    assert [is_ours(server) for server in servers(observed)] == [True, True]
    expected = ["asgi.telemetry"] if make is Raising else []
    assert [site for site, _ in observed.internal_errors()] == expected


async def test_middleware_that_cannot_be_made_is_the_application_s_to_report(
    observed: Observed, call: Call
) -> None:
    def refused(app: Any) -> Any:
        raise ValueError("no such option")

    app = Starlette(routes=ROUTES, middleware=[Middleware(refused)])
    with pytest.raises(ValueError, match="no such option"):
        await call(ObservabilityMiddleware(app))


async def test_detection_imports_nothing(call: Call) -> None:
    known = set(sys.modules)
    await call(ObservabilityMiddleware(sends(start(), body())))
    added = {name for name in set(sys.modules) - known if "telemetry" in name}
    assert added == set()


async def test_an_application_is_looked_at_once(
    observed: Observed, get: Get, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Any] = []
    look = HostTelemetry._look

    def noting(self: HostTelemetry, app: Any) -> None:
        looked.append(app)
        look(self, app)

    monkeypatch.setattr(HostTelemetry, "_look", noting)
    watched = starlette_in_middleware(provider)
    for _ in range(3):
        await get(watched, "/items/1")
    assert len(looked) == 1


async def test_a_span_that_cannot_be_begun_late_is_counted(
    observed: Observed, get: Get, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("tracer")

    tracing = active_runtime().tracing
    assert tracing is not None
    monkeypatch.setattr(tracing.tracer, "start_span", fail)
    for host in (contrib_without_provider, behind_another_middleware):
        assert (await get(host(provider), "/items/1")).status_code == 200
    sites = {site for site, _ in observed.internal_errors()}
    assert sites == {"operation.span"}
    assert servers(observed) == []


async def test_what_is_no_request_of_ours_is_passed_through(call: Call) -> None:
    exchange = await call(SpanReader(sends(start(), body(b"x"))))
    assert exchange.body == b"x"
