"""The access log: one line for each request, when it has ended."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from zlib import crc32

from obskit.errors import DeclarationError
from obskit.instruments.http._paths import PathSet, plain_path
from obskit.instruments.http._redaction import redacted_path, redacted_query
from obskit.logs import LEVELS, json_text
from obskit.operation import with_fixed
from obskit.tracing import current_trace_ids

if TYPE_CHECKING:
    from obskit.instruments.http._inbound import Inbound
    from obskit.instruments.http._request import HttpRequest
    from obskit.logs import RecurringLine
    from obskit.runtime import Runtime

LOGGER = "obskit.access"
"""The name under which the lines are written."""

MAXIMUM_PATH = 2048
"""Characters of a path with its query that are shown."""

DEFAULT_LEVELS: Mapping[str, str] = MappingProxyType(
    {"ok": "info", "error": "error", "cancelled": "warning", "client_disconnect": "info"}
)
"""Levels of lines by how a request has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLog:
    """Which requests have a line, and at which level.

    Raises:
        DeclarationError: If a value is not as it must be.
    """

    quiet_paths: Iterable[str] = ()
    """Paths, below the root path, that have a line only when something went wrong; all below one
    that ends in ``/*``. They are counted as any other."""

    sample: float = 1.0
    """The share of the requests that ended well that have a line, from 0 to 1. The correlation id
    decides: all services with the same share write the lines of the same requests."""

    levels: Mapping[str, str] = field(default_factory=dict)
    """Levels by outcome: ``ok``, ``error``, ``cancelled``, ``client_disconnect``. What is left
    out is ``info``, ``error``, ``warning`` and ``info``."""

    query: bool = True
    """Whether the path is shown with its query, secrets hidden."""

    is_choosy: bool = field(init=False, repr=False, compare=False)
    """Whether some requests that ended well have no line."""

    _quiet: PathSet = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the values."""
        paths: Any = self.quiet_paths
        if isinstance(paths, str) or not isinstance(paths, Iterable):
            raise DeclarationError(f"AccessLog: quiet_paths={paths!r}: give a list of paths")
        object.__setattr__(self, "quiet_paths", tuple(paths))
        if not all(isinstance(path, str) for path in self.quiet_paths):
            raise DeclarationError(f"AccessLog: quiet_paths={paths!r}: give a list of paths")
        object.__setattr__(self, "_quiet", PathSet(self.quiet_paths))
        if type(self.sample) not in (int, float) or not 0 <= self.sample <= 1:
            raise DeclarationError(
                f"AccessLog: sample={self.sample!r}: give a share from 0 to 1, such as 0.1"
            )
        object.__setattr__(self, "is_choosy", bool(self.quiet_paths) or self.sample < 1)
        object.__setattr__(self, "levels", _checked_levels(self.levels))

    def is_wanted(self, request: "Inbound") -> bool:
        """Tell whether a request that ended well has a line.

        Args:
            request: The request, or a connection.
        """
        if plain_path(request.path_below_root) in self._quiet:
            return False
        return self.sample >= 1 or crc32(request.correlation_id.encode()) < self.sample * 2**32


def _checked_levels(levels: Any) -> Mapping[str, str]:
    if not isinstance(levels, Mapping):
        raise DeclarationError(f"AccessLog: levels={levels!r}: give outcomes and their levels")
    for outcome, level in levels.items():
        if outcome not in DEFAULT_LEVELS or level not in LEVELS:
            raise DeclarationError(
                f"AccessLog: levels={{{outcome!r}: {level!r}}}: give outcomes from "
                f"{', '.join(DEFAULT_LEVELS)} and levels from {', '.join(LEVELS)}"
            )
    return {**DEFAULT_LEVELS, **levels}


def shown_path(request: "Inbound", *, query: bool) -> str:
    """Return a path as lines show it: with the query, without its secrets.

    Args:
        request: Whose path.
        query: Whether to show the query.
    """
    path = redacted_path(request.path)
    asked = request.query if query else ""
    if asked:
        path = f"{path}?{redacted_query(asked)}"
    return path if len(path) <= MAXIMUM_PATH else path[: MAXIMUM_PATH - 1] + "…"


def level_of_line(log: AccessLog, inbound: "Inbound", ending: str) -> str | None:
    """Return the level of the line of what has just ended, or None if it has no line.

    Args:
        log: What has one.
        inbound: The request, or the connection.
        ending: How it has ended.
    """
    level = log.levels.get(ending, "info")
    logs = inbound._instrument.runtime.logs
    if logs is not None and LEVELS[level] < logs.level:
        return None
    if log.is_choosy and ending == "ok" and not log.is_wanted(inbound):
        return None
    return level


FIELDS = (
    *("method", "route", "path", "status", "outcome", "duration_ms"),
    *("request_bytes", "response_bytes", "client"),
)
"""Fields of the line of a request."""

_LONGEST = 1e12
"""Milliseconds that a request may take to be filled in: what is more is no number for JSON."""


class UsualLine:
    """The line of requests that ended well and of which there is nothing particular to say.

    It is what `write_access_line` writes, filled in rather than rendered.

    Args:
        log: Says how the path is shown.
        line: Has the fields.
    """

    __slots__ = ("_line", "_query")

    def __init__(self, log: AccessLog, line: "RecurringLine") -> None:
        self._query = log.query
        self._line = line

    @classmethod
    def of(cls, log: AccessLog, runtime: "Runtime") -> "UsualLine | None":
        """Return the line, or None where there is none that could be filled in.

        Args:
            log: Which requests have a line, and at which level.
            runtime: The configuration.
        """
        if runtime.logs is None or log.is_choosy:
            return None
        line = runtime.logs.recurring(log.levels["ok"], "http request", LOGGER, FIELDS)
        return None if line is None else cls(log, line)

    def write(self, request: "HttpRequest") -> bool:
        """Write the line of a request that has just ended well.

        Args:
            request: One without attributes and labels of the user's own.

        Returns:
            Whether it is written; if not, there is something particular to say.
        """
        path = json_text(shown_path(request, query=self._query))
        route, client = json_text(request.route), json_text(request.client)
        milliseconds = round(request.duration * 1000, 3)
        if path is None or route is None or client is None or not milliseconds < _LONGEST:
            return False
        span = None if request.span is None else request.span.get_span_context()
        if len(request.fields) > 1 or (span is None and current_trace_ids() is not None):
            return False  # something is bound but the id, or the trace is somebody else's
        sizes = (request.request_bytes, request.response_bytes)
        start = (f'"{request.method}"', route, path, request.status, '"ok"', milliseconds)
        self._line.write(request.correlation_id, span, (*start, *sizes, client))
        return True


def write_access_line(log: AccessLog, request: "HttpRequest", ending: str) -> None:
    """Write the line of a request that has just ended, if it has one.

    Args:
        log: Which requests have one.
        request: The request.
        ending: How it has ended.
    """
    level = level_of_line(log, request, ending)
    if level is None:
        return
    values = (
        *(request.method, request.route, shown_path(request, query=log.query)),
        *(request.status, ending, round(request.duration * 1000, 3)),
        *(request.request_bytes, request.response_bytes, request.client),
    )
    fields: dict[str, Any] = dict(zip(FIELDS, values, strict=True))
    if request.time_to_headers is not None:
        fields["time_to_headers_ms"] = round(request.time_to_headers * 1000, 3)
    write_line(request, level, "http request", fields)


def write_line(inbound: "Inbound", level: str, event: str, fields: dict[str, Any]) -> None:
    """Write a line, with what the user has added and what went wrong.

    Args:
        inbound: The request, or the connection, that has just ended.
        level: One of `LEVELS`.
        event: What it says.
        fields: Fields of obskit's own.
    """
    runtime, error = inbound._instrument.runtime, inbound.error
    if len(inbound.fields) > 1:
        bound = {name: value for name, value in inbound.fields.items() if name in fields}
        fields = with_fixed(fields, bound)
    if inbound.attributes or inbound.extra_labels:
        fields = with_fixed(fields, {**inbound.extra_labels, **inbound.attributes})
    if error is not None:
        if inbound.ending != "error":
            error = None
        else:
            fields["error_type"] = inbound.error_type
            error = None if inbound.is_reported(error) else error
    runtime.log(level, event, LOGGER, fields, error)
