"""The state of one series each: a counter's, a gauge's, a histogram's.

Write methods append to the engine's buffer; the methods that begin with ``fold`` are what the
engine calls later. Only the thread that folds changes a cell, so they need no lock.
`Engine.record` is written out where a call of it would cost more than what it does.
"""

import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from prometheus_client import metrics as prometheus_metrics
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from obskit._guard import guard
from obskit.metrics._engine import BATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from obskit.metrics._engine import Engine
    from obskit.metrics._spec import MetricSpec

LineShape = tuple[str, "Mapping[str, str]"]
"""A line's part in all series of a family: what follows the name, and labels of its own."""

Mark = tuple[int, int, Exemplar]
"""An exemplar: the place of its series among many, the place of its line, and itself."""

Table = tuple["Sequence[SteadyCell]", "Sequence[Sequence[float]]"]
"""Series, and per line the numbers of all of them."""

_NO_LABELS: dict[str, str] = {}


def bound_text(bound: float) -> str:
    """A bucket's bound as the value of its ``le`` label."""
    return floatToGoString(bound)  # type: ignore[no-untyped-call,no-any-return] # theirs has no types


class CellSample(NamedTuple):
    """One line of a series, before the family's name and the series' labels are put to it.

    Attributes:
        suffix: What follows the family's name.
        labels: Labels that only this line has: a bucket's ``le``.
        value: The number.
        exemplar: A trace that is an example of it, if any.
    """

    suffix: str
    labels: "Mapping[str, str]"
    value: float
    exemplar: Exemplar | None = None


def _created_shape() -> "Sequence[LineShape]":
    if prometheus_metrics._use_created:  # the switch that prometheus_client's users know
        return (("_created", _NO_LABELS),)
    return ()


class Cell(ABC):
    """What every series has.

    Args:
        spec: The family that it belongs to.
        engine: Where its observations go.

    Attributes:
        engine: The same.
        pending: The engine's buffer, for the hot paths.
        created: When the series began, in seconds since the Unix epoch.
        handle: The instrument bound to this series, made on first use and kept.
        label_text: Its labels as its lines show them, made by the family.
    """

    __slots__ = ("created", "engine", "handle", "label_text", "pending")

    def __init__(self, spec: "MetricSpec", engine: "Engine") -> None:  # noqa: ARG002 - histograms need it
        self.engine: Engine = engine
        self.pending: list[Any] = engine.pending
        self.created: float = engine.clock.time()
        self.handle: object = None
        self.label_text: str = ""

    @property
    @abstractmethod
    def value(self) -> float:
        """Its number, everything recorded so far included."""

    @abstractmethod
    def samples(self) -> "Sequence[CellSample]":
        """Its lines, in prometheus_client's order; drain the engine first."""

    def numbers(self) -> "Sequence[float]":
        """The values of its lines, in the same order; drain the engine first."""
        return [sample.value for sample in self.samples()]


class SteadyCell(Cell):
    """A series of a kind where all of a family's series have the same lines, always.

    Only their numbers differ, which is what makes them quick to show.
    """

    __slots__ = ()

    @abstractmethod
    def shape(self) -> "Sequence[LineShape]":
        """Its lines but for numbers and exemplars, in prometheus_client's order."""

    @abstractmethod
    def numbers(self) -> "Sequence[float]":
        """The values of its lines, in the same order; drain the engine first."""

    @classmethod
    def table(cls, cells: "Sequence[Any]") -> "Table":
        """Many series at once: those that have numbers, and the numbers; drain the engine first.

        Args:
            cells: Series of this kind.
        """
        rows = [cell.numbers() for cell in cells]
        if not all(rows):
            cells = [cell for cell, row in zip(cells, rows, strict=True) if row]
        return cells, list(zip(*filter(None, rows), strict=False))

    @classmethod
    def marks(cls, cells: "Sequence[Any]") -> "Iterable[Mark]":  # noqa: ARG003 - some kinds have some
        """The exemplars of many series.

        Args:
            cells: Series of this kind.
        """
        return ()

    def samples(self) -> "Sequence[CellSample]":
        """Its lines, in prometheus_client's order; drain the engine first."""
        exemplars = {line: exemplar for _, line, exemplar in self.marks([self])}
        lines = enumerate(zip(self.shape(), self.numbers(), strict=False))
        return [CellSample(*shape, number, exemplars.get(line)) for line, (shape, number) in lines]


class CounterCell(SteadyCell):
    """A number that only grows.

    Attributes:
        total: The number as far as it is folded; `value` is up to date.
        exemplar: The latest one, if any.
        fold: What the engine calls with an amount; bound once, as the hot path needs it.
    """

    __slots__ = ("exemplar", "fold", "total")

    def __init__(self, spec: "MetricSpec", engine: "Engine") -> None:
        super().__init__(spec, engine)
        self.total: float = 0.0
        self.exemplar: Exemplar | None = None
        self.fold: Callable[[float], None] = self._fold

    @property
    def value(self) -> float:
        """The number."""
        self.engine.drain()
        return self.total

    def inc(self, amount: float = 1) -> None:
        """Add an amount, unchecked."""
        if amount != 1:
            self.engine.record(self.fold, amount)
        elif len(self.pending) < BATCH or self.engine.make_room():
            self.pending.append(self)

    def count(self, amount: float = 1) -> None:
        """Add an amount, or count its refusal if it is negative or not finite."""
        if 0 <= amount < math.inf:
            self.engine.record(self.fold, amount)
        else:
            self.engine.refuse()

    def mark(self, amount: float, labels: "Mapping[str, str]") -> None:
        """Attach an exemplar to an amount just added."""
        exemplar = Exemplar(dict(labels), amount, self.engine.clock.time())
        self.engine.record(self.fold_exemplar, exemplar)

    def reset(self) -> None:
        """Begin again at zero, now."""
        self.engine.record(self.fold_reset, self.engine.clock.time())

    def shape(self) -> "Sequence[LineShape]":
        """``_total`` and ``_created``."""
        return (("_total", _NO_LABELS), *_created_shape())

    def numbers(self) -> "Sequence[float]":
        """The total and when it began."""
        if prometheus_metrics._use_created:
            return (self.total, self.created)
        return (self.total,)

    @classmethod
    def table(cls, cells: "Sequence[Any]") -> "Table":
        """The totals, and when they began."""
        totals = [cell.total for cell in cells]
        if prometheus_metrics._use_created:
            return cells, (totals, [cell.created for cell in cells])
        return cells, (totals,)

    @classmethod
    def marks(cls, cells: "Sequence[Any]") -> "Iterable[Mark]":
        """The exemplars of ``_total``."""
        exemplars = [cell.exemplar for cell in cells]
        return [(place, 0, found) for place, found in enumerate(exemplars) if found]

    def fold_exemplar(self, exemplar: Exemplar) -> None:
        """Keep an exemplar."""
        self.exemplar = exemplar

    def fold_reset(self, now: float) -> None:
        """Begin again at zero."""
        self.total = 0.0
        self.created = now

    def _fold(self, amount: float) -> None:
        self.total += amount


class GaugeCell(SteadyCell):
    """A number that goes up and down, or a function that knows it.

    Attributes:
        level: The number as far as it is folded; `value` is up to date.
        function: Gives the number instead, if any.
        fold: What the engine calls with a difference; bound once, as the hot path needs it.
    """

    __slots__ = ("fold", "function", "level")

    is_stamped: ClassVar[bool] = False
    """Whether `fold_set` takes the time as well."""

    def __init__(self, spec: "MetricSpec", engine: "Engine") -> None:
        super().__init__(spec, engine)
        self.level: float = 0.0
        self.function: Callable[[], float] | None = None
        self.fold: Callable[[float], None] = self._fold

    @property
    def value(self) -> float:
        """The number."""
        self.engine.drain()
        return float(self.function()) if self.function else self.level

    def inc(self, amount: float = 1) -> None:
        """Go up."""
        self.engine.record(self.fold, amount)

    def dec(self, amount: float = 1) -> None:
        """Go down."""
        self.engine.record(self.fold, -amount)

    def set(self, value: float) -> None:
        """Stand at a number."""
        self.engine.record(self.fold_set, value)

    def shape(self) -> "Sequence[LineShape]":
        """One line."""
        return (("", _NO_LABELS),)

    def numbers(self) -> "Sequence[float]":
        """The number; nothing while the function fails."""
        function = self.function
        if function is None:
            return (self.level,)
        try:
            return (float(function()),)
        except Exception as error:
            guard.report("metrics.gauge_function", error)
            return ()

    @classmethod
    def table(cls, cells: "Sequence[Any]") -> "Table":
        """The numbers; without the series whose functions fail."""
        if any([cell.function for cell in cells]):  # noqa: C419 - a generator costs three times as much
            return super().table(cells)
        return cells, ([cell.level for cell in cells],)

    def fold_set(self, value: float) -> None:
        """Stand at a number."""
        self.level = value

    def _fold(self, amount: float) -> None:
        self.level += amount


class HistogramCell(SteadyCell):
    """How many observations fell into which bucket, and their sum.

    Attributes:
        bounds: The buckets' upper bounds.
        counts: Observations per bucket, not cumulative, as far as folded.
        sum: Their sum, as far as folded.
        exemplars: The latest one per bucket, if any.
        fold: What the engine calls with an amount; bound once, as the hot path needs it.
    """

    __slots__ = ("bounds", "counts", "exemplars", "fold", "sum")

    def __init__(self, spec: "MetricSpec", engine: "Engine") -> None:
        super().__init__(spec, engine)
        self.bounds: tuple[float, ...] = spec.buckets
        self.counts: list[int] = [0] * len(spec.buckets)
        self.sum: float = 0.0
        self.exemplars: list[Exemplar | None] = [None] * len(spec.buckets)
        self.fold: Callable[[float], None] = self._fold

    @property
    def value(self) -> float:
        """The number of observations."""
        self.engine.drain()
        return float(sum(self.counts))

    def observe(self, amount: float) -> None:
        """Record an amount, unchecked."""
        self.engine.record(self.fold, amount)

    def observe_duration(self, seconds: float) -> None:
        """Record a duration, or count its refusal if it is negative or not finite."""
        if not 0 <= seconds < math.inf:
            self.engine.refuse()
        elif len(self.pending) < BATCH or self.engine.make_room():
            self.pending.append((self.fold, seconds))

    def mark(self, amount: float, labels: "Mapping[str, str]") -> None:
        """Attach an exemplar to an amount just observed."""
        exemplar = Exemplar(dict(labels), amount, self.engine.clock.time())
        self.engine.record(self.fold_exemplar, exemplar)

    def shape(self) -> "Sequence[LineShape]":
        """The cumulative buckets, ``_count``, ``_sum`` and ``_created``.

        Without ``_sum`` when a bound is negative: it could fall, and would look like a restart.
        """
        buckets = [("_bucket", {"le": bound_text(bound)}) for bound in self.bounds]
        total = [("_sum", _NO_LABELS)] if self.bounds[0] >= 0 else []
        return [*buckets, ("_count", _NO_LABELS), *total, *_created_shape()]

    def numbers(self) -> "Sequence[float]":
        """The cumulative counts, their last once more, the sum and when it began."""
        numbers = list(accumulate(map(float, self.counts)))
        numbers.append(numbers[-1])
        if self.bounds[0] >= 0:
            numbers.append(self.sum)
        if prometheus_metrics._use_created:
            numbers.append(self.created)
        return numbers

    @classmethod
    def marks(cls, cells: "Sequence[Any]") -> "Iterable[Mark]":
        """The exemplars of the buckets."""
        marked = [(place, cell) for place, cell in enumerate(cells) if any(cell.exemplars)]
        return [
            (place, bucket, found)
            for place, cell in marked
            for bucket, found in enumerate(cell.exemplars)
            if found
        ]

    def fold_exemplar(self, exemplar: Exemplar) -> None:
        """Keep an exemplar in its bucket."""
        self.exemplars[bisect_left(self.bounds, exemplar.value)] = exemplar

    def _fold(self, amount: float) -> None:
        bucket = bisect_left(self.bounds, amount)  # no call after this one: see the engine
        self.sum += amount
        if amount == amount:  # noqa: PLR0124 - not a number belongs to no bucket
            self.counts[bucket] += 1
