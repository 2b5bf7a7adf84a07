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


_NOTHING = _Nothing()


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
    hypercorn: Any = sys.modules.get("hypercorn.logging")
    if hypercorn is not None:
        hypercorn.Logger.access = _access_of_hypercorn


async def _access_of_hypercorn(*_: object) -> None:
    """Make no line: hypercorn copies the environment for each before it asks who wants it."""
