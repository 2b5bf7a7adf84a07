"""What is running now: the list, and the gauge that is counted from it."""

import asyncio
import dataclasses
import threading
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing
from typing import Any

import pytest
from tests.kits.emitted import Emitted, emitting, until

import obskit
from obskit import InFlight
from obskit.clock import ManualClock
from obskit.runtime import active_runtime
from obskit.testing import Observed, observing


@pytest.fixture(params=[False, True], ids=["untraced", "traced"])
def emitted(request: pytest.FixtureRequest) -> Generator[Emitted]:
    with emitting(traced=request.param) as emitted:
        yield emitted
        assert emitted.faults == []
        assert obskit.in_flight() == []


def names() -> list[str]:
    return [running.name for running in obskit.in_flight()]


def test_nothing_runs_at_first() -> None:
    assert obskit.in_flight() == []


def test_everything_about_what_runs_is_told_the_oldest_first() -> None:
    clock = ManualClock()
    with observing(clock), obskit.bound(correlation_id="abc"):
        with obskit.observe("outer", tier="l2", shop=1):
            clock.advance(2.0)
            with obskit.observe("inner"):
                clock.advance(0.5)
                assert obskit.in_flight() == [
                    InFlight(
                        name="outer",
                        labels={"tier": "l2", "shop": "1"},
                        age=2.5,
                        correlation_id="abc",
                    ),
                    InFlight(name="inner", labels={}, age=0.5, correlation_id="abc"),
                ]
            assert names() == ["outer"]
        assert names() == []


def test_what_is_told_does_not_change_later() -> None:
    with emitting(), obskit.observe("work", tier="l2"):
        (running,) = obskit.in_flight()
        with pytest.raises(dataclasses.FrozenInstanceError):
            running.age = 0.0  # type: ignore[misc] # the mistake under test
    assert (running.name, running.labels) == ("work", {"tier": "l2"})


def test_the_age_grows(emitted: Emitted) -> None:
    @obskit.observe("work")
    def work() -> None:
        ages = [obskit.in_flight()[0].age for _ in range(3)]
        assert 0 <= ages[0] <= ages[1] <= ages[2] < 60

    work()


def test_the_correlation_id_is_that_of_the_log_lines(observed: Observed) -> None:
    """Nobody has asked for one before; whoever does afterwards gets the same."""
    log = obskit.get_logger(__name__)
    with obskit.observe("outer"), obskit.observe("inner"):
        outer, inner = obskit.in_flight()
        log.info("written")
        assert obskit.correlation_id() == outer.correlation_id
    line = observed.logs.one(event="written")
    assert {outer.correlation_id, inner.correlation_id} == {line["correlation_id"]}
    assert outer.correlation_id


def test_units_of_work_have_ids_of_their_own(emitted: Emitted) -> None:
    def work(start: threading.Barrier) -> str:
        with obskit.observe("work"):
            start.wait(30)
            ids = {running.correlation_id for running in obskit.in_flight()}
            start.wait(30)
            assert len(ids) == 4
            return str(obskit.correlation_id())

    with ThreadPoolExecutor(4) as pool:
        start = threading.Barrier(4)
        assert len(set(pool.map(work, [start] * 4))) == 4


def test_decorated_calls_tell_their_labels(emitted: Emitted) -> None:
    @obskit.observe("work", labels={"kind": obskit.arg("kind"), "tier": "l2"})
    def work(kind: str) -> InFlight:
        (running,) = obskit.in_flight()
        return running

    assert work("gift").labels == {"kind": "gift", "tier": "l2"}
    assert work("self").labels == {"kind": "self", "tier": "l2"}


def test_recursion_is_one_operation_per_call(emitted: Emitted) -> None:
    @obskit.observe("down")
    def down(steps: int) -> int:
        return down(steps - 1) if steps else len(obskit.in_flight())

    assert down(4) == 5


def test_a_call_that_fails_runs_no_more(emitted: Emitted) -> None:
    @obskit.observe("work")
    def work() -> None:
        assert names() == ["work"]
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        work()
    assert names() == []


def test_a_generator_runs_until_its_last_step(emitted: Emitted) -> None:
    @obskit.observe("items")
    def items() -> Generator[int]:
        yield 1
        yield 2

    generator = items()
    assert names() == []
    next(generator)
    assert names() == ["items"]
    next(generator)
    assert names() == ["items"]
    generator.close()
    assert names() == []


@pytest.mark.anyio
async def test_an_async_generator_runs_until_it_is_closed(emitted: Emitted) -> None:
    @obskit.observe("items")
    async def items() -> AsyncGenerator[int]:
        yield 1
        yield 2

    async with aclosing(items()) as generator:
        assert names() == []
        await anext(generator)
        assert names() == ["items"]
    assert names() == []


@pytest.mark.anyio
async def test_a_watchdog_sees_what_waits(emitted: Emitted) -> None:
    release = asyncio.Event()

    @obskit.observe("wait", labels={"number": obskit.arg("number")})
    async def wait(number: int) -> None:
        await release.wait()

    async with asyncio.TaskGroup() as tasks:
        for number in range(3):
            tasks.create_task(wait(number))
        await until(lambda: len(obskit.in_flight()) == 3)
        assert [running.labels["number"] for running in obskit.in_flight()] == ["0", "1", "2"]
        release.set()
    assert names() == []


@pytest.mark.anyio
async def test_a_cancelled_coroutine_runs_no_more(emitted: Emitted) -> None:
    @obskit.observe("wait")
    async def wait() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await until(lambda: names() == ["wait"])
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert names() == []
    assert emitted.count(operation="wait", outcome="cancelled") == 1


def test_another_thread_sees_it_and_reads_do_not_disturb(emitted: Emitted) -> None:
    stop = threading.Event()
    seen: set[str] = set()

    def watch() -> None:
        while not stop.is_set():
            seen.update(names())

    @obskit.observe("work")
    def work() -> None: ...

    watchdog = threading.Thread(target=watch)
    watchdog.start()
    try:
        calls = 0
        while "work" not in seen or calls < 2_000:
            work()
            calls += 1
    finally:
        stop.set()
        watchdog.join()
    assert emitted.count(operation="work") == calls


def test_what_is_not_recorded_is_not_told(emitted: Emitted) -> None:
    with obskit.suppressed(), obskit.observe("suppressed"):
        assert names() == []
    with obskit.control.disable("off"), obskit.observe("off"):
        assert names() == []


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_gauge_counts_what_is_told(count: int, emitted: Emitted) -> None:
    @obskit.observe("work")
    def work() -> None: ...

    work()
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(obskit.observe("work"))
        assert emitted.samples("operations_in_progress", operation="work") == [count]
        assert names() == ["work"] * count
    assert emitted.samples("operations_in_progress", operation="work") == [0]


def test_it_goes_on_through_a_new_configuration_of_the_same_metrics(emitted: Emitted) -> None:
    with obskit.observe("work"):
        with emitted.configure(service="other"):
            assert names() == ["work"]
        assert names() == ["work"]


def test_each_set_of_metrics_has_its_own(emitted: Emitted) -> None:
    with obskit.observe("here"):
        with emitting(), obskit.observe("there"):
            assert names() == ["there"]
        assert names() == ["here"]


def test_without_a_configuration_it_is_told_as_well() -> None:
    with obskit.observe("work"):
        assert names() == ["work"]
    assert names() == []


def test_a_text_that_raises_does_not_hide_the_others(emitted: Emitted) -> None:
    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError

    @obskit.observe("hostile", labels={"who": obskit.arg("who")})
    def work(who: Any) -> list[str]:
        return names()

    with obskit.observe("outer"):
        assert work(Hostile()) == ["outer", "hostile"]
    assert [site for site, _ in emitted.faults] == ["metrics.label"]
    emitted.faults.clear()


def test_a_coroutine_that_is_dropped_half_way_runs_no_more(emitted: Emitted) -> None:
    @obskit.observe("work")
    async def work() -> None:
        await asyncio.sleep(0)

    coroutine = work()
    coroutine.send(None)
    assert names() == ["work"]
    del coroutine
    assert names() == []


def test_what_is_just_beginning_is_young(emitted: Emitted) -> None:
    """Whoever asks between the first step of a call and its clock's."""
    runtime = active_runtime()
    real, ages = runtime.clock, [0.0]

    class Asking:
        time = staticmethod(real.time)

        def monotonic(self) -> float:
            runtime.clock = real
            ages.extend(running.age for running in obskit.in_flight())
            runtime.clock = self
            return real.monotonic()

    runtime.clock = Asking()
    obskit.observe("work")(lambda: None)()
    runtime.clock = real
    assert max(ages) < 60
