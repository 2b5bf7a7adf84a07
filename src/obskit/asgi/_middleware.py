"""The middleware: each request is an operation, with ids, metrics, a span and one log line."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from obskit._guard import guard
from obskit.asgi._exchange import Exchange
from obskit.asgi._lifespan import Lifespan
from obskit.asgi._routes import RouteTemplates
from obskit.asgi._types import path_of
from obskit.context import new_correlation_id
from obskit.errors import DeclarationError
from obskit.instruments import (
    DEFAULT_HTTP_NAMES,
    UNMATCHED,
    HttpInstrument,
    HttpNames,
    HttpRequest,
)
from obskit.propagation import lower_headers, read_correlation_id
from obskit.runtime import active_runtime

if TYPE_CHECKING:
    from collections.abc import Callable

    from obskit.asgi._types import Application, Receive, Scope, Send

QUIET_PATHS = ("/metrics", "/health", "/livez", "/readyz", "/version")
"""Paths that are passed through unseen, unless others are given."""

_SEEN = "obskit.request"
"""Marks a scope that a middleware further out has begun: a request is counted once."""


class ObservabilityMiddleware:
    """Plain ASGI middleware; put it outermost.

    Where an application raises before it has answered, the middleware answers 500, with the
    correlation id, unless it is itself inside a framework's application that answers errors. Where
    an application knows nothing of the lifespan protocol, the middleware speaks it.

    Args:
        app: The application.
        names: How the metrics are called.
        access_log: Whether to write one line for each request.
        quiet_paths: Paths, below the root path, that are passed through unseen.
        route: Returns the template of the route that a scope has taken, or None; for frameworks
            that do not leave it in the scope as Starlette and FastAPI do.

    Raises:
        DeclarationError: If ``names``, ``quiet_paths`` or ``route`` is of a wrong type.
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
        if not isinstance(names, HttpNames):
            raise DeclarationError(f"names={names!r}: give an obskit.instruments.HttpNames")
        if route is not None and not callable(route):
            raise DeclarationError(f"route={route!r}: give a function of the scope")
        self.app = app
        self._names = names
        self._access_log = access_log
        self._quiet = _quiet(quiet_paths)
        self._route = route
        self._templates: RouteTemplates | None = None
        self._instrument: HttpInstrument | None = None

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await Lifespan(receive, send).run(self.app, scope)
            return
        if scope["type"] != "http" or _SEEN in scope or path_of(scope) in self._quiet:
            await self.app(scope, receive, send)
            return
        request = self._begin(scope)
        if request is None:
            await self.app(scope, receive, send)
            return
        exchange = Exchange(request, receive, send)
        is_outermost = "app" not in scope  # frameworks leave their application there
        request.enter()
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except BaseException as error:
            if is_outermost and isinstance(error, Exception):
                await exchange.answer_error()
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


def _quiet(paths: Any) -> frozenset[str]:
    listed = list(paths) if isinstance(paths, Iterable) else [paths]
    if isinstance(paths, str) or not all(isinstance(path, str) for path in listed):
        raise DeclarationError(f"quiet_paths={paths!r}: give a list of paths")
    return frozenset(path_of({"path": path}) for path in listed)
