"""HTTP requests as a server sees them."""

from typing import TYPE_CHECKING, Any

from obskit._guard import guard
from obskit.context import CORRELATION_ID, unit_correlation_id
from obskit.instruments.http._span import (
    begin_server_span,
    end_host_span,
    pass_on_trace,
    server_span_values,
)
from obskit.operation import Operation, outcome_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.trace import Span, Tracer

    from obskit.context import Record
    from obskit.instruments.http._instrument import HttpInstrument

METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)
"""Methods that are label values; any other is `OTHER_METHOD`."""

OTHER_METHOD = "_OTHER"
"""As OpenTelemetry's semantic conventions call a method that is not a known one."""

UNMATCHED = "unmatched"
"""The route of requests that no route matches."""

CLIENT_CLOSED_REQUEST = 499
"""Status in metrics of requests whose client has gone; nothing like it is ever sent."""

SERVER_ERROR = 500
"""The first status that means a fault of the server."""


class HttpRequest(Operation):
    """One request: an operation that is called ``METHOD route`` once the route is known.

    Args:
        instrument: Where it is counted.
        method: As the client sent it; any text.
        path: As the client sent it, without the query.
        correlation_id: A valid one.
        headers: Header names in lower case, and their values.
        find_route: Returns the route's template, as far as it is known at the time.
    """

    __slots__ = (
        "_find_route",
        "client",
        "disconnected",
        "headers",
        "host_span",
        "method",
        "path",
        "request_bytes",
        "response_bytes",
        "status",
    )

    def __init__(
        self,
        instrument: "HttpInstrument",
        *,
        method: str,
        path: str,
        correlation_id: str,
        headers: "Mapping[str, str]",
        find_route: "Callable[[], str]",
    ) -> None:
        self.method: str = method if method in METHODS else OTHER_METHOD
        self._instrument = instrument
        self.name: str = self.method
        self.fields: dict[str, Any] = {CORRELATION_ID: correlation_id}
        self.path: str = path
        self.client: str = ""
        self.status: int | None = None
        self.request_bytes: int = 0
        self.response_bytes: int = 0
        self.disconnected: bool = False
        self.headers = headers
        self.host_span: Span | None = None
        self._find_route = find_route

    @property
    def correlation_id(self) -> str:
        """The id that log lines carry: the one it came with, or what the application has bound."""
        return unit_correlation_id(self.fields)

    @property
    def route(self) -> str:
        """The route's template, or ``unmatched``."""
        try:
            return self._find_route()
        except Exception as error:
            guard.report("http.route", error)
            return UNMATCHED

    def answered(self) -> None:
        """Stop the clock at the last byte; a server error waits for what the application raises."""
        if self.status is not None and self.status < SERVER_ERROR:
            self.end()
        else:
            self.stop()

    def end(self, error: BaseException | None = None) -> None:
        """Settle status and outcome, then end as any operation does.

        Args:
            error: What the application raised, if anything.
        """
        if not self._ended:
            self._settle(error)
        super().end(error)

    def _settle(self, error: BaseException | None) -> None:
        if self.disconnected or type(error).__name__ == "ClientDisconnect":
            self.status, self._outcome = CLIENT_CLOSED_REQUEST, "cancelled"
        elif outcome_of(error) == "cancelled":
            self.status = CLIENT_CLOSED_REQUEST
        elif self.status is None:  # the server answers in the application's place
            self.status = SERVER_ERROR
        if self._outcome is None and self.status >= SERVER_ERROR:
            self._outcome = "error"
        route = self.route
        self.name = f"{self.method} {route}"
        self.labels: Mapping[str, str] = {
            "method": self.method,
            "route": route,
            "status": str(self.status),
        }

    def _join(self, outer: "Record | None") -> None:  # noqa: ARG002 - it belongs to no unit
        """Begin a unit of work: servers reuse their contexts between requests."""
        if self._instrument.tracing is None:
            pass_on_trace(self)

    def _begin_span(self, tracer: "Tracer") -> None:
        begin_server_span(self, tracer)

    def _end_span(self) -> None:
        end_host_span(self)
        super()._end_span()

    def _describe(self, span: "Span") -> None:
        span.update_name(self.name)
        super()._describe(span)

    def _span_values(self) -> dict[str, Any]:
        return server_span_values(self)
