"""Where structlog and the standard library meet the pipeline, and part from it again.

This file owns what ``logging`` makes global, and `_structlog` what structlog does.
"""

import logging
from typing import TYPE_CHECKING, Any

from obskit.logs._records import Active, RecordHandler

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

    from obskit.logs._pipeline import LogPipeline
    from obskit.logs._structlog import TakenStructlog


def get_logger(name: str | None = None, **fields: Any) -> "FilteringBoundLogger":
    """Return a structlog logger whose lines carry the ids of the work at hand.

    It may be made before `obskit.configure` and kept; where the host has configured structlog
    itself, it is a logger of that configuration.

    Args:
        name: The logger's name, usually ``__name__``; by default the calling module's.
        **fields: Fields of every line of this logger.
    """
    import structlog  # noqa: PLC0415 - slower to import than all of obskit

    arguments = () if name is None else (name,)
    logger: FilteringBoundLogger = structlog.get_logger(*arguments, **fields)
    return logger


class Installation:
    """What `install_logging` has changed, and the way back.

    Args:
        pipeline: The pipeline installed.
        standard_library: Whether to give the root logger a handler.
        take_structlog: Configures structlog; None to leave it alone.
    """

    def __init__(
        self,
        pipeline: "LogPipeline",
        *,
        standard_library: bool,
        take_structlog: "Callable[[], TakenStructlog] | None",
    ) -> None:
        self._before = Active.pipeline
        self._handler = RecordHandler(pipeline) if standard_library else None
        self._root_level = logging.root.level
        self._level = min(self._root_level, pipeline.level)  # handlers of the host lose nothing
        if self._handler is not None:
            logging.root.addHandler(self._handler)
            logging.root.setLevel(self._level)
        self._structlog = None if take_structlog is None else take_structlog()
        Active.pipeline = pipeline  # last: what is interrupted before has not happened

    def undo(self) -> None:
        """Leave logging as it was found; what others have changed since is never touched."""
        Active.pipeline = self._before
        if self._handler is not None:
            logging.root.removeHandler(self._handler)
            if logging.root.level == self._level:
                logging.root.setLevel(self._root_level)
        if self._structlog is not None:
            self._structlog.give_back()


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
    from obskit.logs import _structlog  # noqa: PLC0415 - the same

    own = mode == "own"
    standard_library = own or not logging.root.handlers
    with_structlog = own or _structlog.is_free()
    if not standard_library and not with_structlog:
        return None
    return Installation(
        pipeline,
        standard_library=standard_library,
        take_structlog=_structlog.TakenStructlog if with_structlog else None,
    )


def is_ours() -> bool:
    """Tell whether structlog's configuration is the one made here."""
    from obskit.logs import _structlog  # noqa: PLC0415 - the same

    return _structlog.is_ours()
