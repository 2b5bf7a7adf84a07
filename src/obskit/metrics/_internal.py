"""What obskit says about itself: faults it went on from, and what it did not keep."""

from typing import TYPE_CHECKING, ClassVar

from prometheus_client.metrics_core import CounterMetricFamily

from obskit._guard import Guard, guard
from obskit.errors import DuplicateError
from obskit.metrics._declare import registered
from obskit.metrics._engine import Engine, default_engine

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric


class InternalMetrics:
    """A collector of obskit's own counts.

    Args:
        faults: Counts faults per place, and spans that were not sent.
        engine: Counts what it dropped.
    """

    multiprocess_mode: ClassVar[str] = "sum"

    def __init__(self, faults: Guard = guard, engine: Engine = default_engine) -> None:
        self._faults = faults
        self._engine = engine

    def describe(self) -> "Iterable[Metric]":
        """The families, as registries ask for them."""
        return self.collect()

    def collect(self) -> "Iterable[Metric]":
        """The families with their samples."""
        return [
            _family(
                "obskit_internal_errors",
                "Faults inside obskit that it went on from, by place.",
                "site",
                self._faults.counts,
            ),
            _family(
                "obskit_dropped_observations",
                "Observations not kept: overflow of the buffer, or refused values.",
                "reason",
                self._engine.dropped_observations,
            ),
            _family(
                "obskit_dropped_series",
                "Times that a metric family at its limit refused a new series.",
                "family",
                self._engine.dropped_series,
            ),
            _family(
                "obskit_dropped_spans",
                "Spans not sent: the exporter's queue was full, or the export failed.",
                "reason",
                self._faults.dropped_spans.counts(),
            ),
        ]


def register_internal(registry: "CollectorRegistry") -> InternalMetrics:
    """Show obskit's own counts in a registry; done twice, it does nothing more.

    Args:
        registry: Any prometheus_client registry.

    Returns:
        The collector in there.

    Raises:
        DuplicateError: If something else has one of the names.
    """
    holder = _holder(registry)
    if holder is not None:
        return holder
    collector = InternalMetrics()
    try:
        registry.register(collector)
    except ValueError as error:
        raise DuplicateError(f"the names of obskit's own metrics are taken: {error}") from None
    return collector


def unregister_internal(registry: "CollectorRegistry") -> None:
    """Take obskit's own counts out of a registry; nothing happens if they are not in there.

    Args:
        registry: Where they were registered.
    """
    holder = _holder(registry)
    if holder is not None:
        registry.unregister(holder)


def _holder(registry: "CollectorRegistry") -> InternalMetrics | None:
    holder = registered(registry, "obskit_internal_errors")
    return holder if isinstance(holder, InternalMetrics) else None


def _family(name: str, text: str, label: str, counts: "Mapping[str, int]") -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in dict(counts).items():
        family.add_metric([value], count)
    return family
