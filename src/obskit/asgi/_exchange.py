"""The messages of one request, watched on their way."""

from typing import TYPE_CHECKING, Any

from obskit._guard import guard
from obskit.runtime import active_runtime

if TYPE_CHECKING:
    from collections.abc import Iterable

    from obskit.asgi._types import Message, Receive, Send
    from obskit.instruments import HttpRequest

_BODIES = ("http.response.body", "http.response.pathsend")
"""Messages that may be the last of an answer; the size of a file sent by path is not known."""

_ERROR_PAGE = b"Internal Server Error"


class Exchange:
    """One request and its answer.

    Args:
        request: The operation.
        receive: The server's.
        send: The server's.
    """

    def __init__(self, request: "HttpRequest", receive: "Receive", send: "Send") -> None:
        self._request = request
        self._receive = receive
        self._send = send
        self._started = False
        self._answered = False

    async def receive(self) -> "Message":
        """Hand a message to the application."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._request.request_bytes += len(message.get("body") or b"")
        elif message["type"] == "http.disconnect" and not self._answered:
            self._request.disconnected = True
        return message

    async def send(self, message: "Message") -> None:
        """Hand a message to the server, which raises an ``OSError`` when the client has gone."""
        kind = message["type"]
        if kind == "http.response.start":
            self._started = True
            message = self._start(message)
        try:
            await self._send(message)
        except OSError:
            self._request.disconnected = True
            raise
        if kind in _BODIES:
            self._request.response_bytes += len(message.get("body") or b"")
            if not message.get("more_body", False):
                self._answered = True
                self._request.answered()

    async def answer_error(self) -> None:
        """Answer 500 in the place of an application that has raised, unless it has begun to."""
        if self._started or self._request.disconnected:
            return
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(_ERROR_PAGE)).encode()),
        ]
        body = b"" if self._request.method == "HEAD" else _ERROR_PAGE
        try:
            await self.send({"type": "http.response.start", "status": 500, "headers": headers})
            await self.send({"type": "http.response.body", "body": body})
        except OSError:
            return  # the client has gone, and that is noted
        except Exception as error:
            guard.report("asgi.send", error)

    def _start(self, message: "Message") -> "Message":
        try:
            self._request.status = message["status"]
            return {**message, "headers": self._headers(message.get("headers") or ())}
        except Exception as error:
            guard.report("asgi.send", error)
            return message

    def _headers(self, headers: "Iterable[Any]") -> list[tuple[bytes, bytes]]:
        """Return the response's headers with the correlation id in the place of any other."""
        name = active_runtime().settings.correlation_headers[0].lower().encode()
        kept = [(key, value) for key, value in headers if bytes(key).lower() != name]
        return [*kept, (name, self._request.correlation_id.encode())]
