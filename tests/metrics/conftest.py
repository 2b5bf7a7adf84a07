"""A registry, an engine and a clock for each test."""

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from obskit._guard import guard
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
    dropped = dict(default_engine.dropped_observations)
    series = dict(default_engine.dropped_series)
    yield
    default_engine.dropped_observations.update(dropped)
    default_engine.dropped_series.clear()
    default_engine.dropped_series.update(series)
