"""Decorated functions and coroutine functions: the hot path.

The wrappers spell out the same steps, once without and once with ``await``: to call a function of
ours for a step would cost more than most steps do.
"""

from typing import TYPE_CHECKING, Any

from obskit._guard import guard
from obskit.context import current_context
from obskit.metrics import BATCH, default_engine
from obskit.operation._current import NO_OPERATION
from obskit.operation._operation import Operation
from obskit.operation._traced import leave_span

if TYPE_CHECKING:
    from collections.abc import Callable

    from obskit.operation._starter import CallStarter

SHORTAGE = (MemoryError, RecursionError)
"""Errors that even the report of an error may raise; what the host has must reach the host."""


def wrap_function(function: "Callable[..., Any]", starter: "CallStarter") -> "Callable[..., Any]":
    """Return a function that is an operation at each call."""
    get, become, go_back = current_context.get, current_context.set, current_context.reset
    record_duration = default_engine.record_duration
    record = _record_function(function, starter)

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        fast = starter.fast
        if fast is None:
            return (function if starter.off else record)(*args, **kwargs)
        outer = get()
        if outer is not None and outer.suppressed:
            return function(*args, **kwargs)
        instrument, cells, prepare, complete, enter, leave, told, clock, slow, durations = fast
        operation: Operation = NO_OPERATION
        try:
            operation = Operation()
            operation._instrument = instrument
            if outer is not None:
                operation._outer = outer
                operation.fields = outer.fields
            if prepare is not None:
                cells = prepare(operation, args, kwargs)
            operation.started = started = clock()
            enter(operation)
            token = become(operation)
        except BaseException as fault:
            leave(operation)
            if get() is operation:
                become(outer)
            if complete is not None:
                leave_span(operation)
            if not isinstance(fault, Exception):
                raise
            try:
                guard.report("operation.begin", fault)
            except SHORTAGE:
                pass
            return function(*args, **kwargs)
        try:
            result = function(*args, **kwargs) if kwargs else function(*args)
        except BaseException as error:
            try:
                starter.finish_light(operation, error=error)
            except SHORTAGE:
                pass
            raise
        else:
            try:
                seconds = clock() - started
                if (told and operation in told) or seconds >= slow:
                    starter.finish_light(operation, result)
                elif complete is not None:
                    complete(operation, cells, seconds)
                elif len(durations) < BATCH:
                    durations.append((cells, seconds))
                else:
                    record_duration(cells, seconds)
            except Exception as fault:
                try:
                    guard.report("operation.end", fault)
                except SHORTAGE:
                    pass
            return result
        finally:
            try:
                go_back(token)
            except ValueError:  # the function has left in another context than it came in
                pass
            except SHORTAGE:
                become(outer)
            finally:
                leave(operation)
                if complete is not None:
                    leave_span(operation)
                if outer is not None:
                    operation._outer = None  # tasks left behind keep it, but not what was around

    return wrapper


def _record_function(
    function: "Callable[..., Any]", starter: "CallStarter"
) -> "Callable[..., Any]":
    """Return a function that is an operation with all its signals."""

    def record(*args: Any, **kwargs: Any) -> Any:
        operation: Operation = NO_OPERATION
        try:
            operation = starter.start(args, kwargs)
            operation.enter()
            result = function(*args, **kwargs)
        except BaseException as error:
            starter.finish(operation, error=error)
            raise
        else:
            starter.finish(operation, result)
            return result
        finally:
            operation.leave()

    return record


def wrap_coroutine(function: "Callable[..., Any]", starter: "CallStarter") -> "Callable[..., Any]":
    """Return a coroutine function that is an operation at each call."""
    get, become, go_back = current_context.get, current_context.set, current_context.reset
    record_duration = default_engine.record_duration
    record = _record_coroutine(function, starter)

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        fast = starter.fast
        if fast is None:
            return await (function if starter.off else record)(*args, **kwargs)
        outer = get()
        if outer is not None and outer.suppressed:
            return await function(*args, **kwargs)
        instrument, cells, prepare, complete, enter, leave, told, clock, slow, durations = fast
        operation: Operation = NO_OPERATION
        try:
            operation = Operation()
            operation._instrument = instrument
            if outer is not None:
                operation._outer = outer
                operation.fields = outer.fields
            if prepare is not None:
                cells = prepare(operation, args, kwargs)
            operation.started = started = clock()
            enter(operation)
            token = become(operation)
        except BaseException as fault:
            leave(operation)
            if get() is operation:
                become(outer)
            if complete is not None:
                leave_span(operation)
            if not isinstance(fault, Exception):
                raise
            try:
                guard.report("operation.begin", fault)
            except SHORTAGE:
                pass
            return await function(*args, **kwargs)
        try:
            result = await function(*args, **kwargs) if kwargs else await function(*args)
        except BaseException as error:
            try:
                starter.finish_light(operation, error=error)
            except SHORTAGE:
                pass
            raise
        else:
            try:
                seconds = clock() - started
                if (told and operation in told) or seconds >= slow:
                    starter.finish_light(operation, result)
                elif complete is not None:
                    complete(operation, cells, seconds)
                elif len(durations) < BATCH:
                    durations.append((cells, seconds))
                else:
                    record_duration(cells, seconds)
            except Exception as fault:
                try:
                    guard.report("operation.end", fault)
                except SHORTAGE:
                    pass
            return result
        finally:
            here = False
            try:
                if get() is operation:
                    go_back(token)
                    here = True
                else:
                    operation._ended, operation._token = True, token
                    operation.leave()
            except ValueError:  # closed by a finaliser, in a copy of the context
                pass
            except SHORTAGE:
                become(outer)
            finally:
                leave(operation)
                if complete is not None and here:
                    leave_span(operation)
                if outer is not None:
                    operation._outer = None  # tasks left behind keep it, but not what was around

    return wrapper


def _record_coroutine(
    function: "Callable[..., Any]", starter: "CallStarter"
) -> "Callable[..., Any]":
    """Return a coroutine function that is an operation with all its signals."""

    async def record(*args: Any, **kwargs: Any) -> Any:
        operation: Operation = NO_OPERATION
        try:
            operation = starter.start(args, kwargs)
            operation.enter()
            result = await function(*args, **kwargs)
        except BaseException as error:
            starter.finish(operation, error=error)
            raise
        else:
            starter.finish(operation, result)
            return result
        finally:
            operation.leave()

    return record
