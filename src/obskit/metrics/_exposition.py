"""What a scrape gets: every collector's page, in the format that was asked for."""

import copy
from typing import TYPE_CHECKING, Any

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import choose_encoder

from obskit._guard import guard
from obskit.metrics._family import Family
from obskit.metrics._handle import Instrument
from obskit.metrics._page import END, PageFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from prometheus_client.metrics_core import Metric
    from prometheus_client.registry import Collector


class _Page:
    """A collector's metrics, or those samples of them that were asked for."""

    def __init__(self, collector: "Collector", names: "AbstractSet[str]") -> None:
        self._collector = collector
        self._names = names

    def collect(self) -> "Iterable[Metric]":
        for metric in self._collector.collect():
            if not self._names:
                yield metric
            elif any(sample.name in self._names for sample in metric.samples):
                yield _restricted(metric, self._names)


def render(
    registry: CollectorRegistry = REGISTRY, accept: str = "", names: "Iterable[str]" = ()
) -> tuple[bytes, str]:
    """A registry's metrics, as bytes for a scrape.

    A collector that fails is left out and reported to the guard; the others are shown.

    Args:
        registry: Any prometheus_client registry.
        accept: The request's ``Accept`` header: plain text unless it asks for OpenMetrics.
        names: Names of the samples to show; all unless given.

    Returns:
        The body and its content type.
    """
    pieces, content_type = render_pieces(registry, accept, names)
    return b"".join(pieces), content_type


def render_pieces(
    registry: CollectorRegistry,
    accept: str,
    names: "Iterable[str]",
    pause: "Callable[[], object]" = int,
) -> tuple[list[bytes], str]:
    """The same in pieces: to put a large page together takes longer than any other step of it.

    Args:
        registry: As `render` takes it.
        accept: As `render` takes it.
        names: As `render` takes them.
        pause: Called now and then, for others to run.

    Returns:
        The body's parts and its content type.
    """
    encoder, content_type = _negotiate(accept)
    wanted = frozenset(names)
    known = PageFormat.of(encoder)
    pieces: list[bytes] = []
    for collector in _collectors(registry, wanted):
        pieces += _encode(encoder, known, collector, wanted, pause)
        pause()
    if content_type.startswith("application/openmetrics-text"):
        pieces.append(END)
    return pieces, content_type


def negotiated_type(accept: str) -> str:
    """The content type of the page that a request gets.

    Args:
        accept: Its ``Accept`` header.
    """
    return _negotiate(accept)[1]


def _negotiate(accept: str) -> "tuple[Callable[[Collector], bytes], str]":
    try:
        return choose_encoder(accept)
    except Exception:  # a version that is no number; the header is the client's, not a fault here
        return choose_encoder("")


def _collectors(registry: CollectorRegistry, names: "AbstractSet[str]") -> "Iterator[Collector]":
    if not names or "target_info" in names:
        yield registry.restricted_registry(["target_info"])
    registered = registry._collector_to_names.copy()  # the public method stops at a faulty one
    for collector, own in registered.items():
        if not names or not own or names & set(own):
            yield collector


def _encode(
    encoder: "Callable[[Collector], bytes]",
    known: PageFormat | None,
    collector: "Collector",
    names: "AbstractSet[str]",
    pause: "Callable[[], object]",
) -> list[bytes]:
    try:
        family = _family(collector)
        if known and family and known.writes(family):
            return known.page(family, names, pause)
        return [encoder(_Page(collector, names)).removesuffix(END)]
    except Exception as error:
        guard.report("metrics.collect", error)
        return []


def _family(collector: "Collector") -> Family | None:
    """The family that a collector shows all of, in the usual way; None for any other collector."""
    if isinstance(collector, Instrument) and not collector._values:
        return _family(collector.family) if _collects_as(collector, Instrument) else None
    return collector if isinstance(collector, Family) and _collects_as(collector, Family) else None


def _collects_as(collector: "Collector", kind: "type[Instrument[Any] | Family]") -> bool:
    return type(collector).collect is kind.collect


def _restricted(metric: "Metric", names: "AbstractSet[str]") -> "Metric":
    part = copy.copy(metric)
    part.samples = [sample for sample in metric.samples if sample.name in names]
    return part
