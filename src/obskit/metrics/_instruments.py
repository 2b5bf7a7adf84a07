"""Counter, Gauge and Histogram: prometheus_client's constructors and methods, obskit's engine."""

import math
from typing import TYPE_CHECKING, Any, ClassVar, cast

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.context_managers import ExceptionCounter, InprogressTracker, Timer
from prometheus_client.validation import _validate_exemplar

from obskit.metrics._cells import CounterCell, GaugeCell, HistogramCell
from obskit.metrics._engine import BATCH
from obskit.metrics._family import MAX_SERIES
from obskit.metrics._handle import Instrument
from obskit.metrics._spec import DEFAULT_BUCKETS, MetricSpec, MultiprocessMode, qualified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

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

    Raises:
        DeclarationError: If the declaration is wrong or the name is taken by another shape.
    """

    def __init__(  # noqa: PLR0917 - prometheus_client's parameters
        self,
        name: str,
        documentation: str,
        labelnames: "Iterable[str]" = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = REGISTRY,
        *,
        max_series: int = MAX_SERIES,
    ) -> None:
        full_name = qualified(name, namespace, subsystem)
        spec = MetricSpec(
            "counter", full_name, documentation, cast("tuple[str, ...]", labelnames), unit
        )
        self._declare(spec, registry, max_series)

    def inc(self, amount: float = 1, exemplar: "Mapping[str, str] | None" = None) -> None:
        """Add an amount.

        Args:
            amount: Not negative.
            exemplar: Labels of an example, such as ``{"trace_id": ...}``; 128 characters at most.

        Raises:
            ValueError: If the amount is negative, the exemplar too long, or labels are missing.
        """
        pending = self._pending
        if amount == 1:
            entry: Any = self._cell
        elif amount < 0:
            raise ValueError(f"{self} can only be incremented by non-negative amounts")
        else:
            entry = (self._cell.fold, amount)
        if len(pending) < BATCH or self._cell.engine.make_room():
            pending.append(entry)
        if exemplar:
            _check_exemplar(exemplar)
            self._cell.mark(amount, exemplar)

    def reset(self) -> None:
        """Begin again at zero: for a logical process that restarts inside this one."""
        self._cell.reset()

    def count_exceptions(
        self, exception: type[BaseException] | tuple[type[BaseException], ...] = Exception
    ) -> ExceptionCounter:
        """A context manager and decorator that counts exceptions passing through.

        Args:
            exception: Which ones.
        """
        self._check_bound()
        return ExceptionCounter(cast("Any", self), exception)


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

    Raises:
        DeclarationError: If the declaration is wrong or the name is taken by another shape.
    """

    def __init__(  # noqa: PLR0917 - prometheus_client's parameters
        self,
        name: str,
        documentation: str,
        labelnames: "Iterable[str]" = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = REGISTRY,
        multiprocess_mode: MultiprocessMode = "all",
        *,
        max_series: int = MAX_SERIES,
    ) -> None:
        spec = MetricSpec(
            "gauge",
            qualified(name, namespace, subsystem),
            documentation,
            cast("tuple[str, ...]", labelnames),
            unit,
            multiprocess_mode=multiprocess_mode,
        )
        self._declare(spec, registry, max_series)

    def inc(self, amount: float = 1) -> None:
        """Go up by an amount."""
        if self.family.spec.multiprocess_mode in _MOST_RECENT:
            raise self._not_relative("inc")
        self._cell.inc(amount)

    def dec(self, amount: float = 1) -> None:
        """Go down by an amount."""
        if self.family.spec.multiprocess_mode in _MOST_RECENT:
            raise self._not_relative("dec")
        self._cell.dec(amount)

    def set(self, value: float) -> None:
        """Stand at a value."""
        self._cell.set(float(value))

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
        return InprogressTracker(self)  # type: ignore[no-untyped-call] # theirs has no types

    def time(self) -> Timer:
        """A context manager and decorator that sets the gauge to its duration, in seconds."""
        return Timer(self, "set")  # type: ignore[no-untyped-call] # theirs has no types

    def _not_relative(self, method: str) -> RuntimeError:
        return RuntimeError(f"{method} must not be used with the mostrecent mode ({self})")


class Histogram(Instrument[HistogramCell]):
    """Counts observations in buckets, for quantiles that can be added up.

    Args:
        name: The metric's name.
        documentation: What it measures, for people.
        labelnames: Names of its labels.
        namespace: First part of the full name.
        subsystem: Second part of the full name.
        unit: Last part of the full name, such as ``seconds``.
        registry: Where it is shown; None for nowhere.
        buckets: Upper bounds, ascending; ``+Inf`` is added.
        max_series: Series it may have; further ones are counted together.

    Raises:
        DeclarationError: If the declaration is wrong or the name is taken by another shape.
    """

    DEFAULT_BUCKETS: ClassVar[tuple[float, ...]] = DEFAULT_BUCKETS

    def __init__(  # noqa: PLR0917 - prometheus_client's parameters
        self,
        name: str,
        documentation: str,
        labelnames: "Iterable[str]" = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = REGISTRY,
        buckets: "Sequence[float | str]" = DEFAULT_BUCKETS,
        *,
        max_series: int = MAX_SERIES,
    ) -> None:
        spec = MetricSpec(
            "histogram",
            qualified(name, namespace, subsystem),
            documentation,
            cast("tuple[str, ...]", labelnames),
            unit,
            cast("tuple[float, ...]", buckets),  # the spec makes numbers of texts
        )
        self._declare(spec, registry, max_series)

    def observe(self, amount: float, exemplar: "Mapping[str, str] | None" = None) -> None:
        """Record an amount.

        Args:
            amount: Usually not negative.
            exemplar: Labels of an example, such as ``{"trace_id": ...}``; 128 characters at most.

        Raises:
            ValueError: If the exemplar is too long or labels are missing.
        """
        pending = self._pending
        if len(pending) < BATCH or self._cell.engine.make_room():
            pending.append((self._cell.fold, amount))
        if exemplar and not math.isnan(amount):
            _check_exemplar(exemplar)
            self._cell.mark(amount, exemplar)

    def time(self) -> Timer:
        """A context manager and decorator that observes its duration, in seconds."""
        return Timer(self, "observe")  # type: ignore[no-untyped-call] # theirs has no types


def _check_exemplar(labels: "Mapping[str, str]") -> None:
    _validate_exemplar(labels)  # type: ignore[no-untyped-call] # theirs, to accept the same
