"""Trace context and baggage in headers, as W3C specifies them.

Sources: https://www.w3.org/TR/trace-context/ and https://www.w3.org/TR/baggage/.
"""

from typing import TYPE_CHECKING

from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import get_current
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from opentelemetry.context import Context

_PROPAGATORS = (TraceContextTextMapPropagator(), W3CBaggagePropagator())


def write_trace_headers(headers: "MutableMapping[str, str]") -> None:
    """Write ``traceparent``, ``tracestate`` and ``baggage`` of the current context, if any."""
    for propagator in _PROPAGATORS:
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
    for propagator in _PROPAGATORS:
        context = propagator.extract(headers, context)
    return context
