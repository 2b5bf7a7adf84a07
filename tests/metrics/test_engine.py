"""The write path: nothing waits, nothing is lost without being counted."""

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from obskit.clock import ManualClock
from obskit.metrics import Counter, CounterCell, Engine, Histogram, HistogramCell, MetricSpec
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


def test_an_interrupt_during_a_fold_loses_nothing_that_follows(engine: Engine) -> None:
    def interrupt(_: Any) -> None:
        raise KeyboardInterrupt

    seen: list[int] = []
    engine.record(seen.append, 1)
    engine.record(interrupt, None)
    engine.record(seen.append, 2)
    with pytest.raises(KeyboardInterrupt):
        engine.drain()
    engine.record(seen.append, 3)
    engine.drain()
    assert seen == [1, 2, 3]


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
