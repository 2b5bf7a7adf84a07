"""The write path: nothing waits, nothing is lost without being counted."""

import gc
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obskit.clock import ManualClock
from obskit.metrics import (
    Counter,
    CounterCell,
    Engine,
    Histogram,
    HistogramCell,
    MetricSpec,
    OperationCells,
)
from obskit.metrics import _engine as engine_module
from obskit.metrics import _family as family_module
from obskit.metrics._engine import BATCH


class Finalised:
    """Calls something when it is collected."""

    def __init__(self, then: Callable[[], object]) -> None:
        self._then = then

    def __del__(self) -> None:
        self._then()


def counter(engine: Engine) -> CounterCell:
    return CounterCell(MetricSpec("counter", "orders", ""), engine)


def operations(engine: Engine) -> OperationCells:
    spec = MetricSpec("histogram", "seconds", "", buckets=(0.1, 1.0, 10.0))
    return OperationCells(counter(engine), HistogramCell(spec, engine))


class Sink:
    """Takes durations, and notes which ones."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.folds = 0

    def fold(self, durations: list[Any], /) -> None:
        self.folds += 1
        self.taken += durations


class StrikingSink(Sink):
    """A sink that something strikes in the middle of a fold, for the first time only."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self._error: BaseException | None = error

    def fold(self, durations: list[Any], /) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error
        super().fold(durations)


def held_by_another_thread(engine: Engine) -> Callable[[], None]:
    """Have another thread fold something that does not end; the result ends it."""
    inside, release = threading.Event(), threading.Event()

    def stall(_: Any) -> None:
        inside.set()
        release.wait(30)

    engine.record(stall, None)
    thread = threading.Thread(target=engine.drain)
    thread.start()
    assert inside.wait(10)

    def end() -> None:
        release.set()
        thread.join(10)
        assert not thread.is_alive()

    return end


def test_observations_are_folded_in_order_when_read(engine: Engine) -> None:
    seen: list[int] = []
    for number in range(3):
        engine.record(seen.append, number)
    assert seen == []
    engine.drain()
    assert seen == [0, 1, 2]


def test_a_full_batch_is_folded_by_whoever_finds_it(engine: Engine) -> None:
    seen: list[int] = []
    for number in range(BATCH + 1):
        engine.record(seen.append, number)
    assert seen == list(range(BATCH))


def test_a_drain_folds_more_than_a_batch(engine: Engine) -> None:
    end = held_by_another_thread(engine)
    seen: list[int] = []
    for number in range(3 * BATCH):
        engine.record(seen.append, number)
    end()
    engine.drain()
    assert seen == list(range(3 * BATCH))


def test_a_failing_fold_is_reported_and_the_rest_is_folded(
    engine: Engine, faults: list[tuple[str, Exception]]
) -> None:
    seen: list[int] = []
    engine.record(seen.append, 1)
    engine.record(int, "no number")
    engine.record(seen.append, 2)
    engine.drain()
    assert seen == [1, 2]
    assert [(site, type(error)) for site, error in faults] == [("metrics.fold", ValueError)]


def test_an_interrupt_during_a_fold_loses_nothing(engine: Engine) -> None:
    """What was struck before it had counted is folded again, in its place."""
    strikes = [KeyboardInterrupt()]
    seen: list[int] = []

    def struck(number: int) -> None:
        if strikes:
            raise strikes.pop()
        seen.append(number)

    engine.record(seen.append, 1)
    engine.record(struck, 2)
    engine.record(seen.append, 3)
    with pytest.raises(KeyboardInterrupt):
        engine.drain()
    engine.record(seen.append, 4)
    engine.drain()
    assert seen == [1, 2, 3, 4]


def test_recording_and_reading_inside_a_fold_return_at_once(engine: Engine) -> None:
    cell = counter(engine)
    seen: list[float] = []

    def again(_: Any) -> None:
        for _ in range(2 * BATCH):
            cell.inc()
        seen.append(cell.value)

    engine.record(again, None)
    engine.drain()
    assert seen == [0.0]
    assert cell.value == 2 * BATCH


def test_a_finaliser_that_records_during_a_fold_does_not_deadlock(engine: Engine) -> None:
    cell = counter(engine)

    def collect(_: Any) -> None:
        cycle: list[Any] = [Finalised(cell.inc)]
        cycle.append(cycle)
        del cycle
        gc.collect()

    for _ in range(BATCH + 10):
        engine.record(collect, None)
        if len(engine.pending) > 20:  # collections are slow: a few dozen say enough
            break
    engine.drain()
    assert cell.value == 21


def test_a_signal_handler_that_uses_the_same_counter_does_not_deadlock(engine: Engine) -> None:
    cell = counter(engine)
    handled = 0

    def handler(_number: int, _frame: object) -> None:
        nonlocal handled
        for _ in range(50):
            cell.inc()
        assert cell.value >= 0
        handled += 1

    recorded = 0
    previous = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        deadline = time.monotonic() + 20
        while handled < 200 and time.monotonic() < deadline:
            cell.inc()
            recorded += 1
            if recorded % 100 == 0:
                engine.drain()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert handled >= 200
    assert cell.value == recorded + 50 * handled


def test_eight_threads_lose_nothing(engine: Engine) -> None:
    cell = counter(engine)
    started = threading.Barrier(8)

    def work() -> None:
        started.wait(10)
        for _ in range(50_000):
            cell.inc()
            cell.inc(2)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert cell.value == 8 * 50_000 * 3
    assert engine.dropped_observations["overflow"] == 0


def test_a_full_buffer_drops_and_counts(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "CAPACITY", 2_000)
    monkeypatch.setattr(engine_module, "CROWDED", 1_500)
    end = held_by_another_thread(engine)
    cell = counter(engine)
    for _ in range(2_000):
        cell.inc()
    spec = MetricSpec("histogram", "seconds", "", ("route",))
    monkeypatch.setattr(family_module, "default_engine", engine)
    dropped: list[Callable[[], None]] = [
        cell.inc,
        lambda: cell.count(2),
        lambda: HistogramCell(spec, engine).observe(1),
        lambda: HistogramCell(spec, engine).observe_duration(1),
        Counter("orders", "", registry=None).inc,
        lambda: Histogram("seconds", "", registry=None).observe(1),
    ]
    for record in dropped:
        record()
    assert len(engine.pending) == 2_000
    end()
    assert cell.value == 2_000
    assert engine.dropped_observations == {"overflow": len(dropped), "refused": 0}


def test_a_reader_waits_for_a_fold_elsewhere_only_so_long(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "DRAIN_SECONDS", 0.05)
    engine.drain()  # a drain that succeeds sets the patience
    cell = counter(engine)
    end = held_by_another_thread(engine)
    cell.inc()
    started = time.monotonic()
    assert cell.value == 0.0
    assert time.monotonic() - started >= 0.04
    end()
    assert cell.value == 1.0


def test_many_readers_of_a_stuck_engine_wait_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "DRAIN_SECONDS", 0.2)
    engine.drain()
    end = held_by_another_thread(engine)
    started = time.monotonic()
    for _ in range(100):
        engine.drain()
    assert time.monotonic() - started < 5  # not 100 times 0.2
    end()


def test_durations_are_folded_together_by_sink_and_in_order(engine: Engine) -> None:
    sinks = [Sink(), Sink(), Sink()]
    for number in range(BATCH):
        engine.record_duration(sinks[number % 3], number)
    assert [sink.folds for sink in sinks] == [0, 0, 0]
    engine.drain()
    assert [sink.folds for sink in sinks] == [1, 1, 1]
    for first, sink in enumerate(sinks):
        assert sink.taken == list(range(first, BATCH, 3))


def test_a_full_batch_of_durations_is_folded_by_whoever_finds_it(engine: Engine) -> None:
    sink = Sink()
    for number in range(BATCH + 1):
        engine.record_duration(sink, number)
    assert (sink.taken, sink.folds) == (list(range(BATCH)), 1)


def test_a_drain_folds_more_than_a_batch_of_durations(engine: Engine) -> None:
    end = held_by_another_thread(engine)
    sink = Sink()
    for number in range(3 * BATCH):
        engine.record_duration(sink, number)
    end()
    engine.drain()
    assert sink.taken == list(range(3 * BATCH))


def test_a_full_buffer_of_durations_drops_and_counts(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "CAPACITY", 2_000)
    monkeypatch.setattr(engine_module, "CROWDED", 1_500)
    end = held_by_another_thread(engine)
    cells = operations(engine)
    for _ in range(2_005):
        engine.record_duration(cells, 1.0)
    assert len(engine.durations) == 2_000
    end()
    assert (cells.total.value, cells.duration.value) == (2_000, 2_000)
    assert engine.dropped_observations == {"overflow": 5, "refused": 0}


def test_a_failing_sink_is_reported_and_the_others_are_folded(
    engine: Engine, faults: list[tuple[str, Exception]]
) -> None:
    sinks = [Sink(), StrikingSink(ValueError()), Sink()]
    for sink in sinks:
        engine.record_duration(sink, 1.0)
    engine.drain()
    assert [sink.taken for sink in sinks] == [[1.0], [], [1.0]]
    assert [(site, type(error)) for site, error in faults] == [("metrics.fold", ValueError)]


@pytest.mark.parametrize("struck", [0, 1, 2])
def test_an_interrupt_during_a_fold_of_durations_loses_nothing(engine: Engine, struck: int) -> None:
    """Neither those of other sinks, nor those of the one whose fold has not begun to count."""
    sinks = [Sink(), Sink(), Sink()]
    sinks[struck] = StrikingSink(KeyboardInterrupt())
    for number in range(30):
        engine.record_duration(sinks[number % 3], number)
    with pytest.raises(KeyboardInterrupt):
        engine.drain()
    for number in range(30, 60):
        engine.record_duration(sinks[number % 3], number)
    engine.drain()
    for first, sink in enumerate(sinks):
        assert sink.taken == list(range(first, 60, 3))


def test_recording_and_reading_inside_a_fold_of_durations_return_at_once(engine: Engine) -> None:
    cells = operations(engine)
    seen: list[float] = []

    class Recording(Sink):
        def fold(self, durations: list[Any], /) -> None:
            for _ in range(2 * BATCH):
                engine.record_duration(cells, 0.5)
            seen.append(cells.total.value)

    engine.record_duration(Recording(), 1.0)
    engine.drain()
    assert seen == [0.0]
    assert (cells.total.value, cells.duration.value) == (2 * BATCH, 2 * BATCH)


@given(
    st.lists(
        st.floats(0, 20)
        | st.sampled_from([0.1, 1.0, 10.0, -0.0, 1e308, -1.0, math.inf, -math.inf, math.nan]),
        max_size=40,
    )
)
def test_a_batch_counts_what_its_durations_count_one_by_one(durations: list[float]) -> None:
    """Refused values among them, wherever they stand; each call is counted all the same."""
    together, apart = Engine(ManualClock()), Engine(ManualClock())
    cells, single = operations(together), operations(apart)
    for seconds in durations:
        together.record_duration(cells, seconds)
        single.duration.observe_duration(seconds)
    together.drain()
    apart.drain()
    assert cells.total.value == len(durations)
    assert cells.duration.counts == single.duration.counts
    assert cells.duration.sum == pytest.approx(single.duration.sum)
    assert together.dropped_observations == apart.dropped_observations


def exit_status(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def in_child(work: Callable[[], bool]) -> int:
    """Exit status of a forked child: 0 if the work says so; it is ended after 20 seconds."""
    child = os.fork()
    if child:
        return exit_status(child)
    signal.alarm(20)
    status = 1
    try:
        status = 0 if work() else 2
    finally:
        os._exit(status)


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_child_leaves_what_is_pending_to_its_parent(engine: Engine) -> None:
    cell = counter(engine)
    cell.inc(5)
    engine.drain()
    cell.inc(100)

    def work() -> bool:
        cell.inc(2)
        return cell.value == 7

    assert in_child(work) == 0
    assert cell.value == 105


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_child_leaves_the_durations_that_are_pending_to_its_parent(engine: Engine) -> None:
    cells = operations(engine)
    engine.record_duration(cells, 1.0)
    engine.drain()
    for _ in range(100):
        engine.record_duration(cells, 1.0)

    def work() -> bool:
        engine.record_duration(cells, 1.0)
        return (cells.total.value, cells.duration.value) == (2, 2)

    assert in_child(work) == 0
    assert (cells.total.value, cells.duration.value) == (101, 101)


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_child_forked_while_threads_record_counts_on(engine: Engine) -> None:
    cell = counter(engine)
    stop = threading.Event()

    def record() -> None:
        sys.settrace(None)  # a tracer's own lock, held at the fork, is not the subject
        while not stop.is_set():
            cell.inc()

    def work() -> bool:
        before = cell.value
        for _ in range(3 * BATCH):
            cell.inc()
        return cell.value == before + 3 * BATCH and engine.dropped_observations["overflow"] == 0

    threads = [threading.Thread(target=record) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        statuses = [in_child(work) for _ in range(25)]
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)
    assert statuses == [0] * 25


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_child_forked_during_a_fold_elsewhere_counts_on(engine: Engine) -> None:
    cell = counter(engine)
    end = held_by_another_thread(engine)

    def work() -> bool:
        cell.inc()
        return cell.value == 1

    try:
        assert in_child(work) == 0
    finally:
        end()


def test_an_engine_without_a_clock_takes_the_systems() -> None:
    assert abs(Engine().clock.time() - time.time()) < 60


def test_an_engine_is_forgotten_when_nobody_uses_it(clock: ManualClock) -> None:
    before = len(engine_module._engines)
    engine = Engine(clock)
    assert len(engine_module._engines) == before + 1
    del engine
    gc.collect()
    assert len(engine_module._engines) <= before
