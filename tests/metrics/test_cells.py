"""The series that operations write to."""

import math

import pytest

from obskit.clock import ManualClock
from obskit.metrics import CounterCell, Engine, GaugeCell, HistogramCell, MetricSpec

HISTOGRAM = MetricSpec("histogram", "seconds", "", buckets=(0.1, 1.0))


@pytest.mark.parametrize("seconds", [-0.1, -math.inf, math.inf, math.nan])
def test_a_duration_that_makes_no_sense_is_refused_and_counted(
    engine: Engine, seconds: float
) -> None:
    cell = HistogramCell(HISTOGRAM, engine)
    cell.observe_duration(seconds)
    cell.observe_duration(0.0)
    assert cell.value == 1.0
    assert cell.sum == 0.0
    assert engine.dropped_observations["refused"] == 1


@pytest.mark.parametrize("amount", [-1, math.inf, math.nan])
def test_an_amount_that_makes_no_sense_is_refused_and_counted(
    engine: Engine, amount: float
) -> None:
    cell = CounterCell(MetricSpec("counter", "bytes", ""), engine)
    cell.count(amount)
    cell.count(3)
    assert cell.value == 3.0
    assert engine.dropped_observations["refused"] == 1


def test_a_histogram_counts_what_is_on_a_bound_below_it(engine: Engine) -> None:
    cell = HistogramCell(HISTOGRAM, engine)
    for amount in (0.1, 0.1000001, 1.0, 2.0):
        cell.observe(amount)
    assert cell.value == 4.0
    assert cell.counts == [1, 2, 1]


def test_durations_fill_batches_like_everything_else(engine: Engine) -> None:
    cell = HistogramCell(HISTOGRAM, engine)
    for _ in range(2_000):
        cell.observe_duration(0.5)
    assert cell.value == 2_000.0
    assert cell.sum == 1_000.0


def test_a_gauge_moves_and_stands(engine: Engine) -> None:
    cell = GaugeCell(MetricSpec("gauge", "level", ""), engine)
    cell.set(4.0)
    cell.inc(2)
    cell.dec()
    assert cell.value == 5.0
    cell.function = lambda: 9
    assert cell.value == 9.0


def test_a_cell_knows_when_it_began(engine: Engine, clock: ManualClock) -> None:
    clock.advance(10)
    assert CounterCell(MetricSpec("counter", "a", ""), engine).created == clock.time()
