"""Entries for people: one coloured line each, tracebacks below."""

from functools import cache
from typing import TYPE_CHECKING, Any

from obskit.logs._json import plain_entry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from structlog.dev import ConsoleRenderer

_HIDDEN = ("service", "environment", "version", "trace_id", "span_id")
"""Fields that are the same on every line of a terminal session, or mean nothing to the eye."""

_LONG = ("exception", "stack")
"""Fields of several lines, which are shown below the first."""


def render_console(entry: "Mapping[str, Any]") -> bytes:
    """Render an entry for a terminal; control characters are shown rather than sent to it.

    Args:
        entry: The same entry that `render_json` gets.
    """
    plain = plain_entry(entry)
    shown = {_visible(name): _shown(name, plain[name]) for name in plain if name not in _HIDDEN}
    return (str(_renderer()(None, shown["level"], shown)) + "\n").encode(
        "utf-8", "backslashreplace"
    )


@cache
def _renderer() -> "ConsoleRenderer":
    from structlog import dev  # noqa: PLC0415 - slow to import, and needed by terminals only

    return dev.ConsoleRenderer(colors=True, exception_formatter=dev.plain_traceback)


def _shown(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return "\n".join(map(_visible, value.split("\n") if name in _LONG else [value]))


def _visible(text: str) -> str:
    return text if text.isprintable() else repr(text)[1:-1]
