"""Decorated coroutines and async generators in event loops: many at once, cancelled, forgotten."""

import asyncio
import gc
import sys
import warnings
from collections.abc import AsyncGenerator, Callable
from typing import Any

import anyio
import pytest
import trio
from tests.kits.callable_table import KINDS
from tests.kits.callables import Kind, await_, exhaust_async, identity
from tests.kits.torture import quiet

import obskit
from obskit.context import current_context
from obskit.testing import Observed

AWAITED = [kind for kind in KINDS if kind.run is await_ and not kind.lazy]
ITERATED = [kind for kind in KINDS if kind.run is exhaust_async]

observe = obskit.observe("work")
both = pytest.mark.parametrize("decorate", [identity, observe], ids=["bare", "decorated"])
both_loops = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])


def named(value: int) -> tuple[int, str]:
    return value, obskit.current().name


@pytest.mark.parametrize("kind", AWAITED, ids=lambda kind: kind.name)
def test_a_thousand_at_once(kind: Kind, observed: Observed) -> None:
    """Each has its own operation, and nobody gets another one's result."""
    work = kind.make(observe, named).call

    async def main() -> list[Any]:
        with obskit.observe("outer"):
            results = await asyncio.gather(*map(work, range(1_000)))
            assert obskit.current().name == "outer"
        return [*results]

    with quiet():
        assert asyncio.run(main()) == [(value, "work") for value in range(1_000)]
    observed.operation("work").times(1_000).with_outcome("ok")
    assert observed.spans.tree() == {"outer": {"work": {}}}


@pytest.mark.parametrize("kind", ITERATED, ids=lambda kind: kind.name)
def test_a_thousand_iterated_at_once(kind: Kind, observed: Observed) -> None:
    work = kind.make(observe, named).call

    async def consume(value: int) -> list[Any]:
        return [(item, obskit.current().name) async for item in work(value)]

    async def main() -> list[Any]:
        return [*await asyncio.gather(*map(consume, range(1_000)))]

    with quiet():
        for value, items in enumerate(asyncio.run(main())):
            assert set(items) == {((value, "work"), "")}
    observed.operation("work").times(1_000).with_outcome("ok")


@observe
async def sleeping(began: Callable[[], object]) -> None:
    began()
    await anyio.sleep_forever()


@observe
async def rows(ended: list[str]) -> AsyncGenerator[int]:
    try:
        yield 1
        await anyio.sleep_forever()
    finally:
        ended.append("finally")


@both_loops
@pytest.mark.anyio
async def test_a_sibling_fails(anyio_backend: str, observed: Observed) -> None:
    """One fails, the others are cancelled: each is recorded as what happened to it."""

    @obskit.observe("failing")
    async def fail() -> None:
        raise ValueError

    async def family() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(sleeping, int)
            await anyio.wait_all_tasks_blocked()
            assert observed.in_flight() == ["work"] * 10
            group.start_soon(fail)

    with pytest.raises(ExceptionGroup) as caught:
        await family()
    assert [type(error) for error in caught.value.exceptions] == [ValueError]
    observed.operation("work").times(10)
    assert observed.metrics.delta("operations_total", operation="work", outcome="cancelled") == 10
    observed.operation("failing").once().with_error("ValueError")


@both_loops
@pytest.mark.anyio
async def test_a_time_limit(anyio_backend: str, observed: Observed) -> None:
    ended: list[str] = []
    generator = rows(ended)
    await anext(generator)
    with pytest.raises(TimeoutError), anyio.fail_after(0):
        await anext(generator)
    assert ended == ["finally"]
    observed.operation("work").once().with_outcome("cancelled")


def test_a_time_limit_of_asyncio(observed: Observed) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sleeping(int), 0.01)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await sleeping(int)

    asyncio.run(main())
    observed.operation("work").times(2).with_outcome("cancelled")


def test_a_task_that_refuses_to_be_cancelled(observed: Observed) -> None:
    """Whoever swallows its own cancellation goes on, and ends well."""

    @observe
    async def stubborn(began: asyncio.Event) -> str:
        try:
            began.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return "done"

    async def main() -> str:
        began = asyncio.Event()
        task = asyncio.create_task(stubborn(began))
        await began.wait()
        task.cancel()
        return await task

    assert asyncio.run(main()) == "done"
    observed.operation("work").once().with_outcome("ok")


def test_the_end_of_the_loop_cancels_what_still_runs(observed: Observed) -> None:
    async def main() -> None:
        began = asyncio.Event()
        kept.append(asyncio.create_task(sleeping(began.set)))
        await began.wait()

    kept: list[asyncio.Task[None]] = []
    with quiet():
        asyncio.run(main())
    observed.operation("work").once().with_outcome("cancelled")


def run_asyncio(main: Callable[[], Any]) -> None:
    asyncio.run(main())


@pytest.mark.parametrize("run", [run_asyncio, trio.run], ids=["asyncio", "trio"])
@both
def test_a_generator_that_is_forgotten(
    run: Callable[[Callable[[], Any]], None], decorate: Callable[[Any], Any], observed: Observed
) -> None:
    """Its loop closes it, at the latest when it ends; the bare one makes the same noise."""

    @decorate
    async def forgotten() -> AsyncGenerator[int]:
        try:
            yield 1
        finally:
            ended.append(obskit.current().name)

    async def main() -> None:
        kept.append(forgotten())
        await anext(kept[0])
        async for _ in forgotten():
            break

    ended: list[str] = []
    kept: list[AsyncGenerator[int]] = []
    with quiet(), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        run(main)
        kept.clear()
        gc.collect()
    name = "" if decorate is identity else "work"
    assert ended == [name, name]
    assert {str(one.message).split("'")[0] for one in warned} <= {"Async generator "}
    observed.operation("work").times(0 if decorate is identity else 2)
    assert current_context.get() is None


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in Python 3.12")
def test_eager_tasks(observed: Observed) -> None:
    """A task that runs at once leaves the current operation of its maker alone."""

    async def main() -> None:
        factory: Any = vars(asyncio)["eager_task_factory"]
        asyncio.get_running_loop().set_task_factory(factory)
        with obskit.observe("outer") as outer:
            began: list[int] = []
            task = asyncio.create_task(sleeping(lambda: began.append(1)))
            assert began == [1]
            assert obskit.current() is outer
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    observed.operation("work").once().with_outcome("cancelled")
    assert observed.spans.tree() == {"outer": {"work": {}}}
