"""HTTP requests as a server sees them: metrics, the access line, the server span."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context as TraceContext
from opentelemetry.trace import SpanKind, set_span_in_context

from obskit._guard import guard
from obskit.context import CORRELATION_ID, unit_correlation_id
from obskit.errors import DeclarationError
from obskit.logs import LEVELS
from obskit.metrics import DEFAULT_BUCKETS, MetricSpec
from obskit.operation import InProgress, Operation, outcome_of, span_attributes, with_fixed
from obskit.tracing import current_server_span, current_trace_ids, read_trace_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.trace import Span, Tracer

    from obskit.context import Record
    from obskit.runtime import Runtime
    from obskit.tracing import Tracing

METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)
"""Methods that are label values; any other is `OTHER_METHOD`."""

OTHER_METHOD = "_OTHER"
"""As OpenTelemetry's semantic conventions call a method that is not a known one."""

UNMATCHED = "unmatched"
"""The route of requests that no route matches."""

CLIENT_CLOSED_REQUEST = 499
"""Status in metrics of requests whose client has gone; nothing like it is ever sent."""

SERVER_ERROR = 500
"""The first status that means a fault of the server."""

REMOTE = frozenset({"traceparent", "baggage"})
"""Headers with which a caller's trace context or baggage comes."""

SIZE_BUCKETS = (100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8)
"""Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HttpNames:
    """The names and label names of a server's HTTP metrics, without the namespace."""

    requests: str = "http_requests_total"
    """Counter of requests that have been answered, or given up."""

    duration: str = "http_request_duration_seconds"
    """Histogram of seconds from the request to the last byte of the answer."""

    request_size: str = "http_request_size_bytes"
    """Histogram of bytes of request bodies, as received."""

    response_size: str = "http_response_size_bytes"
    """Histogram of bytes of response bodies, as sent."""

    in_progress: str = "http_requests_in_progress"
    """Gauge of requests that are being answered."""

    method: str = "method"
    """Label with the request's method."""

    route: str = "route"
    """Label with the route's template."""

    status: str = "status"
    """Label of the counter with the response's status code."""

    buckets: tuple[float, ...] = DEFAULT_BUCKETS
    """Upper bounds of the duration's buckets in seconds."""

    size_buckets: tuple[float, ...] = SIZE_BUCKETS
    """Upper bounds of the sizes' buckets in bytes."""

    def __post_init__(self) -> None:
        """Check the names now rather than at the first request.

        Raises:
            DeclarationError: If a name is not one that Prometheus takes, or is given twice.
        """
        _check_distinct("metric", [spec.name for spec in self.specs()])
        _check_distinct("label", [self.method, self.route, self.status])

    def specs(self) -> "tuple[MetricSpec, ...]":
        """Return the families: requests, duration, request size, response size, in progress."""
        labels = (self.method, self.route)
        return (
            MetricSpec(
                kind="counter",
                name=self.requests,
                help="HTTP requests that have been answered, or given up.",
                labels=(*labels, self.status),
            ),
            MetricSpec(
                kind="histogram",
                name=self.duration,
                help="Seconds from an HTTP request to the last byte of its answer.",
                labels=labels,
                buckets=self.buckets,
            ),
            MetricSpec(
                kind="histogram",
                name=self.request_size,
                help="Bytes of HTTP request bodies.",
                labels=labels,
                buckets=self.size_buckets,
            ),
            MetricSpec(
                kind="histogram",
                name=self.response_size,
                help="Bytes of HTTP response bodies.",
                labels=labels,
                buckets=self.size_buckets,
            ),
            MetricSpec(
                kind="gauge",
                name=self.in_progress,
                help="HTTP requests that are being answered now.",
                labels=labels,
            ),
        )


def _check_distinct(kind: str, names: "list[str]") -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DeclarationError(
            f"HttpNames: {twice[0]!r} is given twice: each {kind} needs a name of its own"
        )


DEFAULT_HTTP_NAMES = HttpNames()


class HttpRequest(Operation):
    """One request: an operation that is called ``METHOD route`` once the route is known.

    Args:
        instrument: Where it is counted.
        method: As the client sent it; any text.
        path: As the client sent it, without the query.
        correlation_id: A valid one.
        headers: Header names in lower case, and their values.
        find_route: Returns the route's template, as far as it is known at the time.
    """

    __slots__ = (
        "_find_route",
        "_headers",
        "_host_span",
        "client",
        "disconnected",
        "method",
        "path",
        "request_bytes",
        "response_bytes",
        "status",
    )

    def __init__(
        self,
        instrument: "HttpInstrument",
        *,
        method: str,
        path: str,
        correlation_id: str,
        headers: "Mapping[str, str]",
        find_route: "Callable[[], str]",
    ) -> None:
        self.method: str = method if method in METHODS else OTHER_METHOD
        self._instrument = instrument
        self.name: str = self.method
        self.fields: dict[str, Any] = {CORRELATION_ID: correlation_id}
        self.path: str = path
        self.client: str = ""
        self.status: int | None = None
        self.request_bytes: int = 0
        self.response_bytes: int = 0
        self.disconnected: bool = False
        self._headers = headers
        self._host_span: Span | None = None
        self._find_route = find_route

    @property
    def correlation_id(self) -> str:
        """The id that log lines carry: the one it came with, or what the application has bound."""
        return unit_correlation_id(self.fields)

    @property
    def route(self) -> str:
        """The route's template, or ``unmatched``."""
        try:
            return self._find_route()
        except Exception as error:
            guard.report("http.route", error)
            return UNMATCHED

    def answered(self) -> None:
        """Stop the clock at the last byte; a server error waits for what the application raises."""
        if self.status is not None and self.status < SERVER_ERROR:
            self.end()
        else:
            self.stop()

    def end(self, error: BaseException | None = None) -> None:
        """Settle status and outcome, then end as any operation does.

        Args:
            error: What the application raised, if anything.
        """
        if not self._ended:
            self._settle(error)
        super().end(error)

    def _settle(self, error: BaseException | None) -> None:
        if self.disconnected or type(error).__name__ == "ClientDisconnect":
            self.status, self._outcome = CLIENT_CLOSED_REQUEST, "cancelled"
        elif outcome_of(error) == "cancelled":
            self.status = CLIENT_CLOSED_REQUEST
        elif self.status is None:  # the server answers in the application's place
            self.status = SERVER_ERROR
        if self._outcome is None and self.status >= SERVER_ERROR:
            self._outcome = "error"
        route = self.route
        self.name = f"{self.method} {route}"
        self.labels: Mapping[str, str] = {
            "method": self.method,
            "route": route,
            "status": str(self.status),
        }

    def _join(self, outer: "Record | None") -> None:  # noqa: ARG002 - it belongs to no unit
        """Begin a unit of work: servers reuse their contexts between requests."""
        if self._instrument.runtime.tracing is None and not self._headers.keys().isdisjoint(REMOTE):
            self._pass_on()

    def _pass_on(self) -> None:
        """Where nothing is traced, hand on the caller's trace; a span of the host's comes first."""
        try:
            if current_trace_ids() is None:
                self._trace = read_trace_headers(self._headers, TraceContext())
        except Exception as error:
            guard.report("operation.span", error)

    def _begin_span(self, tracer: "Tracer") -> None:
        try:
            self._host_span = current_server_span()
            if self._host_span is not None:
                return
            self._trace = parent = read_trace_headers(self._headers, TraceContext())
            self.span: Span | None = tracer.start_span(
                self.method,
                context=parent,
                kind=SpanKind.SERVER,
                attributes={"http.request.method": self.method, "url.path": self.path},
            )
            self._trace = set_span_in_context(self.span, parent)
        except Exception as error:
            guard.report("operation.span", error)

    def _end_span(self) -> None:
        """End the span; one of the framework's own only gets the outcome, while it is open."""
        if self._host_span is not None and self._host_span.is_recording():
            try:
                if self.outcome != "ok":
                    self._host_span.set_attribute("obskit.outcome", self.outcome)
                self._host_span.set_attributes(span_attributes(self.attributes))
            except Exception as error:
                guard.report("operation.span", error)
        super()._end_span()

    def _describe(self, span: "Span") -> None:
        span.update_name(self.name)
        super()._describe(span)

    def _span_values(self) -> dict[str, Any]:
        """Return the span's attributes by the names of OpenTelemetry's semantic conventions."""
        return {
            **self.attributes,
            "http.route": self.labels["route"],
            "http.response.status_code": self.status,
        }


class HttpInstrument:
    """The HTTP metrics and the access log under one configuration.

    Args:
        runtime: The configuration.
        names: How the metrics are called.
        access_log: Whether to write one line for each request.
    """

    name = "http request"
    logger = "obskit.access"
    log_events = False
    span_kind = SpanKind.SERVER

    def __init__(
        self, runtime: "Runtime", names: HttpNames = DEFAULT_HTTP_NAMES, *, access_log: bool = True
    ) -> None:
        self.runtime = runtime
        self._access_log = access_log
        *families, in_progress = names.specs()
        self._requests, *self._histograms = [runtime.store.family(spec) for spec in families]
        self._in_progress = names.in_progress
        self._running = InProgress.of(runtime.store, in_progress)

    @property
    def tracing(self) -> "Tracing | None":
        """Where spans go, if anywhere."""
        return self.runtime.tracing

    def labels_of(self, operation: Operation) -> "Mapping[str, str]":
        """Return the labels as far as they are known before the end."""
        assert isinstance(operation, HttpRequest)  # noqa: S101 - nothing else is begun with this
        return {"method": operation.method, "route": operation.route}

    def in_progress(self, operation: Operation) -> tuple[str, tuple[str, ...]]:
        """Return the gauge and the label values that a request in flight counts in."""
        assert isinstance(operation, HttpRequest)  # noqa: S101 - nothing else is begun with this
        return self._in_progress, (operation.method, operation.route)

    def ended(self, operation: Operation) -> None:
        """Record a request that has just been answered."""
        assert isinstance(operation, HttpRequest)  # noqa: S101 - nothing else is begun with this
        values = tuple(operation.labels.values())
        self._requests.cell(values).inc()
        self._running.know(values[:2])
        measured = (operation.duration, operation.request_bytes, operation.response_bytes)
        for family, value in zip(self._histograms, measured, strict=True):
            family.cell(values[:2]).observe_duration(value)
        if self._access_log:
            self._log(operation)

    def _log(self, request: HttpRequest) -> None:
        level = "error" if request.outcome == "error" else "info"
        logs = self.runtime.logs
        if logs is not None and LEVELS[level] < logs.level:
            return
        fields: dict[str, Any] = {
            "method": request.method,
            "route": request.labels["route"],
            "path": request.path,
            "status": request.status,
            "outcome": request.outcome,
            "duration_ms": round(request.duration * 1000, 3),
            "request_bytes": request.request_bytes,
            "response_bytes": request.response_bytes,
            "client": request.client,
        }
        fields = with_fixed(fields, request.attributes)
        error = request.error if request.outcome == "error" else None
        if error is not None:
            fields["error_type"] = request.error_type
            if request.is_reported(error):
                error = None
        self.runtime.log(level, "http request", self.logger, fields, error)
