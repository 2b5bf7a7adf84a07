"""Quart: an application instrumented in place, its routes in metrics, lines and spans."""

from typing import Any, TypeVar

from obskit import asgi
from obskit.errors import DeclarationError, MissingExtraError
from obskit.instruments import ROUTE

try:
    from quart import Quart, request, websocket
    from quart.signals import request_started, websocket_started
except ImportError as _error:
    raise MissingExtraError("obskit.integrations.quart", "quart") from _error

__all__ = ["instrument"]

Q = TypeVar("Q", bound=Quart)


def instrument(app: Q, **options: Any) -> Q:
    """Instrument a Quart application, as `obskit.asgi.instrument` does others.

    Quart keeps the route that it has matched to itself; here it tells. Templates are as Quart
    writes them: ``/users/<int:id>``.

    Args:
        app: The application; its ``asgi_app`` is wrapped, as Quart recommends.
        **options: Those of `obskit.asgi.instrument`.

    Returns:
        The same object.

    Raises:
        DeclarationError: If the application is instrumented already or none of Quart's, or an
            option is wrong.
    """
    given: Any = app
    if not isinstance(given, Quart):
        raise DeclarationError(f"instrument: {given!r} is not a Quart application")
    served: Any = app
    served.asgi_app = asgi.instrument(served.asgi_app, **options)
    request_started.connect(_leave_route_of_request, app)
    websocket_started.connect(_leave_route_of_websocket, app)
    return app


async def _leave_route_of_request(_: Quart, **__: Any) -> None:
    _leave_route(request)


async def _leave_route_of_websocket(_: Quart, **__: Any) -> None:
    _leave_route(websocket)


def _leave_route(served: Any) -> None:
    if served.url_rule is not None:
        served.scope[ROUTE] = served.url_rule.rule
