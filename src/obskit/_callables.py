"""What decorators have to know about callables: their kinds, and what holds functions."""

import functools
import sys
import types
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    Function = Callable[..., Any]


class Wrappers(NamedTuple):
    """How to wrap a callable of each kind; the wrapper is of the same kind."""

    function: "Callable[[Function], Function]"
    coroutine: "Callable[[Function], Function]"
    generator: "Callable[[Function], Function]"
    async_generator: "Callable[[Function], Function]"


def wrapped(function: "Function", wrappers: Wrappers) -> Any:
    """Return a wrapper that looks like a callable and is of its kind.

    Args:
        function: A function of any kind, a partial or a callable object.
        wrappers: Make the bare wrapper.
    """
    import inspect  # noqa: PLC0415 - slow to import, and there may be nothing to decorate

    called = _called(function)
    if inspect.isasyncgenfunction(called):
        wrapper = wrappers.async_generator(function)
    elif inspect.isgeneratorfunction(called):
        wrapper = wrappers.generator(function)
        if _may_be_awaited(function):
            wrapper = types.coroutine(wrapper)
    elif inspect.iscoroutinefunction(called):
        wrapper = wrappers.coroutine(function)
    else:
        wrapper = wrappers.function(function)
    wrapper.__annotations__ = {}  # its own says nothing about a function that has none
    wrapper.__module__ = getattr(function, "__module__", None)  # type: ignore[assignment] # the same
    return functools.update_wrapper(wrapper, function)


def around(holder: Any, decorate: "Callable[[Any], Any]") -> Any:
    """Return what holds functions with decorated ones in it; None for anything else.

    Args:
        holder: A classmethod, staticmethod, bound method, property, cached property or partial
            method, perhaps.
        decorate: Decorates the functions.
    """
    match holder:
        case classmethod() | staticmethod():
            return type(holder)(decorate(holder.__func__))
        case types.MethodType():
            return types.MethodType(decorate(holder.__func__), holder.__self__)
        case property():
            accessors = (holder.fget, holder.fset, holder.fdel)
            getter, setter, deleter = (each and decorate(each) for each in accessors)
            return type(holder)(getter, setter, deleter, holder.__doc__)
        case functools.cached_property():
            cached = type(holder)(decorate(holder.func))
            cached.attrname = holder.attrname
            return cached
        case functools.partialmethod():
            return type(holder)(decorate(holder.func), *holder.args, **holder.keywords)
        case _:
            return None


def first_step(generator: "AsyncGenerator[Any, Any]") -> "Awaitable[Any]":
    """Return the first step of an async generator that only its wrapper shall close.

    An event loop closes, at its end, every generator that it has seen beginning. Were it to see
    this one as well as the wrapper, the two would be closed at the same time, which fails.

    Args:
        generator: One that has not begun.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(None, None)
    try:
        return generator.asend(None)
    finally:
        sys.set_asyncgen_hooks(*hooks)


def _called(function: Any) -> Any:
    """Return what decides the kind: a partial's function, a callable object's ``__call__``."""
    import inspect  # noqa: PLC0415 - the same

    while isinstance(function, functools.partial):
        function = function.func
    return function if inspect.isroutine(function) else type(function).__call__


def _may_be_awaited(function: "Function") -> bool:
    """Tell whether `types.coroutine` has marked a generator function."""
    import inspect  # noqa: PLC0415 - the same

    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & inspect.CO_ITERABLE_COROUTINE)
