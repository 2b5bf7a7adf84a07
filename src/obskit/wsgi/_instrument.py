"""One call that instruments an application."""

import inspect
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from obskit.errors import DeclarationError
from obskit.health._probes import PROBES
from obskit.instruments import HttpOptions, checked_metrics_path
from obskit.wsgi._endpoints import health_app, metrics_app
from obskit.wsgi._middleware import ObservabilityMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable
    from wsgiref.types import WSGIApplication

    from obskit.health import HealthRegistry

A = TypeVar("A", bound="Callable[..., Any]")


def instrument(
    app: A,
    *,
    health: "HealthRegistry | None" = None,
    metrics_path: str | None = "/metrics",
    metrics_token: str | None = None,
    **options: Unpack[HttpOptions],
) -> A:
    """Put the middleware around an application, with ``/metrics`` and the health endpoints.

    A Flask application is changed in place; any other, such as Django's, is wrapped. Use what is
    returned: ``application = instrument(get_wsgi_application())``.

    Args:
        app: A Flask, Django or any other WSGI application.
        health: Answers ``/health``, ``/livez``, ``/readyz`` and ``/version``.
        metrics_path: Where the metrics are; None leaves them out.
        metrics_token: The bearer token to ask for; by default the setting ``metrics_token``.
        **options: How requests are recorded: see `obskit.instruments.HttpOptions`.

    Returns:
        The instrumented application: the same object for Flask.

    Raises:
        DeclarationError: If the application is instrumented already, or an argument is wrong.
    """
    paths = _paths(health, metrics_path, metrics_token)
    _check(app)
    in_place = callable(getattr(app, "wsgi_app", None))
    inner: Any = getattr(app, "wsgi_app") if in_place else app  # noqa: B009 - not known to types
    if isinstance(inner, ObservabilityMiddleware):
        raise DeclarationError("instrument: this application is instrumented already")
    middleware: Any = ObservabilityMiddleware(inner, **options)
    middleware.endpoints.update(paths)
    if not in_place:
        return middleware  # type: ignore[no-any-return] # a WSGI application like the one given
    setattr(app, "wsgi_app", middleware)  # noqa: B010 - not known to types
    return app


def _check(app: Any) -> None:
    if not callable(app):
        raise DeclarationError(f"instrument: {app!r} is not a WSGI application")
    if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__):
        raise DeclarationError(
            f"instrument: {app!r} is an ASGI application: use obskit.asgi.instrument"
        )


def _paths(
    health: "HealthRegistry | None", metrics_path: str | None, metrics_token: str | None
) -> "dict[str, WSGIApplication]":
    paths: dict[str, WSGIApplication] = {}
    if health is not None:
        paths.update(dict.fromkeys(PROBES, health_app(health)))
    if metrics_path is not None:
        path = checked_metrics_path(metrics_path, paths)
        paths[path] = metrics_app(token=metrics_token)
    return paths
