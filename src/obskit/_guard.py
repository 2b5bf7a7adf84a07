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
import os
import signal
import threading
import time
import traceback
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

from obskit.errors import ObskitError

if TYPE_CHECKING:
    from collections.abc import Generator

SECONDS_BETWEEN_LINES = 60.0
"""At most one log line per site (per text, for obskit's own errors) and this many seconds."""

LINES_REMEMBERED = 1000
"""Different lines whose time is known; beyond them the oldest is forgotten."""

BATCH = 512
"""Additions to `Tally` that wait before someone sums them up."""


class Tally:
    """Counts by name: exact under any number of threads, and an addition never waits.

    An addition is one append; whoever finds a batch of them sums it up, unless another thread
    is at it. So a signal handler or a finaliser may count in the middle of anything.
    """

    def __init__(self) -> None:
        self._pending: deque[tuple[str, int]] = deque()
        self._sums: dict[str, int] = {}
        self.renew()

    def renew(self) -> None:
        """Make the lock anew: in a forked child, who held it may not be there."""
        self._lock = threading.Lock()

    def add(self, name: str, amount: int = 1) -> None:
        """Count something.

        Args:
            name: One of a small fixed set: it becomes a label value.
            amount: How often it happened.
        """
        self._pending.append((name, amount))
        if len(self._pending) >= BATCH:
            self._sum_up()

    def counts(self) -> dict[str, int]:
        """Return the counts, without what another thread is summing up at this moment."""
        self._sum_up()
        return self._sums.copy()

    def _sum_up(self) -> None:
        lock = self._lock
        if not lock.acquire(blocking=False):
            return
        try:
            while self._pending:
                name, amount = self._pending.popleft()
                self._sums[name] = self._sums.get(name, 0) + amount
        finally:
            lock.release()


class Guard:
    """Counts faults per site; ``obskit_internal_errors_total`` shows the counts.

    Attributes:
        dropped_spans: Spans that were not sent, by reason; ``obskit_dropped_spans_total``.
    """

    def __init__(self) -> None:
        self.dropped_spans: Tally = Tally()
        self._faults = Tally()
        self._said: dict[str, float] = {}
        self._recordings: list[list[tuple[str, Exception]]] = []
        self._inside = threading.local()

    @property
    def counts(self) -> dict[str, int]:
        """Faults so far, by site."""
        return self._faults.counts()

    def renew(self) -> None:
        """Make the locks anew, in a forked child."""
        self._faults.renew()
        self.dropped_spans.renew()

    def report(self, site: str, error: Exception) -> None:
        """Count a fault and, now and then, log it.

        What a signal handler of the host has raised into code of ours (a time limit, say) is no
        fault: it goes on to the host, as it would from the host's own code.

        The line has the message of an error of obskit's own, which tells what to do about it,
        and only the type of any other, whose message may hold the host's data.

        Args:
            site: The place, one of a small fixed set of names: it becomes a label value.
            error: What went wrong.

        Raises:
            Exception: The error itself, if a signal handler has raised it.
        """
        if _is_from_signal_handler(error):
            raise error
        self._faults.add(site)
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
        own = isinstance(error, ObskitError)
        text = f"{type(error).__name__}: {error}" if own else type(error).__name__
        if self._was_said(f"{site}: {text}" if own else site):
            return
        logging.getLogger("obskit.internal").warning(
            "obskit had an internal error in %s and went on: %s", site, text
        )

    def _was_said(self, line: str) -> bool:
        """Tell whether a line was written less than a minute ago; it is, from now on."""
        now = time.monotonic()
        last = self._said.get(line)
        if last is not None and now - last < SECONDS_BETWEEN_LINES:
            return True
        self._said.pop(line, None)
        self._said[line] = now
        if len(self._said) > LINES_REMEMBERED:
            self._said.pop(next(iter(self._said)), None)
        return False


def _is_from_signal_handler(error: Exception) -> bool:
    if threading.current_thread() is not threading.main_thread():
        return False  # Python runs signal handlers in the main thread only
    codes = {frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)}
    handlers = map(signal.getsignal, signal.valid_signals())
    return any(getattr(handler, "__code__", None) in codes for handler in handlers)


guard = Guard()
"""The process's own: faults are counted wherever they happen, configured or not."""

os.register_at_fork(after_in_child=guard.renew)
