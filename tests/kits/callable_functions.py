"""Functions of every kind, and what is made of them."""

import asyncio
import functools
import operator
import types
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, overload

from tests.kits.callables import (
    Body,
    Decorator,
    Kind,
    Made,
    await_,
    call,
    enter,
    enter_async,
    exhaust,
    exhaust_async,
    identity,
)

MORE: dict[str, Any] = {"self": 3, "args": 4}
"""Keywords that a decorator may use itself."""


def _function(decorate: Decorator, body: Body) -> Any:
    @decorate
    def work(value: int, *, factor: int = 1) -> Any:
        """Work on a value."""
        return body(value)

    return work


def _all_parameters(decorate: Decorator, body: Body) -> Any:
    @decorate
    def work(
        first: int,
        /,
        value: "int",
        third: float = 1.5,
        *rest: str,
        key: bytes = b"",
        **more: object,
    ) -> "Any":
        """Take everything that a function can take."""
        assert (first, third, rest, key, more) == (1, 2.5, ("a",), b"k", MORE)
        return body(value)

    def call_it(value: Any) -> Any:
        return work(1, value, 2.5, "a", key=b"k", **MORE)

    return Made(work, call_it)


def _by_keyword(decorate: Decorator, body: Body) -> Any:
    @decorate
    def work(*, value: int, function: str = "", operation: str = "", error: str = "") -> Any:
        """Take keywords that a decorator may use itself."""
        return body(value)

    return Made(work, lambda value: work(value=value, function="f", operation="o", error="e"))


def _lambda(decorate: Decorator, body: Body) -> Any:
    return decorate(lambda value: body(value))  # noqa: PLW0108 - it is the lambda that is meant


def _overloaded(decorate: Decorator, body: Body) -> Any:
    @overload
    def work(value: int) -> int: ...
    @overload
    def work(value: str) -> str: ...
    @decorate
    def work(value: Any) -> Any:
        """Work on a value of either type."""
        return body(value)

    return work


def _recursive(decorate: Decorator, body: Body) -> Any:
    @decorate
    def work(value: int, depth: int = 0) -> Any:
        """Work on a value in the third call."""
        return body(value) if depth == 2 else work(value, depth + 1)

    return work


def _nested(decorate: Decorator, body: Body) -> Any:
    return decorate(decorate(_function(identity, body)))


def _wrapped(decorate: Decorator, body: Body) -> Any:
    inner = _function(identity, body)

    @decorate
    @functools.wraps(inner)
    def outer(*args: Any, **kwargs: Any) -> Any:
        return inner(*args, **kwargs)

    return outer


def _wrapping(decorate: Decorator, body: Body) -> Any:
    inner = _function(decorate, body)

    @functools.wraps(inner)
    def outer(*args: Any, **kwargs: Any) -> Any:
        return inner(*args, **kwargs)

    return outer


def _cached(decorate: Decorator, body: Body) -> Any:
    return decorate(functools.lru_cache(maxsize=None)(_function(identity, body)))


def _below_cache(decorate: Decorator, body: Body) -> Any:
    return functools.lru_cache(maxsize=None)(_function(decorate, body))


def _dispatched(decorate: Decorator, body: Body) -> Any:
    @decorate
    @functools.singledispatch
    def work(value: Any) -> Any:
        """Work on a value of any type."""
        raise AssertionError(value)

    @work.register  # type: ignore[untyped-decorator] # a decorator may be anything
    def _(value: object) -> Any:
        return body(value)

    return work


def _below_dispatch(decorate: Decorator, body: Body) -> Any:
    @functools.singledispatch
    @decorate
    def work(value: Any) -> Any:
        """Work on a value of any type."""
        return body(value)

    return work


def _coroutine(decorate: Decorator, body: Body) -> Any:
    @decorate
    async def work(value: int, *, factor: int = 1) -> Any:
        """Work on a value, in time."""
        await asyncio.sleep(0)
        return body(value)

    return work


def _returning_coroutine(decorate: Decorator, body: Body) -> Any:
    inner = _coroutine(identity, body)

    @decorate
    def work(value: int) -> Any:
        """Return something to await."""
        return inner(value)

    return work


def _generator_coroutine(decorate: Decorator, body: Body) -> Any:
    @decorate
    @types.coroutine
    def work(value: int) -> Generator[None, None, Any]:
        """Work on a value, the old way."""
        yield
        return body(value)

    return work


def _generator(decorate: Decorator, body: Body) -> Any:
    @decorate
    def work(value: int, *, times: int = 2) -> Generator[Any, None, str]:
        """Work on a value, piece by piece."""
        for _ in range(times):
            yield body(value)
        return "end"

    return work


def _delegating(decorate: Decorator, body: Body) -> Any:
    inner = _generator(decorate, body)

    @decorate
    def work(value: int) -> Generator[Any, None, str]:
        """Leave the work to another decorated generator."""
        result: str = yield from inner(value)
        return result

    return work


def _async_generator(decorate: Decorator, body: Body) -> Any:
    @decorate
    async def work(value: int, *, times: int = 2) -> AsyncGenerator[Any]:
        """Work on a value, piece by piece and in time."""
        for _ in range(times):
            await asyncio.sleep(0)
            yield body(value)

    return work


def _above_manager(decorate: Decorator, body: Body) -> Any:
    @decorate
    @contextmanager
    def work(value: int) -> Generator[Any]:
        """Work on a value when it is entered."""
        yield body(value)

    return work


def _below_manager(decorate: Decorator, body: Body) -> Any:
    @contextmanager
    @decorate
    def work(value: int) -> Generator[Any]:
        """Work on a value, from entering to leaving."""
        yield body(value)

    return work


def _above_async_manager(decorate: Decorator, body: Body) -> Any:
    @decorate
    @asynccontextmanager
    async def work(value: int) -> AsyncGenerator[Any]:
        """Work on a value when it is entered."""
        yield body(value)

    return work


def _below_async_manager(decorate: Decorator, body: Body) -> Any:
    @asynccontextmanager
    @decorate
    async def work(value: int) -> AsyncGenerator[Any]:
        """Work on a value, from entering to leaving."""
        yield body(value)

    return work


def _partial(decorate: Decorator, body: Body) -> Any:
    return decorate(functools.partial(_function(identity, body), factor=1))


def _partial_of_decorated(decorate: Decorator, body: Body) -> Any:
    return functools.partial(_function(decorate, body), factor=1)


def _async_partial(decorate: Decorator, body: Body) -> Any:
    inner = functools.partial(_coroutine(identity, body), factor=1)
    return decorate(functools.partial(inner))


def _generator_partial(decorate: Decorator, body: Body) -> Any:
    return decorate(functools.partial(_generator(identity, body), times=2))


def _async_generator_partial(decorate: Decorator, body: Body) -> Any:
    return decorate(functools.partial(_async_generator(identity, body), times=2))


def _builtin(decorate: Decorator, body: Body) -> Any:
    decorated = decorate(operator.call)
    return Made(decorated, functools.partial(decorated, body))


def _itemgetter(decorate: Decorator, body: Body) -> Any:
    class Row:
        def __init__(self, value: Any) -> None:
            self.value = value

        def __getitem__(self, index: int) -> Any:
            return body(self.value)

    decorated = decorate(operator.itemgetter(0))
    return Made(decorated, lambda value: decorated(Row(value)))


def _method_descriptor(decorate: Decorator, body: Body) -> Any:
    class Key:
        def __init__(self, value: Any) -> None:
            self.value = value
            self.answer: Any = None

        def __hash__(self) -> int:
            return 1

        def __eq__(self, other: Any) -> bool:  # noqa: PYI032 - nothing else is compared with it
            other.answer = body(other.value)
            return True

    decorated = decorate(dict.__contains__)
    held = {Key(0): None}

    def look_up(value: Any) -> Any:
        key = Key(value)
        return decorated(held, key), key.answer

    return Made(decorated, look_up)


FUNCTIONS = [
    Kind("function", _function, call),
    Kind("function with every kind of parameter", _all_parameters, call),
    Kind("function with keywords only", _by_keyword, call),
    Kind("lambda", _lambda, call),
    Kind("overloaded function", _overloaded, call),
    Kind("recursive function", _recursive, call, operations=3),
    Kind("function decorated twice", _nested, call, operations=2),
    Kind("function that wraps", _wrapped, call),
    Kind("function that is wrapped", _wrapping, call),
    Kind("lru_cache below", _cached, call, cached=True),
    Kind("lru_cache above", _below_cache, call, cached=True),
    Kind("singledispatch below", _dispatched, call, cached=True),
    Kind("singledispatch above", _below_dispatch, call, cached=True),
    Kind("coroutine function", _coroutine, await_),
    Kind("function that returns a coroutine", _returning_coroutine, await_, lazy=True),
    Kind("generator-based coroutine", _generator_coroutine, await_),
    Kind("generator function", _generator, exhaust),
    Kind("generator that delegates to another", _delegating, exhaust, operations=2),
    Kind("async generator function", _async_generator, exhaust_async),
    Kind("contextmanager below", _above_manager, enter, lazy=True),
    Kind("contextmanager above", _below_manager, enter),
    Kind("asynccontextmanager below", _above_async_manager, enter_async, lazy=True),
    Kind("asynccontextmanager above", _below_async_manager, enter_async),
    Kind("partial", _partial, call),
    Kind("partial of a decorated function", _partial_of_decorated, call),
    Kind("async partial", _async_partial, await_),
    Kind("generator partial", _generator_partial, exhaust),
    Kind("async generator partial", _async_generator_partial, exhaust_async),
    Kind("builtin function", _builtin, call, parameter=None),
    Kind("operator.itemgetter", _itemgetter, call, parameter=None),
    Kind("method of a builtin type", _method_descriptor, call, parameter=None),
]
