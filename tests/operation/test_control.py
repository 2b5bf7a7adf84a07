"""Operations that are switched off while the program runs, and blocks in which none is recorded."""

import asyncio
import contextvars
import logging
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args

import pytest
from tests.kits.emitted import Emitted, emitting, ids

import obskit
from obskit import control
from obskit.control import SIGNALS, Signal
from obskit.errors import DeclarationError
from obskit.testing import Observed


@pytest.fixture(autouse=True)
def _all_on() -> Generator[None]:
    """Leave nothing switched off."""
    yield
    control.enable()
    assert control.disabled() == {}


@pytest.fixture
def emitted() -> Generator[Emitted]:
    with emitting(traced=True) as emitted:
        yield emitted
        assert emitted.faults == []


class BrokenError(Exception):
    """What the operations fail with."""


def _function(name: str) -> Callable[[], Any]:
    @obskit.observe(name)
    def work() -> str:
        return obskit.current().name

    return work


def _coroutine(name: str) -> Callable[[], Any]:
    @obskit.observe(name)
    async def work() -> str:
        return obskit.current().name

    return lambda: asyncio.run(work())


def _generator(name: str) -> Callable[[], Any]:
    @obskit.observe(name)
    def work() -> Generator[str]:
        yield obskit.current().name

    return lambda: next(iter([*work()]))


def _async_generator(name: str) -> Callable[[], Any]:
    @obskit.observe(name)
    async def work() -> AsyncGenerator[str]:
        yield obskit.current().name

    async def first() -> str:
        (name,) = [item async for item in work()]
        return name

    return lambda: asyncio.run(first())


def _block(name: str) -> Callable[[], Any]:
    block = obskit.observe(name)

    def work() -> str:
        with block as operation:
            return operation.name

    return work


def _new_block(name: str) -> Callable[[], Any]:
    def work() -> str:
        with obskit.observe(name) as operation:
            return operation.name

    return work


every_kind = pytest.mark.parametrize(
    "make", [_function, _coroutine, _generator, _async_generator, _block, _new_block]
)


@every_kind
def test_what_is_switched_off_runs_and_leaves_nothing(
    make: Callable[[str], Callable[[], Any]], emitted: Emitted
) -> None:
    work = make("orders.work")
    assert work() == "orders.work"
    control.disable("orders.work")
    assert work() == ""
    control.enable("orders.work")
    assert work() == "orders.work"
    assert emitted.count(operation="orders.work") == 2
    assert len(emitted.spans("orders.work")) == 2


@every_kind
def test_a_recorder_sees_nothing_of_what_is_switched_off(
    make: Callable[[str], Callable[[], Any]], observed: Observed
) -> None:
    work = make("orders.work")
    with control.disable("orders.*"):
        work()
    observed.operation("orders.work").never()
    work()
    observed.operation("orders.work").once()


def test_what_is_declared_later_is_off_as_well(emitted: Emitted) -> None:
    control.disable("orders.*")
    assert _function("orders.work")() == ""
    assert emitted.samples("operations_total", operation="orders.work") == []


@pytest.mark.parametrize("off", [{signal} for signal in get_args(Signal)], ids=min)
@pytest.mark.parametrize("fails", [False, True])
def test_each_signal_has_its_own_switch(
    off: set[Signal], fails: bool, emitted: Emitted, caplog: pytest.LogCaptureFixture
) -> None:
    @obskit.observe("work", slow=0.0, log_events=True)
    def work() -> None:
        obskit.current().event("noticed")
        if fails:
            raise BrokenError

    control.disable("work", signals=off)
    with caplog.at_level(logging.INFO):
        try:
            work()
        except BrokenError:
            assert fails
    lines = [record.getMessage() for record in caplog.records]
    said = ["noticed", "operation failed" if fails else "operation slow"]
    assert lines == ([] if "log" in off else said)
    assert emitted.count(operation="work") == (0 if "metric" in off else 1)
    assert len(emitted.spans("work")) == (0 if "span" in off else 1)
    assert obskit.in_flight() == []


def test_signals_are_switched_on_one_by_one(emitted: Emitted) -> None:
    work = _function("work")
    control.disable("work")
    control.enable("work", signals={"span"})
    work()
    assert (emitted.count(operation="work"), len(emitted.spans("work"))) == (0, 1)
    assert control.disabled() == {"work": {"metric", "log"}}
    control.enable("work", signals=["metric"])
    work()
    assert (emitted.count(operation="work"), len(emitted.spans("work"))) == (1, 2)


@pytest.mark.parametrize(
    ("pattern", "off"),
    [
        ("orders.price", {"orders.price"}),
        ("orders.*", {"orders.price", "orders.tax", "orders.[old]"}),
        ("*.t?x", {"orders.tax"}),
        ("[ab]*", {"audit"}),
        ("[!ao]*", {"Orders.price"}),
        ("Orders.*", {"Orders.price"}),
        ("orders", set()),
        ("orders.[old]", {"orders.[old]"}),
        ("*", {"orders.price", "orders.tax", "orders.[old]", "Orders.price", "audit"}),
    ],
)
def test_a_pattern_means_names_as_in_file_names(
    pattern: str, off: set[str], emitted: Emitted
) -> None:
    """A name also means itself, whatever is in it."""
    names = ["orders.price", "orders.tax", "orders.[old]", "Orders.price", "audit"]
    control.disable(pattern)
    assert {name for name in names if _function(name)() == ""} == off


def test_patterns_add_up(emitted: Emitted) -> None:
    work = _function("orders.work")
    control.disable("orders.*", signals={"metric"})
    control.disable("*.work", signals={"span", "log"})
    assert work() == ""
    control.enable("*.work")
    assert work() == "orders.work"
    assert (emitted.count(operation="orders.work"), len(emitted.spans())) == (0, 1)


def test_only_the_pattern_that_was_given_switches_on_again(emitted: Emitted) -> None:
    work = _function("orders.work")
    control.disable("orders.*")
    control.enable("orders.work")
    control.enable("never.*")
    assert work() == ""
    control.enable()
    assert work() == "orders.work"


def test_everything_is_switched_on_at_once_or_one_signal_of_it() -> None:
    control.disable("a")
    control.disable("b.*", signals={"log"})
    control.enable(signals={"log"})
    assert control.disabled() == {"a": {"metric", "span"}}
    control.enable("*")
    assert control.disabled() == {}


def test_a_switch_holds_for_a_block(emitted: Emitted) -> None:
    work = _function("work")
    with control.disable("work") as switch:
        assert isinstance(switch, control.Switch)
        assert work() == ""
    assert work() == "work"
    with pytest.raises(BrokenError), control.disable("work"):
        raise BrokenError
    assert work() == "work"


def test_a_block_does_not_switch_on_what_was_off_before() -> None:
    control.disable("work", signals={"log"})
    with control.disable("work", signals={"log", "span"}):
        with control.disable("work"):
            assert control.disabled() == {"work": SIGNALS}
        assert control.disabled() == {"work": {"log", "span"}}
    assert control.disabled() == {"work": {"log"}}


def test_what_is_switched_off_is_told_in_a_copy() -> None:
    control.disable("work")
    told = control.disabled()
    told.clear()
    assert control.disabled() == {"work": {"metric", "log", "span"}}


@pytest.mark.parametrize("pattern", ["", None, 5, b"work", ["work"]])
@pytest.mark.parametrize("switch", [control.disable, control.enable])
def test_a_pattern_is_a_text(switch: Callable[..., Any], pattern: Any) -> None:
    with pytest.raises(DeclarationError, match="give an operation's name, or a pattern"):
        switch(pattern)
    assert control.disabled() == {}


@pytest.mark.parametrize(
    "signals", ["log", ["logs"], [["log"]], 5, ["log", None], {"log": 1, 2: 3}]
)
@pytest.mark.parametrize("switch", [control.disable, control.enable])
def test_unknown_signals_are_refused_and_change_nothing(
    switch: Callable[..., Any], signals: Any
) -> None:
    with pytest.raises(DeclarationError, match="give some of log, metric, span"):
        switch("work", signals=signals)
    assert control.disabled() == {}


def test_signals_come_in_any_collection() -> None:
    control.disable("work", signals=(signal for signal in get_args(Signal)))
    assert control.disabled() == {"work": SIGNALS}
    control.enable("work", signals=["log", "log"])
    assert control.disabled() == {"work": {"metric", "span"}}
    control.enable("work", signals=())
    assert control.disabled() == {"work": {"metric", "span"}}


def test_threads_that_switch_at_the_same_time_lose_nothing() -> None:
    with ThreadPoolExecutor(8) as pool:
        signals = list(SIGNALS)
        for number in range(300):
            pool.submit(control.disable, f"p{number // 3}", signals=[signals[number % 3]])
    assert control.disabled() == {f"p{number}": SIGNALS for number in range(100)}


def test_what_runs_inside_belongs_to_the_operation_around(emitted: Emitted) -> None:
    outer, inner = obskit.observe("outer"), obskit.observe("inner")

    @obskit.observe("off")
    def off() -> None:
        obskit.current().set(seen=True)
        with inner:
            pass

    control.disable("off")
    with outer as operation:
        off()
        assert operation.attributes == {"seen": True}
    parent = emitted.span("inner").parent
    assert parent is not None
    assert parent.span_id == ids(emitted.span("outer"))[1]


def test_without_metrics_it_still_counts_as_running(emitted: Emitted) -> None:
    @obskit.observe("work")
    def work() -> list[str]:
        return [running.name for running in obskit.in_flight()]

    control.disable("work", signals={"metric"})
    assert work() == ["work"]
    control.disable("work")
    assert work() == []


def test_a_switch_outlasts_a_configuration() -> None:
    work = _function("work")
    control.disable("work")
    with emitting() as emitted:
        assert work() == ""
        control.enable("work")
        assert work() == "work"
        assert emitted.count(operation="work") == 1


# Blocks in which nothing is recorded


@every_kind
def test_what_is_suppressed_runs_and_leaves_nothing(
    make: Callable[[str], Callable[[], Any]], emitted: Emitted
) -> None:
    work = make("work")
    with obskit.suppressed():
        assert work() == ""
    assert emitted.count() == 0
    assert emitted.spans() == []
    assert work() == "work"
    assert emitted.count(operation="work") == 1


def test_errors_go_through_a_suppressed_block_unrecorded(observed: Observed) -> None:
    error = BrokenError()
    with pytest.raises(BrokenError) as raised, obskit.suppressed(), obskit.observe("work"):
        raise error
    assert raised.value is error
    observed.operation("work").never()
    assert observed.logs.all() == []
    assert observed.spans.all() == []


def test_lines_of_the_program_are_written_with_their_fields(observed: Observed) -> None:
    log = obskit.get_logger(__name__)
    with obskit.bound(tenant="acme", correlation_id="abc"):
        with obskit.suppressed(), obskit.bound(inside=1), obskit.observe("work"):
            assert obskit.correlation_id() == "abc"
            log.info("written")
        log.info("after")
    line = observed.logs.one(event="written")
    assert (line["tenant"], line["inside"], line["correlation_id"]) == ("acme", 1, "abc")
    assert "inside" not in observed.logs.one(event="after")


def test_a_suppressed_block_in_a_block_ends_only_itself(observed: Observed) -> None:
    work = _function("work")
    with obskit.suppressed():
        with obskit.suppressed():
            work()
        with obskit.bound(tenant="acme"):
            work()
        work()
    observed.operation("work").never()
    work()
    observed.operation("work").once()


def test_the_operation_around_goes_on(observed: Observed) -> None:
    with obskit.observe("outer") as operation:
        with obskit.suppressed():
            obskit.current().set(inside=True)
            obskit.current().outcome = "error"
            obskit.current().event("inside")
        assert obskit.current() is operation
        obskit.current().set(after=True)
    observed.operation("outer").once().with_outcome("ok").with_attributes(after=True)
    assert dict(observed.spans.one("outer").attributes or {}) == {"after": True}
    assert not observed.spans.one("outer").events


@pytest.mark.anyio
async def test_other_tasks_are_recorded(observed: Observed) -> None:
    inside, leave = asyncio.Event(), asyncio.Event()

    @obskit.observe("work")
    async def work() -> None:
        await asyncio.sleep(0)

    async def quiet() -> None:
        with obskit.suppressed():
            inside.set()
            await leave.wait()
            await asyncio.gather(work(), asyncio.create_task(work()))

    task = asyncio.create_task(quiet())
    await inside.wait()
    await work()
    leave.set()
    await task
    observed.operation("work").once()


def test_it_goes_into_threads_with_the_context(observed: Observed) -> None:
    work = _function("work")
    with ThreadPoolExecutor(1) as pool:
        with obskit.suppressed():
            assert pool.submit(obskit.carry(work)).result() == ""
            assert pool.submit(contextvars.copy_context().run, work).result() == ""
            assert pool.submit(work).result() == "work"
        assert pool.submit(obskit.carry(work)).result() == "work"
    observed.operation("work").times(2)


@pytest.mark.anyio
async def test_a_block_that_was_not_recorded_ends_nobody_elses(emitted: Emitted) -> None:
    """It was entered while it was switched off, inside of an operation that was not."""
    block = obskit.observe("block")
    entered = [asyncio.Event(), asyncio.Event()]
    leave = [asyncio.Event(), asyncio.Event()]

    async def work(number: int) -> None:
        with block:
            entered[number].set()
            await leave[number].wait()

    async def work_inside() -> None:
        with obskit.observe("outer"):
            await work(0)
            assert obskit.current().name == "outer"

    with obskit.control.disable("block"):
        first = asyncio.create_task(work_inside())
        await entered[0].wait()
    second = asyncio.create_task(work(1))
    await entered[1].wait()
    leave[0].set()
    await first
    assert [running.name for running in obskit.in_flight()] == ["block"]
    leave[1].set()
    await second
    assert emitted.count(operation="block") == 1
