"""Runs one check, at most once at a time, and says when its status changes."""

import logging
from typing import TYPE_CHECKING

from obskit._guard import guard
from obskit._threads import Locked
from obskit.health._report import Status
from obskit.health._run import Run

if TYPE_CHECKING:
    from obskit.clock import Clock
    from obskit.health._check import Check
    from obskit.health._report import CheckResult
    from obskit.health._verdict import Verdict

logger = logging.getLogger("obskit.health")


class Runner(Locked):
    """What is known of one check while the process lives.

    Args:
        check: The declaration.
        clock: Measures latencies.
    """

    def __init__(self, check: "Check", clock: "Clock") -> None:
        super().__init__()
        self.check = check
        self._clock = clock
        self._run: Run | None = None
        self._status: Status | None = None
        self._said_odd = False

    async def run(self) -> "CheckResult":
        """Run the check, or wait for the run that is in flight.

        Returns:
            The result, within the check's timeout.
        """
        return await self._join().answer()

    def _join(self) -> Run:
        with self._lock:
            if self._run is not None and self._run.in_flight:
                return self._run
            run = self._run = Run(self.check, self._clock, self._record)
        run.start()
        return run

    def _record(self, result: "CheckResult", verdict: "Verdict") -> None:
        with self._lock:
            previous, self._status = self._status, result.status
            odd = verdict.odd_type is not None and not self._said_odd
            self._said_odd = self._said_odd or odd
        try:
            if odd:
                _log_odd(result, verdict)
            if previous is not result.status:
                _log_transition(result, verdict, previous)
        except Exception as error:
            guard.report("health.record", error)


def _log_odd(result: "CheckResult", verdict: "Verdict") -> None:
    logger.warning(
        "health check %s returned a %s, taken as %s: return None, a bool or a Status",
        result.name,
        verdict.odd_type,
        result.status.value,
        extra={"check": result.name},
    )


def _log_transition(result: "CheckResult", verdict: "Verdict", previous: Status | None) -> None:
    level = logging.INFO if result.status is Status.HEALTHY else logging.WARNING
    extra = {
        "check": result.name,
        "status": result.status.value,
        "previous": previous and previous.value,
        "code": result.code,
        "error_type": verdict.error_type,
    }
    why = "" if result.code is None else f" ({result.code})"
    logger.log(level, "health check %s is %s%s", result.name, result.status.value, why, extra=extra)
