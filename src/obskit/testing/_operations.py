"""Assertions on operations."""

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from obskit.operation import OUTCOMES
from obskit.testing._listing import listing, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from obskit.operation import Operation


@dataclass(frozen=True, slots=True)
class Ended:
    """An operation as it was when it ended."""

    name: str
    outcome: str
    error_type: str
    labels: dict[str, Any]
    attributes: dict[str, Any]
    events: tuple[tuple[str, dict[str, Any]], ...]
    duration: float

    def __str__(self) -> str:
        """One line: the name, then what can be asserted."""
        parts = [self.name, f"outcome={self.outcome}"]
        if self.error_type:
            parts.append(f"error_type={self.error_type}")
        further = {"labels": self.labels, "attributes": self.attributes, "events": self.events}
        parts += [f"{what}={values}" for what, values in further.items() if values]
        return " ".join([*parts, f"duration={self.duration:.6f}"])


class Log:
    """Collects operations as they end, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended: list[Ended] = []

    def add(self, operation: "Operation") -> None:
        """Keep a copy of an operation that has just ended."""
        ended = Ended(
            name=operation.name,
            outcome=operation.outcome,
            error_type=operation.error_type,
            labels=dict(operation.labels),
            attributes=dict(operation.attributes),
            events=tuple(operation.events),
            duration=operation.duration,
        )
        with self._lock:
            self._ended.append(ended)

    def listing(self) -> str:
        """Return the end of a message that shows what has ended instead."""
        return listing("operations that have ended", self.all())

    def all(self) -> "list[Ended]":
        """Return every operation that has ended so far, in that order."""
        with self._lock:
            return list(self._ended)


class Operations:
    """The operations of one name, narrowed by what is asserted of them; every call chains.

    Args:
        name: The operation's name.
        found: Those that are still meant.
        log: All that have ended, for messages.
        asserted: What has been asserted of those that are still meant.
    """

    def __init__(
        self, name: str, found: "Sequence[Ended]", log: Log, asserted: tuple[str, ...] = ()
    ) -> None:
        self.name = name
        self.found: list[Ended] = list(found)
        self._log = log
        self._asserted = asserted

    def once(self) -> Self:
        """Assert that there was exactly one."""
        return self.times(1)

    def never(self) -> Self:
        """Assert that there was none."""
        return self.times(0)

    def times(self, count: int) -> Self:
        """Assert how many there were.

        Args:
            count: Exactly this many.
        """
        if len(self.found) != count:
            known = {ended.name for ended in self._log.all()}
            hint = "" if self.name in known else suggestion(self.name, known)
            raise AssertionError(
                f"operation {self._described()} ended {len(self.found)} times, not {count}{hint}"
                + self._log.listing()
            )
        return self

    def with_outcome(self, outcome: str) -> "Operations":
        """Assert that at least one, or the only one, ended like this.

        Args:
            outcome: ``ok``, ``error``, ``cancelled`` or ``closed``.
        """
        if outcome not in OUTCOMES:
            raise AssertionError(f"{outcome!r} is no outcome: there are {', '.join(OUTCOMES)}")
        return self._narrow(f"outcome {outcome!r}", lambda ended: ended.outcome == outcome)

    def with_error(self, error_type: str | type[BaseException]) -> "Operations":
        """Assert that at least one ended with an error of this class.

        Args:
            error_type: The class, or its qualified name.
        """
        if isinstance(error_type, type):
            error_type = error_type.__qualname__
        return self._narrow(f"error {error_type!r}", lambda ended: ended.error_type == error_type)

    def with_labels(self, /, **labels: Any) -> "Operations":
        """Assert that at least one has these labels, among others perhaps.

        Args:
            **labels: Names and values.
        """
        return self._narrow(f"labels {labels}", lambda ended: _holds(ended.labels, labels))

    def with_attributes(self, /, **attributes: Any) -> "Operations":
        """Assert that at least one has these attributes, among others perhaps.

        Args:
            **attributes: Names and values.
        """
        return self._narrow(
            f"attributes {attributes}", lambda ended: _holds(ended.attributes, attributes)
        )

    def with_event(self, name: str, /, **attributes: Any) -> "Operations":
        """Assert that at least one has such an event.

        Args:
            name: The event's name.
            **attributes: Its attributes, among others perhaps.
        """
        return self._narrow(
            f"event {name!r} {attributes}",
            lambda ended: any(
                event == name and _holds(values, attributes) for event, values in ended.events
            ),
        )

    def _narrow(self, wanted: str, holds: "Callable[[Ended], bool]") -> "Operations":
        kept = [ended for ended in self.found if holds(ended)]
        if not kept:
            raise AssertionError(
                f"no operation {self._described()} with {wanted}" + self._log.listing()
            )
        return Operations(self.name, kept, self._log, (*self._asserted, wanted))

    def _described(self) -> str:
        return " with ".join([repr(self.name), *self._asserted])


def _holds(values: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return all(name in values and values[name] == value for name, value in wanted.items())
