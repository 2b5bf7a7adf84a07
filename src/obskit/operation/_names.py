"""How an operation's metrics are called: data, so that an instrument set may choose its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from obskit.errors import DeclarationError, LabelError
from obskit.metrics import DEFAULT_BUCKETS, MetricSpec
from obskit.operation._outcome import OUTCOMES, Outcome

_IDENTITY: Mapping[Outcome, str] = MappingProxyType({outcome: outcome for outcome in OUTCOMES})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MetricNames:
    """The names, label names and outcome words of an operation's metrics.

    Label names set to None leave the label out. Names do not carry the namespace of the settings,
    which is put in front of them.
    """

    total: str = "operations_total"
    """Counter of operations that have ended."""

    duration: str = "operation_duration_seconds"
    """Histogram of durations in seconds."""

    in_progress: str = "operations_in_progress"
    """Gauge of operations that are running now."""

    operation: str | None = "operation"
    """Label with the operation's name."""

    outcome: str | None = "outcome"
    """Label with the word for the outcome."""

    error_type: str | None = "error_type"
    """Label of the counter with the class of the error, empty without one."""

    duration_outcome: bool = True
    """Whether the histogram, too, is told apart by outcome."""

    outcomes: Mapping[Outcome, str] = field(default_factory=lambda: _IDENTITY)
    """The word for each outcome."""

    buckets: tuple[float, ...] = DEFAULT_BUCKETS
    """Upper bounds of the histogram's buckets in seconds."""

    def __post_init__(self) -> None:
        """Check the names now rather than at the first call.

        Raises:
            DeclarationError: If a name is not one that Prometheus takes, or an outcome has no word.
        """
        _check_words(self.outcomes)
        specs = self.specs()
        if len({spec.name for spec in specs}) < len(specs):
            raise DeclarationError(
                f"total={self.total!r}, duration={self.duration!r}, in_progress="
                f"{self.in_progress!r}: each metric needs a name of its own"
            )

    @property
    def reserved(self) -> tuple[str, ...]:
        """Label names that are taken, so that an operation's own labels may not use them."""
        return tuple(name for name in (self.operation, self.outcome, self.error_type) if name)

    def specs(self) -> tuple[MetricSpec, ...]:
        """Return the families: total, duration, in progress."""
        return self.total_spec(), self.duration_spec(), self.in_progress_spec()

    def total_spec(self) -> MetricSpec:
        """Return the counter's family."""
        return MetricSpec(
            kind="counter",
            name=self.total,
            help="Operations that have ended.",
            labels=self.reserved,
        )

    def duration_spec(self) -> MetricSpec:
        """Return the histogram's family."""
        outcome = self.outcome if self.duration_outcome else None
        return MetricSpec(
            kind="histogram",
            name=self.duration,
            help="Duration of operations in seconds.",
            labels=tuple(name for name in (self.operation, outcome) if name),
            buckets=self.buckets,
        )

    def in_progress_spec(self) -> MetricSpec:
        """Return the gauge's family."""
        return MetricSpec(
            kind="gauge",
            name=self.in_progress,
            help="Operations that are running now.",
            labels=(self.operation,) if self.operation else (),
        )

    def check_labels(self, names: "tuple[str, ...]") -> None:
        """Check that an operation's own labels do not collide with these.

        Raises:
            LabelError: If one does.
        """
        taken = sorted(set(names) & {*self.reserved, "le"})
        if taken:
            raise LabelError(
                f"label {taken[0]!r} is one that every operation has: choose another name"
            )


def _check_words(outcomes: Any) -> None:
    if not isinstance(outcomes, Mapping):
        raise DeclarationError(f"outcomes={outcomes!r}: give a mapping of outcomes to words")
    missing = [outcome for outcome in OUTCOMES if not isinstance(outcomes.get(outcome), str)]
    if missing:
        raise DeclarationError(f"outcomes= has no word for {', '.join(missing)}: give each a text")


DEFAULT_NAMES = MetricNames()
