"""One unit of work in progress."""

import os
import threading
from typing import TYPE_CHECKING, Any, Protocol

from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

from obskit._guard import guard
from obskit.context import current_context
from obskit.operation._fields import span_attributes, with_fixed
from obskit.operation._outcome import OUTCOMES, Outcome, outcome_of
from obskit.tracing import end_span, swap_trace_context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import Token

    from opentelemetry import context as opentelemetry_context
    from opentelemetry.trace import Span, Tracer

    from obskit.context import Record
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
    def name(self) -> str:
        """The name of the operations."""
        ...

    @property
    def tracing(self) -> "Tracing | None":
        """Where spans go, if the operation has any."""
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

    def labels_of(self, operation: "Operation") -> "Mapping[str, str]":
        """Return the label names and values of an operation."""
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

    While it is current, it is the record in `obskit.context.current_context`. The hot path fills
    in no more than every operation needs; the rest appears when it is first asked for.

    Attributes:
        name: Fixed and low in cardinality.
        labels: Declared names and bounded values: metrics, span and log.
        attributes: Names and values of any kind: span and log, never metrics.
        events: Points in time inside it: names and attributes.
        started: When it began, in seconds of the monotonic clock.
        duration: How long it took, in seconds, once it has ended.
        error: What ended it, while its end is being recorded.
        error_type: The class of that error; empty without one.
        span: Its span, while it has one.
        fields: Log fields of the unit of work that it belongs to.
    """

    __slots__ = (
        "_ended",
        "_inside",
        "_instrument",
        "_outcome",
        "_outer",
        "_outer_trace",
        "_reported",
        "_token",
        "_trace",
        "_tracing",
        "_values",
        "attributes",
        "duration",
        "error",
        "error_type",
        "events",
        "fields",
        "labels",
        "name",
        "span",
        "started",
    )

    name: str
    labels: "Mapping[str, str]"
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    started: float
    duration: float
    error: BaseException | None
    error_type: str
    span: "Span | None"
    fields: dict[str, Any]
    suppressed: bool = False

    _instrument: Instrument
    _values: tuple[str, ...] | None
    _outer: "Record | None"
    _inside: "Record | None"
    _token: "Token[Record | None] | None"
    _ended: bool
    _outcome: Outcome | None
    _tracing: "Tracing | None"
    _trace: "opentelemetry_context.Context | None"
    _outer_trace: "opentelemetry_context.Context | None"
    _reported: BaseException | None

    def __getattr__(self, name: str) -> Any:
        """Fill in a part that nothing has needed so far."""
        make = _FILLED_IN_LATER.get(name)
        if make is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        with _filling:
            try:
                return object.__getattribute__(self, name)  # another thread has been here
            except AttributeError:
                value = make(self)
                setattr(self, name, value)
                return value

    @property
    def operation(self) -> "Operation":
        """Itself: the innermost operation of the record that it is."""
        return self

    @property
    def parent(self) -> "Operation | None":
        """The operation around it, while it is in progress."""
        return None if self._outer is None else self._outer.operation

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
        self._instrument.runtime.store.tell(self)

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
            self._instrument.runtime.store.tell(self)
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
        self.fill_in()
        self.span = self._outcome = self._reported = self._trace = self._outer_trace = None
        self._join(current_context.get())
        self._tracing = self._instrument.tracing
        if self._tracing is not None:
            self._begin_span(self._tracing.tracer)
        self.started = runtime.clock.monotonic()

    def fill_in(self) -> None:
        """Fill in, at once, what the end needs; the hot path has left it out."""
        self.error = self._inside = self._token = None
        self.error_type = ""
        self.duration = 0.0
        self._ended = False

    def enter(self) -> None:
        """Become the current operation of this thread or task, and be in flight until the end."""
        if not self._ended:
            self._instrument.runtime.store.in_flight.add(self)
        self._token = current_context.set(self._inside or self)
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
        self._inside = None if inside is self else inside
        if self._ended:
            self._outer = None  # tasks that it leaves behind keep it, but not what was around it
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
            self._instrument.runtime.store.forget(self)
            self._end_span()
            self.error = self._reported = None  # a traceback holds frames, and they hold this

    def stop(self) -> None:
        """Stop the clock; it is no longer in flight."""
        runtime = self._instrument.runtime
        if self in runtime.store.in_flight:
            runtime.store.in_flight.discard(self)
            self.duration = runtime.clock.monotonic() - self.started

    def is_reported(self, error: BaseException) -> bool:
        """Tell whether an operation inside this one has logged this very error; note it if not."""
        if self.parent is not None:
            self.parent._reported = error
        return self._reported is error

    def _is_entered(self) -> bool:
        """Tell whether this is a context in which it, or something inside it, is current."""
        here = current_context.get()
        inner: Operation | None = None if here is None else here.operation
        while inner is not None and inner is not self:
            inner = inner.parent
        return inner is self

    def _join(self, outer: "Record | None") -> None:
        """Join the unit of work at hand, or begin one."""
        self._outer = outer
        if outer is not None:
            self.fields = outer.fields

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
            end_span(span, self.duration)
        except Exception as error:
            guard.report("operation.span", error)

    def _span_values(self) -> dict[str, Any]:
        return {**self.labels, **self.attributes}

    def _describe(self, span: "Span") -> None:
        attributes = span_attributes(self._span_values())
        if self.outcome != "ok":
            attributes["obskit.outcome"] = self.outcome
        span.set_attributes(attributes)
        if self.outcome != "error":
            return
        span.set_status(Status(StatusCode.ERROR, self.error_type or None))
        if self.error is not None:
            span.set_attribute("error.type", self.error_type)
            span.record_exception(self.error)  # last: it asks the error for its text


_EMPTY = (
    *("error", "span", "_values", "_outer", "_inside", "_token", "_outcome"),
    *("_tracing", "_trace", "_outer_trace", "_reported"),
)
_FILLED_IN_LATER: "dict[str, Callable[[Operation], Any]]" = {
    "name": lambda operation: operation._instrument.name,
    "labels": lambda operation: operation._instrument.labels_of(operation),
    "attributes": lambda _: {},
    "events": lambda _: [],
    "error_type": lambda _: "",
    "started": lambda _: 0.0,
    "duration": lambda _: 0.0,
    "fields": lambda _: {},
    "_ended": lambda _: False,
    **dict.fromkeys(_EMPTY, lambda _: None),
}
"""Parts of an operation that only some operations need, and what they are at first."""


_filling = threading.RLock()  # held while a part is filled in: all threads get the same one


def _renew() -> None:
    global _filling  # noqa: PLW0603 - in a forked child, who held it may not be there
    _filling = threading.RLock()


os.register_at_fork(after_in_child=_renew)
