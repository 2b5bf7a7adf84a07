"""A torture kit for decorators: every kind of callable, how to make one and how to use it up.

A test builds the same callable bare and decorated, and holds the decorated one to the bare one.
"""

import asyncio
import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass
from typing import Any

Decorator = Callable[[Any], Any]
Body = Callable[[int], Any]


@dataclass(frozen=True)
class Kind:
    """One kind of callable."""

    name: str

    build: Callable[[Decorator, Body], Any]
    """Returns a callable of one argument that does the body's work, decorated."""

    run: Callable[[Any, int], Any]
    """Calls it with a value and returns all that comes of it."""


def identity(function: Any) -> Any:
    """Leave a callable bare: the decorator to compare others with."""
    return function


def call(function: Any, value: int) -> Any:
    return function(value)


def await_(function: Any, value: int) -> Any:
    async def main() -> Any:
        return await function(value)

    return asyncio.run(main())


def exhaust(function: Any, value: int) -> Any:
    """Return the items of a generator and its return value."""
    items: list[Any] = []

    def delegate() -> Generator[Any]:
        items.append((yield from function(value)))

    return [*delegate(), *items]


def exhaust_async(function: Any, value: int) -> Any:
    async def main() -> Any:
        return [item async for item in function(value)]

    return asyncio.run(main())


def _function(decorate: Decorator, body: Body) -> Any:
    @decorate
    def work(value: int, *, factor: int = 1) -> int:
        """Work on a value."""
        return int(body(value) * factor)

    return work


def _lambda(decorate: Decorator, body: Body) -> Any:
    return decorate(lambda value: body(value) + 0)


def _coroutine(decorate: Decorator, body: Body) -> Any:
    @decorate
    async def work(value: int, *, factor: int = 1) -> int:
        """Work on a value, in time."""
        await asyncio.sleep(0)
        return int(body(value) * factor)

    return work


def _generator(decorate: Decorator, body: Body) -> Any:
    @decorate
    def work(value: int, *, times: int = 2) -> Generator[int, None, str]:
        """Work on a value, piece by piece."""
        for _ in range(times):
            yield body(value)
        return "end"

    return work


def _async_generator(decorate: Decorator, body: Body) -> Any:
    @decorate
    async def work(value: int, *, times: int = 2) -> AsyncGenerator[int]:
        """Work on a value, piece by piece and in time."""
        for _ in range(times):
            await asyncio.sleep(0)
            yield body(value)

    return work


def _method(decorate: Decorator, body: Body) -> Any:
    class Worker:
        @decorate
        def work(self, value: int) -> Any:
            """Work on a value."""
            return body(value)

    return Worker().work


def _async_method(decorate: Decorator, body: Body) -> Any:
    class Worker:
        @decorate
        async def work(self, value: int) -> Any:
            """Work on a value."""
            return body(value)

    return Worker().work


def _generator_method(decorate: Decorator, body: Body) -> Any:
    class Worker:
        @decorate
        def work(self, value: int) -> Generator[Any]:
            """Work on a value."""
            yield body(value)

    return Worker().work


def _bound_method(decorate: Decorator, body: Body) -> Any:
    return decorate(_method(identity, body))


def _above_classmethod(decorate: Decorator, body: Body) -> Any:
    class Worker:
        @decorate
        @classmethod
        def work(cls, value: int) -> Any:
            """Work on a value."""
            return body(value)

    return Worker.work


def _below_classmethod(decorate: Decorator, body: Body) -> Any:
    class Worker:
        @classmethod
        @decorate
        def work(cls, value: int) -> Any:
            """Work on a value."""
            return body(value)

    return Worker.work


def _above_staticmethod(decorate: Decorator, body: Body) -> Any:
    class Worker:
        @decorate
        @staticmethod
        async def work(value: int) -> Any:
            """Work on a value."""
            return body(value)

    return Worker.work


def _below_staticmethod(decorate: Decorator, body: Body) -> Any:
    class Worker:
        @staticmethod
        @decorate
        def work(value: int) -> Any:
            """Work on a value."""
            return body(value)

    return Worker().work


def _partial(decorate: Decorator, body: Body) -> Any:
    return decorate(functools.partial(_function(identity, body), factor=1))


def _async_partial(decorate: Decorator, body: Body) -> Any:
    inner = functools.partial(_coroutine(identity, body), factor=1)
    return decorate(functools.partial(inner))


def _generator_partial(decorate: Decorator, body: Body) -> Any:
    return decorate(functools.partial(_generator(identity, body), times=2))


def _object(decorate: Decorator, body: Body) -> Any:
    class Worker:
        def __call__(self, value: int) -> Any:
            return body(value)

    return decorate(Worker())


def _async_object(decorate: Decorator, body: Body) -> Any:
    class Worker:
        async def __call__(self, value: int) -> Any:
            return body(value)

    return decorate(Worker())


def _recursive(decorate: Decorator, body: Body) -> Any:
    @decorate
    def work(value: int, depth: int = 0) -> Any:
        """Work on a value in the third call."""
        return body(value) if depth == 2 else work(value, depth + 1)

    return functools.partial(work, depth=2)


KINDS = [
    Kind("function", _function, call),
    Kind("lambda", _lambda, call),
    Kind("coroutine function", _coroutine, await_),
    Kind("generator function", _generator, exhaust),
    Kind("async generator function", _async_generator, exhaust_async),
    Kind("method", _method, call),
    Kind("async method", _async_method, await_),
    Kind("generator method", _generator_method, exhaust),
    Kind("bound method", _bound_method, call),
    Kind("above classmethod", _above_classmethod, call),
    Kind("below classmethod", _below_classmethod, call),
    Kind("above staticmethod", _above_staticmethod, await_),
    Kind("below staticmethod", _below_staticmethod, call),
    Kind("partial", _partial, call),
    Kind("async partial", _async_partial, await_),
    Kind("generator partial", _generator_partial, exhaust),
    Kind("callable object", _object, call),
    Kind("async callable object", _async_object, await_),
    Kind("recursive function", _recursive, call),
]

INSPECTIONS = [
    inspect.iscoroutinefunction,
    inspect.isgeneratorfunction,
    inspect.isasyncgenfunction,
    inspect.ismethod,
    inspect.isclass,
    inspect.isbuiltin,
    callable,
]
"""What frameworks ask of a callable before they decide how to call it."""


def described(function: Any) -> dict[str, Any]:
    """Return what tools read from a callable: documentation, type checkers, frameworks."""
    names = ("__name__", "__qualname__", "__doc__", "__module__", "__annotations__", "__defaults__")
    return {
        "signature": str(inspect.signature(function)),
        **{name: getattr(function, name, None) for name in names if name != "__defaults__"},
    }
