"""One unit of work in progress."""

import asyncio
import sys
from typing import TYPE_CHECKING, Any, Protocol, cast

from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

from obskit._guard import guard
from obskit.context import Context, current_context
from obskit.logs import text_of
from obskit.operation._names import OUTCOMES, Outcome
from obskit.tracing import swap_trace_context

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token

    from opentelemetry import context as opentelemetry_context
    from opentelemetry.trace import Span, Tracer

    from obskit.runtime import Runtime
    from obskit.tracing import Tracing

MAXIMUM_ATTRIBUTES = 128
"""Attributes, and likewise events, that one operation keeps: OpenTelemetry's own limit."""


class Instrument(Protocol):
    """What an operation asks of the metrics it is counted in."""

    @property
    def runtime(self) -> "Runtime":
        """The configuration it works for."""
        ...

    @property
    def logger(self) -> str:
        """The name under which the operation logs."""
        ...

    @property
    def log_events(self) -> bool:
        """Whether the operation's events are log lines, too."""
        ...

    @property
    def span_kind(self) -> SpanKind:
        """The kind of its span."""
        ...

    def in_progress(self, operation: "Operation") -> tuple[str, tuple[str, ...]]:
        """Return the gauge and the label values that an operation in flight counts in."""
        ...

    def ended(self, operation: "Operation") -> None:
        """Record an operation that has just ended, in metrics and logs."""
        ...


class Operation:
    """One unit of work in progress; `obskit.observe` starts it, `obskit.current` finds it.

    Beginning and ending are apart from being current: a generator's operation lasts from the
    first step to the last, but is current only inside its steps.

    Args:
        instrument: Where it is counted.
        name: Fixed and low in cardinality.
        labels: Declared names and bounded values: metrics, span and log.
        attributes: Names and values of any kind: span and log, never metrics.
    """

    __slots__ = (
        "_context",
        "_ended",
        "_instrument",
        "_outcome",
        "_outer_trace",
        "_reported",
        "_token",
        "_trace",
        "_tracing",
        "attributes",
        "duration",
        "error",
        "error_type",
        "events",
        "labels",
        "name",
        "parent",
        "span",
        "started",
    )

    def __init__(
        self,
        instrument: Instrument,
        name: str,
        labels: "Mapping[str, str]",
        attributes: dict[str, Any],
    ) -> None:
        self.name: str = name
        self.labels: Mapping[str, str] = labels
        self.attributes: dict[str, Any] = attributes
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.error: BaseException | None = None
        self.error_type: str = ""
        self.duration: float = 0.0
        self.started: float = 0.0
        self.parent: Operation | None = None
        self.span: Span | None = None
        self._instrument = instrument
        self._ended = False
        self._tracing: Tracing | None = None
        self._outcome: Outcome | None = None
        self._context: Context | None = None
        self._token: Token[Context | None] | None = None
        self._trace: opentelemetry_context.Context | None = None
        self._outer_trace: opentelemetry_context.Context | None = None
        self._reported: BaseException | None = None

    # What a decorated function may do with it

    def set(self, /, **attributes: Any) -> None:
        """Add attributes: they reach the span and the log lines of this operation, never metrics.

        Args:
            **attributes: Names and values of any kind.
        """
        fresh = [name for name in attributes if name not in self.attributes]
        excess = fresh[max(MAXIMUM_ATTRIBUTES - len(self.attributes), 0) :]
        if excess:
            guard.report(
                "operation.set", OverflowError(f"more than {MAXIMUM_ATTRIBUTES} attributes")
            )
        for name in excess:
            del attributes[name]
        self.attributes.update(attributes)

    def event(self, name: str, /, **attributes: Any) -> None:
        """Mark a point in time inside the operation: an event of its span.

        Args:
            name: What happened.
            **attributes: Names and values of any kind.
        """
        if len(self.events) >= MAXIMUM_ATTRIBUTES:
            guard.report("operation.event", OverflowError(f"more than {MAXIMUM_ATTRIBUTES} events"))
            return
        try:
            self.events.append((name, attributes))
            if self.span is not None and self.span.is_recording():
                self.span.add_event(name, span_attributes(attributes))
            if self._instrument.log_events:
                fields = with_fixed({"operation": self.name}, attributes)
                self._instrument.runtime.log("info", name, self._instrument.logger, fields)
        except Exception as error:
            guard.report("operation.event", error)

    @property
    def outcome(self) -> Outcome:
        """How it ended, or ``ok`` while it runs; setting it overrides what the end would say."""
        return self._outcome or "ok"

    @outcome.setter
    def outcome(self, outcome: Outcome) -> None:
        if outcome in OUTCOMES:
            self._outcome = outcome
        else:
            guard.report("operation.outcome", ValueError(f"outcome {outcome!r}"))

    def has_outcome(self) -> bool:
        """Tell whether somebody has set the outcome."""
        return self._outcome is not None

    def in_progress(self) -> tuple[str, tuple[str, ...]]:
        """Return the gauge and the label values that it counts in while it is in flight."""
        return self._instrument.in_progress(self)

    # Its life

    def begin(self) -> None:
        """Start the span and the clock; `enter` counts it as in flight."""
        runtime = self._instrument.runtime
        self._adopt_context()
        self._tracing = runtime.tracing
        if self._tracing is not None:
            self._begin_span(self._tracing.tracer)
        self.started = runtime.clock.monotonic()

    def enter(self) -> None:
        """Become the current operation of this thread or task, and be in flight until the end."""
        if not self._ended:
            self._instrument.runtime.store.in_flight[id(self)] = self
        self._token = current_context.set(self._context)
        if self._trace is not None:
            self._outer_trace = swap_trace_context(self._trace)

    def leave(self) -> None:
        """Stop being the current operation; in a context that it never entered, do nothing."""
        if self._is_entered():
            self.suspend()

    def suspend(self) -> None:
        """Leave what was entered last; to `enter` again resumes what is current now inside.

        In another context than that one, which only a finaliser can be in, nothing happens.
        """
        token, self._token = self._token, None
        if token is None:
            return
        inside = current_context.get()
        try:
            current_context.reset(token)
        except ValueError:
            return
        self._context = inside
        if self._outer_trace is not None:
            self._trace = swap_trace_context(self._outer_trace)

    def end(self, error: BaseException | None = None) -> None:
        """Stop the clock, record the operation and end its span. Never raises an ``Exception``.

        It should still be the current operation, so that its log line carries its ids.

        Args:
            error: What ended it, if anything did.
        """
        if self._ended:
            return
        try:
            self._ended = True
            self.error = error
            self.stop()
            if self._outcome is None:
                self._outcome = outcome_of(error)
            if error is not None and self._outcome == "error":
                self.error_type = type(error).__qualname__
            self._instrument.ended(self)
            for listener in self._instrument.runtime.listeners:
                listener(self)
        except Exception as fault:
            guard.report("operation.end", fault)
        finally:
            self._instrument.runtime.store.in_flight.pop(id(self), None)
            self._end_span()
            self.error = self._reported = None  # a traceback holds frames, and they hold this

    def stop(self) -> None:
        """Stop the clock; it is no longer in flight."""
        runtime = self._instrument.runtime
        if runtime.store.in_flight.pop(id(self), None) is not None:
            self.duration = runtime.clock.monotonic() - self.started

    def is_reported(self, error: BaseException) -> bool:
        """Tell whether an operation inside this one has logged this very error; note it if not."""
        if self.parent is not None:
            self.parent._reported = error
        return self._reported is error

    def _is_entered(self) -> bool:
        """Tell whether this is a context in which it, or something inside it, is current."""
        here = current_context.get()
        if here is self._context:
            return True
        inner: Operation | None = None if here is None else here.operation
        while inner is not None and inner is not self:
            inner = inner.parent
        return inner is self

    def _adopt_context(self) -> None:
        """Join the unit of work at hand, or begin one."""
        outer = current_context.get()
        if outer is None:
            self._context = Context({}, self)
        else:
            self._context = Context(outer.fields, self)
            self.parent = outer.operation

    def _begin_span(self, tracer: "Tracer") -> None:
        try:
            self.span = tracer.start_span(self.name, kind=self._instrument.span_kind)
            self._trace = set_span_in_context(self.span)
        except Exception as error:
            guard.report("operation.span", error)

    def _end_span(self) -> None:
        span, self.span = self.span, None
        if span is None or self._tracing is None or self._tracing.ended:
            return
        try:
            if span.is_recording():
                self._describe(span)
        except Exception as error:
            guard.report("operation.span", error)
        try:
            started = getattr(span, "start_time", None)  # the SDK's spans tell, in nanoseconds
            span.end(None if started is None else started + int(self.duration * 1e9))
        except Exception as error:
            guard.report("operation.span", error)

    def _span_values(self) -> dict[str, Any]:
        return {**self.labels, **self.attributes}

    def _describe(self, span: "Span") -> None:
        span.update_name(self.name)
        span.set_attributes(span_attributes(self._span_values()))
        span.set_attribute("obskit.outcome", self.outcome)
        if self.outcome != "error":
            return
        span.set_status(Status(StatusCode.ERROR, self.error_type or None))
        if self.error is not None:
            span.set_attribute("error.type", self.error_type)
            span.record_exception(self.error)  # last: it asks the error for its text


class NoOperation(Operation):
    """Stands in where no operation is in progress: whatever is done to it is forgotten."""

    __slots__ = ()

    def set(self, /, **attributes: Any) -> None:
        """Do nothing."""

    def event(self, name: str, /, **attributes: Any) -> None:
        """Do nothing."""

    def enter(self) -> None:
        """Do nothing."""

    def leave(self) -> None:
        """Do nothing."""

    def suspend(self) -> None:
        """Do nothing."""

    def end(self, error: BaseException | None = None) -> None:
        """Do nothing."""

    @property
    def outcome(self) -> Outcome:
        """Always ``ok``."""
        return "ok"

    @outcome.setter
    def outcome(self, outcome: Outcome) -> None:
        """Do nothing."""


def current() -> Operation:
    """Return the innermost operation in progress, or one that forgets everything."""
    context = current_context.get()
    if context is None or context.operation is None:
        return NO_OPERATION
    operation: Operation = context.operation
    return operation


def outcome_of(error: BaseException | None) -> Outcome:
    """Return the outcome that an error means when nobody says otherwise.

    Args:
        error: What ended the operation; None when nothing did.
    """
    if error is None or (isinstance(error, SystemExit) and not error.code):
        return "ok"
    if isinstance(error, _cancellations()):
        return "cancelled"
    return "closed" if isinstance(error, GeneratorExit) else "error"


def _cancellations() -> tuple[type[BaseException], ...]:
    """Return the exceptions that mean cancellation in the event loops that are loaded."""
    trio = sys.modules.get("trio")
    return (asyncio.CancelledError,) if trio is None else (asyncio.CancelledError, trio.Cancelled)


def with_fixed(fixed: "Mapping[str, Any]", given: "Mapping[str, Any]") -> dict[str, Any]:
    """Return fixed log fields and given ones; a given name that is taken gets a ``_`` behind.

    Args:
        fixed: Names and values of obskit's own.
        given: Names and values of a caller.
    """
    free = {f"{name}_" if name in fixed else name: value for name, value in given.items()}
    return {**fixed, **free}


def span_attributes(attributes: "Mapping[str, Any]") -> dict[str, Any]:
    """Return attributes as OpenTelemetry takes them: plain values as they are, others as text."""
    return {
        name: value if isinstance(value, str | bool | int | float) else text_of(value)
        for name, value in attributes.items()
        if value is not None
    }


NO_OPERATION = NoOperation(cast("Instrument", None), "", {}, {})
"""The one that `current` returns where there is none."""
