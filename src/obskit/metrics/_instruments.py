"""Counter and Gauge: prometheus_client's constructors and methods, obskit's engine."""

import math
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.validation import _validate_exemplar

from obskit.metrics._cells import CounterCell, GaugeCell
from obskit.metrics._engine import BATCH
from obskit.metrics._family import MAX_SERIES
from obskit.metrics._handle import Instrument
from obskit.metrics._timing import ExceptionCounter, InprogressTracker, Timer
from obskit.metrics._wrappers import is_function

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from obskit.metrics._allowed import AllowedLabels
    from obskit.metrics._spec import Kind, MultiprocessMode

FunctionT = TypeVar("FunctionT")

_MOST_RECENT = ("mostrecent", "livemostrecent")


class Counter(Instrument[CounterCell]):
    """Counts events or amounts; only grows.

    Args:
        name: The metric's name, with or without ``_total``.
        documentation: What it counts, for people.
        labelnames: Names of its labels.
        namespace: First part of the full name.
        subsystem: Second part of the full name.
        unit: Last part of the full name, such as ``bytes``.
        registry: Where it is shown; None for nowhere.
        max_series: Series it may have; further ones are counted together.
        allowed: Allowed values by label name: an Enum class, texts, or `AllowedValues`. Other
            values become ``other``.

    Raises:
        DeclarationError: If the declaration is wrong or the name is taken by another shape.
    """

    _kind: "ClassVar[Kind]" = "counter"

    def inc(self, amount: float = 1, exemplar: "Mapping[str, str] | None" = None) -> None:
        """Add an amount.

        One that is not finite is refused, and counted as such: it would stay for ever.

        Args:
            amount: Not negative.
            exemplar: Labels of an example, such as ``{"trace_id": ...}``; 128 characters at most.

        Raises:
            ValueError: If the amount is negative, the exemplar too long, or labels are missing.
        """
        pending = self._pending
        if amount == 1:
            entry: Any = self._cell
        elif 0 <= amount < math.inf:
            entry = (self._cell.fold, amount)
        else:
            self._refuse(amount)
            return
        if len(pending) < BATCH or self._cell.engine.make_room():
            pending.append(entry)
        if exemplar:
            check_exemplar(exemplar)
            self._cell.mark(amount, exemplar)

    def reset(self) -> None:
        """Begin again at zero: for a logical process that restarts inside this one."""
        self._cell.reset()

    @overload
    def count_exceptions(
        self, exception: type[BaseException] | tuple[type[BaseException], ...] = ...
    ) -> ExceptionCounter: ...

    @overload
    def count_exceptions(self, exception: FunctionT) -> FunctionT: ...

    def count_exceptions(self, exception: Any = Exception) -> Any:
        """A context manager and decorator that counts exceptions passing through.

        Args:
            exception: Which ones; or, without parentheses, the function to decorate.

        Raises:
            DeclarationError: If it is neither.
        """
        self._check_bound()
        if is_function(exception):
            return ExceptionCounter(self, Exception)(exception)
        return ExceptionCounter(self, exception)

    def _refuse(self, amount: float) -> None:
        self._check_bound()
        if amount < 0:
            raise ValueError(f"{self} can only be incremented by non-negative amounts")
        self._cell.engine.refuse()


class Gauge(Instrument[GaugeCell]):
    """A value that goes up and down.

    Args:
        name: The metric's name.
        documentation: What it measures, for people.
        labelnames: Names of its labels.
        namespace: First part of the full name.
        subsystem: Second part of the full name.
        unit: Last part of the full name, such as ``bytes``.
        registry: Where it is shown; None for nowhere.
        multiprocess_mode: How the values of several processes make one.
        max_series: Series it may have; further ones are counted together.
        allowed: Allowed values by label name: an Enum class, texts, or `AllowedValues`. Other
            values become ``other``.

    Raises:
        DeclarationError: If the declaration is wrong or the name is taken by another shape.
    """

    _kind: "ClassVar[Kind]" = "gauge"

    def __init__(  # noqa: PLR0917 - prometheus_client's parameters
        self,
        name: str,
        documentation: str,
        labelnames: "Iterable[str]" = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = REGISTRY,
        _labelvalues: None = None,
        multiprocess_mode: "MultiprocessMode" = "all",
        *,
        max_series: int = MAX_SERIES,
        allowed: "AllowedLabels | None" = None,
    ) -> None:
        self._declare(
            *(name, documentation, labelnames, namespace, subsystem, unit),
            *(registry, _labelvalues, max_series, allowed),
            multiprocess_mode=multiprocess_mode,
        )

    def inc(self, amount: float = 1) -> None:
        """Go up by an amount.

        Raises:
            RuntimeError: If processes are merged by who was latest: then values are only set.
        """
        self._move(amount, "inc")

    def dec(self, amount: float = 1) -> None:
        """Go down by an amount.

        Raises:
            RuntimeError: If processes are merged by who was latest: then values are only set.
        """
        self._move(-amount, "dec")

    def set(self, value: float) -> None:
        """Stand at a value; any number will do, infinite ones and not-a-number among them."""
        pending, cell = self._pending, self._cell
        number: Any = float(value)
        if cell.is_stamped:
            number = (number, cell.engine.clock.time())
        if len(pending) < BATCH or cell.engine.make_room():
            pending.append((cell.fold_set, number))

    def set_to_current_time(self) -> None:
        """Stand at the present time, in seconds since the Unix epoch."""
        self.set(self._cell.engine.clock.time())

    def set_function(self, f: "Callable[[], float]") -> None:
        """Have a function give the value whenever it is read; other methods then do nothing.

        Args:
            f: Called from any thread. While it fails, the gauge shows no sample.
        """
        self._cell.function = f

    def track_inprogress(self) -> InprogressTracker:
        """A context manager and decorator: up by one inside."""
        self._check_bound()
        return InprogressTracker(self)

    def time(self) -> Timer:
        """A context manager and decorator that sets the gauge to its duration, in seconds."""
        return Timer(self, "set")

    def _move(self, amount: float, method: str) -> None:
        if self.family.spec.multiprocess_mode in _MOST_RECENT:
            raise RuntimeError(f"{method} must not be used with the mostrecent mode ({self})")
        pending = self._pending
        if len(pending) < BATCH or self._cell.engine.make_room():
            pending.append((self._cell.fold, amount))


def check_exemplar(labels: "Mapping[str, str]") -> None:
    """Refuse what prometheus_client would refuse.

    Args:
        labels: The exemplar's labels.

    Raises:
        ValueError: If a name is not one, or all are too long.
    """
    _validate_exemplar(labels)  # type: ignore[no-untyped-call] # theirs has no types
