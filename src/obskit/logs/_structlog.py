"""structlog's part: its loggers write to the pipeline, and are given back as they were found.

This file imports structlog, which takes longer than all of obskit: `obskit.configure` and
`obskit.get_logger` are the first to need it. The list of structlog processors is changed in place,
so that loggers cached by the host follow every change of configuration.
"""

import logging
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog

from obskit.logs._pipeline import LEVELS, free_name
from obskit.logs._records import Active, error_of, interpolated, level_name, write

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, MutableMapping


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
            write(level, interpolated(event, arguments), self.name, fields, error)

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
    write(level, event, target.name, event_dict, error)
    raise structlog.DropEvent


_PROCESSORS: "list[Callable[[Any, str, MutableMapping[str, Any]], Any]]" = [_deliver]


def _level_method(level: str) -> "Callable[..., None]":
    number = LEVELS[level]

    def log(self: Any, event: Any = None, /, *arguments: Any, **fields: Any) -> None:
        pipeline = Active.pipeline
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
        pipeline = Active.pipeline
        if pipeline is None:
            return logging.getLogger(self._logger.name).getEffectiveLevel()
        return pipeline.level


class TakenStructlog:
    """structlog as it is configured here, and the way back."""

    def __init__(self) -> None:
        self._before = structlog.get_config() if structlog.is_configured() else None
        structlog.configure(
            processors=_PROCESSORS,
            wrapper_class=_Logger,
            context_class=dict,
            logger_factory=_target,
            cache_logger_on_first_use=True,
        )

    def give_back(self) -> None:
        """Configure structlog as it was found, unless others have configured it since."""
        if not is_ours():
            return
        if self._before is None:
            structlog.reset_defaults()
        else:
            structlog.configure(**self._before)


def is_ours() -> bool:
    """Tell whether structlog's configuration is the one made here."""
    return structlog.get_config()["processors"] is _PROCESSORS


def is_free() -> bool:
    """Tell whether structlog's configuration is nobody else's."""
    return not structlog.is_configured() or is_ours()
