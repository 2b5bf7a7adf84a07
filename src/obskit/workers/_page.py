"""A scrape's answer from the numbers of all workers."""

from itertools import chain
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, values
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from obskit._guard import guard
from obskit.errors import DuplicateError
from obskit.metrics import render
from obskit.metrics._lines import number_texts
from obskit.metrics._page import END
from obskit.workers._recorded import is_merged

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from prometheus_client.registry import Collector

    from obskit.workers._snapshot import Numbers, Shape, Snapshot

OF_ONE_PROCESS = (GCCollector, ProcessCollector)
"""Collectors left out: with each scrape, their numbers would be another worker's."""

_REWRITING = ("escaping=dots", "escaping=values")
"""In content types: formats that write differently also names which need no escaping."""


def page(
    registry: CollectorRegistry,
    snapshot: "Snapshot",
    own: "Collection[Shape]",
    accept: str,
    names: "Iterable[str]",
) -> tuple[bytes, str]:
    """The answer to a scrape: what is merged, then what this worker alone knows.

    Args:
        registry: Where this worker's collectors are.
        snapshot: The numbers of all workers.
        own: The shapes of this worker's families: of two that differ, these are shown.
        accept: The request's ``Accept`` header.
        names: Names of the samples to show; all unless given.

    Returns:
        The body and its content type.
    """
    wanted = frozenset(names)
    rest, content_type = render(_others(registry), accept, wanted)
    pieces: list[bytes] = []
    for shape, numbers in _of_one_shape(snapshot, own):
        try:
            pieces += _family(shape, numbers, accept, content_type, wanted)
        except Exception as error:
            guard.report("workers.page", error)
    return b"".join([*pieces, rest]), content_type


def _others(registry: CollectorRegistry) -> CollectorRegistry:
    """What is not merged: where prometheus_client shares files, these for its own metrics."""
    others = [
        collector
        for collector in registry._collector_to_names.copy()
        if not is_merged(collector) and not isinstance(collector, OF_ONE_PROCESS)
    ]
    if getattr(values.ValueClass, "_multiprocess", False):
        from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415 - seldom used

        others = [one for one in others if not isinstance(one, MetricWrapperBase)]
        if not any(isinstance(one, MultiProcessCollector) for one in others):
            others.append(MultiProcessCollector(None))  # type: ignore[no-untyped-call] # no types
    return _registry(*others, target_info=registry.get_target_info())


def _registry(
    *collectors: "Collector", target_info: dict[str, str] | None = None
) -> CollectorRegistry:
    registry = CollectorRegistry(target_info=target_info)
    for collector in collectors:
        registry.register(collector)
    return registry


def _of_one_shape(
    snapshot: "Snapshot", own: "Collection[Shape]"
) -> "Iterator[tuple[Shape, Numbers]]":
    """One shape per name, for a page cannot have two, as between two versions of a program."""
    shown = {shape.name: shape for shape in chain(snapshot, own)}
    for shape, numbers in snapshot.items():
        if shown[shape.name] == shape:
            yield shape, numbers
        else:
            text = f"{shape.name!r} is declared in two ways by workers of one directory"
            guard.report("workers.shape", DuplicateError(f"{text}: one of them is shown"))


def _family(
    shape: "Shape",
    numbers: "Numbers",
    accept: str,
    content_type: str,
    names: "AbstractSet[str]",
) -> list[bytes]:
    lines = numbers.lines
    if names:
        lines = {line: lines[line] for line in lines if _sample_name(line) in names}
        if not lines:
            return []
    written: Collection[float] = lines.values()
    if shape.rule == "mostrecent":
        written = [value for _, value in lines.values()]
    texts = [f"{line}{text}\n" for line, text in zip(lines, number_texts(written), strict=True)]
    metric = Metric(shape.name, numbers.help, shape.kind, shape.unit)
    body = "".join(texts)
    if _is_rewritten(shape.name, content_type):
        for family in text_string_to_metric_families(body):
            metric.samples += family.samples
        body = ""
    head, _ = render(_registry(_One(metric)), accept)
    return [head.removesuffix(END), body.encode()]


def _is_rewritten(name: str, content_type: str) -> bool:
    """Tell whether a format writes samples in another way than the text format does."""
    if content_type.startswith("application/openmetrics-text") and ":" in name:
        return True
    return content_type.endswith(_REWRITING)


def _sample_name(line: str) -> str:
    return line.partition("{")[0].rstrip(" ")


class _One:
    """A collector of one metric."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> list[Metric]:
        return [self._metric]
