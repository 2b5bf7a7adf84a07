"""Trace context and baggage in headers, as W3C specifies them.

Sources: https://www.w3.org/TR/trace-context/ and https://www.w3.org/TR/baggage/.
"""

import re
from functools import cache
from typing import TYPE_CHECKING

from opentelemetry.context import get_current
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from opentelemetry.baggage.propagation import W3CBaggagePropagator
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_USUAL = re.compile("00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
"""A ``traceparent`` as nearly every one is; the propagators know the others."""

_FURTHER = frozenset({"tracestate", "baggage"})
"""Headers that only the propagators read."""


def write_trace_headers(headers: "MutableMapping[str, str]") -> None:
    """Write ``traceparent``, ``tracestate`` and ``baggage`` of the current context, if any."""
    for propagator in _propagators():
        propagator.inject(headers)


def read_trace_headers(headers: "Mapping[str, str]", context: "Context | None" = None) -> "Context":
    """Read a remote parent and its baggage onto a context.

    Args:
        headers: Header names in lower case, and their values; malformed ones are ignored.
        context: What to add to; the current context unless given.

    Returns:
        The context, with what the headers carry.
    """
    context = get_current() if context is None else context
    if _FURTHER.isdisjoint(headers):
        parent = headers.get("traceparent")
        found = None if parent is None else _USUAL.fullmatch(parent)
        if found is not None:
            return set_span_in_context(NonRecordingSpan(_remote(*found.groups())), context)
    for propagator in _propagators():
        context = propagator.extract(headers, context)
    return context


def _remote(trace_id: str, span_id: str, flags: str) -> SpanContext:
    return SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16))
    )


@cache
def _propagators() -> "tuple[TraceContextTextMapPropagator, W3CBaggagePropagator]":
    """Make those that W3C specifies, once: few programs receive or send traces at all."""
    from opentelemetry.baggage.propagation import (  # noqa: PLC0415 - at first use
        W3CBaggagePropagator,
    )
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415 - the same
        TraceContextTextMapPropagator,
    )

    return TraceContextTextMapPropagator(), W3CBaggagePropagator()
