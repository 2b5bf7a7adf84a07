"""The write path: an observation is one append; whoever fills a batch folds it.

Recording never waits. Observations go into one bounded buffer that every metric shares; the
thread whose observation finds a full batch folds it into the series, unless another thread is
folding. So a garbage collector's finaliser, a signal handler or a forked child that records in
the middle of anything cannot deadlock, and memory does not grow with the number of series.
"""

import os
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

from obskit._guard import guard
from obskit.clock import Clock, SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 512
"""Observations that wait before someone folds them."""

CAPACITY = 65_536
"""Observations that wait at most; further ones are dropped and counted."""

CROWDED = CAPACITY // 4
"""Observations that wait before those who add more let a folding thread run first."""

DRAIN_SECONDS = 1.0
"""How long a reader waits for a fold in another thread."""


class Tally(Protocol):
    """Something that an observation without a value makes one larger: a counter's series."""

    total: float


class Engine:
    """One buffer of observations and what became of those that were not kept.

    Args:
        clock: Gives the time stamps of exemplars and ``_created`` samples.

    Attributes:
        clock: The same.
        pending: Observations to fold, oldest first: a `Tally` to make one larger, or a pair of
            a function and the value to call it with. Appending to a list is atomic.
        dropped_observations: How many were not kept, by reason: ``overflow`` or ``refused``.
        dropped_series: How often a family refused a new series, by the family's name.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self.pending: list[Any] = []
        self.dropped_observations: dict[str, int] = {"overflow": 0, "refused": 0}
        self.dropped_series: dict[str, int] = {}
        self._folding = False
        self._patience = DRAIN_SECONDS
        self._lock = threading.RLock()
        _engines.add(self)

    def record(self, function: "Callable[[Any], object]", value: Any) -> None:
        """Have ``function(value)`` called soon, in order, by one thread at a time.

        Args:
            function: Changes a series; quick, and never waits for anything.
            value: Its argument.
        """
        pending = self.pending
        if len(pending) >= BATCH and not self.make_room():
            return
        pending.append((function, value))

    def make_room(self) -> bool:
        """Fold one batch if nobody else is folding.

        Someone who is may not have the processor: when many observations wait, this thread then
        yields it once, so that threads in tight loops do not overflow the buffer.

        Returns:
            Whether there is room for an observation; if not, its loss has been counted.
        """
        lock = self._lock
        if lock.acquire(blocking=False):
            try:
                self._fold(batches=1)
            finally:
                lock.release()
        elif CROWDED <= len(self.pending) < CAPACITY:
            time.sleep(0)
        if len(self.pending) < CAPACITY:
            return True
        self.dropped_observations["overflow"] += 1
        return False

    def drain(self) -> None:
        """Fold what is pending, so that a read sees it.

        Waits at most `DRAIN_SECONDS` for a fold in another thread (after one such disappointment
        not at all, until a drain succeeds again), and not at all for one that this very thread
        was interrupted in.
        """
        lock = self._lock
        if not lock.acquire(timeout=self._patience):
            self._patience = 0.0
            return
        try:
            self._patience = DRAIN_SECONDS
            self._fold(batches=len(self.pending) // BATCH + 1)
        finally:
            lock.release()

    def refuse(self) -> None:
        """Count an observation whose value makes no sense."""
        self.dropped_observations["refused"] += 1

    def refuse_series(self, family: str) -> None:
        """Count a series that a family has no room for.

        Args:
            family: The family's name.
        """
        self.dropped_series[family] = self.dropped_series.get(family, 0) + 1

    def _fold(self, batches: int) -> None:
        if self._folding:  # this thread was interrupted in a fold and records again
            return
        self._folding = True
        try:
            for _ in range(batches):
                self._fold_batch()
        finally:
            self._folding = False

    def _fold_batch(self) -> None:
        batch = self.pending[:BATCH]
        del self.pending[: len(batch)]
        entries = iter(batch)
        try:
            for entry in entries:
                try:
                    if type(entry) is tuple:
                        function, value = entry
                        function(value)
                    else:
                        entry.total += 1.0
                except Exception as error:
                    guard.report("metrics.fold", error)
        finally:
            self.pending[:0] = entries  # none, unless an interrupt such as Ctrl-C ended the loop

    def _start_afresh(self) -> None:  # pragma: no cover - runs in children only, out of its sight
        """Begin, in a forked child: what the parent has pending, the parent folds."""
        self._folding = False
        self._patience = DRAIN_SECONDS
        self._lock = threading.RLock()
        self.pending.clear()


_engines: "WeakSet[Engine]" = WeakSet()


def _start_afresh_in_child() -> None:  # pragma: no cover - the same
    for engine in _engines:
        engine._start_afresh()


os.register_at_fork(after_in_child=_start_afresh_in_child)

default_engine: Engine = Engine()
"""The process's own: every family uses it unless told otherwise."""
