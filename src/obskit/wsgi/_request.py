"""One request over WSGI: the operation, and the answer that is watched on its way."""

import sys
from typing import TYPE_CHECKING, Any

from obskit._guard import guard
from obskit.context import current_context
from obskit.instruments import HttpInstrument, HttpRequest
from obskit.tracing import swap_trace_context
from obskit.wsgi._environ import CORRELATION_ID, decoded, header_keys
from obskit.wsgi._frameworks import ERROR, note_flask_route

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from wsgiref.types import StartResponse, WSGIEnvironment

    from obskit.instruments import HttpPlan
    from obskit.runtime import Runtime

    Headers = list[tuple[str, str]]
    ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

DEBUGGER = "werkzeug.debug.preserve_context"
"""What a debugger around leaves in the environment: it wants to show errors itself."""

_ERROR_PAGE = b"Internal Server Error"
_WITHOUT_BODY = (204, 304)
_SWITCHED = 101
_SERVER_ERROR = 500


class WsgiInstrument(HttpInstrument):
    """The metrics and the access log of requests over WSGI under one configuration.

    Args:
        runtime: The configuration.
        options: What the user has said.

    Attributes:
        header_keys: Where an environment has the headers of interest, and their names.
        id_header: Name of the header with the correlation id in answers.
    """

    def __init__(self, runtime: "Runtime", options: "HttpPlan") -> None:
        super().__init__(runtime, options)
        self.header_keys: tuple[tuple[str, str], ...] = header_keys(self.wanted.values())
        self.id_header: str = self.response_header.decode()


class WsgiRequest(HttpRequest):
    """One request over WSGI.

    Args:
        instrument: Where it is counted.
        environ: The request's.
        start_response: The server's.
        find_route: Returns the template of the route that an environment has taken.

    Attributes:
        is_started: Whether the application has begun to answer.
        is_exhausted: Whether the server has taken all that the application had to give.
        length: Bytes of the answer's body, as far as the application says so.
    """

    __slots__ = ("_root", "_start", "_write", "is_exhausted", "is_started", "length")

    _instrument: WsgiInstrument  # pyright: ignore[reportIncompatibleVariableOverride] # set once

    def __init__(
        self,
        instrument: WsgiInstrument,
        environ: "WSGIEnvironment",
        start_response: "StartResponse",
        find_route: "Callable[[WSGIEnvironment], str | None]",
    ) -> None:
        given = environ.get
        self._root: str = decoded(given("SCRIPT_NAME") or "")
        HttpRequest.__init__(
            self,
            instrument,
            environ,
            given("REQUEST_METHOD", ""),
            self._root + decoded(given("PATH_INFO") or "") or "/",
            {name: environ[key] for key, name in instrument.header_keys if key in environ},
            find_route,
        )
        self._inside = None
        self._start: Any = start_response
        self._write: Any = None
        self.is_started: bool = False
        self.is_exhausted: bool = False
        self.length: int | None = None
        environ[CORRELATION_ID] = self.correlation_id

    @property
    def client(self) -> str:
        """The client's address."""
        return str(self.scope.get("REMOTE_ADDR", ""))

    @property
    def server(self) -> tuple[str, int | None] | None:
        """The server's address and port."""
        name, port = self.scope.get("SERVER_NAME"), str(self.scope.get("SERVER_PORT", ""))
        return (str(name), int(port) if port.isdecimal() else None) if name else None

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return str(self.scope.get("wsgi.url_scheme", "http"))

    @property
    def protocol_version(self) -> str:
        """The version of HTTP."""
        return str(self.scope.get("SERVER_PROTOCOL", "HTTP/1.1")).rpartition("/")[2]

    @property
    def original_method(self) -> str:
        """The method as the client sent it."""
        return str(self.scope.get("REQUEST_METHOD", ""))

    @property
    def query(self) -> str:
        """The query as it was sent."""
        return str(self.scope.get("QUERY_STRING", ""))

    @property
    def root_path(self) -> str:
        """Where the application is mounted by the server."""
        return self._root

    def may_be_traced_around(self) -> bool:
        """Whether telemetry of the host's may have begun a span that is not sampled."""
        return "opentelemetry.instrumentation.wsgi" in sys.modules

    def resume(self) -> None:
        """Become current again, for a step of the answer or its end; `suspend` leaves it."""
        self._token = current_context.set(self._inside or self)
        if self._trace is not None:
            self._outer_trace = swap_trace_context(self._trace)

    # The answer

    def start_response(
        self, status: str, headers: "Headers", exc_info: "ExcInfo | None" = None
    ) -> "Callable[[bytes], object]":
        """Begin the answer, or begin it anew as long as nothing is sent.

        Args:
            status: The code and its phrase.
            headers: The application's.
            exc_info: The error that the answer is made for, if any.

        Returns:
            Sends a part of the body at once.
        """
        try:
            headers = self._answer_headers(headers)
        except Exception as error:
            guard.report("wsgi.send", error)
        if exc_info is None:
            write = self._start(status, headers)
        else:
            try:
                write = self._start(status, headers, exc_info)
            finally:
                exc_info = None  # it holds this frame
        try:
            self._note_start(status, headers)
        except Exception as error:
            guard.report("wsgi.send", error)
        self._write = write
        return self.write

    def write(self, data: bytes, /) -> None:
        """Send a part of the body at once, the old way.

        Args:
            data: The part.
        """
        try:
            self._write(data)
        except OSError:
            self.disconnected = True
            raise
        self.count(data)

    def count(self, data: Any) -> None:
        """Count a part of the body.

        Args:
            data: What the application gives; the server will refuse what is not bytes.
        """
        if isinstance(data, bytes):
            self.response_bytes += len(data)

    def answer_error(self) -> None:
        """Answer 500 in the place of an application that has raised, unless it has begun to."""
        if self.is_started or self.disconnected or self.is_upgrade() or DEBUGGER in self.scope:
            return
        headers = [
            ("content-type", "text/plain; charset=utf-8"),
            ("content-length", str(len(_ERROR_PAGE))),
        ]
        try:
            write = self.start_response("500 Internal Server Error", headers)
            write(b"" if self.method == "HEAD" else _ERROR_PAGE)
        except OSError:
            return  # the client has gone, and that is noted
        except Exception as error:
            guard.report("wsgi.send", error)

    def is_upgrade(self) -> bool:
        """Tell whether the client has asked for a WebSocket."""
        return str(self.scope.get("HTTP_UPGRADE", "")).lower() == "websocket"

    def finish(self, error: BaseException | None = None) -> None:
        """End the request and leave its context.

        Args:
            error: What the application has raised, if anything.
        """
        answered_for = self.scope.pop(ERROR, None)
        if not self._ended:
            if not self.is_started and self.is_upgrade() and _is_taken(error):
                self.status, error = _SWITCHED, None  # the application has taken the connection
            if error is None and (self.status or 0) >= _SERVER_ERROR:
                error = self._reported = answered_for  # the framework has logged it
            if error is not None or not self._instrument.complete(self):
                self.end(error)
        self.leave()

    def closed(self, reason: BaseException | None) -> None:
        """End the request: the server lets go of the answer.

        Args:
            reason: What the server is handling meanwhile, if anything: why it does that.
        """
        if self._ended:
            self.leave()
        elif isinstance(reason, OSError) or _means_disconnect(reason):
            self.disconnected = True
            self.finish()
        elif reason is None or isinstance(reason, GeneratorExit):
            self.disconnected = self.disconnected or self._is_cut_off()
            self.finish()
        else:
            self.finish(None if self._has_all() else reason)

    def _has_all(self) -> bool:
        """Whether the server has had the whole body, or had no use for it."""
        return (
            self.is_exhausted
            or self.method == "HEAD"
            or self.status in _WITHOUT_BODY
            or (self.length is not None and self.response_bytes >= self.length)
        )

    def _is_cut_off(self) -> bool:
        """Whether the server has stopped in the middle; what was never begun was not wanted."""
        return self.response_bytes > 0 and not self._has_all()

    def _note_start(self, status: str, headers: "Headers") -> None:
        self.is_started = True
        self.begin_answer(int(status[:3]))
        note_flask_route(self.scope)
        for name, value in headers:
            if name.lower() == "content-length":
                self.length = int(value)

    def _answer_headers(self, headers: "Headers") -> "Headers":
        """Return the answer's headers with the correlation id in the place of any other."""
        instrument = self._instrument
        id_header = instrument.id_header
        kept = [pair for pair in headers if pair[0].lower() != id_header]
        captured = instrument.options.response_headers
        if captured:
            lowered = [(name.lower(), value) for name, value in reversed(kept)]
            self.response_headers = {name: text for name, text in lowered if name in captured}
        kept.append((id_header, self.correlation_id))
        return kept


def _is_taken(error: BaseException | None) -> bool:
    """Tell whether an application may have taken the connection: so simple-websocket ends then."""
    return error is None or isinstance(error, StopIteration | ConnectionError)


def _means_disconnect(error: BaseException | None) -> bool:
    """Tell whether a server calls that a client which has gone, as waitress does."""
    return "Disconnect" in type(error).__name__
