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

from obskit._guard import Tally, guard
from obskit.clock import Clock, SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 256
"""Observations that wait before someone folds them: few enough that no call is slow by it."""

CAPACITY = 65_536
"""Observations that wait at most; further ones are dropped and counted."""

CROWDED = CAPACITY // 4
"""Observations that wait before those who add more let a folding thread run first."""

DRAIN_SECONDS = 1.0
"""How long a reader waits for a fold in another thread."""


class DurationSink(Protocol):
    """Something that takes durations: the series of operations that ended in the same way."""

    def fold(self, durations: list[Any], /) -> None:
        """Record durations in the order in which they came.

        Args:
            durations: Seconds, or what the sink takes in their place.
        """
        ...


class Engine:
    """One buffer of observations and what became of those that were not kept.

    Args:
        clock: Gives the time stamps of exemplars and ``_created`` samples.

    Attributes:
        clock: The same.
        pending: Observations to fold, oldest first: a counter's series whose ``total`` becomes one
            larger, or a pair of a function and the value to call it with. Appending to a list is
            atomic.
        durations: Ended operations to fold, oldest first: pairs of a `DurationSink` and what it
            takes, usually seconds.
            They are apart from the others because a batch of them is folded sink by sink.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self.pending: list[Any] = []
        self.durations: list[tuple[DurationSink, Any]] = []
        self._dropped = Tally()
        self._refused_series = Tally()
        self._folding = False
        self._patience = DRAIN_SECONDS
        self._lock = threading.RLock()
        _engines.add(self)

    @property
    def dropped_observations(self) -> dict[str, int]:
        """How many observations were not kept, by reason: ``overflow`` or ``refused``."""
        return {"overflow": 0, "refused": 0, **self._dropped.counts()}

    @property
    def dropped_series(self) -> dict[str, int]:
        """How often a family refused a new series, by the family's name."""
        return self._refused_series.counts()

    def record(self, function: "Callable[[Any], object]", value: Any) -> None:
        """Have ``function(value)`` called soon, in order, by one thread at a time.

        Args:
            function: Changes a series; quick, and never waits for anything.
            value: Its argument.
        """
        pending = self.pending
        if len(pending) < BATCH or self.make_room():
            pending.append((function, value))

    def record_duration(self, sink: DurationSink, seconds: Any) -> None:
        """Record how long an operation took.

        Args:
            sink: The series of operations that ended like it.
            seconds: What the sink takes; negative or not finite: refused, and counted as such.
        """
        durations = self.durations
        if len(durations) < BATCH or self._make_room_in(durations):
            durations.append((sink, seconds))

    def make_room(self) -> bool:
        """Fold one batch if nobody else is folding.

        Someone who is may not have the processor: when many observations wait, this thread then
        yields it once, so that threads in tight loops do not overflow the buffer.

        Returns:
            Whether there is room for an observation; if not, its loss has been counted.
        """
        return self._make_room_in(self.pending)

    def _make_room_in(self, waiting: list[Any]) -> bool:
        lock = self._lock
        try:
            if lock.acquire(blocking=False):
                self._fold(batches=1)
            elif CROWDED <= len(waiting) < CAPACITY:
                time.sleep(0)
        finally:  # not to ask whether it was acquired: a signal may strike before that is known
            try:
                lock.release()
            except RuntimeError:
                pass
        if len(waiting) < CAPACITY:
            return True
        self._dropped.add("overflow")
        return False

    def drain(self) -> None:
        """Fold what is pending, so that a read sees it.

        Waits at most `DRAIN_SECONDS` for a fold in another thread (after one such disappointment
        not at all, until a drain succeeds again), and not at all for one that this very thread
        was interrupted in.
        """
        lock = self._lock
        try:
            if lock.acquire(timeout=self._patience):
                self._patience = DRAIN_SECONDS
                self._fold(batches=max(len(self.pending), len(self.durations)) // BATCH + 1)
            else:
                self._patience = 0.0
        finally:  # not to ask whether it was acquired: a signal may strike before that is known
            try:
                lock.release()
            except RuntimeError:
                pass

    def refuse(self, observations: int = 1) -> None:
        """Count observations whose values make no sense."""
        self._dropped.add("refused", observations)

    def refuse_series(self, family: str) -> None:
        """Count a series that a family has no room for.

        Args:
            family: The family's name.
        """
        self._refused_series.add(family)

    def _fold(self, batches: int) -> None:
        if self._folding:  # this thread was interrupted in a fold and records again
            return
        self._folding = True
        try:
            for _ in range(batches):
                self._fold_observations()
                self._fold_durations()
        finally:
            self._folding = False

    # A signal handler may raise at any call, at the beginning of any function and at the end of
    # any round of a loop, and nowhere else. What these two methods call changes its state in one
    # go, after its last call: so an entry that was struck has not been counted, and is put back.

    def _fold_observations(self) -> None:
        batch = self.pending[:BATCH]
        entries, entry = iter(batch), None
        count = len(batch)
        del self.pending[:count]
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
                entry = None  # noqa: PLW2901 - it is counted, and not to be put back
        finally:
            if entry is not None:
                self.pending[:0] = [entry, *entries]
            else:
                self.pending[:0] = entries  # none, unless the loop was struck

    def _fold_durations(self) -> None:
        batch = self.durations[:BATCH]
        sinks: dict[DurationSink, list[Any]] = {}
        for sink, seconds in batch:
            try:
                sinks[sink].append(seconds)
            except KeyError:
                sinks[sink] = [seconds]
        count = len(batch)
        del self.durations[:count]
        try:
            for sink in list(sinks):
                try:
                    sink.fold(sinks[sink])
                except Exception as error:
                    guard.report("metrics.fold", error)
                del sinks[sink]
        finally:
            if sinks:
                self.durations[:0] = [(sink, value) for sink in sinks for value in sinks[sink]]

    def _start_afresh(self) -> None:  # pragma: no cover - runs in children only, out of its sight
        """Begin, in a forked child: what the parent has pending, the parent folds."""
        self._folding = False
        self._patience = DRAIN_SECONDS
        self._lock = threading.RLock()
        self.pending.clear()
        self.durations.clear()
        self._dropped.renew()
        self._refused_series.renew()


_engines: "WeakSet[Engine]" = WeakSet()


def _start_afresh_in_child() -> None:  # pragma: no cover - the same
    for engine in _engines:
        engine._start_afresh()


os.register_at_fork(after_in_child=_start_afresh_in_child)

default_engine: Engine = Engine()
"""The process's own: every family uses it unless told otherwise."""
