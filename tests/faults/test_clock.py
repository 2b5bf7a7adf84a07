"""Clocks that step, go back or give no numbers: durations are refused, calls are counted."""

import math
from collections.abc import Callable, Generator

import pytest
from prometheus_client import CollectorRegistry

import obskit
from obskit._guard import Tally
from obskit.clock import ManualClock
from obskit.metrics import BATCH, default_engine
from obskit.runtime import active_runtime
from obskit.testing import observing

REFUSED = {
    "backwards": [10.0, 9.0],
    "no number": [10.0, math.nan],
    "begun at no number": [math.nan, 10.0],
    "infinite": [10.0, math.inf],
    "begun at infinity": [math.inf, 10.0],
    "infinite both times": [math.inf, math.inf],
}
"""What a clock gives at the beginning and at the end of an operation."""


class SetClock(ManualClock):
    """A clock that shows what it is set to."""

    shown = 0.0

    def monotonic(self) -> float:
        return self.shown


@pytest.fixture(autouse=True)
def _own_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count from 0 what is refused here."""
    default_engine.drain()
    monkeypatch.setattr(default_engine, "_dropped", Tally())


@pytest.fixture
def registry() -> Generator[CollectorRegistry]:
    registry = CollectorRegistry()
    with obskit.configure(registry=registry, logging="off"):
        yield registry


@pytest.fixture
def work(registry: CollectorRegistry) -> Callable[[list[float]], str]:
    """A decorated function that begins and ends at given readings of the clock."""
    clock = SetClock()
    active_runtime().clock = clock  # as a recorder would, but on the hot path

    @obskit.observe("work")
    def work(end: float) -> str:
        clock.shown = end
        return "done"

    def call(readings: list[float]) -> str:
        clock.shown = readings[0]
        return work(readings[1])

    return call


def value(registry: CollectorRegistry, name: str) -> float | None:
    labels = {"operation": "work", "outcome": "ok"}
    if name == "operations_total":
        labels["error_type"] = ""
    return registry.get_sample_value(name, labels)


@pytest.mark.parametrize("readings", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("calls", [1, 3, BATCH + 1])
def test_durations_that_make_no_sense_are_refused_and_the_calls_counted(
    registry: CollectorRegistry,
    work: Callable[[list[float]], str],
    readings: list[float],
    calls: int,
) -> None:
    assert [work(readings) for _ in range(calls)] == ["done"] * calls
    assert value(registry, "operations_total") == calls
    assert value(registry, "operation_duration_seconds_count") == 0
    assert value(registry, "operation_duration_seconds_sum") == 0
    assert default_engine.dropped_observations == {"overflow": 0, "refused": calls}


@pytest.mark.parametrize("readings", REFUSED.values(), ids=REFUSED)
def test_the_durations_beside_a_refused_one_are_recorded(
    registry: CollectorRegistry, work: Callable[[list[float]], str], readings: list[float]
) -> None:
    good = [1.0, 1.5]
    for each in (good, readings, good, readings, good):
        work(each)
    assert value(registry, "operations_total") == 5
    assert value(registry, "operation_duration_seconds_count") == 3
    assert value(registry, "operation_duration_seconds_sum") == 1.5
    assert default_engine.dropped_observations["refused"] == 2


@pytest.mark.parametrize("readings", REFUSED.values(), ids=REFUSED)
def test_an_operation_of_such_a_duration_has_its_signals_all_the_same(
    readings: list[float],
) -> None:
    clock = SetClock()
    with observing(clock) as observed:
        clock.shown = readings[0]
        with obskit.observe("work"):
            clock.shown = readings[1]
        assert observed.metrics.delta("operations_total", operation="work") == 1
        assert observed.metrics.delta("operation_duration_seconds_count", operation="work") == 0
        assert default_engine.dropped_observations["refused"] == 1
        assert observed.spans.one("work").name == "work"


@pytest.mark.parametrize("seconds", [-3600.0, 3600.0])
def test_a_step_of_the_wall_clock_is_no_duration(seconds: float) -> None:
    clock = ManualClock()
    with observing(clock) as observed:
        with obskit.observe("work"):
            clock.advance(0.25)
            clock.step(seconds)
            assert [running.age for running in obskit.in_flight()] == [0.25]
        assert observed.metrics.delta("operation_duration_seconds_sum", operation="work") == 0.25
        assert default_engine.dropped_observations["refused"] == 0


def test_the_age_of_what_runs_is_never_negative() -> None:
    clock = SetClock()
    clock.shown = 10.0
    with observing(clock), obskit.observe("work"):
        clock.shown = 3.0
        assert [running.age for running in obskit.in_flight()] == [0.0]
        clock.shown = 11.0
