"""Where OpenTelemetry keeps the current span."""

import math
from typing import TYPE_CHECKING

from opentelemetry import context as opentelemetry_context
from opentelemetry import trace
from opentelemetry.trace import Span

if TYPE_CHECKING:
    from opentelemetry.context import Context


def swap_trace_context(context: "Context") -> "Context":
    """Make an OpenTelemetry context the current one.

    No token is kept: a token may be used only in the contextvars context that made it, and a
    generator may be closed in another one.

    Args:
        context: The new current context.

    Returns:
        The one that was current before; swap it back to restore it.
    """
    before = opentelemetry_context.get_current()
    opentelemetry_context.attach(context)
    return before


def end_span(span: Span, seconds: float) -> None:
    """End a span so that it lasts as long as was measured: its own clock may have been set.

    Args:
        span: One that has been started.
        seconds: How long it took; if that makes no sense, the span's own clock tells.
    """
    started = getattr(span, "start_time", None)  # the SDK's spans tell, in nanoseconds
    if started is not None and 0 <= seconds < math.inf:
        span.end(started + int(seconds * 1e9))
    else:
        span.end()


def current_local_span() -> Span | None:
    """Return the current span if it was begun in this process, sampled or not.

    A framework that traces its own requests (FastAPI's and Starlette's native telemetry, the
    contrib middleware) has opened one before a middleware inside of it runs.
    """
    context = opentelemetry_context.get_current()
    if not context:
        return None
    span = trace.get_current_span(context)
    span_context = span.get_span_context()
    return span if span_context.is_valid and not span_context.is_remote else None


def current_trace_ids() -> tuple[str, str] | None:
    """Return the trace id (32 hexadecimal digits) and span id (16) of the current span, if any."""
    context = opentelemetry_context.get_current()
    if not context:
        return None
    span_context = trace.get_current_span(context).get_span_context()
    if not span_context.is_valid:
        return None
    return f"{span_context.trace_id:032x}", f"{span_context.span_id:016x}"
