"""The context across boundaries: threads, processes, and headers to and from other services."""

import contextvars
import functools
import inspect
import re
import types
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, overload

from opentelemetry.context import get_current

from obskit._guard import guard
from obskit.context import (
    CORRELATION_ID,
    Context,
    bound,
    correlation_id,
    current_context,
    entered,
    is_valid_correlation_id,
    new_correlation_id,
)
from obskit.errors import DeclarationError
from obskit.logs import text_of
from obskit.runtime import active_runtime
from obskit.tracing import read_trace_headers, swap_trace_context, write_trace_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Iterable, MutableMapping

    from opentelemetry.context import Context as TraceContext

    Headers = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]

__all__ = ["carry", "extract", "inject", "read_correlation_id"]

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")

F = TypeVar("F", bound="Callable[..., Any]")
M = TypeVar("M", bound="MutableMapping[str, str]")


@overload
def inject(headers: dict[str, str]) -> dict[str, str]: ...


@overload
def inject(headers: M) -> M: ...


def inject(headers: Any) -> Any:
    """Write the correlation id, the trace context and the baggage into outgoing headers.

    Args:
        headers: The headers of a request or a message; headers of the same names, in any case,
            are replaced. Headers that cannot be written to are left as they are.

    Returns:
        The same object.
    """
    try:
        _replace(headers, _outgoing())
    except Exception as error:
        guard.report("propagation.inject", error)
    return headers


def _outgoing() -> dict[str, str]:
    """Return the headers that speak of the work at hand."""
    headers: dict[str, str] = {}
    identifier = correlation_id()
    if identifier is not None:
        headers[active_runtime().settings.correlation_headers[0]] = identifier
    write_trace_headers(headers)
    return headers


def _replace(headers: "MutableMapping[str, str]", written: dict[str, str]) -> None:
    """Set headers in the place of those of the same names in any case."""
    lowered = {name.lower() for name in written}
    for name in [name for name in headers if _text(name).lower() in lowered]:
        del headers[name]
    for name, value in written.items():
        headers[name] = value


@contextmanager
def extract(headers: "Headers") -> "Generator[str]":
    """Continue the work that incoming headers speak of, while the block runs.

    Args:
        headers: A mapping, or pairs of names and values, text or bytes, in any case. What follows
            a malformed pair is not read.

    Yields:
        The correlation id: the one in the headers, or a new one where that is absent or malformed.
    """
    lowered = lower_headers(headers)
    names = map(str.lower, active_runtime().settings.correlation_headers)
    identifier = read_correlation_id(lowered, names) or new_correlation_id()
    inner = _read_trace(lowered)
    outer = swap_trace_context(inner)
    try:
        with entered(Context({CORRELATION_ID: identifier}, None)):
            yield identifier
    finally:
        left = swap_trace_context(outer)
        if left is not inner:  # the block ends in another context than it began in
            swap_trace_context(left)


def _read_trace(headers: "Mapping[str, str]") -> "TraceContext":
    try:
        return read_trace_headers(headers)
    except Exception as error:
        guard.report("propagation.extract", error)
        return get_current()


def read_correlation_id(headers: "Mapping[str, str]", names: "Iterable[str]") -> str | None:
    """Return the first valid correlation id in headers.

    Args:
        headers: Header names in lower case, and their values.
        names: Headers that may have one, in lower case and in order.
    """
    for name in names:
        identifier = headers.get(name)
        if identifier is not None and is_valid_correlation_id(identifier):
            return identifier
    return None


def trace_id_of(traceparent: str) -> str | None:
    """Return the trace id in a ``traceparent`` header, or None where that is malformed.

    Args:
        traceparent: The header's value, as https://www.w3.org/TR/trace-context/ describes it.
    """
    found = _TRACEPARENT.fullmatch(traceparent)
    return found.group(1) if found and found.group(1).strip("0") else None


def lower_headers(headers: "Headers") -> dict[str, str]:
    """Return headers as a dict of lower-case names; the first of several values counts.

    Args:
        headers: As `extract` takes them; malformed ones are reported, never raised.
    """
    lowered: dict[str, str] = {}
    try:
        for name, value in headers.items() if isinstance(headers, Mapping) else headers:
            lowered.setdefault(_text(name).lower(), _text(value))
    except Exception as error:
        guard.report("propagation.extract", error)
    return lowered


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def carry(work: F, *, process: bool = False) -> F:
    """Give work that runs elsewhere the context of here: ids, bound fields, the current span.

    Args:
        work: A function for another thread, or a coroutine function for another event loop, of
            asyncio or any other library.
        process: Make something that can be pickled, for a process pool; it carries the ids and
            the fields that are plain values. ``work`` must itself be picklable.

    Returns:
        A callable that takes what ``work`` takes.

    Raises:
        DeclarationError: If ``work`` is a generator function: its body runs where it is consumed.
    """
    called = _called(work)
    if inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called):
        raise DeclarationError(
            f"carry: {work!r} is a generator function: carry a function that consumes the generator"
        )
    carried: Any
    if process:
        carried = CarriedWork(work, inject({}), _plain_fields())
    elif inspect.iscoroutinefunction(work) or inspect.iscoroutinefunction(called):
        carried = _carry_coroutine(work)
    else:
        carried = _carry_function(work)
    return carried  # type: ignore[no-any-return] # it takes and gives what work does


def _called(work: Any) -> Any:
    """Return the function that a call runs: also that of a partial, or of an object's class."""
    while isinstance(work, functools.partial):
        work = work.func
    return work if inspect.isroutine(work) or inspect.isclass(work) else type(work).__call__


def _carry_function(work: "Callable[..., Any]") -> "Callable[..., Any]":
    context = contextvars.copy_context()

    @functools.wraps(work)
    def carried(*args: Any, **kwargs: Any) -> Any:
        return context.copy().run(work, *args, **kwargs)  # a context runs in one thread at a time

    return carried


def _carry_coroutine(work: "Callable[..., Any]") -> "Callable[..., Any]":
    context = contextvars.copy_context()

    @functools.wraps(work)
    async def carried(*args: Any, **kwargs: Any) -> Any:
        inside = context.copy()
        return await _steps(inside.run(work, *args, **kwargs), inside)

    return carried


@types.coroutine
def _steps(
    coroutine: "Coroutine[Any, Any, Any]", context: contextvars.Context
) -> "Generator[Any, Any, Any]":
    """Run each step of a coroutine in a context, for whatever event loop drives it."""
    step: Callable[[Any], Any] = coroutine.send
    given: Any = None
    while True:
        try:
            awaited = context.run(step, given)
        except StopIteration as end:
            return end.value
        try:
            step, given = coroutine.send, (yield awaited)
        except BaseException as error:  # a cancellation, too, is the coroutine's to see
            step, given = coroutine.throw, error


class CarriedWork:
    """Work for another process, with the context it was carried from. Made by `carry`.

    Args:
        work: What to run; picklable.
        headers: The ids, as `inject` writes them.
        fields: Bound log fields that can be pickled.
    """

    def __init__(
        self, work: "Callable[..., Any]", headers: dict[str, str], fields: dict[str, Any]
    ) -> None:
        self._work = work
        self._headers = headers
        self._fields = fields

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the work in the context it was carried from."""
        with extract(self._headers), bound(**self._fields):
            return self._work(*args, **kwargs)


def _plain_fields() -> dict[str, Any]:
    """Return the bound fields, with values that any process can unpickle."""
    context = current_context.get()
    fields = {} if context is None else dict(context.fields)
    return {
        name: value if isinstance(value, str | int | float | bool | None) else text_of(value)
        for name, value in fields.items()
    }
