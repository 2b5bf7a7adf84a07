"""What is running now: as gauges, and as a list; both are read from the operations in flight."""

import os
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from prometheus_client.metrics_core import GaugeMetricFamily

from obskit.context import current_context, unit_correlation_id
from obskit.operation._operation import Operation  # noqa: TC001 - its at-fork hook comes first
from obskit.runtime import active_runtime, keep_in_flight

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client.metrics_core import Metric

    from obskit.metrics import MetricSpec
    from obskit.runtime import MetricStore


class InProgress:
    """A collector: counts the operations in flight when it is asked, and costs nothing before.

    Args:
        store: Knows what is in flight.
        spec: The gauge.
    """

    multiprocess_mode: ClassVar[str] = "livesum"

    def __init__(self, store: "MetricStore", spec: "MetricSpec") -> None:
        self._store = store
        self._spec = spec
        self._known: dict[tuple[str, ...], None] = {}

    @classmethod
    def of(cls, store: "MetricStore", spec: "MetricSpec") -> "InProgress":
        """Return the store's collector for a gauge; make it at first use."""
        return store.collector(spec.name, lambda: cls(store, spec))

    @property
    def labels(self) -> tuple[str, ...]:
        """The gauge's label names."""
        return self._spec.labels

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
        for operation in self._store.in_flight.copy():
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


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight:
    """An operation that is running now."""

    name: str
    """The operation's name; a request's is its method until the route is known."""

    labels: "Mapping[str, str]"
    """Label names and values."""

    age: float
    """Seconds since it began."""

    correlation_id: str
    """The id that its log lines carry."""


def in_flight() -> list[InFlight]:
    """Return what is running now in this process, the oldest first.

    Safe at any time and from any thread, such as a debug endpoint or a watchdog.
    """
    runtime = active_runtime()
    now = runtime.clock.monotonic()
    running = [
        InFlight(
            name=operation.name,
            labels=dict(operation.labels),
            age=max(now - operation.started, 0.0),
            correlation_id=unit_correlation_id(operation.fields),
        )
        for operation in runtime.store.in_flight.copy()
    ]
    return sorted(running, key=lambda operation: -operation.age)


def _keep_what_runs() -> None:  # pragma: no cover - runs in children only, out of its sight
    """Keep, in a forked child, what is in flight in the thread that has forked."""
    record = current_context.get()
    operation: Operation | None = None if record is None else record.operation
    running: set[Operation] = set()
    while operation is not None:
        running.add(operation)
        operation = operation.parent
    keep_in_flight(running)


os.register_at_fork(after_in_child=_keep_what_runs)  # after those of the modules above
