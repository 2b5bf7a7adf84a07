"""What a decorator may find above or below a function in a class: descriptors."""

import functools
from collections.abc import Generator
from typing import Any

from tests.kits.callables import Body, Decorator, Kind, Made, await_, call, exhaust


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
        async def work(cls, value: int) -> Any:
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
        def work(value: int) -> Generator[Any]:
            """Work on a value."""
            yield body(value)

    return Worker().work


def _above_property(decorate: Decorator, body: Body) -> Any:
    class Worker:
        def __init__(self, value: Any) -> None:
            self.value = value

        @decorate  # type: ignore[prop-decorator] # mypy knows decorators below only
        @property
        def work(self) -> Any:
            """Work on a value."""
            return body(self.value)

    return Made(vars(Worker)["work"].fget, lambda value: Worker(value).work)


def _below_property(decorate: Decorator, body: Body) -> Any:
    class Worker:
        def __init__(self, value: Any) -> None:
            self.value = value

        @property
        @decorate
        def work(self) -> Any:
            """Work on a value."""
            return body(self.value)

    return Made(vars(Worker)["work"].fget, lambda value: Worker(value).work)


def _setter(decorate: Decorator, body: Body) -> Any:
    class Worker:
        def work(self, value: Any) -> None:
            """Work on a value."""
            body(value)

        attribute = decorate(property(None, work))

    def assign(value: Any) -> None:
        Worker().attribute = value

    return Made(vars(Worker)["attribute"].fset, assign)


def _setter_added_later(decorate: Decorator, body: Body) -> Any:
    class Worker:
        @decorate  # type: ignore[prop-decorator] # mypy knows decorators below only
        @property
        def work(self) -> Any:
            """Work on nothing."""

        @work.setter
        def work(self, value: Any) -> None:
            self.set(value)

        @decorate
        def set(self, value: Any) -> None:
            body(value)

    def assign(value: Any) -> None:
        Worker().work = value

    return Made(vars(Worker)["work"].fget, assign)


def _deleter(decorate: Decorator, body: Body) -> Any:
    class Worker:
        def __init__(self, value: Any) -> None:
            self.value = value

        def work(self) -> None:
            """Work on a value."""
            body(self.value)

        attribute = decorate(property(None, None, work))

    def delete(value: Any) -> None:
        del Worker(value).attribute

    return Made(vars(Worker)["attribute"].fdel, delete)


def _above_cached_property(decorate: Decorator, body: Body) -> Any:
    class Worker:
        def __init__(self, value: Any) -> None:
            self.value = value

        @decorate  # type: ignore[prop-decorator] # the same
        @functools.cached_property
        def work(self) -> Any:
            """Work on a value."""
            return body(self.value)

    def read_twice(value: Any) -> Any:
        worker = Worker(value)
        return [worker.work, worker.work]

    return Made(vars(Worker)["work"].func, read_twice)


def _below_cached_property(decorate: Decorator, body: Body) -> Any:
    class Worker:
        def __init__(self, value: Any) -> None:
            self.value = value

        @functools.cached_property
        @decorate
        def work(self) -> Any:
            """Work on a value."""
            return body(self.value)

    return Made(vars(Worker)["work"].func, lambda value: Worker(value).work)


def _above_partialmethod(decorate: Decorator, body: Body) -> Any:
    class Worker:
        def do(self, factor: int, value: int) -> Any:
            """Work on a value."""
            return body(value)

        work = decorate(functools.partialmethod(do, 1))

    return Worker().work


def _below_partialmethod(decorate: Decorator, body: Body) -> Any:
    class Worker:
        @decorate
        async def do(self, factor: int, value: int) -> Any:
            """Work on a value."""
            return body(value)

        work = functools.partialmethod(do, 1)

    return Worker().work


def _below_singledispatchmethod(decorate: Decorator, body: Body) -> Any:
    class Worker:
        @functools.singledispatchmethod
        @decorate
        def work(self, value: Any) -> Any:
            """Work on a value."""
            return body(value)

    return Worker().work


DESCRIPTORS = [
    Kind("above classmethod", _above_classmethod, call),
    Kind("below classmethod", _below_classmethod, await_),
    Kind("above staticmethod", _above_staticmethod, await_),
    Kind("below staticmethod", _below_staticmethod, exhaust),
    Kind("above property", _above_property, call, parameter="self"),
    Kind("below property", _below_property, call, parameter="self"),
    Kind("setter of a property", _setter, call),
    Kind("setter added to a property", _setter_added_later, call, parameter="self"),
    Kind("deleter of a property", _deleter, call, parameter="self"),
    Kind("above cached_property", _above_cached_property, call, parameter="self"),
    Kind("below cached_property", _below_cached_property, call, parameter="self"),
    Kind("above partialmethod", _above_partialmethod, call),
    Kind("below partialmethod", _below_partialmethod, await_),
    Kind("below singledispatchmethod", _below_singledispatchmethod, call, cached=True),
]
