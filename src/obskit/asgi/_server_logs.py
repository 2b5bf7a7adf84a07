"""The servers' own access logs, turned off: one line for a request is enough."""

import logging
import sys
from typing import Any

ACCESS_LOGGERS = ("uvicorn.access", "hypercorn.access", "granian.access", "gunicorn.access")
"""What servers write their access logs to; errors go elsewhere."""


class _Nothing(logging.Filter):
    """Lets nothing through; unlike levels and handlers, filters outlive a new configuration."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - every one
        return False


class _NoConnections(logging.Filter):
    """Lets no line about a WebSocket connection of uvicorn's through: it is among its errors."""

    def filter(self, record: logging.LogRecord) -> bool:
        is_of_connection = record.levelno <= logging.INFO and (
            '"WebSocket ' in str(record.msg) or record.msg in _OF_CONNECTIONS
        )
        return not is_of_connection


_OF_CONNECTIONS = ("connection open", "connection closed")

_NOTHING = _Nothing()
_NO_CONNECTIONS = _NoConnections()


def silence_server_access_logs() -> None:
    """Turn off the access logs of uvicorn, hypercorn, granian and gunicorn; errors go on.

    Call it where the application is made, before or after the server configures its logging, in
    each process that serves; again changes nothing. A line costs nothing any more, or next to it:
    uvicorn sees that nobody listens, and hypercorn, where it is imported already, makes none.
    """
    for name in ACCESS_LOGGERS:
        logger = logging.getLogger(name)
        logger.addFilter(_NOTHING)
        logger.handlers = []  # as uvicorn does for --no-access-log
        logger.propagate = False
    logging.getLogger("uvicorn.error").addFilter(_NO_CONNECTIONS)
    hypercorn: Any = sys.modules.get("hypercorn.logging")
    if hypercorn is not None:
        hypercorn.Logger.access = _access_of_hypercorn


async def _access_of_hypercorn(*_: object) -> None:
    """Make no line: hypercorn copies the environment for each before it asks who wants it."""
