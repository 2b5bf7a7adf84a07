"""Telemetry never breaks the host: faults of ours are swallowed, counted and said once a minute.

Every place that runs in a host's call reports here instead of raising::

    try:
        ...
    except Exception as error:
        guard.report("operation.finish", error)

``BaseException`` that is not an ``Exception`` (KeyboardInterrupt, SystemExit, CancelledError,
GeneratorExit) belongs to the host and is never swallowed.
"""

import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

SECONDS_BETWEEN_LINES = 60.0
"""At most one log line per site and this many seconds."""


class Guard:
    """Counts faults per site; ``obskit_internal_errors_total`` shows the counts."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._said: dict[str, float] = {}
        self._recordings: list[list[tuple[str, Exception]]] = []
        self._inside = threading.local()

    def report(self, site: str, error: Exception) -> None:
        """Count a fault and, now and then, log it. Never raises an ``Exception``.

        Args:
            site: The place, one of a small fixed set of names: it becomes a label value.
            error: What went wrong.
        """
        self.counts[site] = self.counts.get(site, 0) + 1
        for recording in self._recordings:
            recording.append((site, error))
        if getattr(self._inside, "reporting", False):
            return
        self._inside.reporting = True
        try:
            self._say(site, error)
        except Exception:  # noqa: S110 - the fault is counted; there is nobody left to tell
            pass
        finally:
            self._inside.reporting = False

    @contextmanager
    def recording(self) -> "Generator[list[tuple[str, Exception]]]":
        """Also keep the faults themselves while the block runs: for test suites."""
        faults: list[tuple[str, Exception]] = []
        self._recordings.append(faults)
        try:
            yield faults
        finally:
            self._recordings = [kept for kept in self._recordings if kept is not faults]

    def _say(self, site: str, error: Exception) -> None:
        now = time.monotonic()
        last = self._said.get(site)
        if last is not None and now - last < SECONDS_BETWEEN_LINES:
            return
        self._said[site] = now
        logging.getLogger("obskit.internal").warning(
            "obskit had an internal error in %s and went on: %s", site, type(error).__name__
        )


guard = Guard()
"""The process's own: faults are counted wherever they happen, configured or not."""
