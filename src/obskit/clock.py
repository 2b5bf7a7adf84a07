"""Time as a dependency: wall time for time stamps, monotonic time for durations."""

import time
from typing import Protocol

__all__ = ["Clock", "ManualClock", "SystemClock"]


class Clock(Protocol):
    """What obskit asks of a clock."""

    def monotonic(self) -> float:
        """Seconds on a clock that never steps back; only differences mean anything."""
        ...

    def time(self) -> float:
        """Seconds since the Unix epoch; steps when the system's clock is set."""
        ...


class SystemClock:
    """The clock of this machine.

    ``monotonic`` is `time.perf_counter`, the finest monotonic clock that Python offers.
    """

    monotonic: "staticmethod[[], float]" = staticmethod(time.perf_counter)
    time: "staticmethod[[], float]" = staticmethod(time.time)


class ManualClock:
    """A clock that moves only when told to: for tests of durations and ages.

    Args:
        start: The wall time to begin with, in seconds since the Unix epoch.
    """

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._wall = start
        self._monotonic = 0.0

    def monotonic(self) -> float:
        """Seconds advanced so far."""
        return self._monotonic

    def time(self) -> float:
        """Seconds since the Unix epoch."""
        return self._wall

    def advance(self, seconds: float) -> None:
        """Let time pass.

        Args:
            seconds: How long; never negative.

        Raises:
            ValueError: If ``seconds`` is negative; use `step` to set the wall clock back.
        """
        if seconds < 0:
            raise ValueError("time passes forwards only: use step() to set the wall clock")
        self._monotonic += seconds
        self._wall += seconds

    def step(self, seconds: float) -> None:
        """Set the wall clock forwards or back, as an administrator would; durations do not see it.

        Args:
            seconds: By how much.
        """
        self._wall += seconds
