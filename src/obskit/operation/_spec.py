"""What is declared once about an operation, and its metrics under one configuration."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from obskit._guard import guard
from obskit.errors import DeclarationError
from obskit.metrics import check_label_names, label_text
from obskit.operation._in_progress import InProgress
from obskit.operation._names import DEFAULT_NAMES, MetricNames
from obskit.operation._operation import Operation, with_fixed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from obskit.metrics import CounterCell, HistogramCell
    from obskit.operation._names import Outcome
    from obskit.runtime import Runtime

MAXIMUM_ERROR_TYPES = 50
"""Classes of errors that one operation tells apart in metrics; further ones are ``other``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationSpec:
    """An operation as it was declared.

    Raises:
        DeclarationError: If a part of it is not usable; the message names the part.
    """

    name: str
    """Fixed and low in cardinality."""

    logger: str
    """The logger under which it logs."""

    labels: tuple[str, ...] = ()
    """Names of its own labels; their values come with each operation and should be few."""

    outcome: "Callable[[Any, BaseException | None], Outcome | None] | None" = None
    """Tells the outcome from the result and the error; None leaves it to the default."""

    slow: float | None = None
    """Seconds from which on an operation is logged as slow."""

    log_events: bool = False
    """Whether events are log lines, too."""

    names: MetricNames = DEFAULT_NAMES
    """How its metrics are called."""

    def __post_init__(self) -> None:
        """Check every part, so that nothing is found out at the first call."""
        _check_name(self.name)
        if not isinstance(self.names, MetricNames):
            raise DeclarationError(f"operation {self.name!r}: names= takes a MetricNames")
        check_label_names(self.labels, f"operation {self.name!r}")
        self.names.check_labels(self.labels)
        if self.slow is not None:
            _check_seconds(self.name, self.slow)
        if self.outcome is not None and not callable(self.outcome):
            raise DeclarationError(
                f"operation {self.name!r}: outcome= takes a function of (result, error)"
            )


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > 200:  # noqa: PLR2004 - a label value, not a text
        raise DeclarationError(
            f"operation name {name!r}: give a fixed text of 1 to 200 printable characters"
        )


def _check_seconds(name: str, seconds: Any) -> None:
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not number or not math.isfinite(seconds) or seconds < 0:
        raise DeclarationError(f"operation {name!r}: slow={seconds!r} is not a number of seconds")


class SpecInstrument:
    """The metrics and log lines of one declared operation under one configuration.

    Args:
        spec: The declaration.
        runtime: The configuration.
    """

    span_kind = SpanKind.INTERNAL

    def __init__(self, spec: OperationSpec, runtime: "Runtime") -> None:
        self.runtime = runtime
        self.logger = spec.logger
        self.log_events = spec.log_events
        self._spec = spec
        self._error_types: set[str] = set()
        self._cells: dict[tuple[str, ...], tuple[CounterCell, HistogramCell]] = {}
        self._label_names = spec.labels
        store = runtime.store
        self._total = store.family(spec.names.total_spec())
        self._duration = store.family(spec.names.duration_spec())
        InProgress.of(store, spec.names.in_progress_spec()).know(
            (spec.name,) if spec.names.operation else ()
        )
        self._limit = runtime.settings.max_series

    def start(self, labels: "Mapping[str, Any]", attributes: dict[str, Any]) -> Operation:
        """Begin one operation.

        Args:
            labels: Values for the declared label names.
            attributes: Names and values of any kind.
        """
        texts = {name: label_text(labels[name]) for name in self._label_names}
        operation = Operation(self, self._spec.name, texts, attributes)
        operation.begin()
        return operation

    def in_progress(self, operation: Operation) -> tuple[str, tuple[str, ...]]:
        """Return the gauge and the label values that an operation in flight counts in."""
        names = self._spec.names
        return names.in_progress, (operation.name,) if names.operation else ()

    def judge(self, operation: Operation, result: Any, error: BaseException | None) -> None:
        """Let the declared predicate tell the outcome, unless the operation has been told.

        Args:
            operation: The one that is about to end.
            result: What the function returned.
            error: What it raised.
        """
        if self._spec.outcome is None or operation.has_outcome():
            return
        try:
            told = self._spec.outcome(result, error)
            if told is not None:
                operation.outcome = told
        except Exception as fault:
            guard.report("operation.outcome", fault)

    def ended(self, operation: Operation) -> None:
        """Record an operation that has just ended, in metrics and logs."""
        error_type = self._bounded(operation.error_type)
        key = (operation.outcome, error_type, *operation.labels.values())
        cells = self._cells.get(key)
        if cells is None:
            cells = self._find_cells(operation, error_type)
            if len(self._cells) < self._limit:
                self._cells[key] = cells
        cells[0].inc()
        cells[1].observe_duration(operation.duration)
        if operation.outcome == "error" or self._is_slow(operation):
            self._log(operation)

    def _find_cells(
        self, operation: Operation, error_type: str
    ) -> "tuple[CounterCell, HistogramCell]":
        names, own = self._spec.names, operation.labels
        values = {
            names.operation: operation.name,
            names.outcome: names.outcomes[operation.outcome],
            names.error_type: error_type,
        }
        return tuple(
            family.cell(
                (*(values[name] for name in family.spec.labels), *own.values()),
                (*family.spec.labels, *self._label_names),
                group=operation.name,
                kept=len(family.spec.labels),
            )
            for family in (self._total, self._duration)
        )

    def _bounded(self, error_type: str) -> str:
        if error_type in self._error_types or not error_type:
            return error_type
        if len(self._error_types) >= MAXIMUM_ERROR_TYPES:
            return "other"
        self._error_types.add(error_type)
        return error_type

    def _is_slow(self, operation: Operation) -> bool:
        return self._spec.slow is not None and operation.duration >= self._spec.slow

    def _log(self, operation: Operation) -> None:
        fixed: dict[str, Any] = {
            "operation": operation.name,
            "outcome": operation.outcome,
            "duration_ms": round(operation.duration * 1000, 3),
        }
        if self._is_slow(operation):
            fixed["slow_threshold_ms"] = (self._spec.slow or 0.0) * 1000
        if operation.error_type:
            fixed["error_type"] = operation.error_type
        fields = with_fixed(fixed, {**operation.labels, **operation.attributes})
        if operation.outcome != "error":
            self.runtime.log("warning", "operation slow", self.logger, fields)
        elif operation.error is None or not operation.is_reported(operation.error):
            self.runtime.log("error", "operation failed", self.logger, fields, operation.error)
