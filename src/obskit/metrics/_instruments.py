"""Counter, Gauge and Histogram: prometheus_client's constructors and methods, obskit's engine."""

import math
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, cast

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.context_managers import ExceptionCounter, InprogressTracker, Timer
from prometheus_client.validation import _validate_exemplar

from obskit.errors import LabelError
from obskit.metrics._cells import Cell, CounterCell, GaugeCell, HistogramCell
from obskit.metrics._declare import declare
from obskit.metrics._engine import BATCH
from obskit.metrics._family import MAX_SERIES, Family
from obskit.metrics._spec import DEFAULT_BUCKETS, MetricSpec, MultiprocessMode, qualified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from prometheus_client.metrics_core import Metric

CellT = TypeVar("CellT", bound=Cell)

_MOST_RECENT = ("mostrecent", "livemostrecent")


class Instrument(Generic[CellT]):
    """What the three have in common: a handle onto a family, or onto one series of it.

    Declaring the same metric twice gives two handles onto one family.

    Args:
        family: The family.
        values: The label values of the series that the handle is bound to, if it is.

    Attributes:
        family: The same.
    """

    family: Family
    _values: tuple[str, ...]
    _cell: CellT
    _pending: list[Any]

    def _declare(
        self, spec: MetricSpec, registry: CollectorRegistry | None, max_series: int
    ) -> None:
        if registry is None:
            family = Family(spec, max_series=max_series)
        else:
            family = declare(registry, spec, max_series=max_series)
        if spec.labels:
            missing: Any = _MissingLabels(family.spec)
            self._bind(family, (), missing, missing)
        else:
            self._bind(family, (), family.cell(()), family.engine.pending)

    def _bind(
        self, family: Family, values: tuple[str, ...], cell: CellT, pending: list[Any]
    ) -> Self:
        self.family = family
        self._values = values
        self._cell = cell
        self._pending = pending
        return self

    def __eq__(self, other: object) -> bool:
        """Handles onto one family are equal to each other and to it; a registry finds it so."""
        return self._identity is (other._identity if isinstance(other, Instrument) else other)

    def __hash__(self) -> int:
        return hash(self._identity)

    def __str__(self) -> str:
        return f"{self.family.spec.kind}:{self.family.spec.name}"

    def __repr__(self) -> str:
        return f"{type(self).__module__}.{type(self).__name__}({self.family.spec.name})"

    def labels(self, *labelvalues: object, **labelkwargs: object) -> Self:
        """The handle onto the series with these label values: keep it, it is the fast one.

        Args:
            *labelvalues: One value per label name, in order, made texts.
            **labelkwargs: Or one value per label name, by name.

        Raises:
            LabelError: If they do not match the labels declared.
        """
        values = self._label_values(labelvalues, labelkwargs)
        cell = self.family.cell(values)
        handle = cell.handle
        if type(handle) is not type(self):
            handle = type(self).__new__(type(self))._bind(self.family, values, cell, cell.pending)
            cell.handle = handle
        return handle

    def remove(self, *labelvalues: object) -> None:
        """Forget the series with these label values.

        Args:
            *labelvalues: One value per label name, in order.

        Raises:
            LabelError: If they do not match the labels declared.
        """
        self.family.remove(self._label_values(labelvalues, {}))

    def remove_by_labels(self, labels: "Mapping[str, object]") -> None:
        """Forget every series that has all these labels.

        Args:
            labels: Label names and values; none forgets nothing.

        Raises:
            LabelError: If a name was not declared.
            TypeError: If it is not a mapping.
        """
        self._check_labelled()
        if not isinstance(labels, dict):
            raise TypeError("labels must be a dict of {label_name: label_value}")
        unknown = [name for name in labels if name not in self.family.spec.labels]
        if unknown:
            raise LabelError(f"{self}: unknown label names {unknown}; known: {self._label_names}")
        self.family.remove_by_labels({name: str(value) for name, value in labels.items()})

    def clear(self) -> None:
        """Forget every series, unless the metric has no labels."""
        self.family.clear()

    def describe(self) -> "Iterable[Metric]":
        """The family without samples, as registries ask for it."""
        return self.family.describe()

    def collect(self) -> "Iterable[Metric]":
        """The family with its samples; of a bound handle, that series alone without labels."""
        if self._values:
            return self.family.collect_cell(self._cell)
        return self.family.collect()

    @property
    def _identity(self) -> object:
        return self._cell if self._values else self.family

    @property
    def _label_names(self) -> str:
        return ", ".join(self.family.spec.labels)

    def _check_labelled(self) -> None:
        if not self.family.spec.labels:
            raise LabelError(f"no label names were set when declaring {self}")

    def _check_bound(self) -> None:
        if self.family.spec.labels and not self._values:
            raise _missing_labels(self.family.spec)

    def _label_values(
        self, values: tuple[object, ...], named: dict[str, object]
    ) -> tuple[str, ...]:
        names = self.family.spec.labels
        if self._values or not names or (values and named):
            self._explain_labels()
        if named:
            if named.keys() != set(names):
                raise LabelError(
                    f"{self}: incorrect label names {', '.join(named)}; declared: "
                    f"{self._label_names}"
                )
            values = tuple([named[name] for name in names])
        if len(values) != len(names):
            raise LabelError(
                f"{self}: incorrect label count: {len(values)} given, declared: {self._label_names}"
            )
        return tuple([str(value) for value in values])

    def _explain_labels(self) -> None:
        self._check_labelled()
        if self._values:
            raise LabelError(
                f"{self} already has labels set ({self._label_names} = "
                f"{', '.join(self._values)}); cannot chain calls to .labels()"
            )
        raise LabelError(f"{self}: give label values by position or by name, not both")


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


class _MissingLabels:
    """Stands where a bound handle has its series: whatever is done with it says what is missing."""

    def __init__(self, spec: MetricSpec) -> None:
        object.__setattr__(self, "_spec", spec)

    def __getattr__(self, name: str) -> Any:
        raise _missing_labels(object.__getattribute__(self, "_spec"))

    def __setattr__(self, name: str, value: object) -> None:
        raise _missing_labels(object.__getattribute__(self, "_spec"))

    def __len__(self) -> int:
        raise _missing_labels(object.__getattribute__(self, "_spec"))


def _missing_labels(spec: MetricSpec) -> LabelError:
    return LabelError(
        f"{spec.kind} metric {spec.name!r} is missing label values: call "
        f".labels({', '.join(spec.labels)}) first"
    )


def _check_exemplar(labels: "Mapping[str, str]") -> None:
    _validate_exemplar(labels)  # type: ignore[no-untyped-call] # theirs, to accept the same
