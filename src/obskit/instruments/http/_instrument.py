"""The HTTP metrics and the access log under one configuration."""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from obskit._guard import guard
from obskit.context import is_valid_correlation_id, new_correlation_id
from obskit.errors import DeclarationError, DuplicateError
from obskit.instruments.http._access_log import (
    LOGGER,
    AccessLog,
    UsualLine,
    write_access_line,
)
from obskit.instruments.http._names import FACTS, HttpNames
from obskit.instruments.http._options import HttpPlan, RequestLabel
from obskit.instruments.http._request import SERVER_ERROR, HttpRequest
from obskit.instruments.http._span import enter_own_span
from obskit.instruments.http._span_values import SPAN_HEADERS
from obskit.metrics import OTHER, ExchangeCells, Family, Kind, MetricSpec, default_engine
from obskit.operation import ErrorTypes, InProgress, Operation
from obskit.propagation import read_correlation_id, trace_id_of
from obskit.runtime import enabled_signals
from obskit.tracing import swap_trace_context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.trace import SpanContext

    from obskit.runtime import Runtime, Signal
    from obskit.tracing import Tracing

TRACE_HEADERS = ("traceparent", "tracestate", "baggage")
"""Headers with which a caller's trace context and baggage come."""

PROTOCOL_VERSIONS = frozenset({"1.0", "1.1", "2", "2.0", "3", "3.0"})
"""Versions of HTTP that are label values; any other is ``other``."""

_BASIC = FACTS[:3]
"""Method, route and status: what tells apart nearly everything."""


class InboundInstrument(ABC):
    """What is the same for requests and WebSocket connections under one configuration.

    Args:
        runtime: The configuration.
        options: What the user has said.
        name: How the operations are called for `obskit.control`.

    Attributes:
        runtime: The same.
        options: The same.
        name: The same.
        signals: Those that are switched on.
        wanted: Names of the request headers that are of interest, as bytes and as text.
        response_header: Name of the header with the correlation id in answers.
    """

    logger = LOGGER
    log_events = False
    span_kind = SpanKind.SERVER

    def __init__(self, runtime: "Runtime", options: HttpPlan, name: str) -> None:
        self.runtime = runtime
        self.options = options
        self.name = name
        self.signals: frozenset[Signal] = enabled_signals(name)
        self._id_headers = tuple(map(str.lower, runtime.settings.correlation_headers))
        self.response_header: bytes = self._id_headers[0].encode()
        of_spans = SPAN_HEADERS if self.tracing is not None else ()
        names = (*self._id_headers, *TRACE_HEADERS, *of_spans, *options.request_headers)
        self.wanted: dict[bytes, str] = {name.encode(): name for name in names}

    @property
    def tracing(self) -> "Tracing | None":
        """Where spans go, if anywhere."""
        return self.runtime.tracing if "span" in self.signals else None

    def correlation_id(self, headers: "Mapping[str, str]") -> str:
        """Return the id that a request comes with, or else that of its trace, or a new one.

        Args:
            headers: Those of interest.
        """
        identifier = read_correlation_id(headers, self._id_headers) if headers else None
        if (
            identifier is None
            and "traceparent" in headers
            and self.options.inbound_trace != "never"
        ):
            identifier = trace_id_of(headers["traceparent"])
        return identifier or self._new_correlation_id()

    def read_labels(self, scope: Any) -> "Mapping[str, str]":
        """Return the labels that the user has added, and their values.

        Args:
            scope: The ASGI scope, or the WSGI environment, of what has ended.
        """
        return {
            name: value.text(scope) if isinstance(value, RequestLabel) else value
            for name, value in self.options.labels.items()
        }

    @abstractmethod
    def labels_of(self, operation: Operation) -> "Mapping[str, str]":
        """Return the labels as far as they are known."""

    @abstractmethod
    def in_progress(self, operation: Operation) -> tuple[str, tuple[str, ...]]:
        """Return the gauge and the label values that an operation in flight counts in."""

    @abstractmethod
    def ended(self, operation: Operation) -> None:
        """Record an operation that has just ended."""

    def _new_correlation_id(self) -> str:
        make = self.options.new_correlation_id
        if make is None:
            return new_correlation_id()
        try:
            identifier = make()
            if is_valid_correlation_id(identifier):
                return identifier
            told = f"new_correlation_id gave {identifier!r:.80}: 1 to 128 of A-Z a-z 0-9 . _ -"
            guard.report("http.correlation_id", DeclarationError(told))
        except Exception as error:
            guard.report("http.correlation_id", error)
        return new_correlation_id()

    def _family(self, spec: MetricSpec | None, kind: Kind = "histogram") -> Family:
        """Return where something is counted, with the user's labels.

        What is unwanted is counted too, without labels and in no registry.

        Args:
            spec: What it is; None where it is unwanted.
            kind: Of what is unwanted.
        """
        if spec is None:
            return Family(MetricSpec(kind=kind, name="unwanted", help="Is not shown."))
        return self.runtime.store.family(replace(spec, labels=(*spec.labels, *self.options.labels)))


def cell_of(family: Family, values: tuple[str, ...]) -> Any:
    """Return where something is counted: what is unwanted has no labels.

    Args:
        family: The metric.
        values: Label values.
    """
    return family.cell(values if family.spec.labels else ())


class HttpInstrument(InboundInstrument):
    """The metrics and the access log of requests under one configuration.

    Args:
        runtime: The configuration.
        options: What the user has said.
    """

    def __init__(self, runtime: "Runtime", options: HttpPlan) -> None:
        super().__init__(runtime, options, "http request")
        names = options.names
        self._counts = "metric" in self.signals
        self._logs = options.access_log if "log" in self.signals else None
        self.wants_time_to_headers: bool = names.time_to_headers is not None
        self.wants_background: bool = names.background is not None
        used = {*names.requests_labels, *names.duration_labels, *names.size_labels}
        self._further = tuple(fact for fact in FACTS if fact in used and fact not in _BASIC)
        self._cells: dict[tuple[str, ...], ExchangeCells] = {}
        self._limit = runtime.settings.max_series
        self.status_text: Callable[[int | None], str] = _class_of if names.group_status else str
        self._running: InProgress | None = None
        self._in_progress = ""
        self._fixed: tuple[str, ...] = ()
        if self._counts:
            self._declare(names)
        self._is_plain = self._counts and not (
            runtime.listeners or options.labels or self._further or self.wants_time_to_headers
        )
        self._forget = runtime.store.in_flight.discard
        self._told = runtime.store.told
        self._clock = runtime.clock.monotonic
        self._usual_line = UsualLine.of(self._logs, runtime) if self._logs else None
        self._error_types = ErrorTypes()
        self._known: dict[tuple[str, str, int], tuple[ExchangeCells, str]] = {}

    def labels_of(self, operation: Operation) -> "Mapping[str, str]":
        """Return the labels as far as they are known."""
        assert isinstance(operation, HttpRequest)  # noqa: S101 - nothing else is begun with this
        labels = {"method": operation.method, "route": operation.route}
        if operation.has_outcome() or operation.status is not None:
            labels["status"] = operation.status_text
        return {**labels, **operation.extra_labels}

    def in_progress(self, operation: Operation) -> tuple[str, tuple[str, ...]]:
        """Return the gauge and the label values that a request in flight counts in."""
        assert isinstance(operation, HttpRequest)  # noqa: S101 - nothing else is begun with this
        labels = self.options.names.in_progress_labels
        known = tuple(self._fact(operation, fact) for fact in labels)
        return self._in_progress, known + self._fixed

    def ended(self, operation: Operation) -> None:
        """Record a request that has just been answered."""
        assert isinstance(operation, HttpRequest)  # noqa: S101 - nothing else is begun with this
        if self._counts:
            self._count(operation)
        if self._logs is not None:
            write_access_line(self._logs, operation, operation.ending)

    def complete(self, request: HttpRequest) -> bool:
        """End a request that was answered as usual: what its `end` does, written out.

        Args:
            request: One whose answer is complete.

        Returns:
            Whether it is ended; if not, there is more to do than usual.
        """
        status = request.status
        if (
            not self._is_plain
            or status is None
            or status >= SERVER_ERROR
            or request._outcome is not None
            or request.disconnected
            or request.attributes
            or (request.span is None and request._tracing is not None)
            or request.host_span is not None
        ):
            return False
        try:
            self._forget(request)
            if self._told:
                self._told.discard(request)
            request.duration = seconds = self._clock() - request.started
            request._ended, request._outcome = True, "ok"
            request._route = route = request.route
            key = (request.method, route, status)
            cells, request.name = self._known.get(key) or self._know(key, request)
            span = None if request.span is None else _sampled(request)
            measured = (seconds, request.request_bytes, request.response_bytes, span)
            default_engine.record_duration(cells, measured)
            if self._logs is not None:
                line = self._usual_line
                if line is None or not line.write(request):
                    self._write_line(self._logs, request)
        except Exception as fault:
            guard.report("operation.end", fault)
        if request.span is not None:
            request._end_span()
        return True

    def _write_line(self, log: AccessLog, request: HttpRequest) -> None:
        outer = None if request.span is None else enter_own_span(request)
        write_access_line(log, request, "ok")
        if outer is not None:
            swap_trace_context(outer)

    def _know(self, key: tuple[str, str, int], request: HttpRequest) -> tuple[ExchangeCells, str]:
        """Return where requests of one kind are counted, and how they are called."""
        method, route, _ = key
        found = (self._cells_of(request), f"{method} {route}")
        if len(self._known) < self._limit:
            self._known[key] = found
        return found

    def background_ended(self, request: HttpRequest, error: BaseException | None) -> None:
        """Record what an application has done after its answer.

        Args:
            request: One that was answered some time ago.
            error: What the application has raised since, if anything.
        """
        try:
            if self._counts and self.wants_background:
                seconds = self.runtime.clock.monotonic() - request.started - request.duration
                self._background.cell(self._values(request, "duration")).observe_duration(seconds)
            if isinstance(error, Exception) and "log" in self.signals:
                self._log_background(request, error)
        except Exception as fault:
            guard.report("http.background", fault)

    def _log_background(self, request: HttpRequest, error: Exception) -> None:
        fields = {
            "method": request.method,
            "route": request.route,
            "error_type": type(error).__qualname__,
        }
        told = None if request.is_reported(error) else error
        self.runtime.log("error", "http background work failed", self.logger, fields, told)

    def _declare(self, names: HttpNames) -> None:
        seconds, received, sent, headers, background = map(self._family, names.histogram_specs())
        self._requests = self._family(names.requests_spec(), "counter")
        self._seconds, self._received, self._sent = seconds, received, sent
        self._headers, self._background = headers, background
        spec = names.in_progress_spec()
        if spec is not None:
            self._declare_gauge(spec)

    def _declare_gauge(self, spec: MetricSpec) -> None:
        fixed = self.options.fixed_labels()
        spec = replace(spec, labels=(*spec.labels, *fixed))
        running = InProgress.of(self.runtime.store, spec)
        if running.labels != spec.labels:
            guard.report("metrics.declare", DuplicateError(f"{spec} has other labels elsewhere"))
            return
        self._running, self._in_progress = running, spec.name
        self._fixed = tuple(fixed.values())

    def _count(self, request: HttpRequest) -> None:
        sizes = (request.request_bytes, request.response_bytes)
        measured = (request.duration, *sizes, _sampled(request))
        default_engine.record_duration(self._cells_of(request), measured)
        if request.time_to_headers is not None:
            values = self._values(request, "duration")
            self._headers.cell(values).observe_duration(request.time_to_headers)

    def _cells_of(self, request: HttpRequest) -> ExchangeCells:
        key: tuple[str, ...] = (request.method, request.route, request.status_text)
        if self._further:
            key = (*key, *(self._fact(request, fact) for fact in self._further))
        if request.extra_labels:
            key = (*key, *request.extra_labels.values())
        return self._cells.get(key) or self._new_cells(key, request)

    def _fact(self, request: HttpRequest, fact: str) -> str:
        """Return a label value; few are told apart of what the client or the host may choose."""
        if fact == "error_type":
            return self._error_types.bounded(request.failure)
        value = str(getattr(request, "status_text" if fact == "status" else fact))
        if fact == "protocol_version" and value not in PROTOCOL_VERSIONS:
            return OTHER
        return value

    def _new_cells(self, key: tuple[str, ...], request: HttpRequest) -> ExchangeCells:
        sizes = self._values(request, "size")
        cells = ExchangeCells(
            cell_of(self._requests, self._values(request, "requests")),
            cell_of(self._seconds, self._values(request, "duration")),
            cell_of(self._received, sizes),
            cell_of(self._sent, sizes),
        )
        if self._running is not None:
            self._running.know(self.in_progress(request)[1])
        if len(self._cells) < self._limit:
            self._cells[key] = cells
        return cells

    def _values(self, request: HttpRequest, kind: str) -> tuple[str, ...]:
        """Return the label values of one kind of metric."""
        facts = getattr(self.options.names, f"{kind}_labels")
        known = (self._fact(request, fact) for fact in facts)
        return (*known, *request.extra_labels.values())


def _sampled(request: HttpRequest) -> "SpanContext | None":
    """Return the span of a request that is an example, if it is sampled."""
    span = request.span or request.host_span
    if span is None:
        return None
    context = span.get_span_context()
    return context if context.trace_flags.sampled else None


def _class_of(status: int | None) -> str:
    """Return the class of a status code: ``2xx``."""
    return f"{str(status)[0]}xx"
