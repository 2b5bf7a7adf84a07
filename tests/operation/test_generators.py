"""Generators and async generators: one operation from first step to last, current inside steps.

That they give, take and raise what the bare ones do, `test_torture_generators` holds.
"""

import asyncio
import contextvars
import gc
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing
from typing import Any

import pytest

import obskit
from obskit.context import current_context
from obskit.testing import Observed


class Stop(Exception):  # noqa: N818 - it is thrown in as a signal
    pass


def conversation(log: list[Any]) -> Generator[str, Any, str]:
    """Do everything a generator can do, and note what happens to it."""
    try:
        log.append((yield "first"))
        try:
            log.append((yield "second"))
        except Stop as stop:
            log.append(stop)
            log.append((yield "recovered"))
    finally:
        log.append("closed")
    return "result"


async def async_conversation(log: list[Any]) -> AsyncGenerator[str, Any]:
    """Do everything an async generator can do, and note what happens to it."""
    try:
        log.append((yield "first"))
        try:
            log.append((yield "second"))
        except Stop as stop:
            await asyncio.sleep(0)
            log.append(stop)
            log.append((yield "recovered"))
    finally:
        await asyncio.sleep(0)
        log.append("closed")


def test_close_runs_the_cleanup_and_ends_the_operation(observed: Observed) -> None:
    log: list[Any] = []
    with closing(obskit.observe("talk")(conversation)(log)) as generator:
        next(generator)
        assert observed.in_flight() == ["talk"]
    assert log == ["closed"]
    assert observed.in_flight() == []
    observed.operation("talk").once().with_outcome("closed").with_attributes(items=1)
    assert observed.spans.one("talk").status.is_unset


def test_aclose_runs_the_cleanup_and_ends_the_operation(observed: Observed) -> None:
    log: list[Any] = []

    async def main() -> None:
        async with aclosing(obskit.observe("talk")(async_conversation)(log)) as generator:
            await anext(generator)

    asyncio.run(main())
    assert log == ["closed"]
    observed.operation("talk").once().with_outcome("closed").with_attributes(items=1)


def test_a_generator_that_ignores_close_still_fails_to(observed: Observed) -> None:
    @obskit.observe("stubborn")
    def stubborn() -> Generator[int]:
        while True:
            try:
                yield 1
            except GeneratorExit:
                yield 2

    generator = stubborn()
    next(generator)
    with pytest.raises(RuntimeError, match="generator ignored GeneratorExit"):
        generator.close()
    observed.operation("stubborn").once().with_error("RuntimeError")


def test_a_generator_that_was_never_begun_is_no_operation(observed: Observed) -> None:
    generator = obskit.observe("talk")(conversation)([])
    generator.close()
    del generator
    observed.operation("talk").never()


def test_an_early_break_ends_the_operation_as_closed(observed: Observed) -> None:
    for _ in obskit.observe("talk")(conversation)([]):
        break
    gc.collect()
    observed.operation("talk").once().with_outcome("closed")
    assert observed.metrics.delta("operations_total", operation="talk", outcome="closed") == 1


def test_the_consumer_does_not_see_the_generators_context(observed: Observed) -> None:
    """Between steps it has its own operation, fields and span, whatever is open inside."""

    @obskit.observe("rows")
    def rows() -> Generator[str]:
        with obskit.bound(table="orders"), obskit.observe("cursor"):
            for _ in range(3):
                yield obskit.current().name

    with obskit.observe("consumer") as consumer:
        outside = current_context.get()
        for inside in rows():
            assert inside == "cursor"
            assert obskit.current() is consumer
            assert current_context.get() is outside
            with obskit.observe("row"):
                pass
    assert current_context.get() is None
    assert observed.spans.tree() == {"consumer": {"rows": {"cursor": {}}, "row": {}}}


def test_fields_bound_in_a_generator_hold_in_its_later_steps(observed: Observed) -> None:
    log = obskit.get_logger("test")

    @obskit.observe("rows")
    def rows() -> Generator[int]:
        with obskit.bound(table="orders"):
            for number in range(2):
                log.info("row", number=number)
                yield number
        log.info("rows are done")

    for _ in rows():
        log.info("consumed")
    assert [line["number"] for line in observed.logs.all(table="orders")] == [0, 1]
    assert len(observed.logs.all(event="consumed")) == 2
    observed.logs.one(event="rows are done")


def test_work_continued_in_a_generator_does_not_reach_the_consumer(observed: Observed) -> None:
    @obskit.observe("messages")
    def messages() -> Generator[str]:
        for number in range(2):
            with obskit.extract({"X-Request-ID": f"message-{number}"}) as identifier:
                yield identifier
                assert obskit.correlation_id() == identifier

    with obskit.bound(correlation_id="consumer"):
        for expected in messages():
            assert obskit.correlation_id() == "consumer"
            assert expected.startswith("message-")


async def _async_rows() -> AsyncGenerator[str]:
    with obskit.bound(table="orders"), obskit.observe("cursor"):
        for _ in range(3):
            await asyncio.sleep(0)
            yield obskit.current().name


def test_the_consumer_of_an_async_generator_keeps_its_context(observed: Observed) -> None:
    async def main() -> None:
        with obskit.observe("consumer") as consumer:
            outside = current_context.get()
            async for inside in obskit.observe("rows")(_async_rows)():
                assert inside == "cursor"
                assert obskit.current() is consumer
                assert current_context.get() is outside

    asyncio.run(main())
    assert observed.spans.tree() == {"consumer": {"rows": {"cursor": {}}}}


def test_steps_may_come_from_different_contexts(observed: Observed) -> None:
    generator = obskit.observe("talk")(conversation)([])
    contexts = [contextvars.copy_context() for _ in range(3)]
    assert contexts[0].run(next, generator) == "first"
    assert contexts[1].run(generator.send, 1) == "second"
    contexts[2].run(generator.close)
    assert [context.get(current_context) for context in contexts] == [None, None, None]
    observed.operation("talk").once().with_outcome("closed")


def test_the_garbage_collector_closes_it_from_another_context(
    observed: Observed, caplog: pytest.LogCaptureFixture
) -> None:
    """No context of anybody's changes, and OpenTelemetry has nothing to complain about."""
    held = [obskit.observe("rows")(lambda: (yield))()]
    contextvars.copy_context().run(next, held[0])
    with obskit.observe("elsewhere") as elsewhere:
        held.clear()
        gc.collect()
        assert obskit.current() is elsewhere
    observed.operation("rows").once().with_outcome("closed")
    assert not [record for record in caplog.records if "detach" in record.getMessage()]
    observed.logs.none(logger="opentelemetry.context")


def test_a_block_in_a_generator_closed_elsewhere_leaves_that_context_alone(
    observed: Observed, caplog: pytest.LogCaptureFixture
) -> None:
    def rows() -> Generator[int]:
        with obskit.observe("cursor"):
            yield 1

    held = [rows()]
    contextvars.copy_context().run(next, held[0])
    with obskit.observe("elsewhere") as elsewhere:
        held.clear()
        gc.collect()
        assert obskit.current() is elsewhere
    observed.operation("cursor").once().with_outcome("closed")
    assert not [record for record in caplog.records if "detach" in record.getMessage()]


def test_a_block_left_open_by_a_callee_ends_with_the_caller(observed: Observed) -> None:
    """What a forgotten generator has made current does not outlive the operation around it."""

    def leaky() -> Generator[int]:
        with obskit.observe("leaky"):
            yield 1

    with obskit.observe("block"):
        inner = leaky()
        next(inner)
    assert current_context.get() is None
    inner.close()
    assert current_context.get() is None


def test_a_function_restores_what_it_found(observed: Observed) -> None:
    def leaky() -> Generator[int]:
        with obskit.bound(leak=1):
            yield 1

    def body() -> Generator[int]:
        held = leaky()
        next(held)
        return held

    held = obskit.observe("caller")(body)()
    assert current_context.get() is None
    held.close()
    assert current_context.get() is None


def test_cancellation_in_the_middle_of_a_step(observed: Observed) -> None:
    steps: list[str] = []

    @obskit.observe("endless")
    async def endless(waiting: asyncio.Event) -> AsyncGenerator[str]:
        try:
            yield "consumed"
            waiting.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            steps.append("cancelled inside")
            raise

    async def consume(waiting: asyncio.Event) -> None:
        async for step in endless(waiting):
            steps.append(step)  # noqa: PERF401 - what comes before the cancellation counts

    async def main() -> None:
        waiting = asyncio.Event()
        task = asyncio.create_task(consume(waiting))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert steps == ["consumed", "cancelled inside"]
    observed.operation("endless").once().with_outcome("cancelled")
    observed.logs.none(event="operation failed")


def test_cancellation_between_steps_closes(observed: Observed) -> None:
    async def consume(consuming: asyncio.Event) -> None:
        async with aclosing(obskit.observe("rows")(_async_rows)()) as rows:
            async for _ in rows:
                consuming.set()
                await asyncio.Event().wait()

    async def main() -> None:
        consuming = asyncio.Event()
        task = asyncio.create_task(consume(consuming))
        await consuming.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    observed.operation("rows").once().with_outcome("closed")


def test_the_hooks_for_async_generators_stay(observed: Observed) -> None:
    async def main() -> None:
        before = sys.get_asyncgen_hooks()
        await anext(obskit.observe("rows")(_async_rows)())
        assert sys.get_asyncgen_hooks() == before

    asyncio.run(main())


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.anyio
async def test_a_generator_fails_in_the_middle(anyio_backend: str, observed: Observed) -> None:
    @obskit.observe("rows")
    async def rows() -> AsyncGenerator[int]:
        yield 1
        raise Stop

    with pytest.raises(Stop):
        async for _ in rows():
            pass
    observed.operation("rows").once().with_error("Stop").with_attributes(items=1)


def test_wrong_arguments_fail_as_they_would(observed: Observed) -> None:
    generator = obskit.observe("talk")(conversation)
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        next(generator())  # type: ignore[call-arg] # the mistake under test
    observed.operation("talk").once().with_error("TypeError")


def test_no_generator_is_left_in_flight_after_many(observed: Observed) -> None:
    work = obskit.observe("talk")(conversation)
    for _ in range(200):
        next(work([]))
    gc.collect()
    assert observed.in_flight() == []
    observed.operation("talk").times(200).with_outcome("closed")
    assert len(observed.spans.all("talk")) == 200
