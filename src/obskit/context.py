"""What belongs to the work at hand: the correlation id, bound log fields, the operation.

One ContextVar holds one record. The record's ``fields`` are shared by everything that
works for the same unit (a request, a job), so that `bind` in a thread or a task of a request is
seen by the request's own last log line; `bound` opens a unit of its own.
"""

import os
import re
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from obskit._guard import guard

if TYPE_CHECKING:
    from collections.abc import Generator

CORRELATION_ID = "correlation_id"
"""The key under which a unit's fields hold its correlation id."""

MAXIMUM_FIELDS = 128
"""Fields that one unit of work may bind; more are dropped and counted."""

IDS_AT_ONCE = 64
"""Correlation ids that are made at once."""

_VALID_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class Record(Protocol):
    """What `current_context` holds: a `Context`, or the operation in progress itself."""

    @property
    def fields(self) -> dict[str, Any]:
        """Log fields of the unit of work; single dict operations are atomic: threads may share."""
        ...

    @property
    def operation(self) -> Any:
        """The innermost operation in progress, or None."""
        ...

    @property
    def suppressed(self) -> bool:
        """Whether nothing is to be recorded here."""
        ...


class Context(NamedTuple):
    """A record that is not an operation: never changed, only replaced."""

    fields: dict[str, Any]
    operation: Any
    suppressed: bool = False


current_context: ContextVar[Record | None] = ContextVar("obskit_context", default=None)


def is_valid_correlation_id(text: str) -> bool:
    """Tell whether a correlation id from outside may be used: ``[A-Za-z0-9._-]{1,128}``."""
    return _VALID_ID.fullmatch(text) is not None


def new_correlation_id() -> str:
    """Make a fresh correlation id: 128 random bits as 32 hexadecimal digits."""
    try:
        return _ids.pop()
    except IndexError:
        first, *others = _fresh_ids()
        _ids.extend(others)
        return first


def _fresh_ids() -> list[str]:
    """Ask the system for randomness, which takes as long for many ids as for one."""
    digits = os.urandom(16 * IDS_AT_ONCE).hex()
    return [digits[start : start + 32] for start in range(0, len(digits), 32)]


_ids: list[str] = []
"""Ids that nobody has yet; taking one is atomic."""

os.register_at_fork(after_in_child=_ids.clear)  # the parent has them


def correlation_id() -> str | None:
    """Return the correlation id of the work at hand.

    A unit of work that came with no id gets one when it is first asked for.

    Returns:
        The id, or None outside of any request, operation or `bound` block.
    """
    context = current_context.get()
    return None if context is None else unit_correlation_id(context.fields)


def unit_correlation_id(fields: dict[str, Any]) -> str:
    """Return the id in a unit's fields, made now when there is none."""
    known: str | None = fields.get(CORRELATION_ID)
    return known or str(fields.setdefault(CORRELATION_ID, new_correlation_id()))


def bind(**fields: Any) -> None:
    """Add log fields to every later line of this unit of work.

    They last until the end of the request, of the `bound` block or of the outermost operation
    that is open, and otherwise as long as the thread or task. ``correlation_id`` sets the id.

    Args:
        **fields: Names and values; they reach log lines only, never metrics.
    """
    context = current_context.get()
    if context is None:
        current_context.set(Context(_checked({}, fields), None))
    else:
        context.fields.update(_checked(context.fields, fields))


@contextmanager
def bound(**fields: Any) -> "Generator[None]":
    """Add log fields to every line inside the block, tasks and threads started there included.

    Args:
        **fields: Names and values; ``correlation_id`` sets the id.
    """
    outer = current_context.get()
    inherited = {} if outer is None else outer.fields
    if outer is not None and CORRELATION_ID not in fields:
        unit_correlation_id(inherited)  # made now, so that inside and outside share it
    with entered(_like(outer, {**inherited, **_checked(inherited, fields)})):
        yield


@contextmanager
def suppressed() -> "Generator[None]":
    """Record no operation inside the block: not in metrics, not in logs, not as a span.

    Tasks and threads that are started there, and handed the context, are included. Log lines
    that the program itself writes are written.
    """
    outer = current_context.get()
    with entered(Context({} if outer is None else outer.fields, None, suppressed=True)):
        yield


def _like(outer: Record | None, fields: dict[str, Any]) -> Context:
    """Return a record with other fields."""
    return (
        Context(fields, None)
        if outer is None
        else Context(fields, outer.operation, outer.suppressed)
    )


@contextmanager
def entered(context: Context) -> "Generator[None]":
    """Make a record the current one for the block.

    The outer record comes back only where it was left: a block that ends in another context (a
    generator closed by the garbage collector) leaves that context alone.
    """
    outer = current_context.get()
    current_context.set(context)
    try:
        yield
    finally:
        if current_context.get() is context:
            current_context.set(outer)


def _checked(known: dict[str, Any], added: dict[str, Any]) -> dict[str, Any]:
    """Return what may be added: a valid correlation id, and no more fields than the maximum."""
    if CORRELATION_ID in added:
        added = {**added, CORRELATION_ID: _usable_id(added[CORRELATION_ID])}
    fresh = [name for name in added if name not in known and name != CORRELATION_ID]
    excess = fresh[max(MAXIMUM_FIELDS - len(known), 0) :]
    if not excess:
        return added
    guard.report("context.bind", OverflowError(f"more than {MAXIMUM_FIELDS} fields"))
    return {name: value for name, value in added.items() if name not in excess}


def _usable_id(given: Any) -> str:
    """Return an id that the program has given, as text; a new one if it breaks the rules."""
    try:
        text = "" if given is None else str(given)
    except Exception as error:
        guard.report("context.bind", error)
        text = ""
    return text if is_valid_correlation_id(text) else new_correlation_id()
