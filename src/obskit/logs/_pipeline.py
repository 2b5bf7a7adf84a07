"""From an event to a written line: the one way that every log line takes."""

import threading
import time
import traceback
from itertools import islice
from typing import TYPE_CHECKING, Any

from obskit._guard import guard
from obskit.context import CORRELATION_ID, current_context, unit_correlation_id
from obskit.logs._json import UNPRINTABLE
from obskit.logs._template import LineTemplate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from types import FrameType

    from opentelemetry.trace import SpanContext

    from obskit.clock import Clock

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
"""Level names as they appear in lines, and their standard library numbers."""

MAXIMUM_TRACEBACK = 16_384
"""Characters of a traceback that are kept: the end, which names the fault."""

MAXIMUM_FIELDS = 1_000
"""Fields of one line, the fixed ones not counted, that are shown."""

RESERVED = (
    "timestamp",
    "level",
    "event",
    "logger",
    "service",
    "environment",
    "version",
    CORRELATION_ID,
    "trace_id",
    "span_id",
)
"""Fields whose meaning is fixed: a field of the same name given by a caller gets a ``_`` behind."""


_TAKEN = frozenset(RESERVED)

_NOTHING: dict[str, Any] = {}


class _Depth(threading.local):
    """How many lines of this thread are being written inside of one another."""

    depth = 0


class LogPipeline:
    """Turns events into entries and entries into lines.

    Args:
        identity: Fields of every line: service, environment, version; empty ones are left out.
        level: The least level that is written, one of `LEVELS`.
        deliver: Takes each finished entry; it may raise, which is counted.
        clock: Tells the wall time of a line.
        trace_ids: Returns the current trace id and span id, if any.
        write: Takes a finished line, where entries become lines of JSON and nothing else.
    """

    def __init__(
        self,
        *,
        identity: "Mapping[str, str]",
        level: str,
        deliver: "Callable[[Mapping[str, Any]], None]",
        clock: "Clock",
        trace_ids: "Callable[[], tuple[str, str] | None]",
        write: "Callable[[bytes], None] | None" = None,
    ) -> None:
        self.level: int = LEVELS[level]
        self._identity = {name: value for name, value in identity.items() if value}
        self._deliver = deliver
        self._time = clock.time
        self._trace_ids = trace_ids
        self._write = write
        self._second = (0, "")
        self._inside = _Depth()

    def emit(
        self,
        level: str,
        event: Any,
        logger: str,
        fields: "Mapping[str, Any]",
        error: BaseException | None = None,
    ) -> None:
        """Write one line; faults are counted and never raised.

        Args:
            level: One of `LEVELS`.
            event: What happened; text, or anything that has a text.
            logger: Who says so.
            fields: Further fields of this line.
            error: The exception that the line is about.
        """
        inside = self._inside
        if inside.depth > 1:  # a value that logs while it is being logged
            guard.report("logs.recursion", RecursionError("logging from within logging"))
            return
        inside.depth += 1
        try:
            self._deliver(self._entry(level, event, logger, fields, error))
        except Exception as fault:
            guard.report("logs.write", fault)
        finally:
            inside.depth -= 1

    def recurring(
        self, level: str, event: str, logger: str, names: "Sequence[str]"
    ) -> "RecurringLine | None":
        """Return a line that is written often, with the same fields each time.

        Args:
            level: One of `LEVELS`.
            event: What happened.
            logger: Who says so.
            names: Its further fields; none of them has a fixed meaning.

        Returns:
            The line; None where lines are not written as JSON, or not of this level.
        """
        if self._write is None or LEVELS[level] < self.level:
            return None
        head = {"timestamp": "", "level": level, "event": event, "logger": logger}
        alone, traced = (
            LineTemplate(
                {**head, **self._identity, **dict.fromkeys((*ids, *names))},
                ("timestamp", *ids, *names),
            )
            for ids in ((CORRELATION_ID,), (CORRELATION_ID, "trace_id", "span_id"))
        )
        return RecurringLine(alone, traced, self._timestamp, self._write)

    def _entry(
        self,
        level: str,
        event: Any,
        logger: str,
        fields: "Mapping[str, Any]",
        error: BaseException | None,
    ) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "timestamp": self._timestamp(),
            "level": level,
            "event": event,
            "logger": logger,
            **self._identity,
        }
        context = current_context.get()
        bound = _NOTHING if context is None else context.fields
        if context is not None:
            entry[CORRELATION_ID] = bound.get(CORRELATION_ID) or unit_correlation_id(bound)
        ids = self._trace_ids()
        if ids is not None:
            entry["trace_id"], entry["span_id"] = ids
        is_plain = error is None and len(bound) <= 1 and len(fields) <= MAXIMUM_FIELDS
        if is_plain and _TAKEN.isdisjoint(fields):  # all that is bound is the id
            entry.update(fields)
            return entry
        return self._with_given(entry, {**bound, **fields}, error)

    def _with_given(
        self, entry: dict[str, Any], given: dict[str, Any], error: BaseException | None
    ) -> dict[str, Any]:
        """Return an entry with any fields; none of them takes the place of a fixed one."""
        if CORRELATION_ID in given and given[CORRELATION_ID] == entry.get(CORRELATION_ID):
            del given[CORRELATION_ID]
        last: dict[str, Any] = {}
        if len(given) > MAXIMUM_FIELDS:
            last["fields_left_out"] = len(given) - MAXIMUM_FIELDS
            given = dict(islice(given.items(), MAXIMUM_FIELDS))
        if error is not None:
            last["exception"] = traceback_text(error)
        return {**entry, **beside(given, (*RESERVED, *last)), **last}

    def _timestamp(self) -> str:
        """Return the time in UTC as RFC 3339 with microseconds; the second's text is kept."""
        now = self._time()
        second = int(now)
        known, text = self._second
        if second != known:
            text = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
            self._second = (second, text)
        return f"{text}{int((now - second) * 1_000_000):06d}Z"


class RecurringLine:
    """A line that `LogPipeline.recurring` has made.

    Args:
        alone: Has gaps for the time, the correlation id and the further fields.
        traced: Has gaps for the trace's and the span's ids, too.
        timestamp: Returns the time as lines show it.
        write: Takes a finished line.
    """

    __slots__ = ("_alone", "_timestamp", "_traced", "_write")

    def __init__(
        self,
        alone: LineTemplate,
        traced: LineTemplate,
        timestamp: "Callable[[], str]",
        write: "Callable[[bytes], None]",
    ) -> None:
        self._alone = alone
        self._traced = traced
        self._timestamp = timestamp
        self._write = write

    def write(
        self, correlation_id: str, span: "SpanContext | None", values: "tuple[Any, ...]"
    ) -> None:
        """Write the line; faults are counted and never raised.

        Args:
            correlation_id: A valid one.
            span: The span that the line belongs to, if any.
            values: Of the further fields: finite numbers, and texts as `json_text` makes them.
        """
        try:
            start: tuple[Any, ...] = (f'"{self._timestamp()}"', f'"{correlation_id}"')
            if span is None:
                self._write(self._alone.fill_in(start + values))
                return
            ids = (f'"{span.trace_id:032x}"', f'"{span.span_id:016x}"')
            self._write(self._traced.fill_in(start + ids + values))
        except Exception as fault:
            guard.report("logs.write", fault)


def beside(fields: "Mapping[str, Any]", reserved: "Collection[str]") -> dict[str, Any]:
    """Return all fields, those of a reserved name under that name with ``_`` behind.

    Args:
        fields: Names and values; a name that one of them has already is not given to another.
        reserved: Names that mean something else.
    """
    return {
        free_name(name, fields) if name in reserved else name: value
        for name, value in fields.items()
    }


def free_name(name: str, taken: "Collection[str]") -> str:
    """Return a name with as many ``_`` behind, one at least, as make it differ from all taken."""
    name += "_"
    while name in taken:
        name += "_"
    return name


def traceback_text(error: BaseException) -> str:
    """Return an exception with its traceback, without local variables, bounded from the front.

    It begins in the host's code: frames of obskit's wrappers in front of that say nothing.
    """
    frames = error.__traceback__
    while frames is not None and _is_ours(frames.tb_frame):
        frames = frames.tb_next
    try:
        text = "".join(traceback.format_exception(type(error), error, frames)).rstrip()
    except Exception:  # its notes or its cause are properties that raise
        text = f"{type(error).__qualname__}: {UNPRINTABLE}"
    return text if len(text) <= MAXIMUM_TRACEBACK else "…" + text[1 - MAXIMUM_TRACEBACK :]


def _is_ours(frame: "FrameType") -> bool:
    return str(frame.f_globals.get("__name__", "")).startswith("obskit.")
