"""One report, several bodies: pure functions from a report to what JSON can hold.

None of them shows the text of an exception.
"""

from typing import TYPE_CHECKING

from obskit.health._report import OK

if TYPE_CHECKING:
    from obskit.health._report import CheckResult, HealthReport

Body = dict[str, object]


def full(report: "HealthReport") -> Body:
    """Status, every check with its latency in whole milliseconds, version and uptime."""
    checks = {result.name: _check(result) for result in report.checks}
    return {"status": report.status.value, "checks": checks, **version(report)}


def ready(report: "HealthReport") -> Body:
    """``ready`` or ``not_ready``, and whether each check can be relied on."""
    return {
        "status": "ready" if report.http_status == OK else "not_ready",
        "checks": {result.name: result.status.serving for result in report.checks},
    }


def live(report: "HealthReport") -> Body:
    """``alive``, or ``dead`` where the report says so."""
    return {"status": "alive" if report.http_status == OK else "dead"}


def version(report: "HealthReport") -> Body:
    """The version, where there is one, and the uptime."""
    known: Body = {} if report.version is None else {"version": report.version}
    return {**known, "uptime": uptime(report.uptime_seconds)}


def uptime(seconds: float) -> str:
    """Write a duration as Go does, in whole seconds: ``45s``, ``3m0s``, ``26h3m4s``.

    Args:
        seconds: How long.
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _check(result: "CheckResult") -> Body:
    shown: Body = {"status": result.status.value, "latency_ms": round(result.latency_ms)}
    return shown if result.code is None else {**shown, "code": result.code}
