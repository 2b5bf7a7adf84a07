"""`observe` as a context manager, and operations side by side: threads, tasks, overlaps."""

import asyncio
import contextvars
import logging
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio.lowlevel
import pytest
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from prometheus_client import CollectorRegistry

import obskit
from obskit._guard import guard
from obskit.clock import ManualClock
from obskit.testing import Observed, observing


def test_a_block_is_an_operation(observed: Observed) -> None:
    with obskit.observe("cache.refresh", tier="l2") as operation:
        assert obskit.current() is operation
        assert observed.metrics.value("operations_in_progress", operation="cache.refresh") == 1
        operation.set(rows=3)
    observed.operation("cache.refresh").once().with_labels(tier="l2").with_attributes(rows=3)
    assert obskit.current().name == ""
    assert observed.metrics.value("operations_in_progress", operation="cache.refresh") == 0


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.anyio
async def test_an_async_block_is_an_operation(anyio_backend: str, observed: Observed) -> None:
    async with obskit.observe("cache.refresh") as operation:
        await anyio.lowlevel.checkpoint()
        assert obskit.current() is operation
    observed.operation("cache.refresh").once().with_outcome("ok")


def test_a_block_passes_the_error_on(observed: Observed) -> None:
    error = ValueError("x")
    with pytest.raises(ValueError, match="x") as caught, obskit.observe("work"):
        raise error
    assert caught.value is error
    observed.operation("work").once().with_error("ValueError")


def test_a_block_may_be_entered_again_also_inside_itself(observed: Observed) -> None:
    work = obskit.observe("work")
    with work as outer, work as inner:
        assert outer is not inner
        assert obskit.current() is inner
    with work:
        pass
    observed.operation("work").times(3)
    assert observed.spans.tree() == {"work": {"work": {}}}


@pytest.mark.anyio
async def test_one_block_in_overlapping_tasks(observed: Observed) -> None:
    """Each task ends its own operation, whatever the order in which they began."""
    work = obskit.observe("work")
    turns = [asyncio.Event() for _ in range(3)]

    async def task(number: int) -> None:
        async with work as operation:
            operation.set(number=number)
            await turns[number].wait()
            assert obskit.current() is operation
        assert obskit.current().name == ""
        observed.operation("work").with_attributes(number=number)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(task(number)) for number in range(3)]
        for number in (0, 2, 1):
            await asyncio.sleep(0)
            turns[number].set()
            await tasks[number]
            assert len(observed.in_flight()) == 2 - [0, 2, 1].index(number)


def test_a_block_is_a_decorator_too(observed: Observed) -> None:
    work = obskit.observe("work")
    decorated = work(threading.get_ident)
    with work:
        assert decorated() == threading.get_ident()
    assert observed.spans.tree() == {"work": {"work": {}}}


def test_no_count_of_many_threads_is_lost(observed: Observed) -> None:
    @obskit.observe("work", labels={"thread": obskit.arg("thread")})
    def work(thread: int) -> None: ...

    barrier = threading.Barrier(8)

    def thread(number: int) -> None:
        barrier.wait()
        for _ in range(1_000):
            work(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(thread, range(8)))
    assert observed.metrics.delta("operations_total", operation="work", outcome="ok") == 8_000
    assert observed.metrics.delta("operation_duration_seconds_count", operation="work") == 8_000
    assert observed.metrics.delta("operations_total", thread="3") == 1_000
    assert observed.in_flight() == []
    observed.operation("work").times(8_000)


@pytest.mark.anyio
async def test_concurrent_tasks_have_operations_of_their_own(observed: Observed) -> None:
    @obskit.observe("child", attributes={"number": obskit.arg("number")})
    async def child(number: int) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            assert obskit.current().attributes == {"number": number}

    with obskit.observe("parent"):
        await asyncio.gather(*(child(number) for number in range(20)))
    observed.operation("child").times(20).with_outcome("ok")
    parent = observed.spans.one("parent")
    assert parent.context is not None
    assert {span.parent and span.parent.span_id for span in observed.spans.all("child")} == {
        parent.context.span_id
    }


def test_durations_are_monotonic_time() -> None:
    clock = ManualClock()
    with observing(clock) as observed:
        with obskit.observe("work"):
            clock.step(-3600)
            clock.advance(2.5)
        assert observed.metrics.delta("operation_duration_seconds_sum", operation="work") == 2.5
        assert observed.metrics.delta("operation_duration_seconds_bucket", le="2.5") == 1
        assert observed.metrics.delta("operation_duration_seconds_bucket", le="1.0") == 0


@pytest.mark.parametrize(("seconds", "lines"), [(1.9, 0), (2.0, 1), (3.5, 1)])
def test_a_slow_operation_is_logged(seconds: float, lines: int) -> None:
    clock = ManualClock()
    with observing(clock) as observed:

        @obskit.observe("work", slow=2.0, attributes={"order": obskit.arg("order")})
        def work(order: int) -> None:
            clock.advance(seconds)

        work(7)
        slow = observed.logs.all(event="operation slow")
        assert len(slow) == lines
        for line in slow:
            assert line["level"] == "warning"
            assert line["logger"] == __name__
            assert (line["operation"], line["order"]) == ("work", 7)
            assert line["duration_ms"] == pytest.approx(seconds * 1000)
            assert line["slow_threshold_ms"] == 2000


def fail_after(clock: ManualClock, seconds: float) -> None:
    clock.advance(seconds)
    raise LookupError


def test_a_slow_failure_is_one_line() -> None:
    clock = ManualClock()
    with observing(clock) as observed:
        with pytest.raises(LookupError), obskit.observe("work", slow=1.0):
            fail_after(clock, 2)
        assert observed.logs.one(operation="work")["event"] == "operation failed"
        assert observed.logs.one(operation="work")["slow_threshold_ms"] == 1000


def test_an_error_is_logged_once_by_the_innermost_operation(observed: Observed) -> None:
    @obskit.observe("inner")
    def inner() -> None:
        raise ValueError("secret")

    @obskit.observe("middle")
    async def middle() -> None:
        inner()

    with pytest.raises(ValueError, match="secret"), obskit.observe("outer"):
        asyncio.run(middle())
    line = observed.logs.one(event="operation failed")
    assert (line["operation"], line["level"]) == ("inner", "error")
    assert "ValueError: secret" in line["exception"]
    for name in ("inner", "middle", "outer"):
        observed.operation(name).once().with_error("ValueError")
        assert not observed.spans.one(name).status.is_ok


def test_another_error_is_logged_again(observed: Observed) -> None:
    @obskit.observe("inner")
    def inner() -> None:
        raise ValueError

    @obskit.observe("outer")
    def outer() -> None:
        try:
            inner()
        except ValueError:
            raise LookupError from None

    with pytest.raises(LookupError):
        outer()
    lines = observed.logs.all(event="operation failed")
    assert [(line["operation"], line["error_type"]) for line in lines] == [
        ("inner", "ValueError"),
        ("outer", "LookupError"),
    ]


def test_an_error_line_carries_the_ids_of_its_operation(observed: Observed) -> None:
    with (
        pytest.raises(LookupError),
        obskit.bound(correlation_id="c1", tenant="acme"),
        obskit.observe("work"),
    ):
        raise LookupError
    line = observed.logs.one(event="operation failed")
    span = observed.spans.one("work")
    assert span.context is not None
    assert (line["correlation_id"], line["tenant"]) == ("c1", "acme")
    assert line["span_id"] == f"{span.context.span_id:016x}"
    assert line["trace_id"] == f"{span.context.trace_id:032x}"


def test_what_is_bound_in_an_operation_ends_with_the_outermost(observed: Observed) -> None:
    log = obskit.get_logger("test")
    with obskit.observe("outer"):
        with obskit.observe("inner"):
            obskit.bind(tenant="acme")
        log.info("still")
    log.info("over")
    assert observed.logs.one(event="still")["tenant"] == "acme"
    assert "tenant" not in observed.logs.one(event="over")


def test_an_operation_that_cannot_begin_is_counted_and_the_work_goes_on() -> None:
    class BrokenClock(ManualClock):
        def monotonic(self) -> float:
            raise OSError

    with observing(BrokenClock()) as broken:

        @obskit.observe("work", outcome=lambda *_: "error")
        def work() -> int:
            obskit.current().set(rows=1)
            return 7

        @obskit.observe("items")
        def items() -> Any:
            yield 1

        assert work() == 7
        assert list(items()) == [1]
        with obskit.observe("block"):
            pass
        assert {site for site, _ in broken.internal_errors()} == {"operation.begin"}
        assert broken.in_flight() == []


@pytest.mark.parametrize("method", ["on_start", "on_end"])
def test_a_broken_tracer_is_counted_and_the_work_goes_on(method: str) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    processor = SpanProcessor()
    setattr(processor, method, _refuse)
    provider.add_span_processor(processor)
    registry = CollectorRegistry()
    with guard.recording() as faults, obskit.configure(tracing=provider, registry=registry):
        assert obskit.observe("work")(lambda: obskit.current().name)() == "work"
        labels = {"operation": "work", "outcome": "ok", "error_type": ""}
        assert registry.get_sample_value("operations_total", labels) == 1
    assert [site for site, _ in faults] == ["operation.span"]


@pytest.fixture
def broken_logging() -> Generator[None]:
    """Logging of the host's that fails wherever this module logs."""
    logger = logging.getLogger(__name__)
    logger.setLevel(logging.INFO)
    logger.addFilter(_refuse)
    yield
    logger.removeFilter(_refuse)
    logger.setLevel(logging.NOTSET)


@pytest.mark.usefixtures("broken_logging")
def test_broken_logging_of_the_host_is_counted_and_the_work_goes_on() -> None:
    error = LookupError()

    @obskit.observe("work", log_events=True)
    def work() -> None:
        obskit.current().event("noticed")
        raise error

    registry = CollectorRegistry()
    with (
        guard.recording() as faults,
        obskit.configure(logging="off", registry=registry),
        pytest.raises(LookupError) as caught,
    ):
        work()
    assert caught.value is error
    assert [site for site, _ in faults] == ["logs.write", "logs.write"]


def test_a_span_that_is_sampled_out_is_carried_on_but_not_described() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    registry = CollectorRegistry()
    with (
        obskit.configure(tracing=provider, logging="off", registry=registry),
        obskit.observe("work") as operation,
    ):
        operation.event("noticed")
        flags = obskit.inject({})["traceparent"].rpartition("-")[2]
    assert not int(flags, 16) & 1  # the flag that says "sampled"
    assert exporter.get_finished_spans() == ()


def test_a_block_may_end_in_a_copy_of_the_context_it_began_in(observed: Observed) -> None:
    """As a generator does that one task begins and another one ends."""

    def rows() -> Generator[int]:
        with obskit.observe("cursor"):
            yield 1

    began_in = contextvars.copy_context()
    generator = rows()
    began_in.run(next, generator)
    began_in.copy().run(generator.close)
    observed.operation("cursor").once().with_outcome("closed")


def _refuse(*_: Any, **__: Any) -> bool:
    raise ConnectionError
