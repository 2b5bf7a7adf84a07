"""Gauges that tell when they were set: of several workers, the latest is shown."""

from typing import TYPE_CHECKING, Any

from obskit.metrics._cells import GaugeCell

if TYPE_CHECKING:
    from obskit.metrics._engine import Engine
    from obskit.metrics._spec import MetricSpec


class RecentGaugeCell(GaugeCell):
    """A gauge of which the workers show the value that was set last.

    Attributes:
        when: When it was set, in seconds since the Unix epoch; 0 if never.
    """

    __slots__ = ("when",)

    is_stamped = True

    def __init__(self, spec: "MetricSpec", engine: "Engine") -> None:
        super().__init__(spec, engine)
        self.when: float = 0.0

    def set(self, value: float) -> None:
        """Stand at a number, from now on."""
        self.engine.record(self.fold_set, (value, self.engine.clock.time()))

    def fold_set(self, value: Any) -> None:
        """Stand at a number.

        Args:
            value: The number, and when it was set.
        """
        self.level, self.when = value
