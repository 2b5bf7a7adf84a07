"""The metrics and log lines of a declared operation under one configuration."""

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from obskit._guard import guard
from obskit.metrics import OperationCells, default_engine
from obskit.operation._error_types import ErrorTypes
from obskit.operation._fields import with_fixed
from obskit.operation._in_progress import InProgress
from obskit.operation._operation import Operation
from obskit.runtime import enabled_signals

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from obskit.metrics import Family
    from obskit.operation._spec import OperationSpec
    from obskit.runtime import Runtime
    from obskit.tracing import Tracing


class SpecInstrument:
    """What operations of one declaration are counted in, and how they log.

    Args:
        spec: The declaration.
        runtime: The configuration.
        values: Label values, where they are the same for all operations.

    Attributes:
        spec: The same.
        runtime: The same.
        succeeded: Where operations are counted that end well, by label values.
    """

    span_kind = SpanKind.INTERNAL

    def __init__(
        self, spec: "OperationSpec", runtime: "Runtime", values: tuple[str, ...] | None = None
    ) -> None:
        self.spec = spec
        self.runtime = runtime
        self.name = spec.name
        self.logger = spec.logger
        self.signals = enabled_signals(spec.name)
        self.log_events = spec.log_events and "log" in self.signals
        self.succeeded: dict[tuple[str, ...], OperationCells] = {}
        self._values = values
        self._cells: dict[tuple[str, ...], OperationCells] = {}
        self._error_types = ErrorTypes()
        store, names = runtime.store, spec.names
        self._total = store.family(names.total_spec())
        self._duration = store.family(names.duration_spec())
        self._counts_in = (names.in_progress, (spec.name,) if names.operation else ())
        InProgress.of(store, names.in_progress_spec()).know(self._counts_in[1])
        self._limit = runtime.settings.max_series

    @property
    def tracing(self) -> "Tracing | None":
        """Where spans go, if the operation has any."""
        return self.runtime.tracing if "span" in self.signals else None

    def labels_of(self, operation: Operation) -> "Mapping[str, str]":
        """Return the declared label names and an operation's values."""
        return dict(zip(self.spec.labels, self._values_of(operation), strict=True))

    def in_progress(self, operation: Operation) -> tuple[str, tuple[str, ...]]:  # noqa: ARG002 - other instruments ask it
        """Return the gauge and the label values that an operation in flight counts in."""
        return self._counts_in

    def show(self, combinations: "Iterable[tuple[str, ...]]") -> None:
        """Count from 0 what may happen: that nothing failed is then 0 rather than absent.

        Args:
            combinations: Label values; too many of them are not shown, as zeros would leave no
                room for what does happen.
        """
        shown = list(combinations)
        if 2 * len(shown) > max(self._limit // 2, 2):
            return
        for values in shown:
            for outcome in ("ok", "error"):
                self._cell(self._total, outcome, "", values)

    def judge(self, operation: Operation, result: Any, error: BaseException | None) -> None:
        """Let the declared predicate tell the outcome, unless the operation has been told.

        Args:
            operation: The one that is about to end.
            result: What the function returned.
            error: What it raised.
        """
        if self.spec.outcome is None or operation.has_outcome():
            return
        try:
            told = self.spec.outcome(result, error)
            if told is not None:
                operation.outcome = told
        except Exception as fault:
            guard.report("operation.outcome", fault)

    def ended(self, operation: Operation) -> None:
        """Record an operation that has just ended, in metrics and logs."""
        if "metric" in self.signals:
            self._count(operation)
        if "log" in self.signals and (operation.outcome == "error" or self._is_slow(operation)):
            self._log(operation)

    def cells(self, outcome: str, error_type: str, values: tuple[str, ...]) -> OperationCells:
        """Return where operations are counted that end in one way.

        Args:
            outcome: One of the outcomes.
            error_type: The class of the error; empty without one.
            values: Label values.
        """
        error_type = self._error_types.bounded(error_type)
        key = (outcome, error_type, *values)
        cells = self._cells.get(key)
        if cells is None:
            cells = OperationCells(
                self._cell(self._total, outcome, error_type, values),
                self._cell(self._duration, outcome, error_type, values),
            )
            if len(self._cells) < self._limit:
                self._cells[key] = cells
                if outcome == "ok":
                    self.succeeded[values] = cells
        return cells

    def _count(self, operation: Operation) -> None:
        cells = self.cells(operation.outcome, operation.error_type, self._values_of(operation))
        context = None if operation.span is None else operation.span.get_span_context()
        if context is not None and context.trace_flags.sampled:
            default_engine.record_duration(cells.sampled, (operation.duration, context))
        else:
            default_engine.record_duration(cells, operation.duration)

    def _values_of(self, operation: Operation) -> tuple[str, ...]:
        values = self._values if operation._values is None else operation._values
        return values or ()

    def _cell(
        self, family: "Family", outcome: str, error_type: str, values: tuple[str, ...]
    ) -> Any:
        names = self.spec.names
        own = {
            names.operation: self.spec.name,
            names.outcome: names.outcomes[outcome],  # type: ignore[index] # checked where it is set
            names.error_type: error_type,
        }
        return family.cell(
            (*(own[name] for name in family.spec.labels), *values),
            (*family.spec.labels, *self.spec.labels),
            group=self.spec.name,
            kept=len(family.spec.labels),
        )

    def _is_slow(self, operation: Operation) -> bool:
        return self.spec.slow is not None and operation.duration >= self.spec.slow

    def _log(self, operation: Operation) -> None:
        fixed: dict[str, Any] = {
            "operation": operation.name,
            "outcome": operation.outcome,
            "duration_ms": round(operation.duration * 1000, 3),
        }
        if self._is_slow(operation):
            fixed["slow_threshold_ms"] = (self.spec.slow or 0.0) * 1000
        if operation.error_type:
            fixed["error_type"] = operation.error_type
        fields = with_fixed(fixed, {**operation.labels, **operation.attributes})
        if operation.outcome != "error":
            self.runtime.log("warning", "operation slow", self.logger, fields)
        elif operation.error is None or not operation.is_reported(operation.error):
            self.runtime.log("error", "operation failed", self.logger, fields, operation.error)
