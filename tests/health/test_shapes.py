"""The bodies, as the guides show them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.health import CheckResult, HealthReport, Status, _shapes

GOOD = HealthReport(
    status=Status.HEALTHY,
    checks=(
        CheckResult("postgres", Status.HEALTHY, latency_ms=2.3),
        CheckResult("clickhouse", Status.HEALTHY, latency_ms=4.9),
        CheckResult("redis", Status.HEALTHY, latency_ms=0.7),
    ),
    version="1.0.0",
    uptime_seconds=2 * 3600 + 15 * 60 + 30.9,
    http_status=200,
)
BAD = HealthReport(
    status=Status.UNHEALTHY,
    checks=(
        CheckResult("database", Status.UNHEALTHY, "refused", latency_ms=3.0),
        CheckResult("redis", Status.DEGRADED, latency_ms=900.0),
        CheckResult("zoho", Status.UNKNOWN, "cancelled", critical=False),
    ),
    version=None,
    uptime_seconds=0.2,
    http_status=503,
)


def test_the_full_body() -> None:
    assert _shapes.full(GOOD) == {
        "status": "healthy",
        "checks": {
            "postgres": {"status": "healthy", "latency_ms": 2},
            "clickhouse": {"status": "healthy", "latency_ms": 5},
            "redis": {"status": "healthy", "latency_ms": 1},
        },
        "version": "1.0.0",
        "uptime": "2h15m30s",
    }


def test_the_full_body_gives_codes_and_leaves_out_an_unknown_version() -> None:
    assert _shapes.full(BAD) == {
        "status": "unhealthy",
        "checks": {
            "database": {"status": "unhealthy", "latency_ms": 3, "code": "refused"},
            "redis": {"status": "degraded", "latency_ms": 900},
            "zoho": {"status": "unknown", "latency_ms": 0, "code": "cancelled"},
        },
        "uptime": "0s",
    }


def test_the_ready_body() -> None:
    assert _shapes.ready(GOOD) == {
        "status": "ready",
        "checks": {"postgres": True, "clickhouse": True, "redis": True},
    }
    assert _shapes.ready(BAD) == {
        "status": "not_ready",
        "checks": {"database": False, "redis": True, "zoho": False},
    }


def test_the_live_body_agrees_with_the_report() -> None:
    assert _shapes.live(GOOD) == {"status": "alive"}
    assert _shapes.live(BAD) == {"status": "dead"}


def test_the_version_body() -> None:
    assert _shapes.version(GOOD) == {"version": "1.0.0", "uptime": "2h15m30s"}
    assert _shapes.version(BAD) == {"uptime": "0s"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (45.9, "45s"), (60, "1m0s"), (180, "3m0s"), (3600, "1h0m0s"), (93784, "26h3m4s")],
)
def test_uptime_is_written_as_go_does(seconds: float, text: str) -> None:
    assert _shapes.uptime(seconds) == text


@given(st.floats(min_value=0, max_value=1e9))
def test_uptime_can_be_read_back(seconds: float) -> None:
    units = re.fullmatch(r"(?:(?:(\d+)h)?(\d+)m)?(\d+)s", _shapes.uptime(seconds))

    assert units is not None
    hours, minutes, rest = (int(unit or 0) for unit in units.groups())
    assert hours * 3600 + minutes * 60 + rest == int(seconds)
    assert minutes < 60
    assert rest < 60
