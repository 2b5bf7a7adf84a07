"""Decorated callables that can be imported: for pickle, and for processes that begin anew.

`published` makes the same module again with another decorator; imported, it has obskit's.
"""

import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any
from unittest import mock

import obskit

decorate: Callable[[Any], Any] = globals().get("decorate", obskit.observe)


@decorate
def function(value: int = 7, *, scale: int = 2) -> int:
    """Scale a number."""
    return value * scale


@decorate
async def coroutine(value: int) -> int:
    """Scale a number, in time."""
    return value * 2


@decorate
def generator(value: int) -> Generator[int]:
    """Scale a number, piece by piece."""
    yield value * 2


@decorate
async def async_generator(value: int) -> AsyncGenerator[int]:
    """Scale a number, piece by piece and in time."""
    yield value * 2


@decorate
def failing(value: int) -> int:
    """Raise an error."""
    raise ValueError(value)


class Worker:
    """Has decorated methods, and compares by what it holds."""

    def __init__(self, factor: int = 2) -> None:
        self.factor = factor

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Worker) and other.factor == self.factor

    __hash__ = None  # type: ignore[assignment] # nobody asks

    @decorate
    def method(self, value: int) -> int:
        """Scale a number."""
        return value * self.factor

    @decorate
    @classmethod
    def above(cls, value: int) -> int:
        """Scale a number."""
        return value * 2

    @classmethod
    @decorate
    def below(cls, value: int) -> int:
        """Scale a number."""
        return value * 2

    @decorate
    @staticmethod
    def static(value: int) -> int:
        """Scale a number."""
        return value * 2

    @decorate  # type: ignore[prop-decorator] # mypy knows decorators below only
    @property
    def doubled(self) -> int:
        """Twice the factor."""
        return self.factor * 2


PUBLISHED: list[Callable[[ModuleType], Any]] = [
    lambda module: module.function,
    lambda module: module.coroutine,
    lambda module: module.generator,
    lambda module: module.async_generator,
    lambda module: module.Worker.method,
    lambda module: module.Worker.above,
    lambda module: module.Worker.below,
    lambda module: module.Worker.static,
    lambda module: module.Worker().method,
    lambda module: module.Worker(3),
]
"""What can be pickled and copied of the module: functions, methods, bound methods, objects."""


@contextmanager
def published(decorator: Callable[[Any], Any]) -> Generator[ModuleType]:
    """Make the module with another decorator; it can be imported while the block runs.

    Args:
        decorator: What decorates.
    """
    spec = spec_from_file_location("published_for_a_test", __file__)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    vars(module)["decorate"] = decorator
    with mock.patch.dict(sys.modules, {spec.name: module}):
        spec.loader.exec_module(module)
        yield module
