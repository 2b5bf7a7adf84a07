"""What one would put around an application instead of obskit: each peer, and all together."""

import pkgutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from time import perf_counter
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from prometheus_client import REGISTRY, CollectorRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

    from opentelemetry.trace import TracerProvider

    from obskit.asgi import Application, Message, Receive, Scope, Send

STARLETTE_EXPORTER = "starlette_exporter:PrometheusMiddleware"
CORRELATION_ID = "asgi_correlation_id:CorrelationIdMiddleware"
INSTRUMENTATOR = "prometheus_fastapi_instrumentator.middleware:PrometheusInstrumentatorMiddleware"
OPENTELEMETRY = "opentelemetry.instrumentation.asgi:OpenTelemetryMiddleware"
SERIALISER = "orjson:dumps"


class AccessLog:
    """A JSON line for each request, with structlog, as one writes it by hand.

    The processors are those of structlog's page on performance; the lines go to standard output
    as it is when the application is made.

    Args:
        app: The application.
        fields: Returns what a line has besides.
        processors: Further ones.
    """

    def __init__(
        self,
        app: "Application",
        fields: "Callable[[], Mapping[str, Any]]" = dict,
        processors: "Sequence[Any]" = (),
    ) -> None:
        import structlog  # noqa: PLC0415 - it loads when needed

        self.app = app
        self._fields = fields
        self._context = structlog.contextvars
        self._log: Any = structlog.wrap_logger(
            structlog.BytesLogger(sys.stdout.buffer),
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.processors.add_log_level,
                *processors,
                structlog.processors.format_exc_info,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(serializer=pkgutil.resolve_name(SERIALISER)),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(20),
        ).bind()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve one request."""
        self._context.clear_contextvars()
        self._context.bind_contextvars(**self._fields())
        began = perf_counter()
        status, size = 500, 0

        async def watch(message: "Message") -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive, watch)
        finally:
            self._log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                duration_ms=round((perf_counter() - began) * 1000, 3),
                bytes=size,
                client=scope["client"][0],
            )


def add_trace_ids(_: Any, __: str, entry: dict[str, Any]) -> dict[str, Any]:
    """Give a line the ids of the current span: OpenTelemetry's recipe for structlog."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        entry["trace_id"] = trace.format_trace_id(context.trace_id)
        entry["span_id"] = trace.format_span_id(context.span_id)
    return entry


def _request_id() -> dict[str, Any]:
    """Return what asgi-correlation-id has found."""
    return {"request_id": pkgutil.resolve_name("asgi_correlation_id:correlation_id").get()}


def _nothing(_: "TracerProvider") -> dict[str, Any]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One middleware."""

    name: str
    """Where it is, as ``package.module:attribute``."""

    arguments: "Callable[[TracerProvider], dict[str, Any]]" = _nothing
    """Returns its keywords."""


_OWN = f"{__name__}:{AccessLog.__name__}"

EXPORTER_LAYER = Layer(
    name=STARLETTE_EXPORTER, arguments=lambda _: {"app_name": "bench", "prefix": "obskit_bench"}
)
"""With its defaults: routes grouped, unmatched paths left out, no optional metrics."""

INSTRUMENTATOR_LAYER = Layer(
    name=INSTRUMENTATOR, arguments=lambda _: {"registry": CollectorRegistry()}
)

ID_LAYER = Layer(name=CORRELATION_ID)

LINE_LAYER = Layer(name=_OWN)

SPAN_LAYER = Layer(
    name=OPENTELEMETRY,
    arguments=lambda provider: {
        "tracer_provider": provider,
        "exclude_spans": ["receive", "send"],
    },
)

STACK = (ID_LAYER, Layer(name=_OWN, arguments=lambda _: {"fields": _request_id}), EXPORTER_LAYER)
"""Metrics, ids and lines; the outermost first."""

TRACED_STACK = (
    SPAN_LAYER,
    ID_LAYER,
    Layer(name=_OWN, arguments=lambda _: {"fields": _request_id, "processors": (add_trace_ids,)}),
    EXPORTER_LAYER,
)
"""The same, and a span; the lines have its ids."""


def needs_of(layers: "Iterable[Layer]") -> tuple[str, ...]:
    """Return what has to be there for some middleware."""
    names = [layer.name for layer in layers]
    return (*names, SERIALISER) if _OWN in names else tuple(names)


def middleware_of(layers: "Iterable[Layer]", provider: "TracerProvider") -> list[Any]:
    """Return middleware for a Starlette application.

    Args:
        layers: What it is, the outermost first.
        provider: Makes the spans.
    """
    from starlette.middleware import Middleware  # noqa: PLC0415 - optional

    return [
        Middleware(pkgutil.resolve_name(layer.name), **layer.arguments(provider))
        for layer in layers
    ]


@contextmanager
def own_state(layers: "Iterable[Layer]", *, fastapi: bool = True) -> "Generator[None]":
    """Keep starlette_exporter's metrics, which are those of the process, apart while a block runs.

    Args:
        layers: What the block uses.
        fastapi: Whether it finds routes by FastAPI, which it does where that is installed.
    """
    if EXPORTER_LAYER not in layers:
        yield
        return
    module: Any = import_module("starlette_exporter.middleware")
    exporter = module.PrometheusMiddleware
    metrics, flatten = exporter._metrics, module.iter_route_contexts
    exporter._metrics, module.iter_route_contexts = {}, flatten if fastapi else None
    try:
        yield
    finally:
        for metric in exporter._metrics.values():
            REGISTRY.unregister(metric)
        exporter._metrics, module.iter_route_contexts = metrics, flatten
