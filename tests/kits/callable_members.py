"""The kinds of callables that live in classes."""

import abc
import asyncio
import enum
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from tests.kits.callables import (
    Body,
    Decorator,
    Kind,
    Made,
    await_,
    call,
    exhaust,
    exhaust_async,
    identity,
)

T = TypeVar("T")


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
            await asyncio.sleep(0)
            return body(value)

    return Worker().work


def _generator_method(decorate: Decorator, body: Body) -> Any:
    class Worker:
        @decorate
        def work(self, value: int) -> Generator[Any]:
            """Work on a value."""
            yield body(value)

    return Worker().work


def _async_generator_method(decorate: Decorator, body: Body) -> Any:
    class Worker:
        @decorate
        async def work(self, value: int) -> AsyncGenerator[Any]:
            """Work on a value."""
            yield body(value)

    return Worker().work


def _unbound_method(decorate: Decorator, body: Body) -> Any:
    class Worker:
        @decorate
        def work(self, value: int) -> Any:
            """Work on a value."""
            return body(value)

    return Made(Worker.work, lambda value: Worker.work(Worker(), value))


def _bound_method(decorate: Decorator, body: Body) -> Any:
    return decorate(_method(identity, body))


def _bound_async_method(decorate: Decorator, body: Body) -> Any:
    return decorate(_async_method(identity, body))


def _overridden_method(decorate: Decorator, body: Body) -> Any:
    class Worker:
        @decorate
        def work(self, value: int) -> Any:
            """Work on a value."""
            return body(value)

    class Foreman(Worker):
        @decorate
        def work(self, value: int) -> Any:
            """Let the base class work on a value."""
            return super().work(value)

    return Foreman().work


def _object(decorate: Decorator, body: Body) -> Any:
    class Worker:
        def __call__(self, value: int) -> Any:
            """Work on a value."""
            return body(value)

    return decorate(Worker())


def _async_object(decorate: Decorator, body: Body) -> Any:
    class Worker:
        async def __call__(self, value: int) -> Any:
            """Work on a value."""
            return body(value)

    return decorate(Worker())


def _generator_object(decorate: Decorator, body: Body) -> Any:
    class Worker:
        def __call__(self, value: int) -> Generator[Any]:
            """Work on a value."""
            yield body(value)

    return decorate(Worker())


def _decorated_call(decorate: Decorator, body: Body) -> Any:
    class Worker:
        @decorate
        def __call__(self, value: int) -> Any:
            """Work on a value."""
            return body(value)

    return Made(Worker.__call__, Worker())


def _initialiser(decorate: Decorator, body: Body) -> Any:
    class Worker:
        @decorate
        def __init__(self, value: int) -> None:
            """Work on a value."""
            self.result = body(value)

    return Made(Worker.__init__, lambda value: Worker(value).result)


def _dataclass_method(decorate: Decorator, body: Body) -> Any:
    @dataclass(frozen=True, slots=True)
    class Worker:
        factor: int = 1

        @decorate
        def work(self, value: int) -> Any:
            """Work on a value."""
            return body(value)

    return Worker().work


def _slots_method(decorate: Decorator, body: Body) -> Any:
    class Worker:
        __slots__ = ()

        @decorate
        def work(self, value: int) -> Any:
            """Work on a value."""
            return body(value)

    return Worker().work


def _abstract_method(decorate: Decorator, body: Body) -> Any:
    class Port(abc.ABC):
        @decorate
        @abc.abstractmethod
        def work(self, value: int) -> Any:
            """Work on a value, in a class that only exists in part."""
            return body(value)

    class Worker(Port):
        def work(self, value: int) -> Any:
            return super().work(value)

    return Made(Port.work, Worker().work)


def _protocol_method(decorate: Decorator, body: Body) -> Any:
    class Port(Protocol):
        @decorate
        def work(self, value: int) -> Any:
            """Work on a value."""
            return body(value)

    class Worker(Port):
        pass

    return Worker().work


def _enum_method(decorate: Decorator, body: Body) -> Any:
    class Worker(enum.Enum):
        ONLY = 1

        @decorate
        def work(self, value: int) -> Any:
            """Work on a value."""
            return body(value)

    return Worker.ONLY.work


def _named_tuple_method(decorate: Decorator, body: Body) -> Any:
    class Worker(NamedTuple):
        factor: int

        @decorate
        def work(self, value: int) -> Any:
            """Work on a value."""
            return body(value)

    return Worker(1).work


def _generic_method(decorate: Decorator, body: Body) -> Any:
    class Worker(Generic[T]):
        @decorate
        def work(self, value: T) -> Any:
            """Work on a value."""
            return body(value)

    return Worker[int]().work


def _metaclass_method(decorate: Decorator, body: Body) -> Any:
    class Factory(type):
        @decorate
        def work(cls, value: int) -> Any:
            """Work on a value."""
            return body(value)

    class Worker(metaclass=Factory):
        pass

    return Worker.work


MEMBERS = [
    Kind("method", _method, call),
    Kind("async method", _async_method, await_),
    Kind("generator method", _generator_method, exhaust),
    Kind("async generator method", _async_generator_method, exhaust_async),
    Kind("method called on its class", _unbound_method, call),
    Kind("bound method", _bound_method, call),
    Kind("bound async method", _bound_async_method, await_),
    Kind("overridden method", _overridden_method, call, operations=2),
    Kind("callable object", _object, call),
    Kind("async callable object", _async_object, await_),
    Kind("generator callable object", _generator_object, exhaust),
    Kind("__call__ of a class", _decorated_call, call),
    Kind("__init__ of a class", _initialiser, call),
    Kind("method of a dataclass with slots", _dataclass_method, call),
    Kind("method of a class with slots", _slots_method, call),
    Kind("abstract method", _abstract_method, call),
    Kind("method of a protocol", _protocol_method, call),
    Kind("method of an enum", _enum_method, call),
    Kind("method of a named tuple", _named_tuple_method, call),
    Kind("method of a generic class", _generic_method, call),
    Kind("method of a metaclass", _metaclass_method, call),
]
