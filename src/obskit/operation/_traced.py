"""The hot path of operations with a span: what it adds to the one without."""

from typing import TYPE_CHECKING, Any

from opentelemetry import context as opentelemetry_context
from opentelemetry.trace import set_span_in_context

from obskit._guard import guard
from obskit.metrics import default_engine
from obskit.operation._fields import span_attributes
from obskit.tracing import end_span

if TYPE_CHECKING:
    from obskit.metrics import OperationCells
    from obskit.operation._operation import Operation
    from obskit.tracing import Tracing


def enter_span(operation: "Operation", tracing: "Tracing", *, described: bool) -> None:
    """Start an operation's span and make it the current one.

    Args:
        operation: Is about to begin.
        tracing: Where its span goes.
        described: Whether it has labels or attributes.
    """
    try:
        outer = opentelemetry_context.get_current()
        attributes: dict[str, Any] | None = None
        if described:
            attributes = span_attributes({**operation.labels, **operation.attributes})
        operation._tracing = tracing
        operation.span = span = tracing.tracer.start_span(
            operation._instrument.name, outer, operation._instrument.span_kind, attributes
        )
        inner = set_span_in_context(span, outer)
        opentelemetry_context.attach(inner)
        operation._trace, operation._outer_trace = inner, outer
    except Exception as error:
        guard.report("operation.span", error)


def leave_span(operation: "Operation") -> None:
    """Make the span current again that was it before."""
    outer, operation._outer_trace = operation._outer_trace, None
    if outer is not None:
        opentelemetry_context.attach(outer)


def complete_span(operation: "Operation", cells: "OperationCells", seconds: float) -> None:
    """Count an operation that has ended well, and end its span.

    Args:
        operation: Has nothing to say that was not known when it began.
        cells: Where it is counted.
        seconds: Its duration.
    """
    span = operation.span
    if span is None:
        default_engine.record_duration(cells, seconds)
        return
    context = span.get_span_context()
    if context.trace_flags.sampled:
        default_engine.record_duration(cells.sampled, (seconds, context))
    else:
        default_engine.record_duration(cells, seconds)
    try:
        if operation._tracing is not None and not operation._tracing.ended:
            end_span(span, seconds)
    except Exception as error:
        guard.report("operation.span", error)
