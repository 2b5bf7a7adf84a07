"""The middleware: each request is an operation, with ids, metrics, a span and one log line."""

from typing import TYPE_CHECKING, Any, Unpack

from obskit._guard import guard
from obskit.asgi._foreign import HostTelemetry
from obskit.asgi._inbound import interesting_headers, put_id_in_state
from obskit.asgi._lifespan import Lifespan
from obskit.asgi._request import AsgiRequest
from obskit.asgi._routes import RouteTemplates
from obskit.asgi._types import path_of
from obskit.asgi._websocket import AsgiWebSocket
from obskit.context import current_context
from obskit.instruments import (
    HttpInstrument,
    HttpOptions,
    HttpPlan,
    PathSet,
    WebSocketInstrument,
    await_host,
)
from obskit.runtime import active_runtime, dependents

if TYPE_CHECKING:
    from obskit.asgi._types import Application, Receive, Scope, Send

    Carrier = type[AsgiRequest | AsgiWebSocket]

_SEEN = "obskit.request"
"""Marks a scope that a middleware further out has begun: a request is counted once."""

_CARRIERS: "dict[str, Carrier]" = {"http": AsgiRequest, "websocket": AsgiWebSocket}
"""What is made of a scope, by its type."""


class ObservabilityMiddleware:
    """Plain ASGI middleware; put it outermost.

    Where an application raises before it has answered, the middleware answers 500, with the
    correlation id, unless it is itself inside a framework's application that answers errors. Where
    an application knows nothing of the lifespan protocol, the middleware speaks it.

    Args:
        app: The application.
        **options: How requests are recorded: see `obskit.instruments.HttpOptions`.

    Attributes:
        app: The same.
        endpoints: Paths below the root path that others answer, and who: see `instrument`.

    Raises:
        DeclarationError: If an option is unknown, or not as it must be.
        DuplicateError: If a metric of the same name has another shape.
    """

    def __init__(self, app: "Application", **options: Unpack[HttpOptions]) -> None:
        self.app = app
        self.endpoints: dict[str, Application] = {}
        self._plan = HttpPlan.of(options)
        self._plan.check()
        self._excluded = PathSet(self._plan.excluded_paths)
        self._host = HostTelemetry()
        self._templates: RouteTemplates | None = None
        self._instruments: dict[Any, Any] = {}
        self._find_route = self._plan.route or self._find_template
        dependents.add(self)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve one connection."""
        carrier = _CARRIERS.get(scope["type"])
        if carrier is None:
            await self._serve_other(scope, receive, send)
            return
        try:
            path = path_of(scope)
        except Exception as error:
            guard.report("asgi.begin", error)
            path = ""
        if path in self.endpoints and carrier is AsgiRequest:
            await self.endpoints[path](scope, receive, send)
            return
        request = None if path in self._excluded else self._begin(carrier, scope, receive, send)
        if request is None:
            await self.app(scope, receive, send)
            return
        is_outermost = "app" not in scope  # frameworks leave their application there
        try:
            await self.app(scope, request.receive, request.send)
        except BaseException as error:
            if is_outermost and isinstance(error, Exception):
                await request.answer_error()
            request.finish(error)
            raise
        request.finish()

    def reconfigure(self) -> None:
        """Forget what was made for the configuration before this one."""
        self._instruments = {}

    async def _serve_other(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] == "lifespan":
            await Lifespan(receive, send).run(self.app, scope)
        else:
            await self.app(scope, receive, send)

    def _begin(
        self, carrier: "Carrier", scope: "Scope", receive: "Receive", send: "Send"
    ) -> AsgiRequest | AsgiWebSocket | None:
        """Begin a request; None when that fails, or is not wanted: the application runs alone."""
        try:
            outer = current_context.get()
            if _SEEN in scope or (outer is not None and outer.suppressed):
                return None
            instrument = self._instruments.get(carrier) or self._make_instrument(carrier)
            if not instrument.signals:
                return None
            scope[_SEEN] = True
            if self._templates is None:
                self._templates = RouteTemplates(scope.get("app") or self.app)
            headers = interesting_headers(scope, instrument.wanted)
            request = carrier(instrument, scope, headers, self._find_route, receive, send)
            put_id_in_state(request)
            if self._host.begins_span(self.app, scope):
                await_host(request)
            request.begin()
            request.enter()
        except Exception as error:
            guard.report("asgi.begin", error)
            return None
        return request

    def _make_instrument(self, carrier: "Carrier") -> Any:
        version, instruments = dependents.version, self._instruments
        made_by = HttpInstrument if carrier is AsgiRequest else WebSocketInstrument
        instrument = made_by(active_runtime(), self._plan)
        if dependents.version == version:  # else it is made for a configuration that is gone
            instruments[carrier] = instrument
        return instrument

    def _find_template(self, scope: "Scope") -> str | None:
        return None if self._templates is None else self._templates.find(scope)
