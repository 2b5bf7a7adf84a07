"""The middleware: each request is an operation, with ids, metrics, a span and one log line."""

from typing import TYPE_CHECKING, Unpack

from obskit._guard import guard
from obskit.context import current_context
from obskit.instruments import HttpOptions, HttpPlan, PathSet
from obskit.runtime import active_runtime, dependents
from obskit.wsgi._answer import watch
from obskit.wsgi._environ import may_have_body, path_of
from obskit.wsgi._frameworks import find_template, watch_frameworks
from obskit.wsgi._input import CountedInput
from obskit.wsgi._request import WsgiInstrument, WsgiRequest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_SEEN = "obskit.request"
"""Marks an environment that a middleware further out has begun: a request is counted once."""


class ObservabilityMiddleware:
    """Plain WSGI middleware; put it outermost.

    A request lasts until the server has closed the answer. Where an application raises before it
    has answered, the middleware answers 500, with the correlation id, and the error goes on.

    Args:
        app: The application.
        **options: How requests are recorded: see `obskit.instruments.HttpOptions`.

    Attributes:
        app: The same.
        endpoints: Paths below the mount point that others answer, unseen; and who does.

    Raises:
        DeclarationError: If an option is unknown, or not as it must be.
        DuplicateError: If a metric of the same name has another shape.
    """

    def __init__(self, app: "WSGIApplication", **options: Unpack[HttpOptions]) -> None:
        self.app = app
        self.endpoints: dict[str, WSGIApplication] = {}
        self._plan = HttpPlan.of(options)
        self._plan.check()
        self._excluded = PathSet(self._plan.excluded_paths)
        self._instrument: WsgiInstrument | None = None
        self._find_route = self._plan.route or find_template
        watch_frameworks(app)
        dependents.add(self)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> "Iterable[bytes]":
        """Serve one request."""
        try:
            path = path_of(environ)
        except Exception as error:
            guard.report("wsgi.begin", error)
            path = ""
        if path in self.endpoints:
            return self.endpoints[path](environ, start_response)
        request = None if path in self._excluded else self._begin(environ, start_response)
        if request is None:
            return self.app(environ, start_response)
        try:
            iterable = self.app(environ, request.start_response)
        except BaseException as error:
            if isinstance(error, Exception):
                request.answer_error()
            request.finish(error)
            raise
        if not request.is_started and request.is_upgrade() and not hasattr(iterable, "__next__"):
            request.finish()  # the application has taken the connection
            return iterable
        request.suspend()
        return watch(request, iterable)

    def reconfigure(self) -> None:
        """Forget what was made for the configuration before this one."""
        self._instrument = None

    def _begin(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> WsgiRequest | None:
        """Begin a request; None when that fails, or is not wanted: the application runs alone."""
        try:
            outer = current_context.get()
            if _SEEN in environ or (outer is not None and outer.suppressed):
                return None
            instrument = self._instrument or self._make_instrument()
            if not instrument.signals:
                return None
            environ[_SEEN] = True
            request = WsgiRequest(instrument, environ, start_response, self._find_route)
            if "wsgi.input" in environ and may_have_body(environ):
                environ["wsgi.input"] = CountedInput(environ["wsgi.input"], request)
            request.begin()
            request.enter()
        except Exception as error:
            guard.report("wsgi.begin", error)
            return None
        return request

    def _make_instrument(self) -> WsgiInstrument:
        version = dependents.version
        instrument = WsgiInstrument(active_runtime(), self._plan)
        if dependents.version == version:  # else it is made for a configuration that is gone
            self._instrument = instrument
        return instrument
