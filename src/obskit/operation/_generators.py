"""Decorated generators and async generators: the operation is current only inside their steps."""

from typing import TYPE_CHECKING, Any

from obskit._callables import first_step
from obskit.operation._current import NO_OPERATION
from obskit.operation._operation import Operation

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

    from obskit.operation._starter import CallStarter


def wrap_generator(function: "Callable[..., Any]", starter: "CallStarter") -> "Callable[..., Any]":
    def wrapper(*args: Any, **kwargs: Any) -> "Generator[Any, Any, Any]":
        operation: Operation = NO_OPERATION
        items = 0
        closing: GeneratorExit | None = None
        try:
            operation = starter.start(args, kwargs)
            generator = function(*args, **kwargs)
            step, value = generator.send, None
            while True:
                try:
                    made = [_step(operation, step, value)]
                except StopIteration as stop:
                    result = stop.value
                    break
                items += 1
                if closing is not None:
                    operation = _give_up(starter, operation, items)
                step, value, closing = generator.send, None, None
                try:
                    value = yield made.pop()  # what goes out, and what came in, is not kept
                except GeneratorExit as thrown:
                    step, value, closing = generator.throw, thrown, thrown
                except BaseException as thrown:
                    step, value = generator.throw, thrown
        except BaseException as error:
            value = closing = None  # an error that holds this frame must not be held by it
            _finish_generator(starter, operation, items, error=error)
            raise
        _finish_generator(starter, operation, items, result, closing)
        return result

    return wrapper


def _finish_generator(
    starter: "CallStarter",
    operation: Operation,
    items: int,
    result: Any = None,
    error: BaseException | None = None,
) -> None:
    """End a generator's operation, which is current only inside of its steps."""
    operation.set(items=items)
    _step(operation, starter.finish, operation, result, error)


def _give_up(starter: "CallStarter", operation: Operation, items: int) -> Operation:
    """End the operation of a generator that yields when it is closed; it may go on without one.

    Python tells who has closed it that the generator ignored that, and nobody else, ever.
    """
    ignored = RuntimeError("generator ignored GeneratorExit")
    _finish_generator(starter, operation, items, error=ignored)
    return NO_OPERATION


def _step(operation: Operation, step: "Callable[..., Any]", *values: Any) -> Any:
    """Run one step of a generator with its operation being the current one."""
    operation.enter()
    try:
        return step(*values)
    finally:
        values = ()  # as in the wrapper: what was thrown in must not be held by this frame
        operation.suspend()


def wrap_async_generator(
    function: "Callable[..., Any]", starter: "CallStarter"
) -> "Callable[..., Any]":
    async def wrapper(*args: Any, **kwargs: Any) -> "AsyncGenerator[Any, Any]":
        operation: Operation = NO_OPERATION
        items = 0
        closing: GeneratorExit | None = None
        try:
            operation = starter.start(args, kwargs)
            generator = function(*args, **kwargs)
            step: Any = first_step(generator)
            while True:
                try:
                    made = [await _async_step(operation, step)]
                except StopAsyncIteration:
                    break
                items += 1
                if closing is not None:
                    operation = _give_up(starter, operation, items)
                step, closing = None, None
                try:
                    step = generator.asend((yield made.pop()))
                except GeneratorExit as thrown:
                    step, closing = generator.athrow(thrown), thrown
                except BaseException as thrown:
                    step = generator.athrow(thrown)
        except BaseException as error:
            step = closing = None  # an error that holds this frame must not be held by it
            _finish_generator(starter, operation, items, error=error)
            raise
        _finish_generator(starter, operation, items, error=closing)

    return wrapper


async def _async_step(operation: Operation, step: "Awaitable[Any]") -> Any:
    """Run one step of an async generator with its operation being the current one."""
    operation.enter()
    try:
        return await step
    finally:
        operation.suspend()
