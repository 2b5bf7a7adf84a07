"""One request over ASGI: the operation, and the messages that are watched on their way."""

from typing import TYPE_CHECKING, Any

from obskit._guard import guard
from obskit.asgi._inbound import AsgiInbound
from obskit.instruments import HttpRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from obskit.asgi._types import Message, Receive, Scope, Send
    from obskit.instruments import HttpInstrument

_ENDS = frozenset({"http.response.body", "http.response.pathsend", "http.response.zerocopysend"})
"""Messages that may be the last of an answer; the size of a file that the server sends itself is
known only where the message tells it."""

_ERROR_PAGE = b"Internal Server Error"


class AsgiRequest(AsgiInbound, HttpRequest):
    """One request over ASGI.

    Args:
        instrument: Where it is counted.
        scope: The request's.
        headers: Headers that are of interest: names in lower case, and their values.
        find_route: Returns the template of the route that a scope has taken.
        receive: The server's.
        send: The server's.
    """

    __slots__ = ("_answered", "_headers", "_receive", "_send", "_started")

    _instrument: "HttpInstrument"

    def __init__(  # noqa: PLR0917 - keywords would cost what they are
        self,
        instrument: "HttpInstrument",
        scope: "Scope",
        headers: dict[str, str],
        find_route: "Callable[[Scope], str | None]",
        receive: "Receive",
        send: "Send",
    ) -> None:
        HttpRequest.__init__(
            self,
            instrument,
            scope,
            scope.get("method", ""),
            scope.get("path", ""),
            headers,
            find_route,
        )
        self._receive = receive
        self._send = send
        self._started = False
        self._answered = False
        self._headers: Any = ()

    @property
    def original_method(self) -> str:
        """The method as the client sent it."""
        return str(self.scope.get("method", ""))

    async def receive(self) -> "Message":
        """Hand a message to the application."""
        message = await self._receive()
        try:
            kind = message["type"]
            if kind == "http.request":
                self.request_bytes += len(message.get("body") or b"")
            elif kind == "http.disconnect" and not self._answered:
                self.disconnected = True
        except Exception as error:
            guard.report("asgi.receive", error)
        return message

    async def send(self, message: "Message") -> None:
        """Hand a message to the server, which raises an ``OSError`` when the client has gone."""
        kind = message["type"]
        is_start, answered = kind == "http.response.start", self._answered
        if is_start:
            message = self._start(message)
        is_last = kind in _ENDS and not message.get("more_body", False)
        if is_last:
            self._answered = True  # at once: servers may tell of the client's leaving meanwhile
            if self.host_span is not None:
                self.tell_host()  # a host around ends its span as soon as this is sent
        try:
            await self._send(message)
        except OSError:
            self.disconnected = self.disconnected or not answered
            raise
        except Exception:
            if is_start:  # the server has refused it: nothing is sent
                self._started, self.status = False, None
            raise
        if kind in _ENDS:
            self._note_body(message, is_last=is_last)

    async def answer_error(self) -> None:
        """Answer 500 in the place of an application that has raised, unless it has begun to."""
        if self._started or self.disconnected:
            return
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(_ERROR_PAGE)).encode()),
        ]
        body = b"" if self.method == "HEAD" else _ERROR_PAGE
        try:
            await self.send({"type": "http.response.start", "status": 500, "headers": headers})
            await self.send({"type": "http.response.body", "body": body})
        except OSError:
            return  # the client has gone, and that is noted
        except Exception as error:
            guard.report("asgi.send", error)

    def finish(self, error: BaseException | None = None) -> None:
        """End the request, or what the application has done after it, and leave its context.

        Args:
            error: What the application has raised, if anything.
        """
        try:
            self._finish(error)
        except Exception as fault:
            guard.report("asgi.end", fault)
        self.leave()

    def _finish(self, error: BaseException | None) -> None:
        if self._ended:
            if error is not None or self._instrument.wants_background:
                self.end_background(error)
            return
        if error is None and self._started and not self._answered and not self.disconnected:
            self._outcome = self._outcome or "error"  # the server cuts the connection
        self.end(error)

    def _note_body(self, message: "Message", *, is_last: bool) -> None:
        """Note a part of the answer's body that the server has taken."""
        try:
            self.response_bytes += self._size(message)
            if is_last and not self._ended and not self._instrument.complete(self):
                self.answered()
        except Exception as error:
            guard.report("asgi.send", error)

    def _size(self, message: "Message") -> int:
        """Return the bytes of a message's body; of a file, as the headers tell."""
        if self.method == "HEAD":
            return 0
        body = message.get("body")
        if body:
            return len(body)
        if message["type"] == "http.response.pathsend":
            return int(dict(self._headers).get(b"content-length", 0))
        return message.get("count") or 0

    def _start(self, message: "Message") -> "Message":
        self._started = True
        try:
            message = {**message, "headers": list(message.get("headers") or ())}
            self._headers = message["headers"]
            self.begin_answer(message["status"])
            return {**message, "headers": self.answer_headers(self._headers)}
        except Exception as error:
            guard.report("asgi.send", error)
            return message
