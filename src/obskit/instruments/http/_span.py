"""The server span of a request: obskit's own, or the one that the host begins.

Telemetry of the host's own (a framework's, a middleware's) may stand around obskit's middleware:
its span is then the current one. Or it may stand inside, and begin a span later: then the request
awaits it, `meet_host` is called where it has had its turn, and obskit begins a span only if there
is none, with the time at which the request began.
"""

import time
from typing import TYPE_CHECKING

from opentelemetry.context import Context as TraceContext
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    SpanKind,
    get_current_span,
    set_span_in_context,
)

from obskit._guard import guard
from obskit.instruments.http._captured import captured_headers
from obskit.instruments.http._redaction import redacted_query
from obskit.instruments.http._span_values import answer_headers, first_values, span_name
from obskit.operation import span_attributes
from obskit.tracing import (
    current_local_span,
    current_trace_ids,
    read_trace_headers,
    swap_trace_context,
)

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

    from obskit.instruments.http._inbound import Inbound

REMOTE = frozenset({"traceparent", "baggage"})
"""Headers with which a caller's trace context or baggage comes."""


def pass_on_trace(request: "Inbound") -> None:
    """Where nothing is traced, hand on the caller's trace; a span of the host's comes first.

    Telemetry of the host's inside would take a caller's span that is current for a local one.

    Args:
        request: One that is about to begin.
    """
    if request.awaited is not None or request.headers.keys().isdisjoint(REMOTE):
        return
    try:
        if current_trace_ids() is None:
            request._trace, _ = _inbound_context(request)
    except Exception as error:
        guard.report("operation.span", error)


def begin_server_span(request: "Inbound", tracer: "Tracer") -> None:
    """Begin a request's span, unless the host has begun one around it, or will do so inside.

    Args:
        request: One that is about to begin.
        tracer: Makes the span.
    """
    try:
        request.host_span = _span_around(request)
        if request.host_span is not None:
            request.awaited = None
            _describe_beginning(request)
        elif request.awaited is None:
            _begin(request, tracer)
    except Exception as error:
        guard.report("operation.span", error)


def await_host(request: "Inbound") -> None:
    """Leave the span to telemetry of the host's inside, from which `meet_host` will be called.

    Args:
        request: One that is about to begin.
    """
    request.awaited = get_current_span()


def meet_host(request: "Inbound") -> "TraceContext | None":
    """Take the span that the host has begun for a request, or else begin one.

    Args:
        request: One that awaits the host's span.

    Returns:
        The context that is to be the current one in what follows; None for the one at hand.
    """
    before, request.awaited = request.awaited, None
    try:
        span = current_local_span()
        if span is not None and span is not before:
            request.host_span = span
            _describe_beginning(request)
            return None
        _begin_late(request)
    except Exception as error:
        guard.report("operation.span", error)
    return request._trace


def enter_own_span(request: "Inbound") -> "TraceContext | None":
    """Make a request's span current for its end, wherever in the application that comes.

    Args:
        request: One that is about to end.

    Returns:
        What was current before, to swap back; None if that is right as it is.
    """
    try:
        if request.awaited is not None:  # the application has not come as far as that
            request.awaited = None
            _begin_late(request)
        span = request.span or request.host_span
        if span is None or span is get_current_span():
            return None
        return swap_trace_context(set_span_in_context(span))
    except Exception as error:
        guard.report("operation.span", error)
        return None


def describe_host_span(request: "Inbound", ending: str) -> None:
    """Give a span of the host's own what is known of a request, while it is open.

    Args:
        request: One that is about to end, or has just ended.
        ending: How it ends, unless it says so itself.
    """
    span = request.host_span
    if span is None or request._tracing is None or not span.is_recording():
        return
    try:
        ending = ending if request.ending == "ok" else request.ending
        if ending != "ok":
            span.set_attribute("obskit.outcome", ending)
        span.set_attributes({**span_attributes(request.attributes), **answer_headers(request)})
    except Exception as error:
        guard.report("operation.span", error)


def complete_server_span(request: "Inbound", span: "Span") -> None:
    """Say in a span of ours what the attributes of an operation do not say.

    Args:
        request: One that has just ended.
        span: Its span.
    """
    span.update_name(span_name(request))
    if request.ending != request.outcome:
        span.set_attribute("obskit.outcome", request.ending)
    headers = answer_headers(request)
    if headers:
        span.set_attributes(headers)


def _span_around(request: "Inbound") -> "Span | None":
    """Return the span that the host has begun around the middleware.

    One that is not sampled tells nothing of its kind: it counts where telemetry may be around.
    """
    span = current_local_span()
    if span is None:
        return None
    if span.is_recording():
        return span if getattr(span, "kind", None) is SpanKind.SERVER else None
    return span if request.may_be_traced_around() else None


def _begin(request: "Inbound", tracer: "Tracer", start: int | None = None) -> None:
    request._trace, links = _inbound_context(request)
    span = tracer.start_span(
        span_name(request),
        context=request._trace,
        kind=SpanKind.SERVER,
        attributes=first_values(request),
        links=links,
        start_time=start,
    )
    request.span = span
    request._trace = set_span_in_context(span, request._trace)


def _begin_late(request: "Inbound") -> None:
    """Begin what would have been begun at the start of a request, had nobody been waited for."""
    if request._tracing is None:
        pass_on_trace(request)
        return
    elapsed = request._instrument.runtime.clock.monotonic() - request.started
    _begin(request, request._tracing.tracer, time.time_ns() - int(elapsed * 1e9))


def _inbound_context(request: "Inbound") -> "tuple[TraceContext, tuple[Link, ...]]":
    """Return what a request begins in, and the links of its span, as ``inbound_trace`` says."""
    policy = request._instrument.options.inbound_trace
    if policy == "never" or request.headers.keys().isdisjoint(REMOTE):
        return TraceContext(), ()
    inbound = read_trace_headers(request.headers, TraceContext())
    caller = get_current_span(inbound).get_span_context()
    if policy == "always" or not caller.is_valid:
        return inbound, ()
    return set_span_in_context(INVALID_SPAN, inbound), (Link(caller),)


def _describe_beginning(request: "Inbound") -> None:
    """Hide secrets in a span of the host's own, and give it the headers that were asked for."""
    span = request.host_span
    if span is None or request._tracing is None:
        return
    hidden = _hidden_query(span, request.query)
    if hidden:
        span.set_attributes(hidden)
    names = request._instrument.options.request_headers
    if names:
        headers = captured_headers("request", names, request.headers)
        span.set_attributes(headers)


def _hidden_query(span: "Span", query: str) -> dict[str, str]:
    """Return the attributes of a span that have a query with secrets in it, without those."""
    redacted = redacted_query(query)
    if redacted == query:
        return {}
    attributes = getattr(span, "attributes", None) or {}
    return {
        name: value.replace(query, redacted)
        for name, value in attributes.items()
        if isinstance(value, str) and query in value
    }
