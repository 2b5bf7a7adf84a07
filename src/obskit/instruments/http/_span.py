"""The server span of a request: obskit's own, or the one that the host has begun."""

from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context as TraceContext
from opentelemetry.trace import SpanKind, set_span_in_context

from obskit._guard import guard
from obskit.operation import span_attributes
from obskit.tracing import current_server_span, current_trace_ids, read_trace_headers

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

    from obskit.instruments.http._request import HttpRequest

REMOTE = frozenset({"traceparent", "baggage"})
"""Headers with which a caller's trace context or baggage comes."""


def pass_on_trace(request: "HttpRequest") -> None:
    """Where nothing is traced, hand on the caller's trace; a span of the host's comes first.

    Args:
        request: One that is about to begin.
    """
    if request.headers.keys().isdisjoint(REMOTE):
        return
    try:
        if current_trace_ids() is None:
            request._trace = read_trace_headers(request.headers, TraceContext())
    except Exception as error:
        guard.report("operation.span", error)


def begin_server_span(request: "HttpRequest", tracer: "Tracer") -> None:
    """Begin a request's span, unless the host has begun one around it.

    Args:
        request: One that is about to begin.
        tracer: Makes the span.
    """
    try:
        request.host_span = current_server_span()
        if request.host_span is not None:
            return
        request._trace = parent = read_trace_headers(request.headers, TraceContext())
        request.span = tracer.start_span(
            request.method,
            context=parent,
            kind=SpanKind.SERVER,
            attributes={"http.request.method": request.method, "url.path": request.path},
        )
        request._trace = set_span_in_context(request.span, parent)
    except Exception as error:
        guard.report("operation.span", error)


def end_host_span(request: "HttpRequest") -> None:
    """Give a span of the host's own the outcome, while it is open; it is not ours to end.

    Args:
        request: One that has just ended.
    """
    span = request.host_span
    if span is None or not span.is_recording():
        return
    try:
        if request.outcome != "ok":
            span.set_attribute("obskit.outcome", request.outcome)
        span.set_attributes(span_attributes(request.attributes))
    except Exception as error:
        guard.report("operation.span", error)


def server_span_values(request: "HttpRequest") -> dict[str, Any]:
    """Return the span's attributes by the names of OpenTelemetry's semantic conventions.

    Args:
        request: One that has just ended.
    """
    return {
        **request.attributes,
        "http.route": request.labels["route"],
        "http.response.status_code": request.status,
    }
