"""What this process has recorded, as a snapshot."""

import os
from typing import TYPE_CHECKING, cast

from obskit.metrics import Family
from obskit.metrics._handle import Instrument
from obskit.metrics._lines import braced
from obskit.metrics._recent import RecentGaugeCell
from obskit.workers._snapshot import CHUNK, Numbers, Shape, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import Collector

    from obskit.metrics import GaugeCell
    from obskit.workers._snapshot import Number

    Lines = Iterable[tuple[str, Number]]

_MODES = {"info": "livemax", "stateset": "livemax"}
"""How kinds that are no gauges merge, if not by adding up: what any living worker says is shown."""


def is_merged(collector: "Collector") -> bool:
    """Whether a collector's numbers are merged; others are shown as this worker has them.

    Args:
        collector: Any. One that is no family of obskit's says so with an attribute
            ``multiprocess_mode``, which is ``sum`` or a multi-process mode of gauges.
    """
    return _family(collector) is not None or _mode(collector) is not None


def recorded(registry: "CollectorRegistry", pause: "Callable[[], object]" = int) -> Snapshot:
    """What this process has recorded in a registry, in those collectors that are merged.

    Args:
        registry: Any prometheus_client registry.
        pause: Called now and then, for others to run.
    """
    snapshot: Snapshot = {}
    for collector in registry._collector_to_names.copy():
        family = _family(collector)
        if family is not None:
            shape, lines = _shape(family), _family_lines(family)
            _add(snapshot, shape, family.spec.help, lines, pause)
        elif _mode(collector) is not None:
            for metric in collector.collect():
                shape = Shape(metric.name, metric.type, metric.unit, cast("str", _mode(collector)))
                _add(snapshot, shape, metric.documentation, _metric_lines(metric), pause)
    return snapshot


def summed_up(registry: "CollectorRegistry") -> dict[str, float]:
    """Every number that merges by adding up but those of gauges, which `zero_gauges` is for.

    Args:
        registry: Any prometheus_client registry.
    """
    numbers: dict[str, float] = {}
    for collector in registry._collector_to_names.copy():
        family = _family(collector)
        if family is not None and _shape(family).mode == "sum" and family.spec.kind != "gauge":
            numbers.update(_family_lines(family))
        elif family is None and _mode(collector) in ("sum", "livesum"):
            for metric in collector.collect():
                numbers.update(_metric_lines(metric))
    return numbers


def zero_gauges(registry: "CollectorRegistry") -> None:
    """Set every gauge to zero, as prometheus_client's multi-process mode does in a forked child.

    Args:
        registry: Any prometheus_client registry.
    """
    for collector in registry._collector_to_names.copy():
        family = _family(collector)
        if family is not None and family.spec.kind == "gauge":
            for _, cell in family.series():
                gauge = cast("GaugeCell", cell)
                gauge.level = 0.0
                if isinstance(gauge, RecentGaugeCell):
                    gauge.when = 0.0


def _family(collector: "Collector") -> Family | None:
    """The family that a collector shows all of, if it is one of obskit's."""
    if isinstance(collector, Instrument):
        return None if collector._values else collector.family
    return collector if isinstance(collector, Family) else None


def _mode(collector: "Collector") -> str | None:
    return getattr(collector, "multiprocess_mode", None)


def _shape(family: Family) -> Shape:
    spec = family.spec
    mode = spec.multiprocess_mode if spec.kind == "gauge" else _MODES.get(spec.kind, "sum")
    return Shape(spec.name, spec.kind, spec.unit, mode, spec.buckets)


def _add(
    snapshot: Snapshot, shape: Shape, text: str, lines: "Lines", pause: "Callable[[], object]"
) -> None:
    known = snapshot.setdefault(shape, Numbers(text)).lines
    for count, (line, number) in enumerate(lines, 1):
        known[line] = number
        if count % CHUNK == 0:
            pause()


def _family_lines(family: Family) -> "Lines":
    family.engine.drain()
    rule = _shape(family).rule
    if rule == "all":
        return _lines_of_process(family)
    if rule == "mostrecent":
        return _dated_lines(family)
    return _plain_lines(family)


def _plain_lines(family: Family) -> "Iterator[tuple[str, float]]":
    created = f"{family.spec.name}_created"
    for beginnings, cell in family.lines():
        for line, number in zip(beginnings, cell.numbers(), strict=False):
            if not line.startswith(created):
                yield line, number


def _lines_of_process(family: Family) -> "Iterator[tuple[str, float]]":
    process = str(os.getpid())
    for labels, cell in family.series():
        for number in cell.numbers():
            yield family.spec.name + braced({**labels, "pid": process}), number


def _dated_lines(family: Family) -> "Iterator[tuple[str, tuple[float, float]]]":
    """The lines of gauges that have been set, each with the time of that."""
    for beginnings, cell in family.lines():
        time = cast("RecentGaugeCell", cell).when
        for line, number in zip(beginnings, cell.numbers(), strict=False):
            if time > 0:
                yield line, (time, number)


def _metric_lines(metric: "Metric") -> "Iterator[tuple[str, float]]":
    for sample in metric.samples:
        if not sample.name.endswith("_created"):
            yield sample.name + braced(sample.labels), sample.value
