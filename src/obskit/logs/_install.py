"""Where structlog and the standard library meet the pipeline, and part from it again.

This file owns what structlog and ``logging`` make global. The list of structlog processors is
changed in place, so that loggers cached by the host follow every change of configuration.
"""

import logging
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog

from obskit._guard import guard
from obskit.logs._pipeline import LEVELS, beside, free_name

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, MutableMapping

    from structlog.typing import FilteringBoundLogger

    from obskit.logs._pipeline import LogPipeline

_RECORD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}
"""What every record has: the rest was given by the caller as ``extra``."""


class _Active:
    """The pipeline that cached loggers write to now; without one, they use ``logging``."""

    pipeline: "LogPipeline | None" = None


def get_logger(name: str | None = None, **fields: Any) -> "FilteringBoundLogger":
    """Return a structlog logger whose lines carry the ids of the work at hand.

    It may be made before `obskit.configure` and kept; where the host has configured structlog
    itself, it is a logger of that configuration.

    Args:
        name: The logger's name, usually ``__name__``; by default the calling module's.
        **fields: Fields of every line of this logger.
    """
    arguments = () if name is None else (name,)
    logger: FilteringBoundLogger = structlog.get_logger(*arguments, **fields)
    return logger


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


class _NamedTarget:
    """What structlog wraps: a name, and methods for other processors than ours.

    A host that configures processors of its own after obskit keeps this target; what its chain
    renders is then the event of a line here: nothing is lost, and nothing is raised.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, method: str) -> "Callable[..., None]":
        level = _METHOD_LEVELS.get(method)
        if level is None:
            raise AttributeError(method)

        def log(event: Any = "", *arguments: Any, **fields: Any) -> None:
            if isinstance(event, bytes):
                event = event.decode("utf-8", "replace")
            error = error_of(fields.pop("exc_info", None))
            _write(level, interpolated(event, arguments), self.name, fields, error)

        return log


_METHOD_LEVELS = {
    **{level: level for level in LEVELS},
    "warn": "warning",
    "err": "error",
    "exception": "error",
    "fatal": "critical",
    "msg": "info",
}
"""What structlog's bound loggers call on a target, and the level that each means."""


def _target(*arguments: Any) -> _NamedTarget:
    return _NamedTarget(str(arguments[0]) if arguments else _calling_module())


def _calling_module() -> str:
    """Return the name of the module that is using a logger for the first time."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name.partition(".")[0] not in ("structlog", "obskit"):
            return name
        frame = frame.f_back
    return "__main__"


def _deliver(target: Any, level: str, event_dict: "MutableMapping[str, Any]") -> Any:
    """End the chain of processors: the pipeline writes the line, or else the standard library."""
    event = event_dict.pop("event", "")
    error = error_of(event_dict.pop("exc_info", None))
    _write(level, event, target.name, event_dict, error)
    raise structlog.DropEvent


def _write(
    level: str, event: Any, logger: str, fields: "Mapping[str, Any]", error: BaseException | None
) -> None:
    pipeline = _Active.pipeline
    write = log_record if pipeline is None else pipeline.emit
    write(level, event, logger, fields, error)


_PROCESSORS: "list[Callable[[Any, str, MutableMapping[str, Any]], Any]]" = [_deliver]


def _level_method(level: str) -> "Callable[..., None]":
    number = LEVELS[level]

    def log(self: Any, event: Any = None, /, *arguments: Any, **fields: Any) -> None:
        pipeline = _Active.pipeline
        if number < (self.get_effective_level() if pipeline is None else pipeline.level):
            return
        if event is not None and "event" in fields:
            fields[free_name("event", {**self._context, **fields})] = fields.pop("event")
        with suppress(structlog.DropEvent):  # so our chain of processors ends
            rest, named = self._process_event(level, interpolated(event, arguments), fields)
            getattr(self._logger, level)(*rest, **named)  # a host's chain does not

    return log


def _async_method(name: str) -> "Callable[..., Coroutine[Any, Any, None]]":
    """Make structlog's awaitable form of a method: a line is written faster than a thread found."""

    async def log(self: Any, /, *arguments: Any, **fields: Any) -> None:
        getattr(self, name)(*arguments, **fields)

    return log


class _Logger(structlog.BoundLoggerBase):
    """structlog's logger, filtering by the level of the pipeline that is active now."""

    debug = _level_method("debug")
    info = msg = _level_method("info")
    warning = warn = _level_method("warning")
    error = err = _level_method("error")
    critical = fatal = _level_method("critical")

    adebug, ainfo, amsg = map(_async_method, ("debug", "info", "msg"))
    awarning, awarn, aerror = map(_async_method, ("warning", "warn", "error"))
    acritical, afatal = map(_async_method, ("critical", "fatal"))
    aexception, alog = map(_async_method, ("exception", "log"))

    def exception(self, event: Any = None, /, *arguments: Any, **fields: Any) -> None:
        """Log an error together with the exception being handled."""
        fields.setdefault("exc_info", True)
        self.error(event, *arguments, **fields)

    def log(self, level: int, event: Any = None, /, *arguments: Any, **fields: Any) -> None:
        """Log at a standard library level number."""
        getattr(self, level_name(level))(event, *arguments, **fields)

    def is_enabled_for(self, level: int) -> bool:
        """Tell whether lines of this level number are written."""
        return level >= self.get_effective_level()

    def get_effective_level(self) -> int:
        """Return the level number from which on lines are written."""
        pipeline = _Active.pipeline
        if pipeline is None:
            return logging.getLogger(self._logger.name).getEffectiveLevel()
        return pipeline.level


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


class Installation:
    """What `install_logging` has changed, and the way back.

    Args:
        pipeline: The pipeline installed.
        standard_library: Whether the root logger has been given a handler.
        with_structlog: Whether structlog has been configured.
    """

    def __init__(
        self, pipeline: "LogPipeline", *, standard_library: bool, with_structlog: bool
    ) -> None:
        self._before = _Active.pipeline
        self._handler = RecordHandler(pipeline) if standard_library else None
        self._root_level = logging.root.level
        self._structlog = structlog.get_config() if structlog.is_configured() else None
        self._with_structlog = with_structlog
        self._level = min(self._root_level, pipeline.level)  # handlers of the host lose nothing
        if self._handler is not None:
            logging.root.addHandler(self._handler)
            logging.root.setLevel(self._level)
        if with_structlog:
            structlog.configure(
                processors=_PROCESSORS,
                wrapper_class=_Logger,
                context_class=dict,
                logger_factory=_target,
                cache_logger_on_first_use=True,
            )
        _Active.pipeline = pipeline  # last: what is interrupted before has not happened

    def undo(self) -> None:
        """Leave logging as it was found; what others have changed since is never touched."""
        _Active.pipeline = self._before
        if self._handler is not None:
            logging.root.removeHandler(self._handler)
            if logging.root.level == self._level:
                logging.root.setLevel(self._root_level)
        if not self._with_structlog or not is_ours():
            return
        if self._structlog is None:
            structlog.reset_defaults()
        else:
            structlog.configure(**self._structlog)


def install_logging(pipeline: "LogPipeline", mode: str) -> Installation | None:
    """Bring structlog and the standard library's records into a pipeline.

    Args:
        pipeline: Where lines go.
        mode: ``own`` takes both; ``auto`` leaves alone what the host has already configured;
            ``off`` leaves everything alone.

    Returns:
        The installation, or None when nothing was installed.
    """
    if mode == "off":
        return None
    own = mode == "own"
    standard_library = own or not logging.root.handlers
    with_structlog = own or not structlog.is_configured() or is_ours()
    if not standard_library and not with_structlog:
        return None
    return Installation(pipeline, standard_library=standard_library, with_structlog=with_structlog)


def is_ours() -> bool:
    """Tell whether structlog's configuration is the one made here."""
    return structlog.get_config()["processors"] is _PROCESSORS
