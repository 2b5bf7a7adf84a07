"""Operations where nothing records them: they take a shorter way, and nobody may notice."""

import asyncio
import logging
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.kits.emitted import Emitted, emitting, until

import obskit
from obskit import arg
from obskit.clock import ManualClock
from obskit.context import current_context
from obskit.metrics import BATCH
from obskit.runtime import active_runtime
from obskit.testing import observing


@pytest.fixture(params=[False, True], ids=["untraced", "traced"])
def emitted(request: pytest.FixtureRequest) -> Generator[Emitted]:
    with emitting(traced=request.param) as emitted:
        yield emitted
        assert emitted.faults == []
        assert obskit.in_flight() == []
        assert current_context.get() is None


class BrokenError(Exception):
    """What operations fail with."""


def judged(result: Any, error: BaseException | None) -> Any:
    return "cancelled" if result == "told" else None


DECLARATIONS: dict[str, dict[str, Any]] = {
    "bare": {},
    "fixed label": {"labels": {"kind": "fixed"}},
    "label from the call": {"labels": {"kind": arg("kind")}},
    "bounded label": {"labels": {"kind": arg("kind", one_of=("plain", "told"))}},
    "attribute": {"attributes": {"kind": arg("kind")}},
    "both": {"labels": {"kind": arg("kind"), "tier": "l2"}, "attributes": {"kind": arg("kind")}},
    "never slow": {"slow": 3600},
    "always slow": {"slow": 0.0},
    "with events": {"log_events": True},
    "judged": {"outcome": judged},
}


def body(kind: str) -> str:
    if kind == "fails":
        raise BrokenError
    if kind == "told":
        obskit.current().outcome = "closed"
    if kind == "described":
        obskit.current().set(rows=1)
        obskit.current().event("noticed")
    return kind


def decorated(declaration: dict[str, Any], colour: str) -> Callable[[str], str]:
    observe = obskit.observe("work", **declaration)
    if colour == "sync":
        return observe(body)

    @observe
    async def work(kind: str) -> str:
        await asyncio.sleep(0)
        return body(kind)

    return lambda kind: asyncio.run(work(kind))


KINDS = ("plain", "fails", "told", "described")


def call(work: Callable[[str], str]) -> None:
    """Call a function in each way: twice, since a first call may be special."""
    for kind in (*KINDS, *KINDS):
        try:
            assert work(kind) == kind
        except BrokenError:
            assert kind == "fails"


def samples(registry: Any) -> dict[Any, float]:
    """Return what is counted: outcomes, and how many durations; nothing that is zero."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name in {"operations_total", "operation_duration_seconds_count"} and sample.value
    }


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("declaration", DECLARATIONS)
def test_the_same_is_counted_with_and_without_a_recorder(
    declaration: str, colour: str, emitted: Emitted, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        call(decorated(DECLARATIONS[declaration], colour))
        lines = [record.getMessage() for record in caplog.records]
    counted = samples(emitted.registry)
    assert sum(counted.values()) == 2 * len(KINDS) * 2
    with observing() as observed:
        call(decorated(DECLARATIONS[declaration], colour))
        assert samples(observed.registry) == counted
        assert [line["event"] for line in observed.logs.all()] == lines


def test_what_there_is_to_know_inside_is_there(emitted: Emitted) -> None:
    @obskit.observe("work", labels={"kind": arg("kind")}, attributes={"order": arg("order")})
    def work(kind: str, order: int) -> None:
        operation = obskit.current()
        assert operation.name == "work"
        assert operation.labels == {"kind": "gift"}
        assert operation.attributes == {"order": 7}
        assert (operation.events, operation.outcome, operation.error) == ([], "ok", None)
        assert operation.started > 0
        assert operation.parent is None

    work("gift", 7)


@pytest.mark.parametrize("calls", [BATCH - 1, BATCH, BATCH + 1, 5 * BATCH + 3])
def test_every_call_is_counted_however_many_there_are(calls: int, emitted: Emitted) -> None:
    @obskit.observe("work", labels={"parity": arg("parity")})
    def work(parity: int) -> None: ...

    for number in range(calls):
        work(number % 2)
    assert emitted.count(operation="work", parity="0") == (calls + 1) // 2
    assert emitted.count(operation="work", parity="1") == calls // 2
    assert sum(emitted.samples("operation_duration_seconds_count", operation="work")) == calls


# Lines


@pytest.mark.parametrize(("seconds", "slow"), [(0.99, False), (1.0, True), (1.5, True)])
def test_a_call_is_slow_from_the_threshold_on(
    seconds: float, slow: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with emitting() as emitted:
        active_runtime().clock = clock = ManualClock()

        @obskit.observe("work", slow=1.0, labels={"tier": "l2"}, attributes={"order": arg("order")})
        def work(order: int) -> None:
            clock.advance(seconds)

        work(7)
        lines = [vars(record) for record in caplog.records]
        assert [line["msg"] for line in lines] == ["operation slow"] * slow
        for line in lines:
            assert (line["order"], line["tier"], line["duration_ms"]) == (7, "l2", seconds * 1000)
            assert line["slow_threshold_ms"] == 1000
        assert emitted.samples("operation_duration_seconds_sum", tier="l2") == [seconds]
        assert emitted.faults == []


def test_the_line_of_a_failure_has_the_attributes(
    emitted: Emitted, caplog: pytest.LogCaptureFixture
) -> None:
    @obskit.observe("work", labels={"tier": "l2"}, attributes={"order": arg("order")})
    def work(order: int) -> None:
        obskit.current().set(rows=3)
        raise BrokenError

    with pytest.raises(BrokenError):
        work(order=7)
    (line,) = [vars(record) for record in caplog.records]
    assert (line["msg"], line["levelname"]) == ("operation failed", "ERROR")
    assert (line["order"], line["rows"], line["tier"]) == (7, 3, "l2")
    assert (line["outcome"], line["error_type"]) == ("error", "BrokenError")


def test_an_error_that_passes_several_is_logged_by_the_innermost(
    emitted: Emitted, caplog: pytest.LogCaptureFixture
) -> None:
    @obskit.observe("inner")
    def inner() -> None:
        raise BrokenError

    @obskit.observe("outer")
    def outer() -> None:
        inner()

    with pytest.raises(BrokenError):
        outer()
    assert [vars(record)["operation"] for record in caplog.records] == ["inner"]
    for name in ("inner", "outer"):
        assert emitted.count(operation=name, outcome="error") == 1


# Other configurations


def counts(*configurations: Emitted, **labels: str) -> list[int]:
    """Return how many operations each has counted: it shows them while it is configured."""
    found: list[int] = []
    for emitted in configurations:
        with emitted.configure():
            found.append(emitted.count(**labels))
    return found


def test_a_call_is_counted_where_it_began(emitted: Emitted) -> None:
    """Though something else is configured when it ends; the next one is counted there."""

    @obskit.observe("work")
    def work(configure: Callable[[], Any]) -> None:
        configure()

    later = Emitted(emitted.faults)
    work(later.configure)
    assert counts(emitted, later, operation="work") == [1, 0]
    work(lambda: None)
    assert counts(emitted, later, operation="work") == [1, 1]
    later.provider.shutdown()


@pytest.mark.anyio
async def test_a_coroutine_is_counted_where_it_began(emitted: Emitted) -> None:
    @obskit.observe("work", labels={"kind": arg("kind")})
    async def work(kind: str, release: asyncio.Event) -> None:
        await release.wait()

    release, later = asyncio.Event(), Emitted(emitted.faults)
    first = asyncio.create_task(work("first", release))
    await asyncio.sleep(0)
    later.configure()
    assert obskit.in_flight() == []
    second = asyncio.create_task(work("second", release))
    await asyncio.sleep(0)
    assert [running.labels["kind"] for running in obskit.in_flight()] == ["second"]
    release.set()
    await asyncio.gather(first, second)
    assert counts(emitted, later, kind="first") == [1, 0]
    assert counts(emitted, later, kind="second") == [0, 1]
    later.provider.shutdown()


def test_a_generator_is_counted_where_it_began(emitted: Emitted) -> None:
    @obskit.observe("items")
    def items() -> Generator[int]:
        yield 1
        yield 2

    generator, later = items(), Emitted(emitted.faults)
    next(generator)
    later.configure()
    list(generator)
    assert counts(emitted, later, operation="items") == [1, 0]
    later.provider.shutdown()


def test_tracing_begins_and_ends_with_the_configuration(emitted: Emitted) -> None:
    @obskit.observe("work")
    def work() -> None: ...

    others = Emitted(emitted.faults)
    with others.configure(tracing=others.provider):
        work()
    with others.configure():
        work()
    with others.configure(tracing=others.provider):
        work()
    assert len(others.spans("work")) == 2
    assert counts(others, operation="work") == [3]
    others.provider.shutdown()


def test_a_recorder_sees_calls_of_what_was_used_before(emitted: Emitted) -> None:
    @obskit.observe("work")
    def work() -> None: ...

    work()
    with observing() as observed:
        work()
        observed.operation("work").once()
    work()
    assert emitted.count(operation="work") == 2


def test_before_and_after_a_configuration_calls_work() -> None:
    @obskit.observe("work", labels={"kind": arg("kind")})
    def work(kind: str) -> str:
        return obskit.current().name

    assert work("a") == "work"
    with emitting() as emitted:
        assert work("a") == "work"
    assert work("a") == "work"
    assert counts(emitted, operation="work") == [1]


def test_calls_beside_new_configurations_are_all_counted_once() -> None:
    """Threads call while another one configures: each call belongs to one of the two."""

    @obskit.observe("work", labels={"number": arg("number")})
    def work(number: int) -> None: ...

    stop = threading.Event()

    def call_often() -> int:
        calls = 0
        while not stop.is_set():
            work(calls % 3)
            calls += 1
        return calls

    with emitting() as first, emitting(namespace="other") as second:
        with ThreadPoolExecutor(2) as pool:
            threads = [pool.submit(call_often) for _ in range(2)]
            for _ in range(20):
                first.configure()
                second.configure(namespace="other")
            stop.set()
        calls = sum(thread.result() for thread in threads)
        counted = sum(second.samples("other_operations_total", operation="work"))
        assert counted + sum(counts(first, operation="work")) == calls
        assert first.faults == second.faults == []


# Faults


class FailingClock(ManualClock):
    """A clock that fails when it is asked for the nth time."""

    def __init__(self, failing: int, error: type[BaseException]) -> None:
        super().__init__()
        self.asked = 0
        self._failing, self._error = failing, error

    def monotonic(self) -> float:
        self.asked += 1
        if self.asked == self._failing:
            raise self._error
        return super().monotonic()


@pytest.mark.parametrize(("failing", "site"), [(1, "operation.begin"), (2, "operation.end")])
@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("traced", [False, True])
def test_a_fault_at_the_beginning_or_the_end_changes_no_call(
    failing: int, site: str, colour: str, traced: bool
) -> None:
    with emitting(traced=traced) as emitted:
        active_runtime().clock = clock = FailingClock(failing, RuntimeError)
        work = decorated({}, colour)
        assert work("plain") == "plain"
        assert [where for where, _ in emitted.faults] == [site]
        assert obskit.in_flight() == []
        assert current_context.get() is None
        assert work("plain") == "plain"
        assert clock.asked >= 3
        assert len(emitted.faults) == 1


@pytest.mark.parametrize("failing", [1, 2])
@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("traced", [False, True])
def test_ctrl_c_in_the_middle_of_telemetry_leaves_nothing_behind(
    failing: int, colour: str, traced: bool
) -> None:
    with emitting(traced=traced) as emitted:
        active_runtime().clock = FailingClock(failing, KeyboardInterrupt)
        work = decorated({}, colour)
        with pytest.raises(KeyboardInterrupt):
            work("plain")
        assert obskit.in_flight() == []
        assert current_context.get() is None
        assert emitted.faults == []


def test_an_operation_that_is_kept_does_nothing_after_its_end(emitted: Emitted) -> None:
    @obskit.observe("work")
    def work() -> obskit.Operation:
        return obskit.current()

    with obskit.observe("outer"):
        operation = work()
    operation.set(late=1)
    operation.outcome = "error"
    operation.event("late")
    assert operation.parent is None
    assert emitted.count(operation="work", outcome="ok") == 1
    assert active_runtime().store.told == set()


@pytest.mark.anyio
async def test_a_task_that_is_left_behind_is_still_of_that_unit_of_work(emitted: Emitted) -> None:
    @obskit.observe("work")
    async def work() -> "asyncio.Task[str | None]":
        obskit.bind(order=7)
        return asyncio.create_task(later())

    async def later() -> str | None:
        await released.wait()
        with obskit.observe("later") as operation:
            assert operation.fields["order"] == 7
            return obskit.correlation_id()

    released = asyncio.Event()
    with obskit.bound(correlation_id="abc"):
        task = await work()
    released.set()
    assert await task == "abc"
    assert emitted.count(operation="later", outcome="ok") == 1


def test_threads_that_share_an_operation_add_to_the_same_attributes() -> None:
    """Its parts appear when they are first asked for: by several threads at a time, perhaps."""
    with emitting(traced=True) as emitted:

        @obskit.observe("work")
        def work(pool: ThreadPoolExecutor) -> None:
            barrier = threading.Barrier(8)

            def add(number: int) -> None:
                barrier.wait(30)
                obskit.current().set(**{f"a{number}": number})

            list(pool.map(obskit.carry(add), range(8)))

        with ThreadPoolExecutor(8) as pool:
            for _ in range(20):
                work(pool)
        for span in emitted.spans("work"):
            assert dict(span.attributes or {}) == {f"a{number}": number for number in range(8)}
        assert emitted.faults == []


# One block for many


def test_one_block_serves_many_threads(emitted: Emitted) -> None:
    block = obskit.observe("block", tier="l2")
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        for _ in range(20):
            with block as operation:
                barrier.wait(30)
                assert obskit.current() is operation
                operation.set(number=number)
                barrier.wait(30)
                assert operation.attributes == {"number": number}
            assert obskit.current().name == ""

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert emitted.count(operation="block", tier="l2", outcome="ok") == 160


@pytest.mark.anyio
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
async def test_one_block_serves_tasks_that_leave_in_any_order(
    order: tuple[int, ...], emitted: Emitted
) -> None:
    block = obskit.observe("block")
    leave = [asyncio.Event() for _ in order]

    async def work(number: int) -> None:
        async with block as operation:
            operation.set(number=number)
            await leave[number].wait()
            assert obskit.current() is operation
            if number == 1:
                raise BrokenError

    tasks = [asyncio.create_task(work(number)) for number in range(3)]
    await until(lambda: len(obskit.in_flight()) == 3)
    for done, number in enumerate(order, 1):
        leave[number].set()
        await asyncio.wait([tasks[number]])
        assert len(obskit.in_flight()) == 3 - done
    with pytest.raises(BrokenError):
        await tasks[1]
    assert emitted.count(operation="block", outcome="ok") == 2
    assert emitted.count(operation="block", outcome="error") == 1


def test_one_block_is_nested_in_itself(emitted: Emitted) -> None:
    block = obskit.observe("block")
    with block as outer:
        with block as inner:
            assert inner.parent is outer
            inner.outcome = "cancelled"
        assert obskit.current() is outer
    assert emitted.count(operation="block", outcome="cancelled") == 1
    assert emitted.count(operation="block", outcome="ok") == 1
