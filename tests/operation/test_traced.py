"""Operations with a span where nothing records them: what the hot path makes of spans."""

import asyncio
import contextvars
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from opentelemetry import context as opentelemetry_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode
from tests.kits.emitted import Emitted, emitting, ids, until

import obskit
from obskit import arg
from obskit.runtime import active_runtime


@pytest.fixture
def emitted() -> Generator[Emitted]:
    with emitting(traced=True) as emitted:
        yield emitted
        assert emitted.faults == []
        assert trace.get_current_span() is trace.INVALID_SPAN
        assert obskit.in_flight() == []


class Refusal(Exception):  # noqa: N818 - a word of the domain
    """What operations fail with."""


ONE_BUCKET = obskit.MetricNames(
    total="works_total", duration="work_seconds", in_progress="works_running", buckets=(3600.0,)
)


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def parent_id(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


def span_id(span: ReadableSpan) -> int:
    return ids(span)[1]


# What a span holds


def test_a_span_has_the_name_the_labels_and_the_attributes(emitted: Emitted) -> None:
    @obskit.observe(
        "charge",
        labels={"provider": "stripe", "kind": arg("kind")},
        attributes={"order": arg("order"), "note": arg("note"), "many": [1, 2]},
    )
    def charge(kind: str, order: int, note: str | None = None) -> int:
        return order

    assert charge("gift", order=7) == 7
    span = emitted.span("charge")
    assert attributes(span) == {
        "provider": "stripe",
        "kind": "gift",
        "order": 7,
        "many": "[1, 2]",
    }
    assert span.kind is SpanKind.INTERNAL
    assert span.status.status_code is StatusCode.UNSET
    assert not span.events
    assert emitted.count(operation="charge", provider="stripe", kind="gift", outcome="ok") == 1


def test_a_span_without_labels_has_no_attributes(emitted: Emitted) -> None:
    obskit.observe("work")(lambda: None)()
    assert attributes(emitted.span("work")) == {}


def test_what_is_set_inside_is_on_the_span(emitted: Emitted) -> None:
    @obskit.observe("work", attributes={"kept": 1, "replaced": 1})
    def work() -> None:
        obskit.current().set(replaced=2, rows=3)
        obskit.current().event("noticed", count=1)

    work()
    assert attributes(emitted.span("work")) == {"kept": 1, "replaced": 2, "rows": 3}
    (event,) = emitted.span("work").events
    assert (event.name, dict(event.attributes or {})) == ("noticed", {"count": 1})
    assert emitted.count(operation="work", outcome="ok") == 1


def test_an_event_alone_is_on_the_span(emitted: Emitted) -> None:
    @obskit.observe("work")
    def work() -> None:
        obskit.current().event("noticed")

    work()
    assert [event.name for event in emitted.span("work").events] == ["noticed"]
    assert attributes(emitted.span("work")) == {}


def test_a_failure_is_on_the_span(emitted: Emitted) -> None:
    @obskit.observe("work")
    def work() -> None:
        raise Refusal("no")

    with pytest.raises(Refusal):
        work()
    span = emitted.span("work")
    assert span.status.status_code is StatusCode.ERROR
    assert attributes(span) == {"obskit.outcome": "error", "error.type": "Refusal"}
    (event,) = span.events
    assert event.name == "exception"
    assert (event.attributes or {})["exception.message"] == "no"
    assert emitted.count(operation="work", outcome="error", error_type="Refusal") == 1


@pytest.mark.parametrize("outcome", ["ok", "cancelled", "closed", "error"])
@pytest.mark.parametrize("fails", [False, True])
def test_the_outcome_that_is_set_wins(outcome: Any, fails: bool, emitted: Emitted) -> None:
    """The span says so only where it is not ``ok``."""

    @obskit.observe("work")
    def work() -> None:
        obskit.current().outcome = outcome
        if fails:
            raise Refusal

    try:
        work()
    except Refusal:
        assert fails
    span = emitted.span("work")
    assert attributes(span).get("obskit.outcome", "ok") == outcome
    assert ("obskit.outcome" in attributes(span)) is (outcome != "ok")
    status = StatusCode.ERROR if outcome == "error" else StatusCode.UNSET
    assert span.status.status_code is status
    assert bool(span.events) is (fails and outcome == "error")
    assert emitted.count(operation="work", outcome=outcome) == emitted.count(operation="work") == 1


def test_a_span_lasts_as_long_as_was_measured(emitted: Emitted) -> None:
    @obskit.observe("work")
    def work() -> None: ...

    work()
    span = emitted.span("work")
    seconds = sum(emitted.samples("operation_duration_seconds_sum", operation="work"))
    assert (span.end_time or 0) - (span.start_time or 0) == int(seconds * 1e9)


def test_a_slow_call_has_its_span_and_its_line(
    emitted: Emitted, caplog: pytest.LogCaptureFixture
) -> None:
    @obskit.observe("work", slow=0.0, attributes={"order": 7})
    def work() -> None: ...

    work()
    assert [record.getMessage() for record in caplog.records] == ["operation slow"]
    assert attributes(emitted.span("work")) == {"order": 7}


# Where a span is


def test_spans_nest_as_calls_do(emitted: Emitted) -> None:
    tracer = emitted.provider.get_tracer("theirs")

    @obskit.observe("inner")
    def inner() -> None: ...

    @obskit.observe("outer")
    def outer() -> None:
        inner()
        with tracer.start_as_current_span("theirs inside"):
            inner()
        inner()

    with tracer.start_as_current_span("theirs") as theirs:
        outer()
        assert trace.get_current_span() is theirs
    first, second, third = emitted.spans("inner")
    outer_span, inside = emitted.span("outer"), emitted.span("theirs inside")
    assert parent_id(first) == parent_id(third) == parent_id(inside) == span_id(outer_span)
    assert parent_id(second) == span_id(inside)
    assert parent_id(outer_span) == span_id(emitted.span("theirs"))
    assert len({ids(span)[0] for span in emitted.spans()}) == 1


def test_recursion_is_a_chain_of_spans(emitted: Emitted) -> None:
    @obskit.observe("down")
    def down(steps: int) -> None:
        if steps:
            down(steps - 1)

    down(3)
    innermost_first = emitted.spans("down")
    for inner, outer in pairwise(innermost_first):
        assert parent_id(inner) == span_id(outer)
    assert parent_id(innermost_first[-1]) is None


def test_blocks_generators_and_calls_nest_in_each_other(emitted: Emitted) -> None:
    @obskit.observe("items")
    def items() -> Generator[int]:
        leaf()
        yield 1
        leaf()

    @obskit.observe("leaf")
    def leaf() -> None: ...

    with obskit.observe("block"):
        list(items())
        leaf()
    inside_first, inside_second, after = emitted.spans("leaf")
    block, generator = emitted.span("block"), emitted.span("items")
    assert parent_id(inside_first) == parent_id(inside_second) == span_id(generator)
    assert parent_id(after) == parent_id(generator) == span_id(block)


@pytest.mark.parametrize("fails", [False, True])
def test_the_span_around_is_current_again(fails: bool, emitted: Emitted) -> None:
    @obskit.observe("work")
    def work() -> int:
        assert trace.get_current_span() is not around
        if fails:
            raise Refusal
        return trace.get_current_span().get_span_context().span_id

    with emitted.provider.get_tracer("theirs").start_as_current_span("around") as around:
        for _ in range(2):
            try:
                assert work() == span_id(emitted.spans("work")[-1])
            except Refusal:
                assert fails
            assert trace.get_current_span() is around


def test_a_span_that_the_function_leaves_open_is_not_current_afterwards(emitted: Emitted) -> None:
    tracer = emitted.provider.get_tracer("theirs")

    @obskit.observe("work")
    def work() -> trace.Span:
        span = tracer.start_span("left open")
        opentelemetry_context.attach(trace.set_span_in_context(span))
        return span

    span: Any = work()
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert parent_id(span) == span_id(emitted.span("work"))


@pytest.mark.anyio
async def test_tasks_have_parents_of_their_own(emitted: Emitted) -> None:
    @obskit.observe("inner", labels={"number": arg("number")})
    async def inner(number: int) -> None:
        await asyncio.sleep(0)

    @obskit.observe("outer", labels={"number": arg("number")})
    async def outer(number: int) -> None:
        await asyncio.sleep(0)
        await inner(number)
        await asyncio.gather(inner(number), inner(number))

    await asyncio.gather(*[outer(number) for number in range(5)])
    outers = {span_id(span): attributes(span)["number"] for span in emitted.spans("outer")}
    inners = emitted.spans("inner")
    assert len(inners) == 15
    for span in inners:
        assert outers[parent_id(span) or 0] == attributes(span)["number"]


def test_threads_have_traces_of_their_own(emitted: Emitted) -> None:
    @obskit.observe("work")
    def work(barrier: threading.Barrier) -> None:
        barrier.wait(30)

    barrier = threading.Barrier(4)
    with obskit.observe("around"), ThreadPoolExecutor(4) as pool:
        list(pool.map(work, [barrier] * 4))
    spans = emitted.spans("work")
    assert {parent_id(span) for span in spans} == {None}
    assert len({ids(span)[0] for span in spans}) == 4


def _begun_in_another_context(work: Any) -> Any:
    coroutine = work()
    contextvars.Context().run(coroutine.send, None)
    return coroutine


@pytest.mark.parametrize("close", ["close", "drop"])
def test_a_coroutine_that_is_closed_elsewhere_leaves_that_context_alone(
    close: str, emitted: Emitted, caplog: pytest.LogCaptureFixture
) -> None:
    @obskit.observe("work")
    async def work() -> None:
        await asyncio.sleep(0)

    coroutine = _begun_in_another_context(work)
    with obskit.observe("here") as here:
        span = trace.get_current_span()
        if close == "close":
            coroutine.close()
        del coroutine
        assert trace.get_current_span() is span
        assert obskit.current() is here
    ended = emitted.span("work")
    assert attributes(ended) == {"obskit.outcome": "closed"}
    assert ended.status.status_code is StatusCode.UNSET
    assert parent_id(ended) is None
    assert emitted.count(operation="work", outcome="closed") == 1
    assert caplog.records == []


def test_a_coroutine_that_is_closed_in_a_copy_of_its_context_leaves_it_alone(
    emitted: Emitted, caplog: pytest.LogCaptureFixture
) -> None:
    """So does a finaliser of the event loop."""

    @obskit.observe("work")
    async def work() -> None:
        await asyncio.sleep(0)

    coroutine = work()
    context = contextvars.copy_context()
    context.run(coroutine.send, None)
    context.copy().run(coroutine.close)
    assert attributes(emitted.span("work")) == {"obskit.outcome": "closed"}
    assert emitted.count(operation="work", outcome="closed") == 1
    assert caplog.records == []


@pytest.mark.anyio
async def test_a_cancelled_coroutine_says_so(emitted: Emitted) -> None:
    @obskit.observe("work")
    async def work() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await until(obskit.in_flight)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert attributes(emitted.span("work")) == {"obskit.outcome": "cancelled"}
    assert emitted.span("work").status.status_code is StatusCode.UNSET


# Sampling, and exemplars


def test_what_is_not_sampled_is_counted_and_has_no_span() -> None:
    with emitting(traced=True, provider={"sampler": ALWAYS_OFF}) as emitted:

        @obskit.observe("work", labels={"kind": arg("kind")})
        def work(kind: str) -> None:
            obskit.current().set(rows=1)
            obskit.current().event("noticed")

        work("gift")
        with pytest.raises(TypeError):
            work()  # type: ignore[call-arg] # the mistake under test
        emitted.faults.clear()
        assert emitted.spans() == []
        assert emitted.count(operation="work") == 2
        assert "trace_id" not in page("application/openmetrics-text")


def page(accept: str) -> str:
    return active_runtime().render(accept)[0].decode()


def exemplars(accept: str = "application/openmetrics-text") -> list[str]:
    """Return the lines that have one."""
    return [line for line in page(accept).splitlines() if " # {" in line]


def test_a_sampled_span_is_an_example_of_its_duration(emitted: Emitted) -> None:
    @obskit.observe("work")
    def work() -> None: ...

    work()
    trace_id, own_id = ids(emitted.span("work"))
    (line,) = exemplars()
    assert line.startswith("operation_duration_seconds_bucket{")
    assert f'trace_id="{trace_id:032x}"' in line
    assert f'span_id="{own_id:016x}"' in line
    seconds = float(line.split("} ")[2].split(" ")[0])
    total = sum(emitted.samples("operation_duration_seconds_sum", operation="work"))
    assert seconds == pytest.approx(total)


def test_plain_text_has_no_exemplars(emitted: Emitted) -> None:
    obskit.observe("work")(lambda: None)()
    assert exemplars("text/plain") == []
    assert len(exemplars()) == 1


def test_the_last_span_of_each_bucket_is_the_example(emitted: Emitted) -> None:
    @obskit.observe("work", names=ONE_BUCKET)
    def work() -> None: ...

    for _ in range(300):  # more than one batch
        work()
    (line,) = exemplars()
    assert f'span_id="{span_id(emitted.spans("work")[-1]):016x}"' in line


@pytest.mark.parametrize("how", ["fails", "tells", "block"])
def test_what_does_not_end_on_the_hot_path_is_an_example_too(how: str, emitted: Emitted) -> None:
    @obskit.observe("work")
    def work() -> None:
        if how == "fails":
            raise Refusal
        obskit.current().set(rows=1)

    try:
        if how == "block":
            with obskit.observe("work"):
                pass
        else:
            work()
    except Refusal:
        assert how == "fails"
    (line,) = exemplars()
    assert f'span_id="{span_id(emitted.span("work")):016x}"' in line


def test_only_sampled_spans_are_examples() -> None:
    sampler = ParentBased(TraceIdRatioBased(0.5))
    with emitting(traced=True, provider={"sampler": sampler}) as emitted:

        @obskit.observe("work", names=ONE_BUCKET)
        def work() -> None: ...

        for _ in range(200):
            work()
        sampled = [f'span_id="{span_id(span):016x}"' for span in emitted.spans()]
        assert 0 < len(sampled) < 200
        (line,) = exemplars()
        assert sampled[-1] in line
        assert emitted.samples("works_total", outcome="ok") == [200]


# What may go wrong


class Raising(SpanProcessor):
    """Fails at one point in the life of spans."""

    def __init__(self, at: str) -> None:
        self.at = at

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if self.at == "start":
            raise RuntimeError

    def on_end(self, span: ReadableSpan) -> None:
        if self.at == "end":
            raise RuntimeError


@pytest.mark.parametrize("at", ["start", "end"])
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_span_processor_that_raises_changes_no_call(at: str, colour: str) -> None:
    with emitting(traced=True) as emitted:
        emitted.provider.add_span_processor(Raising(at))
        result, error = object(), Refusal()

        def body(fails: bool) -> object:
            if fails:
                raise error
            return result

        @obskit.observe("work")
        def work(fails: bool) -> object:
            return body(fails)

        @obskit.observe("work")
        async def work_async(fails: bool) -> object:
            return body(fails)

        def call(fails: bool) -> object:
            return work(fails) if colour == "sync" else asyncio.run(work_async(fails))

        assert call(fails=False) is result
        with pytest.raises(Refusal) as raised:
            call(fails=True)
        assert raised.value is error
        assert [site for site, _ in emitted.faults] == ["operation.span"] * 2
        assert emitted.count(operation="work", outcome="ok") == 1
        assert emitted.count(operation="work", outcome="error") == 1
        assert obskit.in_flight() == []
        assert trace.get_current_span() is trace.INVALID_SPAN
        assert obskit.current().name == ""


def test_what_is_set_is_kept_where_no_span_could_be_made(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with emitting(traced=True) as emitted:
        emitted.provider.add_span_processor(Raising("start"))

        @obskit.observe("work")
        def work() -> None:
            obskit.current().set(rows=3)
            obskit.current().event("noticed")
            raise Refusal

        with pytest.raises(Refusal):
            work()
        (line,) = [record for record in caplog.records if record.msg == "operation failed"]
        assert vars(line)["rows"] == 3
        assert emitted.spans() == []


@pytest.mark.parametrize("outcome", [None, "cancelled"])
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_shutdown_in_the_middle_of_a_call_is_silent(
    outcome: Any,
    colour: str,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A provider of obskit's own has ended by then: the span is dropped, the call is counted."""
    monkeypatch.setattr(trace, "set_tracer_provider", lambda provider: None)
    with emitting() as emitted:

        def body() -> str:
            obskit.shutdown()
            if outcome:
                obskit.current().outcome = outcome
            return "done"

        @obskit.observe("work")
        def work() -> str:
            return body()

        @obskit.observe("work")
        async def work_async() -> str:
            return body()

        emitted.configure(tracing="console")
        assert (work() if colour == "sync" else asyncio.run(work_async())) == "done"
        emitted.configure()
        assert emitted.count(operation="work", outcome=outcome or "ok") == 1
        assert emitted.faults == []
    assert caplog.records == []
    assert capsys.readouterr() == ("", "")
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_a_provider_of_the_hosts_that_was_shut_down_does_not_disturb() -> None:
    with emitting(traced=True) as emitted:

        @obskit.observe("work")
        def work() -> str:
            emitted.provider.shutdown()
            return "done"

        assert [work(), work()] == ["done", "done"]
        assert emitted.count(operation="work") == 2
        assert emitted.faults == []


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


def test_an_attribute_without_a_text_changes_no_call() -> None:
    with emitting(traced=True) as emitted:

        @obskit.observe("work", attributes={"it": arg("it")})
        def work(it: object) -> str:
            return "done"

        assert work(Unprintable()) == "done"
        assert attributes(emitted.span("work")) == {"it": "<unprintable>"}
        assert emitted.count(operation="work") == 1
