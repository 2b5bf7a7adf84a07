"""What Flask and Django know of a request: the route, and the error that they have answered for.

Both forget that before the request has ended, so it is left in the environment. Neither is imported
for that; nothing is matched again.
"""

import functools
import sys
from typing import TYPE_CHECKING, Any

from obskit._guard import guard
from obskit.instruments import ROUTE
from obskit.wsgi._environ import CORRELATION_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from wsgiref.types import WSGIEnvironment

ERROR = "obskit.error"
"""Where an error is left that a framework has logged, and answered 500 for."""

_INNER = ("__self__", "wsgi_app", "app", "application")
"""What leads from middleware to the application inside, and from a method to its object."""

_DEEPEST = 100
"""Middleware on top of one another, at the most: such an attribute may lead anywhere."""


def find_template(environ: "WSGIEnvironment") -> str | None:
    """Return the template of the route that a request has taken, as far as it is known.

    Args:
        environ: The request's.
    """
    note_flask_route(environ)
    return environ.get(ROUTE)


def note_flask_route(environ: "WSGIEnvironment") -> None:
    """Leave the template that Flask has found; it has its request in the environment for a while.

    Args:
        environ: The request's.
    """
    request = environ.get("werkzeug.request")
    rule = None if request is None else getattr(request, "url_rule", None)
    if rule is not None:
        environ[ROUTE] = rule.rule


def watch_frameworks(app: Any) -> None:
    """Have the frameworks inside an application tell what the environment does not show.

    Args:
        app: What the middleware is around.
    """
    try:
        flask = sys.modules.get("flask")
        for part in _inwards(app):
            if flask is not None and isinstance(part, flask.Flask):
                flask.got_request_exception.connect(_note_flask_error, part)
            elif hasattr(part, "resolve_request"):
                _watch_django(part)
    except Exception as error:
        guard.report("wsgi.frameworks", error)


def _inwards(app: Any) -> "Iterator[Any]":
    """Yield an application and what it is around."""
    seen: list[Any] = []
    while app is not None and len(seen) < _DEEPEST:
        yield app
        seen.append(app)
        inner = (getattr(app, name, None) for name in _INNER)
        app = next((part for part in inner if _is_new(part, seen)), None)


def _is_new(part: Any, seen: list[Any]) -> bool:
    return callable(part) and not any(part is known for known in seen)


def _note_flask_error(_: Any, exception: BaseException | None = None, **__: object) -> None:
    _note_error(sys.modules["flask"].request, "environ", exception)


def _watch_django(handler: Any) -> None:
    """Be called when Django's handler has found a route, and when a request has failed."""
    sys.modules["django.core.signals"].got_request_exception.connect(_note_django_error)
    resolve: Callable[[Any], Any] = handler.resolve_request
    if hasattr(resolve, "__wrapped__"):
        return

    @functools.wraps(resolve)
    def resolve_request(request: Any) -> Any:
        match = resolve(request)
        try:
            request.META[ROUTE] = "/" + match.route.removeprefix("^").removesuffix("$")
        except Exception as error:
            guard.report("http.route", error)
        return match

    handler.resolve_request = resolve_request


def _note_django_error(request: Any = None, **_: object) -> None:
    _note_error(request, "META", sys.exc_info()[1])


def _note_error(request: Any, attribute: str, error: BaseException | None) -> None:
    try:
        environ = getattr(request, attribute, {})
        if CORRELATION_ID in environ:
            environ[ERROR] = error
            note_flask_route(environ)
    except Exception as fault:
        guard.report("wsgi.frameworks", fault)
