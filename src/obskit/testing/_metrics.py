"""Assertions on metrics: what has changed since the test began."""

import re
from typing import TYPE_CHECKING

from obskit.metrics import InternalMetrics
from obskit.testing._listing import listing, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client import CollectorRegistry

    Labels = frozenset[tuple[str, str]]
    Samples = dict[tuple[str, Labels], float]


_NOISE = re.compile(r"(process|python)_|\w+_bucket{")


class Metrics:
    """Samples of several registries, and how they differ from the beginning.

    Args:
        registries: Returns the registries to look at.
    """

    def __init__(self, registries: "Callable[[], list[CollectorRegistry]]") -> None:
        self._registries = registries
        self._before: Samples = {  # obskit's own counts are the process's, shown so far or not
            **{(name, labels): value for name, labels, value in _each(InternalMetrics())},
            **self._samples(),
        }

    def value(self, name: str, /, **labels: str) -> float:
        """Return the sum of the samples of a name that have these labels, or 0.

        Args:
            name: A sample's name, such as ``orders_total`` or ``latency_seconds_count``.
            **labels: Names and values, among others perhaps.

        Raises:
            AssertionError: If the samples of that name have no such label: a misspelt one is not 0.
        """
        now = self._samples()
        self._check_labels(now, name, labels)
        return _total(now, name, labels)

    def delta(self, name: str, /, **labels: str) -> float:
        """Return by how much `value` has changed since the test began.

        Args:
            name: A sample's name.
            **labels: Names and values, among others perhaps.

        Raises:
            AssertionError: If no sample has such a name, or such a label: a misspelt one is not 0.
        """
        now = self._samples()
        if not any(name == known for known, _ in now):
            hint = suggestion(name, {known for known, _ in now})
            raise AssertionError(f"no metric has a sample called {name!r}{hint}" + self._listing())
        self._check_labels(now, name, labels)
        return _total(now, name, labels) - _total(self._before, name, labels)

    def __repr__(self) -> str:
        """What has changed: pytest shows it when a comparison fails."""
        return f"<Metrics changed: {'; '.join(self._shown_changes())}>"

    def _check_labels(self, now: "Samples", name: str, labels: dict[str, str]) -> None:
        found = {key for known, has in now if known == name for key, _ in has}
        for label in labels:
            if found and label not in found:
                raise AssertionError(
                    f"no sample of {name!r} has a label {label!r}; they have:"
                    f" {', '.join(sorted(found))}" + self._listing()
                )

    def _listing(self) -> str:
        return listing("samples that have changed", self._shown_changes())

    def _shown_changes(self) -> list[str]:
        """Return the changes without what only fills pages: buckets, and the process's own."""
        return [text for text in self.changes() if not _NOISE.match(text)]

    def changes(self) -> "list[str]":
        """Return each sample that has changed, as ``name{labels} +difference``."""
        return [
            f"{name}{{{', '.join(f'{key}={text!r}' for key, text in sorted(labels))}}} {change:+g}"
            for name, labels, change in self.moved()
        ]

    def moved(self) -> "list[tuple[str, Labels, float]]":
        """Return name, labels and difference of each sample that has changed."""
        now = self._samples()
        return sorted(
            (
                (name, labels, value - self._before.get((name, labels), 0.0))
                for (name, labels), value in now.items()
                if value != self._before.get((name, labels), 0.0) and not name.endswith("_created")
            ),
            key=lambda sample: (sample[0], sorted(sample[1])),
        )

    def _samples(self) -> "Samples":
        return {
            (name, labels): value
            for registry in self._registries()
            for name, labels, value in _each(registry)
        }


def _each(registry: "CollectorRegistry | InternalMetrics") -> "Iterator[tuple[str, Labels, float]]":
    for metric in registry.collect():
        for sample in metric.samples:
            yield sample.name, frozenset(sample.labels.items()), sample.value


def _total(samples: "Samples", name: str, labels: dict[str, str]) -> float:
    wanted = {(key, str(value)) for key, value in labels.items()}
    return sum(value for (known, has), value in samples.items() if known == name and wanted <= has)
