"""One call that instruments an application."""

from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from obskit.asgi._endpoints import health_app, metrics_app
from obskit.asgi._middleware import ObservabilityMiddleware
from obskit.errors import DeclarationError
from obskit.health._probes import PROBES
from obskit.instruments import HttpOptions, checked_metrics_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from obskit.asgi._types import Application
    from obskit.health import HealthRegistry

_ELSEWHERE = {"wsgi_app": "obskit.wsgi", "asgi_app": "obskit.integrations.quart"}
"""What applications of Flask and Quart have, and where there is an `instrument` for them."""

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

    A Starlette or FastAPI application is changed in place, so that ids are on its error pages,
    too; any other is wrapped. Use what is returned: ``app = instrument(app)``.

    Args:
        app: A Starlette, FastAPI or any other ASGI application.
        health: Answers ``/health``, ``/livez``, ``/readyz`` and ``/version``.
        metrics_path: Where the metrics are; None leaves them out.
        metrics_token: The bearer token to ask for; by default the setting ``metrics_token``.
        **options: How requests are recorded: see `obskit.instruments.HttpOptions`.

    Returns:
        The instrumented application: the same object for Starlette and FastAPI.

    Raises:
        DeclarationError: If the application is instrumented already, or an argument is wrong.
    """
    paths = _paths(health, metrics_path, metrics_token)
    if not callable(app):
        raise DeclarationError(f"instrument: {app!r} is not an ASGI application")
    for attribute, remedy in _ELSEWHERE.items():
        if hasattr(app, attribute):
            raise DeclarationError(f"instrument: for {type(app).__name__} use {remedy}.instrument")
    if getattr(app, "_obskit_instrumented", False):
        raise DeclarationError("instrument: this application is instrumented already")
    middleware = ObservabilityMiddleware(app, **options)
    middleware.endpoints.update(paths)
    instrumented: Any = middleware
    if hasattr(app, "build_middleware_stack"):
        _wrap_stack(app, middleware)
        instrumented = app
    instrumented._obskit_instrumented = True
    return instrumented  # type: ignore[no-any-return] # an ASGI application like the one given


def _paths(
    health: "HealthRegistry | None", metrics_path: str | None, metrics_token: str | None
) -> "dict[str, Application]":
    paths: dict[str, Application] = {}
    if health is not None:
        paths.update(dict.fromkeys(PROBES, health_app(health)))
    if metrics_path is not None:
        path = checked_metrics_path(metrics_path, paths)
        paths[path] = metrics_app(token=metrics_token)
    return paths


def _wrap_stack(app: Any, middleware: ObservabilityMiddleware) -> None:
    """Go around Starlette's own outermost middleware, which answers unhandled errors."""
    build = app.build_middleware_stack

    def build_around() -> ObservabilityMiddleware:
        middleware.app = build()
        return middleware

    app.build_middleware_stack = build_around
    if app.middleware_stack is not None:  # it has served already
        app.middleware_stack = app.build_middleware_stack()
