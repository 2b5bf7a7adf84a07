"""Requests without a server: for what knows nothing of ASGI and WSGI."""

from typing import Any

from obskit.instruments import HttpInstrument, HttpPlan, HttpRequest
from obskit.runtime import active_runtime


class PlainRequest(HttpRequest):
    """A request of which the scope, a mapping of what is asked for, says everything."""

    __slots__ = ()

    def _say(self, name: str, otherwise: Any) -> Any:
        return self.scope.get(name, otherwise)

    client = property(lambda self: self._say("client", "10.0.0.7"))
    server = property(lambda self: self._say("server", ("shop", 80)))
    scheme = property(lambda self: self._say("scheme", "http"))
    protocol_version = property(lambda self: self._say("protocol_version", "1.1"))
    query = property(lambda self: self._say("query", ""))
    root_path = property(lambda self: self._say("root_path", ""))
    original_method = property(lambda self: self._say("method", "GET"))


def new_instrument(**options: Any) -> HttpInstrument:
    """Return an instrument of the configuration of this moment."""
    given: Any = options
    return HttpInstrument(active_runtime(), HttpPlan.of(given))


def new_request(
    instrument: HttpInstrument | None = None,
    method: str = "GET",
    path: str = "/p",
    route: Any = "/r",
    headers: dict[str, str] | None = None,
    **scope: Any,
) -> PlainRequest:
    """Return a request that has not begun; ``route`` may be a function."""
    find = route if callable(route) else lambda _: route
    return PlainRequest(
        instrument or new_instrument(),
        {"method": method, **scope},
        method,
        path,
        headers or {},
        find,
    )


def answer(
    request: HttpRequest, status: int | None = 200, error: BaseException | None = None
) -> None:
    """Begin a request, answer it and end it."""
    request.begin()
    request.enter()
    if status is not None:
        request.begin_answer(status)
        request.answered()
    request.end(error)
    request.leave()
