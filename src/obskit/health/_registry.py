"""The registry that a service imports: checks in, reports out."""

import asyncio
from typing import TYPE_CHECKING, TypeVar

from obskit._threads import Locked
from obskit.clock import SystemClock
from obskit.errors import DeclarationError, DuplicateError
from obskit.health._check import READY, Check, probe_names, validate_name, validate_timeout
from obskit.health._report import OK, UNAVAILABLE, HealthReport, overall
from obskit.health._runner import Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from obskit.clock import Clock
    from obskit.health._report import CheckResult

F = TypeVar("F", bound="Callable[[], object]")


class HealthRegistry(Locked):
    """The checks of one process, and the probes that ask them.

    Args:
        version: The version of the service, shown in reports.
        clock: The time; the system's by default. Timeouts always pass in real time.
        timeout: Seconds that a run of a check may take, where the check does not say.

    Raises:
        DeclarationError: If ``timeout`` is not a positive finite number, or ``version`` no text.
    """

    def __init__(
        self, *, version: str | None = None, clock: "Clock | None" = None, timeout: float = 2.0
    ) -> None:
        super().__init__()
        if not isinstance(version, str | None):
            raise DeclarationError(
                f"the health registry has version {version!r}: use a text such as '1.0.0', or None"
            )
        validate_timeout("the health registry", timeout)
        self._version = version
        self._clock = SystemClock() if clock is None else clock
        self._timeout = timeout
        self._started = self._clock.monotonic()
        self._runners: dict[str, Runner] = {}

    def check(
        self,
        name: str,
        *,
        timeout: float | None = None,
        critical: bool = True,
        probes: "str | Iterable[str]" = READY,
    ) -> "Callable[[F], F]":
        """Register the decorated function; it stays what it was.

        Args:
            name: Names it in bodies and logs: letters, digits, ``.``, ``_`` and ``-``.
            timeout: Seconds that one run may take; the registry's by default.
            critical: Whether the process cannot serve without it: if not, it only degrades.
            probes: The probes that run it besides the health probe, which runs every check:
                ``"ready"``, or ``()`` for none.

        Raises:
            DuplicateError: If the name is taken.
            DeclarationError: If an argument is not what it should be.
        """
        validate_name(name)

        def register(function: F) -> F:
            self.add(name, function, timeout=timeout, critical=critical, probes=probes)
            return function

        return register

    def add(
        self,
        name: str,
        function: "Callable[[], object]",
        *,
        timeout: float | None = None,
        critical: bool = True,
        probes: "str | Iterable[str]" = READY,
    ) -> None:
        """Register a function: plain, async, or a plain one that returns an awaitable.

        Args:
            name: As `check` takes it.
            function: Takes nothing. Coroutine functions are called on the event loop, all others
                on a daemon thread; an awaitable that they return is awaited on the loop.
            timeout: As `check` takes it.
            critical: As `check` takes it.
            probes: As `check` takes it.

        Raises:
            DuplicateError: If the name is taken.
            DeclarationError: If an argument is not what it should be.
        """
        seconds = self._timeout if timeout is None else timeout
        check = Check(name, function, seconds, critical, probe_names(name, probes))
        with self._lock:
            if name in self._runners:
                raise DuplicateError(f"check {name!r} exists: remove it first or take another name")
            self._runners = {**self._runners, name: Runner(check, self._clock)}

    def remove(self, name: str) -> None:
        """Take a check out; a run in flight ends by itself.

        Args:
            name: The check.

        Raises:
            DeclarationError: If there is none of that name.
        """
        with self._lock:
            if name not in self._runners:
                known = ", ".join(sorted(self._runners)) or "none"
                raise DeclarationError(f"no check {name!r} to remove; known are: {known}")
            self._runners = {key: kept for key, kept in self._runners.items() if key != name}

    async def live(self) -> HealthReport:
        """Answer the liveness probe: the loop runs. Never asks a dependency."""
        return self._report(())

    async def ready(self) -> HealthReport:
        """Answer the readiness probe: 503 when a critical check is unhealthy or unknown."""
        return await self._ask([r for r in self._runners.values() if READY in r.check.probes])

    async def report(self) -> HealthReport:
        """Answer the health probe: every check, whichever probes it is for."""
        return await self._ask(self._runners.values())

    async def _ask(self, runners: "Iterable[Runner]") -> HealthReport:
        return self._report(await asyncio.gather(*(runner.run() for runner in runners)))

    def _report(self, checks: "Iterable[CheckResult]") -> HealthReport:
        results = tuple(checks)
        status = overall(results)
        return HealthReport(
            status=status,
            checks=results,
            version=self._version,
            uptime_seconds=self._clock.monotonic() - self._started,
            http_status=OK if status.serving else UNAVAILABLE,
        )
