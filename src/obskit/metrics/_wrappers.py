"""Callables that run inside of a block, one shape for each kind: the kind never changes.

A coroutine is inside until it has returned, and a generator from its first step to its end.
"""

import functools
from typing import TYPE_CHECKING, Any

from obskit._callables import Wrappers, around, first_step, wrapped
from obskit.metrics._spec import WrongTypeError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from contextlib import AbstractContextManager

    Block = Callable[[], AbstractContextManager[object]]

_HOLDERS = (classmethod, property, functools.cached_property, functools.partialmethod)
"""What cannot be called but holds functions, and becomes callable in a class."""


def is_function(candidate: object) -> bool:
    """Tell what a decorator was put on from what it was told, such as a class of exceptions.

    Args:
        candidate: Anything.
    """
    return isinstance(candidate, _HOLDERS) or (
        callable(candidate) and not isinstance(candidate, type)
    )


def inside(block: "Block", function: Any) -> Any:
    """Return a callable of the same kind, each call of which runs inside of a block of its own.

    Args:
        block: Makes what is entered before a call and left after it; called once per call.
        function: Any function, method, partial or callable object, or what holds functions: a
            classmethod, a staticmethod, a property.

    Raises:
        DeclarationError: If it cannot be called, or is a class.
    """
    holder = around(function, lambda inner: inside(block, inner))
    if holder is not None:
        return holder
    if isinstance(function, type) or not callable(function):
        raise WrongTypeError(f"{function!r} is no function: decorate functions and methods")
    return wrapped(
        function,
        Wrappers(
            function=functools.partial(_wrap_function, block=block),
            coroutine=functools.partial(_wrap_coroutine, block=block),
            generator=functools.partial(_wrap_generator, block=block),
            async_generator=functools.partial(_wrap_async_generator, block=block),
        ),
    )


def _wrap_function(function: Any, block: "Block") -> "Callable[..., Any]":
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with block():
            return function(*args, **kwargs)

    return wrapper


def _wrap_coroutine(function: Any, block: "Block") -> "Callable[..., Any]":
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        with block():
            return await function(*args, **kwargs)

    return wrapper


def _wrap_generator(function: Any, block: "Block") -> "Callable[..., Any]":
    def wrapper(*args: Any, **kwargs: Any) -> "Generator[Any, Any, Any]":
        with block():
            generator = function(*args, **kwargs)
            step, value = generator.send, None
            while True:
                try:
                    item = step(value)
                except StopIteration as stop:
                    return stop.value
                finally:
                    value = None  # an exception thrown in would refer to this frame, and it to that
                try:
                    step, value = generator.send, (yield item)
                except GeneratorExit:
                    result = generator.close()  # a value since Python 3.13
                    if result is None:
                        raise
                    return result
                except BaseException as thrown:
                    step, value = generator.throw, thrown

    return wrapper


def _wrap_async_generator(function: Any, block: "Block") -> "Callable[..., Any]":
    async def wrapper(*args: Any, **kwargs: Any) -> "AsyncGenerator[Any, Any]":
        with block():
            generator = function(*args, **kwargs)
            step: Any = first_step(generator)
            while True:
                try:
                    item = await step
                except StopAsyncIteration:
                    return
                finally:
                    step = None  # the same
                try:
                    step = generator.asend((yield item))
                except GeneratorExit:
                    await generator.aclose()
                    raise
                except BaseException as thrown:
                    step = generator.athrow(thrown)

    return wrapper
