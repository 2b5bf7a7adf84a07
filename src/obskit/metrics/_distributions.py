"""Histogram and Summary: prometheus_client's constructors and methods, obskit's engine."""

import math
from typing import TYPE_CHECKING, ClassVar

from prometheus_client import REGISTRY, CollectorRegistry

from obskit.metrics._cells import HistogramCell
from obskit.metrics._engine import BATCH
from obskit.metrics._family import MAX_SERIES
from obskit.metrics._handle import Instrument
from obskit.metrics._instruments import check_exemplar
from obskit.metrics._spec import DEFAULT_BUCKETS
from obskit.metrics._states import SummaryCell
from obskit.metrics._timing import Timer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from obskit.metrics._allowed import AllowedLabels
    from obskit.metrics._spec import Kind


class Histogram(Instrument[HistogramCell]):
    """Counts observations in buckets, for quantiles that can be added up.

    Args:
        name: The metric's name.
        documentation: What it measures, for people.
        labelnames: Names of its labels.
        namespace: First part of the full name.
        subsystem: Second part of the full name.
        unit: Last part of the full name, such as ``seconds``.
        registry: Where it is shown; None for nowhere.
        buckets: Upper bounds, ascending; ``+Inf`` is added.
        max_series: Series it may have; further ones are counted together.
        allowed: Allowed values by label name: an Enum class, texts, or `AllowedValues`. Other
            values become ``other``.

    Raises:
        DeclarationError: If the declaration is wrong or the name is taken by another shape.
    """

    _kind: "ClassVar[Kind]" = "histogram"

    DEFAULT_BUCKETS: ClassVar[tuple[float, ...]] = DEFAULT_BUCKETS

    def __init__(  # noqa: PLR0917 - prometheus_client's parameters
        self,
        name: str,
        documentation: str,
        labelnames: "Iterable[str]" = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = REGISTRY,
        _labelvalues: None = None,
        buckets: "Sequence[float | str]" = DEFAULT_BUCKETS,
        *,
        max_series: int = MAX_SERIES,
        allowed: "AllowedLabels | None" = None,
    ) -> None:
        self._declare(
            *(name, documentation, labelnames, namespace, subsystem, unit),
            *(registry, _labelvalues, max_series, allowed),
            buckets=buckets,
        )

    def observe(self, amount: float, exemplar: "Mapping[str, str] | None" = None) -> None:
        """Record an amount.

        Args:
            amount: Usually not negative. Not-a-number is in no bucket, and makes the sum one.
            exemplar: Labels of an example, such as ``{"trace_id": ...}``; 128 characters at most.

        Raises:
            ValueError: If the exemplar is too long or labels are missing.
        """
        pending = self._pending
        if len(pending) < BATCH or self._cell.engine.make_room():
            pending.append((self._cell.fold, amount))
        if exemplar and not math.isnan(amount):
            check_exemplar(exemplar)
            self._cell.mark(amount, exemplar)

    def time(self) -> Timer:
        """A context manager and decorator that observes its duration, in seconds."""
        return Timer(self, "observe")


class Summary(Instrument[SummaryCell]):
    """Counts observations and adds them up; a `Histogram` also tells how they are distributed.

    Args:
        name: The metric's name.
        documentation: What it measures, for people.
        labelnames: Names of its labels.
        namespace: First part of the full name.
        subsystem: Second part of the full name.
        unit: Last part of the full name, such as ``seconds``.
        registry: Where it is shown; None for nowhere.
        max_series: Series it may have; further ones are counted together.
        allowed: Allowed values by label name: an Enum class, texts, or `AllowedValues`. Other
            values become ``other``.

    Raises:
        DeclarationError: If the declaration is wrong or the name is taken by another shape.
    """

    _kind: "ClassVar[Kind]" = "summary"

    def observe(self, amount: float) -> None:
        """Record an amount.

        Args:
            amount: Usually not negative. Not-a-number makes the sum one.

        Raises:
            ValueError: If labels are missing.
        """
        pending = self._pending
        if len(pending) < BATCH or self._cell.engine.make_room():
            pending.append((self._cell.fold, amount))

    def time(self) -> Timer:
        """A context manager and decorator that observes its duration, in seconds."""
        return Timer(self, "observe")
