"""The state of one series each: a summary's, an info's, an enum's.

An info and an enum are not added up but replaced: they are written in one assignment, which no
reader sees half of and no full buffer loses.
"""

from typing import TYPE_CHECKING

from prometheus_client import metrics as prometheus_metrics

from obskit.metrics._cells import Cell, CellSample, SteadyCell, _created_shape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from obskit.metrics._cells import LineShape
    from obskit.metrics._engine import Engine
    from obskit.metrics._spec import MetricSpec


class SummaryCell(SteadyCell):
    """How many observations there were, and their sum.

    Attributes:
        count: Observations, as far as folded.
        sum: Their sum, as far as folded.
        fold: What the engine calls with an amount; bound once, as the hot path needs it.
    """

    __slots__ = ("count", "fold", "sum")

    def __init__(self, spec: "MetricSpec", engine: "Engine") -> None:
        super().__init__(spec, engine)
        self.count: float = 0.0
        self.sum: float = 0.0
        self.fold: Callable[[float], None] = self._fold

    @property
    def value(self) -> float:
        """The number of observations."""
        self.engine.drain()
        return self.count

    def shape(self) -> "Sequence[LineShape]":
        """``_count``, ``_sum`` and ``_created``."""
        return (("_count", {}), ("_sum", {}), *_created_shape())

    def numbers(self) -> "Sequence[float]":
        """The number of observations, their sum and when it began."""
        if prometheus_metrics._use_created:
            return (self.count, self.sum, self.created)
        return (self.count, self.sum)

    def _fold(self, amount: float) -> None:
        self.sum += amount
        self.count += 1.0


class InfoCell(Cell):
    """Names and texts that describe something; the number is always 1.

    Attributes:
        facts: The names and texts; replaced as a whole, never changed.
    """

    __slots__ = ("facts",)

    def __init__(self, spec: "MetricSpec", engine: "Engine") -> None:
        super().__init__(spec, engine)
        self.facts: Mapping[str, str] = {}

    @property
    def value(self) -> float:
        """1, so that the line can be multiplied with others."""
        return 1.0

    def samples(self) -> "Sequence[CellSample]":
        """One line, whose labels are the facts."""
        return (CellSample("_info", self.facts, 1.0),)


class EnumCell(Cell):
    """Which of a few states something is in.

    Attributes:
        current: The state's place among the states, from 0 on.
    """

    __slots__ = ("_label", "_states", "current")

    def __init__(self, spec: "MetricSpec", engine: "Engine") -> None:
        super().__init__(spec, engine)
        self._label = spec.name
        self._states = spec.states
        self.current: int = 0

    @property
    def value(self) -> float:
        """The state's place among the states, from 0 on."""
        return float(self.current)

    def samples(self) -> "Sequence[CellSample]":
        """One line per state: 1 for the one that it is in, and 0 for the others."""
        current = self.current
        return [
            CellSample("", {self._label: state}, float(place == current))
            for place, state in enumerate(self._states)
        ]
