"""What a probe answers: the result of each check and the report they add up to."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

OK = 200
UNAVAILABLE = 503


class Status(StrEnum):
    """How a check, or the process as a whole, is doing."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"

    @property
    def serving(self) -> bool:
        """Whether work can still be done in this state: healthy or degraded."""
        return self in (Status.HEALTHY, Status.DEGRADED)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome of one run of one check.

    Attributes:
        name: The check.
        status: What the run found.
        code: Why it is not healthy, where an exception or the timeout says so: ``timeout``,
            ``refused``, ``dns``, ``auth``, ``cancelled`` (its event loop went away) or ``error``.
        latency_ms: How long the run took until it was answered, in milliseconds.
        critical: Whether the process cannot serve without it.
    """

    name: str
    status: Status
    code: str | None = None
    latency_ms: float = 0.0
    critical: bool = True


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The answer of one probe.

    Attributes:
        status: The process as a whole, as `overall` adds up the checks.
        checks: One result per check that the probe asked, in the order of registration.
        version: The version of the service, where it was given.
        uptime_seconds: Seconds since the registry was made, on the monotonic clock.
        http_status: What an HTTP endpoint answers: 200, or 503 to be sent no traffic.
    """

    status: Status
    checks: tuple[CheckResult, ...]
    version: str | None
    uptime_seconds: float
    http_status: int


def overall(checks: "Sequence[CheckResult]") -> Status:
    """Add up results: a critical check can fail the whole, any other can only degrade it.

    Args:
        checks: The results; none at all are healthy.

    Returns:
        The worst status of the critical checks if it is unhealthy or unknown, else ``degraded``
        when any check is not healthy, else ``healthy``.
    """
    everything = {result.status for result in checks}
    critical = {result.status for result in checks if result.critical}
    for status in (Status.UNHEALTHY, Status.UNKNOWN):
        if status in critical:
            return status
    return Status.HEALTHY if everything <= {Status.HEALTHY} else Status.DEGRADED
