"""HTTP requests as a server sees them."""

from typing import TYPE_CHECKING, Any

from obskit._guard import guard
from obskit.instruments.http._inbound import Inbound
from obskit.instruments.http._span import describe_host_span
from obskit.instruments.http._span_values import OTHER_METHOD
from obskit.operation import outcome_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from obskit.instruments.http._instrument import HttpInstrument

METHODS = {
    method: method
    for method in (
        *("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS"),
        *("PATCH", "POST", "PUT", "QUERY", "TRACE"),
    )
}
"""Methods that are label values; any other is `OTHER_METHOD`."""

CLIENT_CLOSED_REQUEST = 499
"""Status in metrics of requests whose client has gone; nothing like it is ever sent."""

CANCELLED = "cancelled"
"""Status in metrics of requests that were given up while the client was waiting."""

CLIENT_DISCONNECT = "client_disconnect"
"""How requests have ended whose client has gone."""

SERVER_ERROR = 500
"""The first status that means a fault of the server."""


class HttpRequest(Inbound):
    """One request: an operation that is called ``METHOD route`` once the route is known.

    Args:
        instrument: Where it is counted.
        scope: What the server says of it: an ASGI scope, or a WSGI environment.
        method: As the client sent it; any text.
        path: As the client sent it, without the query.
        headers: Headers that are of interest: names in lower case, and their values.
        find_route: Returns the template of the route that a scope has taken.

    Attributes:
        method: A known one, or ``_OTHER``.
        status: The status code that was sent; 499 once the client has gone.
        request_bytes: Of the body, as received.
        response_bytes: Of the body, as sent.
        disconnected: Whether the client has gone before it had the whole answer.
        time_to_headers: Seconds until the answer began, if it did and somebody wants to know.
    """

    __slots__ = (
        "disconnected",
        "method",
        "request_bytes",
        "response_bytes",
        "status",
        "time_to_headers",
    )

    _instrument: "HttpInstrument"  # pyright: ignore[reportIncompatibleVariableOverride] # set once

    def __init__(  # noqa: PLR0917 - keywords would cost what they are
        self,
        instrument: "HttpInstrument",
        scope: Any,
        method: str,
        path: str,
        headers: dict[str, str],
        find_route: "Callable[[Any], str | None]",
    ) -> None:
        Inbound.__init__(self, instrument, scope, path, headers, find_route)
        self.method: str = METHODS.get(method, OTHER_METHOD)
        self.name: str = self.method
        self.status: int | None = None
        self.request_bytes: int = 0
        self.response_bytes: int = 0
        self.disconnected: bool = False
        self.time_to_headers: float | None = None

    @property
    def original_method(self) -> str:
        """The method as the client sent it."""
        raise NotImplementedError

    @property
    def ending(self) -> str:
        """How it has ended: an outcome, or ``client_disconnect``."""
        return CLIENT_DISCONNECT if self.disconnected else self.outcome

    @property
    def status_text(self) -> str:
        """The status as a label, once it has ended: empty where none was sent."""
        if self._outcome == "cancelled" and not self.disconnected:
            return CANCELLED
        return self._instrument.status_text(self.status)

    @property
    def failure(self) -> str:
        """What went wrong, as a label: a class of errors, a status code, or how it has ended."""
        if self.outcome == "error":
            return self.error_type or str(self.status)
        return "" if self.ending == "ok" else self.ending

    def begin_answer(self, status: int) -> None:
        """Note that the answer begins.

        Args:
            status: Its status code.

        Raises:
            ValueError: If it is none.
            TypeError: If it is none at all.
        """
        self.status = int(status)
        if self._instrument.wants_time_to_headers:
            self.time_to_headers = self._instrument.runtime.clock.monotonic() - self.started

    def answered(self) -> None:
        """Stop the clock at the last byte; a server error waits for what the application raises."""
        if self.status is not None and self.status < SERVER_ERROR:
            self.end()
        else:
            self.stop()

    def tell_host(self) -> None:
        """Tell a span of the host's what is known before the last message of the answer."""
        failed = self.status is not None and self.status >= SERVER_ERROR
        describe_host_span(self, "error" if failed else "ok")

    def end(self, error: BaseException | None = None) -> None:
        """Settle status and outcome, then end as any operation does.

        What comes after the end of the answer is background work, and recorded as such.

        Args:
            error: What the application raised, if anything.
        """
        if self._ended:
            return
        try:
            self._settle(error)
        except Exception as fault:
            guard.report("http.end", fault)
        super().end(error)

    def end_background(self, error: BaseException | None = None) -> None:
        """Note that the application is done, some time after it has answered.

        Args:
            error: What it raised, if anything.
        """
        self._instrument.background_ended(self, error)

    def _settle(self, error: BaseException | None) -> None:
        if error is not None and type(error).__name__ == "ClientDisconnect":  # Starlette's
            self.disconnected = True
        if self.disconnected:
            self.status, self._outcome = CLIENT_CLOSED_REQUEST, "cancelled"
        elif error is not None and outcome_of(error) in {"cancelled", "closed"}:
            self._outcome = self._outcome or "cancelled"
        elif self.status is None:  # the server answers in the application's place
            self.status = SERVER_ERROR
        if self._outcome is None and self.status is not None and self.status >= SERVER_ERROR:
            self._outcome = "error"
        self.read_labels()
        self.labels: Mapping[str, str] = self._instrument.labels_of(self)
        self.name = f"{self.method} {self._route}"
