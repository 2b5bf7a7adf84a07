"""Timers, trackers and exception counters, around blocks and on callables of every kind."""

import asyncio
import gc
import inspect
import threading
import types
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from contextlib import AsyncExitStack, ExitStack, aclosing, contextmanager, suppress
from typing import Any
from unittest.mock import patch

import pytest
from prometheus_client import CollectorRegistry
from tests.kits.callable_table import KINDS
from tests.kits.callables import Kind
from tests.kits.nature import check_nature
from tests.kits.torture import Subject, check_calls

from obskit.clock import ManualClock
from obskit.errors import DeclarationError, LabelError
from obskit.metrics import Counter, Gauge, Histogram, Summary, default_engine


class Probe:
    """One metric of each measure, on a clock of its own."""

    def __init__(self, clock: ManualClock) -> None:
        self.registry = CollectorRegistry()
        self.clock = clock
        self.seconds = Histogram("seconds", "", registry=self.registry, buckets=(1, 5, 10))
        self.inside = Gauge("inside", "", registry=self.registry)
        self.errors = Counter("errors", "", registry=self.registry)

    def decorate(self, function: Any) -> Any:
        """Put all three on a callable."""
        timed = self.seconds.time()(function)
        return self.errors.count_exceptions(self.inside.track_inprogress()(timed))

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    @property
    def counts(self) -> tuple[float | None, float | None, float | None]:
        """Calls timed, calls running and exceptions seen."""
        return self.value("seconds_count"), self.value("inside"), self.value("errors_total")


@pytest.fixture
def probe(clock: ManualClock) -> Iterator[Probe]:
    with patch.object(default_engine, "clock", clock):
        yield Probe(clock)


every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@every_kind
def test_every_kind_of_callable_is_measured_and_nothing_else_changes(
    kind: Kind, probe: Probe, faults: list[tuple[str, Exception]]
) -> None:
    def ended() -> dict[str, int]:
        timed, _, errors = (int(count or 0) for count in probe.counts)
        return {"ok": timed - errors, "error": errors}

    subject = Subject(
        decorate=probe.decorate,
        ended=ended,
        running=lambda: [probe.value("inside")] if probe.value("inside") else [],
        faults=lambda: faults,
        outcome=lambda error: "error" if isinstance(error, Exception) else "ok",
    )
    check_calls(kind, subject)


@pytest.mark.parametrize(
    "kind",
    [kind for kind in KINDS if kind.parameter and "callable object" not in kind.name],
    ids=lambda kind: kind.name,
)
@pytest.mark.parametrize("measure", ["time", "track_inprogress", "count_exceptions"])
def test_every_kind_of_callable_stays_what_it_is(kind: Kind, measure: str, probe: Probe) -> None:
    measures: dict[str, Callable[[Any], Any]] = {
        "time": probe.seconds.time(),
        "track_inprogress": probe.inside.track_inprogress(),
        "count_exceptions": probe.errors.count_exceptions,
    }
    check_nature(kind, measures[measure])


def test_a_coroutine_is_timed_until_it_returns(probe: Probe) -> None:
    @probe.seconds.time()
    async def work() -> None:
        await asyncio.sleep(0)
        probe.clock.advance(7)

    coroutine = work()
    probe.clock.advance(100)
    asyncio.run(coroutine)
    assert probe.value("seconds_sum") == 7.0


def test_a_cancelled_coroutine_is_timed_and_is_no_exception(probe: Probe) -> None:
    every = Counter("every", "", registry=probe.registry)

    @probe.decorate
    @every.count_exceptions(BaseException)
    async def work() -> None:
        probe.clock.advance(2)
        await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        assert probe.value("inside") == 1.0
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(main())
    assert probe.counts == (1.0, 0.0, 0.0)
    assert probe.value("seconds_sum") == 2.0
    assert probe.value("every_total") == 1.0


def test_concurrent_calls_of_one_coroutine_function_are_timed_apart(probe: Probe) -> None:
    first, second = asyncio.Event(), asyncio.Event()

    @probe.decorate
    async def work(event: asyncio.Event) -> None:
        await event.wait()

    async def main() -> None:
        one = asyncio.create_task(work(first))
        await asyncio.sleep(0)
        probe.clock.advance(4)
        two = asyncio.create_task(work(second))
        await asyncio.sleep(0)
        assert probe.value("inside") == 2.0
        first.set()
        await one
        probe.clock.advance(0.5)
        second.set()
        await two

    asyncio.run(main())
    assert probe.value("seconds_bucket", le="1.0") == 1.0
    assert probe.value("seconds_sum") == 4.5


def test_a_generator_passes_everything_through(probe: Probe) -> None:
    @probe.decorate
    def work() -> Generator[Any, Any, str]:
        probe.clock.advance(1)
        try:
            got = yield "first"
        except KeyError as error:
            got = error
        yield got
        return "end"

    generator = work()
    assert probe.counts == (0.0, 0.0, 0.0)
    assert next(generator) == "first"
    probe.clock.advance(1)
    assert probe.counts == (0.0, 1.0, 0.0)
    assert generator.send("sent") == "sent"
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert stop.value.value == "end"
    assert probe.counts == (1.0, 0.0, 0.0)
    assert probe.value("seconds_sum") == 2.0
    error = KeyError()
    thrown = work()
    next(thrown)
    assert thrown.throw(error) is error


def test_a_generator_dropped_early_is_timed_and_is_no_exception(probe: Probe) -> None:
    closings = Counter("closings", "", registry=probe.registry)
    closed: list[str] = []

    @closings.count_exceptions(GeneratorExit)
    @probe.decorate
    def work() -> Generator[int]:
        try:
            yield 1
        finally:
            closed.append("inner")

    generator = work()
    next(generator)
    generator.close()
    assert closed == ["inner"]
    dropped = work()
    next(dropped)
    del dropped
    gc.collect()
    assert closed == ["inner", "inner"]
    assert probe.counts == (2.0, 0.0, 0.0)
    assert probe.value("closings_total") == 2.0


def test_a_generator_closes_with_the_value_of_the_bare_one(probe: Probe) -> None:
    def work() -> Generator[int, None, str]:
        try:
            yield 1
        except GeneratorExit:
            return "closed"
        return "end"

    def closing(function: Callable[[], Generator[int, None, str]]) -> object:
        generator = function()
        next(generator)
        return generator.close()  # type: ignore[func-returns-value] # it does since Python 3.13

    assert closing(probe.decorate(work)) == closing(work)


def test_an_exception_thrown_into_a_generator_keeps_nothing_alive(probe: Probe) -> None:
    class Held:
        """Something that only the generator's arguments hold."""

    @probe.seconds.time()
    def work(held: Held) -> Generator[int]:
        yield 1

    def throw() -> "weakref.ref[Held]":
        held = Held()
        generator = work(held)
        next(generator)
        with suppress(KeyError):
            generator.throw(KeyError())
        return weakref.ref(held)

    gc.disable()
    try:
        assert throw()() is None
    finally:
        gc.enable()


def test_an_async_generator_passes_everything_through(probe: Probe) -> None:
    @probe.decorate
    async def work() -> AsyncGenerator[Any, Any]:
        try:
            got = yield "first"
        except KeyError as error:
            got = error
        probe.clock.advance(1)
        yield got

    async def main() -> None:
        generator = work()
        assert await anext(generator) == "first"
        assert probe.counts == (0.0, 1.0, 0.0)
        assert await generator.asend("sent") == "sent"
        with pytest.raises(StopAsyncIteration):
            await anext(generator)
        error = KeyError()
        thrown = work()
        await anext(thrown)
        assert await thrown.athrow(error) is error
        await thrown.aclose()

    asyncio.run(main())
    assert probe.counts == (2.0, 0.0, 0.0)
    assert probe.value("seconds_sum") == 2.0


@pytest.mark.parametrize("closed", [True, False])
def test_an_async_generator_left_early_is_timed_and_closed_once(closed: bool, probe: Probe) -> None:
    ends: list[str] = []

    @probe.decorate
    async def work() -> AsyncGenerator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            ends.append("inner")

    kept: list[Any] = []

    async def main() -> None:
        generator = work()
        kept.append(generator)
        if closed:
            async with aclosing(generator):
                await anext(generator)
        else:
            await anext(generator)  # the event loop closes it at its end

    asyncio.run(main())
    assert ends == ["inner"]
    assert probe.counts == (1.0, 0.0, 0.0)


def test_an_awaitable_generator_stays_one(probe: Probe) -> None:
    @probe.decorate
    @types.coroutine
    def work() -> Generator[None, None, str]:
        yield
        return "end"

    async def main() -> Any:
        return await work()

    assert inspect.isawaitable(work())
    assert asyncio.run(main()) == "end"
    assert probe.counts == (1.0, 0.0, 0.0)


@pytest.mark.parametrize("thing", [3, int, None])
def test_what_is_no_function_is_refused(thing: Any, probe: Probe) -> None:
    for decorate in (probe.seconds.time(), probe.inside.track_inprogress()):
        with pytest.raises(DeclarationError, match="is no function") as caught:
            decorate(thing)
        assert isinstance(caught.value, TypeError)


def test_exceptions_of_other_classes_are_not_counted(probe: Probe) -> None:
    several: list[Any] = [KeyError, (OSError, KeyError), KeyError | OSError]
    for exceptions in several:
        for raised in (ValueError, KeyError):
            with suppress(Exception), probe.errors.count_exceptions(exceptions):
                raise raised
    assert probe.value("errors_total") == 3.0


@pytest.mark.parametrize("exception", ["KeyError", 3, None, (KeyError, "x")])
def test_what_is_no_exception_is_refused_at_once(exception: Any, probe: Probe) -> None:
    with pytest.raises(DeclarationError, match="counter:errors takes an exception's class"):
        probe.errors.count_exceptions(exception)


def test_an_exception_counter_needs_no_parentheses(probe: Probe) -> None:
    class Worker:
        @probe.errors.count_exceptions
        @classmethod
        def work(cls) -> None:
            raise KeyError

    with pytest.raises(KeyError):
        Worker.work()
    assert probe.value("errors_total") == 1.0


def test_a_timer_tells_the_duration(probe: Probe) -> None:
    timer = probe.seconds.time()
    assert timer.duration is None
    with timer as block:
        probe.clock.advance(3)
        assert block.duration is None
    assert block.duration == timer.duration == 3.0


def test_a_clock_that_goes_back_gives_no_negative_duration(probe: Probe) -> None:
    with probe.seconds.time():
        probe.clock._monotonic -= 5
    assert probe.value("seconds_sum") == 0.0


def test_blocks_of_one_timer_nest(probe: Probe) -> None:
    timer = probe.seconds.time()
    with timer as outer:
        probe.clock.advance(1)
        with timer as inner:
            probe.clock.advance(2)
        with timer as second:
            probe.clock.advance(4)
    assert (outer.duration, inner.duration, second.duration) == (7.0, 2.0, 4.0)
    assert not timer._running


def test_blocks_of_one_timer_recur(probe: Probe) -> None:
    timer = probe.seconds.time()
    durations: list[float | None] = []

    def work(depth: int) -> None:
        with timer as block:
            probe.clock.advance(1)
            if depth:
                work(depth - 1)
        durations.append(block.duration)

    work(3)
    assert durations == [1.0, 2.0, 3.0, 4.0]


def test_blocks_of_one_timer_overlap_in_tasks(probe: Probe) -> None:
    timer = probe.seconds.time()
    events = asyncio.Event(), asyncio.Event()

    async def work(event: asyncio.Event) -> float | None:
        with timer as block:
            await event.wait()
        return block.duration

    async def main() -> list[float | None]:
        first = asyncio.create_task(work(events[0]))
        await asyncio.sleep(0)
        probe.clock.advance(5)
        second = asyncio.create_task(work(events[1]))
        await asyncio.sleep(0)
        probe.clock.advance(1)
        events[0].set()
        await first
        probe.clock.advance(1)
        events[1].set()
        return [await first, await second]

    assert asyncio.run(main()) == [6.0, 2.0]


def test_blocks_of_one_timer_overlap_in_generators(probe: Probe) -> None:
    timer = probe.seconds.time()

    def work() -> Generator[None, None, float | None]:
        with timer as block:
            yield
        return block.duration

    first, second = work(), work()
    next(first)
    probe.clock.advance(5)
    next(second)
    probe.clock.advance(1)
    for generator, duration in ((first, 6.0), (second, 1.0)):
        with pytest.raises(StopIteration) as stop:
            next(generator)
        assert stop.value.value == duration


def test_blocks_of_one_timer_overlap_in_threads(probe: Probe) -> None:
    timer = probe.seconds.time()
    durations: dict[int, float | None] = {}
    entered, leave = threading.Barrier(5), [threading.Event() for _ in range(4)]

    def work(number: int) -> None:
        with timer as block:
            entered.wait(10)
            leave[number].wait(10)
        durations[number] = block.duration

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    entered.wait(10)
    for number, thread in enumerate(threads):
        probe.clock.advance(1)
        leave[number].set()
        thread.join(10)
    assert durations == {0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0}


def test_a_timer_works_in_exit_stacks(probe: Probe) -> None:
    timer = probe.seconds.time()
    with ExitStack() as stack:
        block = stack.enter_context(timer)
        probe.clock.advance(1)
        with timer as inner:
            probe.clock.advance(2)
    assert (block.duration, inner.duration) == (3.0, 2.0)

    async def main() -> None:
        async with AsyncExitStack() as stack:
            stack.enter_context(timer)
            probe.clock.advance(4)

    asyncio.run(main())
    assert timer.duration == 4.0
    assert not timer._running


def test_a_timer_may_be_labelled_until_it_ends(clock: ManualClock) -> None:
    with patch.object(default_engine, "clock", clock):
        registry = CollectorRegistry()
        seconds = Summary("seconds", "", ["route"], registry=registry)
        with seconds.time() as block:
            clock.advance(2)
            block.labels("/a")
        timer = seconds.time()
        with timer:
            clock.advance(3)
            timer.labels(route="/b")
        shared = seconds.time()
        for route in ("/c", "/d"):  # a block's own choice leaves the next one free
            with shared as block:
                block.labels(route)
    for route, total in {"/a": 2.0, "/b": 3.0, "/c": 0.0, "/d": 0.0}.items():
        assert registry.get_sample_value("seconds_sum", {"route": route}) == total


def test_a_timer_without_labels_says_so_and_never_hides_the_hosts_exception(
    faults: list[tuple[str, Exception]],
) -> None:
    seconds = Summary("seconds", "", ["route"], registry=None)
    with pytest.raises(LabelError, match="missing label values"), seconds.time():
        pass
    with pytest.raises(LabelError, match="missing label values"):
        seconds.time()(len)
    with pytest.raises(KeyError), seconds.time():
        raise KeyError
    assert [site for site, _ in faults] == ["metrics.timer"]


def test_a_gauge_takes_the_latest_duration(probe: Probe) -> None:
    last = Gauge("last", "", registry=probe.registry)

    @last.time()
    def work(seconds: float) -> None:
        probe.clock.advance(seconds)

    work(2)
    work(1)
    assert probe.value("last") == 1.0


def test_a_measure_may_decorate_many(probe: Probe) -> None:
    timer = probe.seconds.time()

    @contextmanager
    @timer
    def manager() -> Generator[None]:
        yield

    async def awaited(awaitable: Awaitable[int]) -> int:
        return await awaitable

    with manager():
        pass
    assert timer(lambda: 1)() == 1
    assert asyncio.run(timer(awaited)(asyncio.sleep(0, 2))) == 2
    assert probe.value("seconds_count") == 3.0
