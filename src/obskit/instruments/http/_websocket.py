"""WebSocket connections as a server sees them."""

from typing import TYPE_CHECKING, Any

from obskit.instruments.http._inbound import Inbound
from obskit.instruments.http._request import CLIENT_DISCONNECT, SERVER_ERROR
from obskit.instruments.http._span import describe_host_span
from obskit.instruments.http._span_values import last_values
from obskit.metrics import BATCH
from obskit.operation import outcome_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from obskit.instruments.http._websocket_instrument import WebSocketInstrument
    from obskit.metrics import CounterCell
    from obskit.operation import Outcome

WEBSOCKET = "WEBSOCKET"
"""What the names of connections begin with, in the place of a request's method."""

SWITCHED = 101
"""Status of a handshake that was accepted."""

NORMAL, NO_STATUS, ABNORMAL = 1000, 1005, 1006
"""Codes of https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1 that servers tell of as well."""

SHUTDOWN = 1012
"""The code with which servers close when they stop; browsers cannot send it."""

_CLASSES: dict[str, tuple[int, ...]] = {
    "normal": (NORMAL, 1001),
    "no_status": (NO_STATUS,),
    "abnormal": (ABNORMAL, 1015),
    "protocol_error": (1002, 1003, 1007, 1009, 1010),
    "policy": (1008,),
    "shutdown": (SHUTDOWN,),
    "error": (1011, 1013, 1014),
    "registered": tuple(range(3000, 4000)),
    "application": tuple(range(4000, 5000)),
}
_CLASS_OF_CODE = {code: name for name, codes in _CLASSES.items() for code in codes}

REJECTED, CANCELLED, ERROR, OTHER = "rejected", "cancelled", "error", "other"

CLOSE_CLASSES: tuple[str, ...] = (*_CLASSES, REJECTED, CANCELLED, OTHER)
"""How connections are closed: by the code, or ``rejected`` for a handshake that was refused,
``cancelled`` for an application that was cancelled while the connection was open; ``error`` also
where the application raised, or left the closing to the server."""

_SAYS_CLOSED = "WebSocketDisconnect"
"""The name of the error with which frameworks tell the application that the client has closed."""


class Traffic:
    """The messages of one connection in one direction.

    They are counted in metrics at once, as the connection may last for days.

    Attributes:
        messages: How many there were.
        size: Their bytes, as far as they are counted; those of texts in UTF-8.
    """

    __slots__ = ("_messages", "_size", "messages", "size")

    def __init__(self) -> None:
        self.messages: int = 0
        self.size: int = 0
        self._messages: CounterCell | None = None
        self._size: CounterCell | None = None

    @property
    def is_measured(self) -> bool:
        """Whether bytes are counted."""
        return self._size is not None

    def show(self, messages: "CounterCell | None", size: "CounterCell | None") -> None:
        """Count in metrics from now on.

        Args:
            messages: Counts the messages, if anything does.
            size: Counts their bytes, if anything does.
        """
        self._messages, self._size = messages, size

    def count(self, message: "Mapping[str, Any]") -> None:
        """Count a message.

        Args:
            message: Has its content as ``bytes`` or ``text``.
        """
        self.messages += 1
        cell = self._messages
        if cell is not None and (len(cell.pending) < BATCH or cell.engine.make_room()):
            cell.pending.append(cell)  # what cell.inc() does, without the call
        if self._size is not None:
            size = _size(message)
            self.size += size
            self._size.inc(size)


class WebSocketConnection(Inbound):
    """One connection: an operation that is called ``WEBSOCKET route`` once the route is known.

    Args:
        instrument: Where it is counted.
        scope: What the server says of it.
        path: As the client sent it, without the query.
        headers: Headers that are of interest: names in lower case, and their values.
        find_route: Returns the template of the route that a scope has taken.

    Attributes:
        status: The status code that answered the handshake: 101 where it was accepted.
        close_code: The code that was sent or received; None while there is none.
        closed_by: ``application``, ``client`` or ``server``; empty while nobody has.
        refusal: What the server has raised last as the client had gone.
        received: The messages of the client.
        sent: The messages of the application.
    """

    __slots__ = ("close_code", "closed_by", "received", "refusal", "sent", "status")

    _instrument: "WebSocketInstrument"  # pyright: ignore[reportIncompatibleVariableOverride] # it is set once

    def __init__(
        self,
        instrument: "WebSocketInstrument",
        scope: Any,
        path: str,
        headers: dict[str, str],
        find_route: "Callable[[Any], str | None]",
    ) -> None:
        Inbound.__init__(self, instrument, scope, path, headers, find_route)
        self.name: str = WEBSOCKET
        self.status: int | None = None
        self.close_code: int | None = None
        self.closed_by: str = ""
        self.refusal: OSError | None = None
        self.received: Traffic = Traffic()
        self.sent: Traffic = Traffic()

    @property
    def ending(self) -> str:
        """How it has ended: ``ok``, ``error``, ``cancelled`` or ``client_disconnect``."""
        if self.outcome in ("ok", "error"):
            return self.outcome
        return CLIENT_DISCONNECT if self._has_vanished() else CANCELLED

    @property
    def is_open(self) -> bool:
        """Whether it has been accepted, and not closed."""
        return self.status == SWITCHED and not self.closed_by

    @property
    def is_rejected(self) -> bool:
        """Whether the handshake was answered, and not accepted."""
        return self.status is not None and self.status != SWITCHED

    @property
    def close_class(self) -> str:
        """One of `CLOSE_CLASSES`, once it has ended."""
        if self.is_rejected and self.closed_by:
            return REJECTED
        if self.close_code is not None:
            return _CLASS_OF_CODE.get(self.close_code, OTHER)
        return CANCELLED if self.outcome == "cancelled" else ERROR

    @property
    def failure(self) -> str:
        """What went wrong: a class of errors, or the code or the status that says so."""
        return self.error_type or str(self.close_code or self.status)

    def accepted(self) -> None:
        """Note that the handshake is done; the route is known now."""
        self.status = SWITCHED
        self.name = f"{WEBSOCKET} {self.route}"
        self._instrument.opened(self)

    def rejected(self, status: int) -> None:
        """Note that the application refuses the handshake.

        Args:
            status: The code with which it is answered.
        """
        self.status = status
        self.closed_by = "application"
        self._stop()

    def closed(self, by: str, code: int | None = None) -> None:
        """Stop the clock; how it has ended shows when the application is done.

        Args:
            by: ``application``, ``client`` or ``server``.
            code: With which code, if that is known yet; the first one counts.
        """
        if self.close_code is None and not self.is_rejected:
            self.closed_by, self.close_code = by, code
            self._stop()

    def end(self, error: BaseException | None = None) -> None:
        """Settle code, status and outcome, then end as any operation does.

        Args:
            error: What the application raised, if anything.
        """
        if self._ended:
            return
        if self.closed_by == "client" and self.close_code is None:
            self.close_code = ABNORMAL
        self._outcome = self._outcome or self._outcome_after(error)
        if self.status is None and not self.closed_by and self._outcome != "cancelled":
            self.status = SERVER_ERROR  # the server answers in the application's place
        self.read_labels()
        self.name = f"{WEBSOCKET} {self._route}"
        self.labels: Mapping[str, str] = self._instrument.labels_of(self)
        super().end(error)
        self.refusal = None  # a traceback holds frames, and they hold this

    def _stop(self) -> None:
        """Stop the clock, and tell a span of the host's inside, which ends before this one does."""
        self.stop()
        if self.host_span is not None:
            outcome = self._outcome_after(None)
            describe_host_span(self, CLIENT_DISCONNECT if self._has_vanished() else outcome)

    def _outcome_after(self, error: BaseException | None) -> "Outcome":
        outcome = outcome_of(error)
        if outcome == "error" and not (self.closed_by and self._is_told_of_closing(error)):
            return "error"
        if not self.closed_by:  # the application has left that to the server
            return "error" if outcome == "ok" else "cancelled"
        if self._has_vanished():
            return "cancelled"
        is_failure = self.closed_by == "application" and (
            self.close_class == ERROR or (self.status or 0) >= SERVER_ERROR
        )
        return "error" if is_failure else "ok"

    def _is_told_of_closing(self, error: BaseException | None) -> bool:
        """Tell whether an error only says that the connection is closed."""
        if isinstance(error, BaseExceptionGroup):
            return all(map(self._is_told_of_closing, error.exceptions))
        return error is self.refusal or type(error).__name__ == _SAYS_CLOSED

    def _has_vanished(self) -> bool:
        """Tell whether the client has gone without a word."""
        return self.closed_by == "client" and (
            self.close_code is None or self.close_class == "abnormal"
        )

    def _span_values(self) -> dict[str, Any]:
        values = {
            **last_values(self),
            "websocket.close_code": self.close_code,
            "websocket.closed_by": self.closed_by,
            "websocket.messages_in": self.received.messages,
            "websocket.messages_out": self.sent.messages,
        }
        if "error.type" in values:
            values["error.type"] = self.failure
        return {name: value for name, value in values.items() if value not in (None, "")}


def _size(message: "Mapping[str, Any]") -> int:
    content = message.get("bytes")
    if content is None:
        text = message.get("text") or ""
        return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return len(content)
