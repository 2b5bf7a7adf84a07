"""Classes of errors as label values."""

from obskit.metrics import OTHER

MAXIMUM_ERROR_TYPES = 50
"""Classes of errors that one instrument tells apart in metrics; further ones are ``other``."""


class ErrorTypes:
    """The classes of errors that are told apart: those that came first."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def bounded(self, error_type: str) -> str:
        """Return a class's name, or ``other`` when there are too many.

        Args:
            error_type: The name; empty for no error.
        """
        if error_type in self._known or not error_type:
            return error_type
        if len(self._known) >= MAXIMUM_ERROR_TYPES:
            return OTHER
        self._known.add(error_type)
        return error_type
