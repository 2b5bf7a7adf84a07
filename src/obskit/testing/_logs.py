"""Assertions on log lines."""

import json
import threading
from typing import TYPE_CHECKING, Any

from obskit.logs import render_json
from obskit.testing._listing import listing

if TYPE_CHECKING:
    from collections.abc import Mapping


class Logs:
    """The log lines of a test, each as the dict that its JSON is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: list[dict[str, Any]] = []

    def add(self, entry: "Mapping[str, Any]") -> None:
        """Take an entry in the form that a reader of the log would see."""
        line = json.loads(render_json(entry))
        with self._lock:
            self._lines.append(line)

    def all(self, /, **fields: Any) -> list[dict[str, Any]]:
        """Return the lines that have these fields, in the order of writing.

        Args:
            **fields: Names and values, such as ``event="charged"``.
        """
        with self._lock:
            lines = list(self._lines)
        return [line for line in lines if fields.items() <= _hashable(line, fields).items()]

    def one(self, /, **fields: Any) -> dict[str, Any]:
        """Assert that exactly one line has these fields, and return it.

        Args:
            **fields: Names and values.
        """
        found = self.all(**fields)
        if len(found) != 1:
            raise AssertionError(f"{len(found)} log lines, not 1, have {fields}" + self._listing())
        return found[0]

    def none(self, /, **fields: Any) -> None:
        """Assert that no line has these fields.

        Args:
            **fields: Names and values.
        """
        found = self.all(**fields)
        if found:
            raise AssertionError(f"{len(found)} log lines, not 0, have {fields}" + self._listing())

    def _listing(self) -> str:
        return listing("log lines", (json.dumps(line) for line in self.all()))


def _hashable(line: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    """Return only what is compared: dict views compare unhashable values one by one."""
    return {name: line[name] for name in fields if name in line}
