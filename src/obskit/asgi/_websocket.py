"""One WebSocket connection over ASGI: the operation, and the messages on their way.

https://asgi.readthedocs.io/en/latest/specs/www.html#websocket.
"""

from typing import TYPE_CHECKING

from obskit._guard import guard
from obskit.asgi._inbound import AsgiInbound
from obskit.instruments import WebSocketConnection

if TYPE_CHECKING:
    from collections.abc import Callable

    from obskit.asgi._types import Message, Receive, Scope, Send
    from obskit.instruments import WebSocketInstrument

_ANSWERS = frozenset({"websocket.accept", "websocket.http.response.start"})
"""Messages that have headers."""

_NO_HEADERS = (2, 0)
"""The version of the specification in which ``websocket.accept`` has no headers."""

_TELLS_REASON = (2, 4)
"""Servers of this version give a reason, maybe an empty one, with every closing of a client's."""

_FORBIDDEN = 403
"""What servers answer where the application closes before it accepts."""

_NORMAL, _NO_STATUS, _ABNORMAL, _SHUTDOWN = 1000, 1005, 1006, 1012


class AsgiWebSocket(AsgiInbound, WebSocketConnection):
    """One WebSocket connection over ASGI.

    Args:
        instrument: Where it is counted.
        scope: The connection's.
        headers: Headers that are of interest: names in lower case, and their values.
        find_route: Returns the template of the route that a scope has taken.
        receive: The server's.
        send: The server's.
    """

    __slots__ = ("_receive", "_send")

    _instrument: "WebSocketInstrument"

    def __init__(  # noqa: PLR0917 - keywords would cost what they are
        self,
        instrument: "WebSocketInstrument",
        scope: "Scope",
        headers: dict[str, str],
        find_route: "Callable[[Scope], str | None]",
        receive: "Receive",
        send: "Send",
    ) -> None:
        WebSocketConnection.__init__(
            self, instrument, scope, scope.get("path", ""), headers, find_route
        )
        self._receive = receive
        self._send = send

    @property
    def scheme(self) -> str:
        """``ws`` or ``wss``."""
        return str(self.scope.get("scheme", "ws"))

    async def receive(self) -> "Message":
        """Hand a message to the application."""
        message = await self._receive()
        kind = message["type"]
        try:
            if kind == "websocket.receive":
                self.received.count(message)
            elif kind == "websocket.disconnect":
                self._note_disconnect(message)
        except Exception as error:
            guard.report("asgi.websocket", error)
        return message

    async def send(self, message: "Message") -> None:
        """Hand a message to the server, which raises an ``OSError`` when the client has gone."""
        kind = message["type"]
        if kind in _ANSWERS:
            message = self._with_id(message)
        try:
            await self._send(message)
        except OSError as error:
            self.refusal = error
            self.closed("client")
            raise
        try:
            if kind == "websocket.send":
                self.sent.count(message)
            else:
                self._note(kind, message)
        except Exception as error:
            guard.report("asgi.websocket", error)

    async def answer_error(self) -> None:
        """Answer nothing: the server refuses or closes where the application has raised."""

    def finish(self, error: BaseException | None = None) -> None:
        """End the connection and leave its context.

        Args:
            error: What the application has raised, if anything.
        """
        self.end(error)
        self.leave()

    def _note(self, kind: str, message: "Message") -> None:
        """Note what has been sent, other than messages to the client."""
        if kind == "websocket.accept":
            self.accepted()
        elif kind == "websocket.http.response.start":
            self.rejected(int(message["status"]))
        elif kind == "websocket.close" and not self.closed_by:
            if self.status is None:
                self.rejected(_FORBIDDEN)
            else:
                self.closed("application", _code(message, _NORMAL))

    def _note_disconnect(self, message: "Message") -> None:
        """Note that the connection is closed, by the client or by a server that stops.

        Where a client has gone without a closing frame, uvicorn tells of 1005 without a reason.
        """
        code = _code(message, _NO_STATUS)
        if code == _NO_STATUS and "reason" not in message and self._version() >= _TELLS_REASON:
            code = _ABNORMAL
        self.closed("server" if code == _SHUTDOWN else "client", code)

    def _version(self) -> tuple[int, ...]:
        """Return the version of the specification that the server speaks, if it says so."""
        version = (self.scope.get("asgi") or {}).get("spec_version")
        return tuple(map(int, version.split("."))) if version else ()

    def _with_id(self, message: "Message") -> "Message":
        try:
            if message["type"] == "websocket.accept" and self._version() == _NO_HEADERS:
                return message
            return {**message, "headers": self.answer_headers(message.get("headers") or ())}
        except Exception as error:
            guard.report("asgi.websocket", error)
            return message


def _code(message: "Message", default: int) -> int:
    """Return the code of a message; not every application and server gives one."""
    code = message.get("code")
    return default if code is None else int(code)
