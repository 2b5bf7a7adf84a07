"""The operation in progress, or one that stands in where there is none."""

from typing import Any

from obskit.context import current_context
from obskit.operation._operation import Operation
from obskit.operation._outcome import Outcome


class NoOperation(Operation):
    """Stands in where no operation is in progress: whatever is done to it is forgotten."""

    __slots__ = ()

    def __init__(self) -> None:
        self.name = ""
        self.labels = {}

    def set(self, /, **attributes: Any) -> None:
        """Do nothing."""

    def event(self, name: str, /, **attributes: Any) -> None:
        """Do nothing."""

    def enter(self) -> None:
        """Do nothing."""

    def leave(self) -> None:
        """Do nothing."""

    def suspend(self) -> None:
        """Do nothing."""

    def end(self, error: BaseException | None = None) -> None:
        """Do nothing."""

    @property
    def outcome(self) -> Outcome:
        """Always ``ok``."""
        return "ok"

    @outcome.setter
    def outcome(self, outcome: Outcome) -> None:
        """Do nothing."""


def current() -> Operation:
    """Return the innermost operation in progress, or one that forgets everything."""
    record = current_context.get()
    operation: Operation | None = None if record is None else record.operation
    return NO_OPERATION if operation is None else operation


NO_OPERATION = NoOperation()
"""The one that `current` returns where there is none."""
