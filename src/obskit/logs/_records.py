"""The standard library's records: into the pipeline where there is one, else as the host has them.

What structlog's loggers give goes the same ways.
"""

import logging
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from obskit._guard import guard
from obskit.logs._pipeline import LEVELS, beside

if TYPE_CHECKING:
    from obskit.logs._pipeline import LogPipeline

_RECORD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}
"""What every record has: the rest was given by the caller as ``extra``."""


class Active:
    """The pipeline that cached loggers write to now; without one, they use ``logging``."""

    pipeline: "LogPipeline | None" = None


class _Interpolating(threading.local):
    """How many interpolations of this thread are inside of one another."""

    depth = 0


_interpolating = _Interpolating()


def interpolated(event: Any, arguments: tuple[Any, ...]) -> Any:
    """Return ``event % arguments``, or the event alone where they do not fit."""
    if not arguments:
        return event
    plain = all(isinstance(argument, str | int | float) for argument in arguments)
    if _interpolating.depth > 1 and not plain:  # the text of an argument logs that argument
        guard.report("logs.recursion", RecursionError("logging from within logging"))
        return event
    _interpolating.depth += 1
    try:
        named = len(arguments) == 1 and isinstance(arguments[0], Mapping)
        return str(event) % (arguments[0] if named else arguments)
    except Exception as error:
        guard.report("logs.arguments", error)
        return event
    finally:
        _interpolating.depth -= 1


def error_of(exc_info: Any) -> BaseException | None:
    """Return the exception that an ``exc_info`` argument means, in any of its spellings."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if len(exc_info) > 1 else None
    return sys.exc_info()[1] if exc_info else None


def level_name(number: int) -> str:
    """Return the level of ours that a standard library level number falls into."""
    return max(
        (name for name in LEVELS if LEVELS[name] <= number), key=LEVELS.__getitem__, default="debug"
    )


class RecordHandler(logging.Handler):
    """Gives standard library records to a pipeline.

    Args:
        pipeline: Where they go.
    """

    def __init__(self, pipeline: "LogPipeline") -> None:
        super().__init__(pipeline.level)
        self._pipeline = pipeline

    def handle(self, record: logging.LogRecord) -> bool:
        """Write a record without the handler's lock: lines are written in one piece anyway."""
        kept: bool | logging.LogRecord = self.filter(record)
        if isinstance(kept, logging.LogRecord):  # a filter may give another record
            record = kept
        if kept:
            self.emit(record)
        return bool(kept)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record as one line; its ``extra`` fields become fields."""
        arguments = record.args if isinstance(record.args, tuple) else (record.args,)
        event = interpolated(record.msg, arguments) if record.args else record.msg
        error = error_of(record.exc_info)
        level = level_name(record.levelno)
        self._pipeline.emit(level, event, record.name, _record_fields(record), error)


def _record_fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return a record's ``extra`` fields, and the stack or the traceback that it has as text."""
    extra = {name: value for name, value in vars(record).items() if name not in _RECORD_FIELDS}
    texts: dict[str, Any] = {}
    if record.stack_info:
        texts["stack"] = record.stack_info
    if record.exc_text and not record.exc_info:  # it comes from another process
        texts["exception"] = record.exc_text
    return {**beside(extra, texts), **texts}


def log_record(
    level: str,
    event: Any,
    logger: str,
    fields: "Mapping[str, Any]",
    error: BaseException | None = None,
) -> None:
    """Log through the standard library: for hosts that keep logging to themselves.

    Faults of the host's filters and handlers are counted and never raised.

    Args:
        level: One of `LEVELS`.
        event: The message; text, or anything that has a text.
        logger: The logger's name.
        fields: Become the record's ``extra``; names that every record has get a ``_`` behind.
        error: The exception that the record is about.
    """
    extra = beside(fields, _RECORD_FIELDS)
    try:
        logging.getLogger(logger).log(LEVELS[level], event, extra=extra, exc_info=error)
    except Exception as fault:
        guard.report("logs.write", fault)


def write(
    level: str, event: Any, logger: str, fields: "Mapping[str, Any]", error: BaseException | None
) -> None:
    pipeline = Active.pipeline
    emit = log_record if pipeline is None else pipeline.emit
    emit(level, event, logger, fields, error)
