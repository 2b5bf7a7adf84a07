"""The middleware: each request is an operation, with ids, metrics, a span and one log line."""

from typing import TYPE_CHECKING, Any

from obskit._guard import guard
from obskit.asgi._routes import RouteTemplates
from obskit.asgi._types import path_of
from obskit.context import new_correlation_id
from obskit.errors import DeclarationError
from obskit.instruments import DEFAULT_HTTP_NAMES, UNMATCHED, HttpInstrument, HttpRequest
from obskit.propagation import lower_headers, read_correlation_id
from obskit.runtime import active_runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from obskit.asgi._types import Application, Message, Receive, Scope, Send
    from obskit.instruments import HttpNames

QUIET_PATHS = ("/metrics", "/health", "/livez", "/readyz", "/version")
"""Paths that are passed through unseen, unless others are given."""

_BODIES = ("http.response.body", "http.response.pathsend")
"""Messages that may be the last of an answer; the size of a file sent by path is not known."""

_SEEN = "obskit.request"
"""Marks a scope that a middleware further out has begun: a request is counted once."""


class ObservabilityMiddleware:
    """Plain ASGI middleware; put it outermost.

    Args:
        app: The application.
        names: How the metrics are called.
        access_log: Whether to write one line for each request.
        quiet_paths: Paths, below the root path, that are passed through unseen.
        route: Returns the template of the route that a scope has taken, or None; for frameworks
            that do not leave it in the scope as Starlette and FastAPI do.

    Raises:
        DeclarationError: If ``quiet_paths`` or ``route`` is of a wrong type.
    """

    def __init__(
        self,
        app: "Application",
        *,
        names: "HttpNames" = DEFAULT_HTTP_NAMES,
        access_log: bool = True,
        quiet_paths: "Iterable[str]" = QUIET_PATHS,
        route: "Callable[[Scope], str | None] | None" = None,
    ) -> None:
        if isinstance(quiet_paths, str):
            raise DeclarationError(f"quiet_paths={quiet_paths!r}: give a list of paths")
        if route is not None and not callable(route):
            raise DeclarationError(f"route={route!r}: give a function of the scope")
        self.app = app
        self._names = names
        self._access_log = access_log
        self._quiet = frozenset(path_of({"path": path}) for path in quiet_paths)
        self._route = route
        self._templates: RouteTemplates | None = None
        self._instrument: HttpInstrument | None = None

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, _flushing(send))
            return
        if scope["type"] != "http" or _SEEN in scope or path_of(scope) in self._quiet:
            await self.app(scope, receive, send)
            return
        request = self._begin(scope)
        if request is None:
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(request, receive, send)
        request.enter()
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except BaseException as error:
            request.end(error)
            request.leave()
            raise
        request.end()
        request.leave()

    def _begin(self, scope: "Scope") -> HttpRequest | None:
        """Begin a request; None when that fails, so that the application runs without us."""
        try:
            scope[_SEEN] = True
            headers = lower_headers(scope.get("headers") or ())
            request = HttpRequest(
                self._current_instrument(),
                method=scope.get("method", ""),
                path=scope.get("path", ""),
                correlation_id=read_correlation_id(headers) or new_correlation_id(),
                headers=headers,
                find_route=lambda: self._find_route(scope),
            )
            client = scope.get("client")
            request.client = str(client[0]) if client else ""
            self._find_templates(scope)
            request.begin()
        except Exception as error:
            guard.report("asgi.begin", error)
            return None
        return request

    def _current_instrument(self) -> HttpInstrument:
        runtime = active_runtime()
        instrument = self._instrument
        if instrument is None or instrument.runtime is not runtime:
            instrument = HttpInstrument(runtime, self._names, access_log=self._access_log)
            self._instrument = instrument
        return instrument

    def _find_templates(self, scope: "Scope") -> None:
        """Note the outermost application with routes: the one around us, or the one inside."""
        if self._templates is None:
            self._templates = RouteTemplates(scope.get("app") or self.app)

    def _find_route(self, scope: "Scope") -> str:
        if self._route is not None:
            return self._route(scope) or UNMATCHED
        return UNMATCHED if self._templates is None else self._templates.find(scope)


def _flushing(send: "Send") -> "Send":
    """Send waiting spans before the server hears that the application is done.

    A server may then end the process without ``atexit``: uvicorn, stopped by a signal, raises that
    signal again.
    """

    async def flushing(message: "Message") -> None:
        if message["type"].startswith("lifespan.shutdown."):
            active_runtime().flush()
        await send(message)

    return flushing


class _Exchange:
    """The messages of one request, watched on their way.

    Args:
        request: The operation.
        receive: The server's.
        send: The server's.
    """

    def __init__(self, request: HttpRequest, receive: "Receive", send: "Send") -> None:
        self._request = request
        self._receive = receive
        self._send = send
        self._answered = False

    async def receive(self) -> "Message":
        message = await self._receive()
        if message["type"] == "http.request":
            self._request.request_bytes += len(message.get("body") or b"")
        elif message["type"] == "http.disconnect" and not self._answered:
            self._request.disconnected = True
        return message

    async def send(self, message: "Message") -> None:
        kind = message["type"]
        if kind == "http.response.start":
            message = self._start(message)
        await self._send(message)
        if kind in _BODIES:
            self._request.response_bytes += len(message.get("body") or b"")
            if not message.get("more_body", False):
                self._answered = True
                self._request.answered()

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
