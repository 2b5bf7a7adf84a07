"""The context across boundaries: threads, processes, and headers to and from other services."""

import asyncio
import contextvars
import functools
import inspect
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, overload

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
from obskit.logs import text_of
from obskit.runtime import active_runtime
from obskit.tracing import read_trace_headers, swap_trace_context, write_trace_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, MutableMapping

    Headers = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]

__all__ = ["carry", "extract", "inject", "read_correlation_id"]

F = TypeVar("F", bound="Callable[..., Any]")
M = TypeVar("M", bound="MutableMapping[str, str]")


@overload
def inject(headers: dict[str, str]) -> dict[str, str]: ...


@overload
def inject(headers: M) -> M: ...


def inject(headers: Any) -> Any:
    """Write the correlation id, the trace context and the baggage into outgoing headers.

    Args:
        headers: The headers of a request or a message; headers of the same names are replaced.

    Returns:
        The same object.
    """
    identifier = correlation_id()
    if identifier is not None:
        headers[active_runtime().settings.correlation_headers[0]] = identifier
    write_trace_headers(headers)
    return headers


@contextmanager
def extract(headers: "Headers") -> "Generator[str]":
    """Continue the work that incoming headers speak of, while the block runs.

    Args:
        headers: A mapping, or pairs of names and values, text or bytes, in any case.

    Yields:
        The correlation id: the one in the headers, or a new one where that is absent or malformed.
    """
    lowered = lower_headers(headers)
    identifier = read_correlation_id(lowered) or new_correlation_id()
    inner = read_trace_headers(lowered)
    outer = swap_trace_context(inner)
    try:
        with entered(Context({CORRELATION_ID: identifier}, None)):
            yield identifier
    finally:
        left = swap_trace_context(outer)
        if left is not inner:  # the block ends in another context than it began in
            swap_trace_context(left)


def read_correlation_id(headers: "Mapping[str, str]") -> str | None:
    """Return the first valid correlation id in headers.

    Args:
        headers: Header names in lower case, and their values.
    """
    for name in active_runtime().settings.correlation_headers:
        identifier = headers.get(name.lower())
        if identifier is not None and is_valid_correlation_id(identifier):
            return identifier
    return None


def lower_headers(headers: "Headers") -> dict[str, str]:
    """Return headers as a dict of lower-case names; the first of several values counts."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    lowered: dict[str, str] = {}
    for name, value in pairs:
        lowered.setdefault(_text(name).lower(), _text(value))
    return lowered


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def carry(work: F, *, process: bool = False) -> F:
    """Give work that runs elsewhere the context of here: ids, bound fields, the current span.

    Args:
        work: A function for another thread, or a coroutine function for another event loop.
        process: Make something that can be pickled, for a process pool; it carries the ids and
            the fields that are plain values. ``work`` must itself be picklable.

    Returns:
        A callable that takes what ``work`` takes.
    """
    carried: Any
    if process:
        carried = CarriedWork(work, inject({}), _plain_fields())
    elif inspect.iscoroutinefunction(work):
        carried = _carry_coroutine(work)
    else:
        carried = _carry_function(work)
    return carried  # type: ignore[no-any-return] # it takes and gives what work does


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
        return await asyncio.create_task(work(*args, **kwargs), context=context.copy())

    return carried


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
