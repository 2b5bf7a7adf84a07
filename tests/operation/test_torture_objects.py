"""The coroutines and generators that decorated functions give: state, warnings, what they hold."""

import gc
import inspect
import sys
import weakref
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing
from typing import Any

import pytest
from tests.kits.callable_table import KINDS
from tests.kits.callables import by_hand, identity
from tests.kits.generator_programs import Pause
from tests.kits.torture import quiet

import obskit
from obskit.context import current_context
from obskit.testing import Observed, observing

observe = obskit.observe("work")
both = pytest.mark.parametrize("decorate", [identity, observe], ids=["bare", "decorated"])


@both
def test_two_steps_at_once_are_refused(decorate: Callable[[Any], Any]) -> None:
    @decorate
    async def slow() -> AsyncGenerator[int]:
        await Pause()
        yield 1

    generator = slow()
    first, second = generator.asend(None), generator.asend(None)
    first.send(None)
    with pytest.raises(RuntimeError, match="asynchronous generator is already running"):
        second.send(None)
    with pytest.raises(StopIteration) as given:
        first.send(None)
    assert given.value.value == 1
    with pytest.raises(RuntimeError, match="cannot reuse already awaited __anext__"):
        first.send(None)
    with pytest.raises(StopIteration):
        generator.aclose().send(None)


@both
def test_a_step_into_itself_is_refused(decorate: Callable[[Any], Any]) -> None:
    @decorate
    def itself() -> Generator[Any]:
        with pytest.raises(ValueError, match="generator already executing"):
            next(generator)
        yield "still there"

    generator = itself()
    assert [*generator] == ["still there"]


@both
def test_a_coroutine_that_nobody_awaits(decorate: Callable[[Any], Any], observed: Observed) -> None:
    """It is no operation, and Python warns with its own name."""

    @decorate
    async def work() -> None:
        raise AssertionError

    message = rf"coroutine '.*{work.__qualname__}' was never awaited"
    with pytest.warns(RuntimeWarning, match=message):
        work()
    observed.operation("work").never()


@both
def test_a_coroutine_tells_its_state(decorate: Callable[[Any], Any]) -> None:
    @decorate
    async def work() -> str:
        states.append(inspect.getcoroutinestate(coroutine))
        await Pause()
        return "done"

    states: list[str] = []
    coroutine = work()
    assert (coroutine.__name__, coroutine.__qualname__) == (work.__name__, work.__qualname__)
    states.append(inspect.getcoroutinestate(coroutine))
    coroutine.send(None)
    states.append(inspect.getcoroutinestate(coroutine))
    assert coroutine.cr_await is not None
    with pytest.raises(StopIteration, match="done"):
        coroutine.send(None)
    states.append(inspect.getcoroutinestate(coroutine))
    assert states == ["CORO_CREATED", "CORO_RUNNING", "CORO_SUSPENDED", "CORO_CLOSED"]
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        coroutine.send(None)


@both
def test_a_generator_tells_its_state(decorate: Callable[[Any], Any]) -> None:
    @decorate
    def work() -> Generator[int]:
        states.append(inspect.getgeneratorstate(generator))
        yield 1

    states: list[str] = []
    generator = work()
    assert (generator.__name__, generator.__qualname__) == (work.__name__, work.__qualname__)
    states.append(inspect.getgeneratorstate(generator))
    next(generator)
    states.append(inspect.getgeneratorstate(generator))
    generator.close()
    states.append(inspect.getgeneratorstate(generator))
    assert states == ["GEN_CREATED", "GEN_RUNNING", "GEN_SUSPENDED", "GEN_CLOSED"]
    assert generator.gi_frame is None


class Thing(Exception):  # noqa: N818 - something to throw, whose end can be noticed
    pass


@both
def test_what_is_thrown_in_is_free_afterwards(decorate: Callable[[Any], Any]) -> None:
    """Errors hold frames, and no frame holds the error: nothing waits for the collector."""

    @decorate
    def work() -> Generator[int]:
        yield 1

    def throw() -> weakref.ref[Thing]:
        generator = work()
        next(generator)
        thing = Thing()
        try:
            generator.throw(thing)
        except Thing:
            return weakref.ref(thing)
        finally:
            del thing
        raise AssertionError

    with quiet():
        gc.disable()
        try:
            assert throw()() is None
        finally:
            gc.enable()


@both
def test_what_goes_in_and_out_is_free_afterwards(decorate: Callable[[Any], Any]) -> None:
    """A generator of large items has one of them at a time, and its consumer decides how long."""

    @decorate
    def work() -> Generator[Any, Any]:
        while True:
            yield Thing()

    generator = work()
    next(generator)
    sent = Thing()
    given = generator.send(sent)
    references = [weakref.ref(sent), weakref.ref(given)]
    del sent, given
    assert [reference() for reference in references] == [None, None]
    generator.close()


@both
def test_what_goes_in_and_out_of_an_async_one_is_free_afterwards(
    decorate: Callable[[Any], Any],
) -> None:
    @decorate
    async def work() -> AsyncGenerator[Any, Any]:
        while True:
            yield Thing()

    async def main() -> list[Any]:
        async with aclosing(work()) as generator:
            await anext(generator)
            sent = Thing()
            given = await generator.asend(sent)
            references = [weakref.ref(sent), weakref.ref(given)]
            del sent, given
            return [reference() for reference in references]

    assert by_hand(main()) == [None, None]


@both
@pytest.mark.parametrize("kind", ["function", "coroutine function", "generator function"])
def test_endless_recursion(decorate: Callable[[Any], Any], kind: str) -> None:
    """The stack overflows wherever it will, also in the middle of telemetry; nothing is left."""
    made = {one.name: one for one in KINDS}[kind]
    work: Any = None

    def deeper(value: int) -> Any:
        return made.run(work, value)

    limit = sys.getrecursionlimit()
    work = made.make(decorate, deeper).call
    sys.setrecursionlimit(len(inspect.stack()) + 150)
    try:
        with observing() as observed:
            with pytest.raises(RecursionError):
                made.run(work, 1)
            sys.setrecursionlimit(limit)
            observed.internal_errors()  # it may have struck telemetry
            assert observed.in_flight() == []
    finally:
        sys.setrecursionlimit(limit)
    assert current_context.get() is None
