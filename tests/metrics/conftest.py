"""A registry, an engine and a clock for each test."""

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from obskit._guard import Tally, guard
from obskit.clock import ManualClock
from obskit.metrics import Engine, default_engine


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def engine(clock: ManualClock) -> Engine:
    return Engine(clock)


@pytest.fixture
def faults() -> Iterator[list[tuple[str, Exception]]]:
    """Faults reported while the test runs, for it to look at."""
    with guard.recording() as recorded:
        yield recorded


@pytest.fixture(autouse=True)
def _kept_counts() -> Iterator[None]:
    """No test sees another one's losses."""
    kept = default_engine._dropped, default_engine._refused_series
    default_engine._dropped, default_engine._refused_series = Tally(), Tally()
    yield
    default_engine._dropped, default_engine._refused_series = kept
