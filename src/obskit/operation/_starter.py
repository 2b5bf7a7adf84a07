"""What begins and ends the operations of one declaration, as configured at the time."""

import math
from typing import TYPE_CHECKING, Any

from obskit._guard import guard
from obskit.context import current_context
from obskit.metrics import default_engine
from obskit.operation._arguments import CallValues
from obskit.operation._current import NO_OPERATION
from obskit.operation._instrument import SpecInstrument
from obskit.operation._label_values import LabelValues, fixed_texts
from obskit.operation._operation import Operation
from obskit.operation._traced import complete_span, enter_span
from obskit.runtime import active_runtime, dependents

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from obskit.metrics import DurationSink
    from obskit.operation._spec import OperationSpec

    Prepare = Callable[[Operation, tuple[Any, ...], Mapping[str, Any]], DurationSink]


class Starter:
    """Begins and ends operations of one declaration.

    Args:
        spec: The declaration.

    Attributes:
        off: Whether the operation is switched off with all its signals.
    """

    def __init__(self, spec: "OperationSpec") -> None:
        self.spec = spec
        self.off = False
        self._instrument: SpecInstrument | None = None
        dependents.add(self)

    def reconfigure(self) -> None:
        """Forget what was made for the configuration before this one."""
        self._instrument = None
        self.off = False

    def begin(self, values: tuple[str, ...], attributes: dict[str, Any]) -> Operation:
        """Begin an operation; when that fails, or is not wanted, return one that does nothing.

        Args:
            values: Label values.
            attributes: Names and values of any kind.
        """
        try:
            instrument = self.instrument()
            outer = current_context.get()
            if self.off or (outer is not None and outer.suppressed):
                return NO_OPERATION
            operation = Operation()
            operation._instrument = instrument
            operation.name = instrument.name
            operation._values = values
            operation.attributes = attributes
            operation.begin()
        except Exception as error:
            guard.report("operation.begin", error)
            return NO_OPERATION
        return operation

    def finish(
        self, operation: Operation, result: Any = None, error: BaseException | None = None
    ) -> None:
        """End an operation with what the function has returned or raised."""
        if self.spec.outcome is not None and operation is not NO_OPERATION:
            self.instrument().judge(operation, result, error)
        operation.end(error)

    def instrument(self) -> SpecInstrument:
        """Return the instrument for the configuration of this moment."""
        instrument = self._instrument
        if instrument is None:
            version = dependents.version
            instrument = self._make_instrument()
            self._adopt(instrument)
            if dependents.version != version:  # made for a configuration that is gone
                self.reconfigure()
        return instrument

    def _make_instrument(self) -> SpecInstrument:
        return SpecInstrument(self.spec, active_runtime())

    def _adopt(self, instrument: SpecInstrument) -> None:
        self._instrument = instrument
        self.off = not instrument.signals


class BlockStarter(Starter):
    """Begins the operations of a context manager."""

    def start(self, labels: "Mapping[str, Any]", attributes: dict[str, Any]) -> Operation:
        """Begin the operation of one block.

        Args:
            labels: Values for the declared label names.
            attributes: Names and values of any kind.
        """
        return self.begin(fixed_texts(tuple(labels.values())), attributes)


class CallStarter(Starter):
    """Begins the operations of a decorated function.

    Args:
        spec: The declaration.
        labels: Values for its label names, or `arg` places.
        attributes: Names and values, or `arg` places.
        function: The function that is decorated.

    Attributes:
        fast: What the hot path needs, where metrics are all that an operation that ends well
            leaves behind; None where there is more to do, or before the first call.

    Raises:
        DeclarationError: If a value is to come from an argument that is not there.
        DuplicateError: If a metric of its names is known to be something else.
    """

    def __init__(
        self,
        spec: "OperationSpec",
        labels: "Mapping[str, Any]",
        attributes: "Mapping[str, Any]",
        function: "Callable[..., Any]",
    ) -> None:
        self.fast: tuple[Any, ...] | None = None
        self._labels = LabelValues(labels, function)
        self._attributes = CallValues(attributes, function) if attributes else None
        super().__init__(spec)
        runtime = active_runtime()
        if runtime.configured:
            for family in spec.names.specs():
                runtime.store.check(family)
            self._show()

    def start(self, arguments: tuple[Any, ...], keywords: "Mapping[str, Any]") -> Operation:
        """Begin the operation of one call.

        Args:
            arguments: Positional arguments of the call.
            keywords: Keyword arguments of the call.
        """
        return self.begin(
            self._labels.of(arguments, keywords),
            {} if self._attributes is None else self._attributes.of(arguments, keywords),
        )

    def finish_light(
        self, operation: Operation, result: Any = None, error: BaseException | None = None
    ) -> None:
        """End an operation that the hot path has begun."""
        operation.fill_in()
        self.finish(operation, result, error)

    def reconfigure(self) -> None:
        """Forget what was made for the configuration before this one, and show what there is."""
        self.fast = None
        super().reconfigure()
        self._show()

    def _show(self) -> None:
        """Declare the metrics as soon as it is known where, so that a scrape finds zeros."""
        runtime = active_runtime()
        if runtime.configured and runtime.backends is None:
            try:
                self.instrument()
            except Exception as error:
                guard.report("operation.begin", error)

    def _make_instrument(self) -> SpecInstrument:
        return SpecInstrument(self.spec, active_runtime(), self._labels.fixed)

    def _adopt(self, instrument: SpecInstrument) -> None:
        super()._adopt(instrument)
        if "metric" in instrument.signals:
            instrument.show(self._labels.enumerated())
            self.fast = self._fast(instrument)

    def _fast(self, instrument: SpecInstrument) -> tuple[Any, ...] | None:
        runtime, tracing = instrument.runtime, instrument.tracing
        if runtime.listeners:
            return None
        fixed = self._labels.fixed
        plain = fixed is not None and self._attributes is None and tracing is None
        return (
            instrument,
            None if fixed is None else instrument.cells("ok", "", fixed),
            None if plain else self._preparation(instrument),
            None if tracing is None else complete_span,
            runtime.store.in_flight.add,
            runtime.store.in_flight.discard,
            runtime.store.told,
            runtime.clock.monotonic,
            self._seconds_to_heed(),
            default_engine.durations,
        )

    def _seconds_to_heed(self) -> float:
        """Return the duration from which on the end of an operation takes more than counting."""
        if self.spec.outcome is not None:
            return -math.inf
        return math.inf if self.spec.slow is None else self.spec.slow

    def _preparation(self, instrument: SpecInstrument) -> "Prepare":
        """Return what fills in labels, attributes and span, and finds where success is counted."""
        read, attributes, tracing = self._labels.of, self._attributes, instrument.tracing
        succeeded, cells = instrument.succeeded, instrument.cells
        described = bool(self.spec.labels) or attributes is not None

        def prepare(
            operation: Operation, arguments: tuple[Any, ...], keywords: "Mapping[str, Any]"
        ) -> "DurationSink":
            if attributes is not None:
                operation.attributes = attributes.of(arguments, keywords)
            operation._values = values = read(arguments, keywords)
            if tracing is not None:
                enter_span(operation, tracing, described=described)
            return succeeded.get(values) or cells("ok", "", values)

        return prepare
