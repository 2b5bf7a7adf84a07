"""Trace context and baggage in headers, as W3C specifies them.

Sources: https://www.w3.org/TR/trace-context/ and https://www.w3.org/TR/baggage/.
"""

from functools import cache
from typing import TYPE_CHECKING

from opentelemetry.context import get_current

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from opentelemetry.baggage.propagation import W3CBaggagePropagator
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator


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
    for propagator in _propagators():
        context = propagator.extract(headers, context)
    return context


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
