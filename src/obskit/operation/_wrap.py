"""Decorated callables, one shape for each kind: the kind of a callable never changes.

Closures, not wrapt: a closure costs a fifth of a function wrapper, and pickles as its function.
"""

import functools
import inspect
import types
from typing import TYPE_CHECKING, Any

from obskit.errors import DeclarationError
from obskit.operation._calls import wrap_coroutine, wrap_function
from obskit.operation._generators import wrap_async_generator, wrap_generator

if TYPE_CHECKING:
    from collections.abc import Callable

    from obskit.operation._starter import CallStarter

    MakeStarter = Callable[[Callable[..., Any]], CallStarter]

OBSERVED = "__obskit_observed__"
"""Marks callables that are operations already."""


def wrap(function: Any, make_starter: "MakeStarter") -> Any:
    """Return a callable of the same kind that is an operation at each call.

    Args:
        function: A function of any kind, a classmethod, a staticmethod, a property or a callable
            object.
        make_starter: Makes the starter for the bare function.

    Raises:
        DeclarationError: If it is not callable, or is a class.
    """
    rewrap = _rewrapping(function, make_starter)
    if rewrap is not None:
        return rewrap
    if isinstance(function, type):
        raise DeclarationError(
            f"observe: {function.__qualname__} is a class: use obskit.observe_methods for all its"
            " methods, or decorate some of them"
        )
    if not callable(function):
        raise DeclarationError(
            f"observe: {function!r} cannot be called: give a name (a text), or decorate a function"
        )
    wrapper = _wrapper_for(function)(function, make_starter(function))
    if _is_generator_coroutine(function):
        wrapper = types.coroutine(wrapper)
    functools.update_wrapper(wrapper, function)
    setattr(wrapper, OBSERVED, True)
    return wrapper


def _rewrapping(descriptor: Any, make_starter: "MakeStarter") -> Any:
    """Return a descriptor like the given one around decorated functions; None for other things."""

    def inner(function: Any) -> Any:
        return None if function is None else wrap(function, make_starter)

    match descriptor:
        case classmethod() | staticmethod():
            return type(descriptor)(inner(descriptor.__func__))
        case types.MethodType():
            return types.MethodType(inner(descriptor.__func__), descriptor.__self__)
        case property():
            return type(descriptor)(
                inner(descriptor.fget),
                inner(descriptor.fset),
                inner(descriptor.fdel),
                descriptor.__doc__,
            )
        case functools.cached_property():
            again = type(descriptor)(inner(descriptor.func))
            again.attrname = descriptor.attrname
            return again
        case functools.partialmethod():
            return type(descriptor)(inner(descriptor.func), *descriptor.args, **descriptor.keywords)
        case _:
            return None


def _is_generator_coroutine(function: Any) -> bool:
    """Tell whether a generator function may be awaited: `types.coroutine` has marked it."""
    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & inspect.CO_ITERABLE_COROUTINE)


def _wrapper_for(
    function: "Callable[..., Any]",
) -> "Callable[[Callable[..., Any], CallStarter], Any]":
    """Return the way to wrap that fits what a call of the function gives."""
    called = function if inspect.isroutine(function) else _call_of(function)
    if inspect.isasyncgenfunction(called):
        return wrap_async_generator
    if inspect.isgeneratorfunction(called):
        return wrap_generator
    if inspect.iscoroutinefunction(called):
        return wrap_coroutine
    return wrap_function


def _call_of(instance: Any) -> Any:
    """Return what decides the kind of a callable object: a partial's function, or ``__call__``."""
    while isinstance(instance, functools.partial):
        instance = instance.func
    return instance if inspect.isroutine(instance) else type(instance).__call__
