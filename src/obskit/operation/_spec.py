"""What is declared once about an operation."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from obskit.errors import DeclarationError
from obskit.metrics import check_label_names
from obskit.operation._names import DEFAULT_NAMES, MetricNames

if TYPE_CHECKING:
    from collections.abc import Callable

    from obskit.operation._outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationSpec:
    """An operation as it was declared.

    Raises:
        DeclarationError: If a part of it is not usable; the message names the part.
    """

    name: str
    """Fixed and low in cardinality."""

    logger: str
    """The logger under which it logs."""

    labels: tuple[str, ...] = ()
    """Names of its own labels; their values come with each operation and should be few."""

    outcome: "Callable[[Any, BaseException | None], Outcome | None] | None" = None
    """Tells the outcome from the result and the error; None leaves it to the default."""

    slow: float | None = None
    """Seconds from which on an operation is logged as slow."""

    log_events: bool = False
    """Whether events are log lines, too."""

    names: MetricNames = DEFAULT_NAMES
    """How its metrics are called."""

    def __post_init__(self) -> None:
        """Check every part, so that nothing is found out at the first call."""
        _check_name(self.name)
        if not isinstance(self.names, MetricNames):
            raise DeclarationError(f"operation {self.name!r}: names= takes a MetricNames")
        check_label_names(self.labels, f"operation {self.name!r}")
        self.names.check_labels(self.labels)
        if self.slow is not None:
            _check_seconds(self.name, self.slow)
        if self.outcome is not None and not callable(self.outcome):
            raise DeclarationError(
                f"operation {self.name!r}: outcome= takes a function of (result, error)"
            )


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > 200:  # noqa: PLR2004 - a label value, not a text
        raise DeclarationError(
            f"operation name {name!r}: give a fixed text of 1 to 200 printable characters"
        )


def _check_seconds(name: str, seconds: Any) -> None:
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not number or not math.isfinite(seconds) or seconds < 0:
        raise DeclarationError(f"operation {name!r}: slow={seconds!r} is not a number of seconds")
