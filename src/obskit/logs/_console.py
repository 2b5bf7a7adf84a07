"""Entries for people: one coloured line each, tracebacks below."""

from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import Mapping

_HIDDEN = ("service", "environment", "version", "trace_id", "span_id")
"""Fields that are the same on every line of a terminal session, or mean nothing to the eye."""

_renderer = structlog.dev.ConsoleRenderer(
    colors=True, exception_formatter=structlog.dev.plain_traceback
)


def render_console(entry: "Mapping[str, Any]") -> bytes:
    """Render an entry for a terminal.

    Args:
        entry: The same entry that `render_json` gets.
    """
    shown = {name: value for name, value in entry.items() if name not in _HIDDEN}
    return (str(_renderer(None, shown["level"], shown)) + "\n").encode("utf-8", "backslashreplace")
