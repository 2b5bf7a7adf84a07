"""Callables that run inside of a block, one shape for each kind: the kind never changes.

A coroutine is inside until it has returned, and a generator from its first step to its end.
"""

import functools
import inspect
import sys
import types
from typing import TYPE_CHECKING, Any

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
    around = _around(function, lambda inner: None if inner is None else inside(block, inner))
    if around is not None:
        return around
    if isinstance(function, type) or not callable(function):
        raise WrongTypeError(f"{function!r} is no function: decorate functions and methods")
    wrapper = _wrapper_for(function)(function, block)
    if _is_generator_coroutine(function):
        wrapper = types.coroutine(wrapper)
    wrapper.__annotations__ = {}  # its own say nothing about a function that has none
    return functools.update_wrapper(wrapper, function)


def _around(holder: Any, decorate: "Callable[[Any], Any]") -> Any:
    """What holds functions, with decorated ones; None for anything else."""
    match holder:
        case classmethod() | staticmethod():
            return type(holder)(decorate(holder.__func__))
        case types.MethodType():
            return types.MethodType(decorate(holder.__func__), holder.__self__)
        case property():
            getter, setter, deleter = map(decorate, (holder.fget, holder.fset, holder.fdel))
            return type(holder)(getter, setter, deleter, holder.__doc__)
        case functools.cached_property():
            cached = type(holder)(decorate(holder.func))
            cached.attrname = holder.attrname
            return cached
        case functools.partialmethod():
            return type(holder)(decorate(holder.func), *holder.args, **holder.keywords)
        case _:
            return None


def _is_generator_coroutine(function: Any) -> bool:
    """Tell whether a generator function may be awaited: `types.coroutine` has marked it."""
    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & inspect.CO_ITERABLE_COROUTINE)


def _wrapper_for(function: Any) -> "Callable[[Any, Block], Any]":
    """The way to wrap that fits what a call of the function gives."""
    while isinstance(function, functools.partial):
        function = function.func
    called = function if inspect.isroutine(function) else type(function).__call__
    return next((wrap for is_kind, wrap in _WRAPPERS if is_kind(called)), _wrap_function)


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
            step = _first_step(generator)
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


def _first_step(generator: "AsyncGenerator[Any, Any]") -> Any:
    """The first step of an async generator that only its wrapper shall close.

    An event loop closes, at its end, every generator that it has seen beginning. Were it to see
    this one as well as the wrapper, the two would be closed at the same time, which fails.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return generator.asend(None)
    finally:
        sys.set_asyncgen_hooks(*hooks)


_WRAPPERS = (
    (inspect.isasyncgenfunction, _wrap_async_generator),
    (inspect.isgeneratorfunction, _wrap_generator),
    (inspect.iscoroutinefunction, _wrap_coroutine),
)
