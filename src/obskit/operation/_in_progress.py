"""The gauges of what is running now, read from the set of operations in flight."""

from collections import Counter
from typing import TYPE_CHECKING

from prometheus_client.metrics_core import GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.metrics_core import Metric

    from obskit.metrics import MetricSpec
    from obskit.runtime import MetricStore


class InProgress:
    """A collector: counts the operations in flight when it is asked, and costs nothing before.

    Args:
        store: Knows what is in flight.
        spec: The gauge.
    """

    def __init__(self, store: "MetricStore", spec: "MetricSpec") -> None:
        self._store = store
        self._spec = spec
        self._known: dict[tuple[str, ...], None] = {}

    @classmethod
    def of(cls, store: "MetricStore", spec: "MetricSpec") -> "InProgress":
        """Return the store's collector for a gauge; make it at first use."""
        return store.collector(spec.name, lambda: cls(store, spec))

    def know(self, values: tuple[str, ...]) -> None:
        """Show a series from now on, also while nothing runs: 0 rather than absent.

        Args:
            values: Its label values.
        """
        if len(self._known) < self._store.max_series:
            self._known[self._own(values)] = None

    def describe(self) -> "Iterable[Metric]":
        """Return the gauge without values."""
        return [self._family()]

    def collect(self) -> "Iterable[Metric]":
        """Return the gauge with the values of this moment."""
        running = Counter(dict.fromkeys(list(self._known), 0))
        for operation in list(self._store.in_flight.values()):
            name, values = operation.in_progress()
            if name == self._spec.name:
                running[self._own(values)] += 1
        family = self._family()
        for values, count in running.items():
            family.add_metric(values, count)
        return [family]

    def _own(self, values: tuple[str, ...]) -> tuple[str, ...]:
        """Return the values that there are labels for: declarations of one name may differ."""
        return values[: len(self._spec.labels)]

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(
            self._store.prefixed(self._spec.name), self._spec.help, labels=self._spec.labels
        )
