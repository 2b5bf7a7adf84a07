"""One call that instruments an application."""

from typing import TYPE_CHECKING, Any, TypeVar

from obskit.asgi._endpoints import HEALTH_PATHS, health_app, metrics_app
from obskit.asgi._middleware import QUIET_PATHS, ObservabilityMiddleware
from obskit.asgi._types import path_of
from obskit.errors import DeclarationError
from obskit.instruments import DEFAULT_HTTP_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from obskit.asgi._types import Application, Receive, Scope, Send
    from obskit.health import HealthRegistry
    from obskit.instruments import HttpNames

A = TypeVar("A", bound="Callable[..., Any]")


class Endpoints:
    """Answers some paths itself and gives every other request to the application.

    Args:
        app: The application.
        paths: Paths below the root path, and the applications that answer them.
    """

    def __init__(self, app: "Application", paths: "dict[str, Application]") -> None:
        self.app = app
        self._paths = paths

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve one connection."""
        answer = self._paths.get(path_of(scope)) if scope["type"] == "http" else None
        await (answer or self.app)(scope, receive, send)


def instrument(
    app: A,
    *,
    health: "HealthRegistry | None" = None,
    metrics_path: str | None = "/metrics",
    metrics_token: str | None = None,
    names: "HttpNames" = DEFAULT_HTTP_NAMES,
    access_log: bool = True,
    quiet_paths: "Iterable[str]" = QUIET_PATHS,
    route: "Callable[[Scope], str | None] | None" = None,
) -> A:
    """Put the middleware around an application, with ``/metrics`` and the health endpoints.

    A Starlette or FastAPI application is changed in place, so that ids are on its error pages,
    too; any other is wrapped. Use what is returned: ``app = instrument(app)``.

    Args:
        app: A Starlette, FastAPI or any other ASGI application.
        health: Answers ``/health``, ``/livez``, ``/readyz`` and ``/version``.
        metrics_path: Where the metrics are; None leaves them out.
        metrics_token: The bearer token to ask for; by default the setting ``metrics_token``.
        names: How the metrics are called.
        access_log: Whether to write one line for each request.
        quiet_paths: Paths that are passed through unseen.
        route: Returns the template of the route that a scope has taken; for frameworks that do
            not leave it in the scope.

    Returns:
        The instrumented application: the same object for Starlette and FastAPI.

    Raises:
        DeclarationError: If the application is instrumented already, or an argument is wrong.
    """
    paths = _paths(health, metrics_path, metrics_token)
    if not callable(app):
        raise DeclarationError(f"instrument: {app!r} is not an ASGI application")
    if isinstance(app, Endpoints) or getattr(app, "_obskit_instrumented", False):
        raise DeclarationError("instrument: this application is instrumented already")
    middleware = ObservabilityMiddleware(
        app, names=names, access_log=access_log, quiet_paths=quiet_paths, route=route
    )
    instrumented: Any = Endpoints(middleware, paths)
    if hasattr(app, "build_middleware_stack"):
        _wrap_stack(app, instrumented, middleware)
        return app
    return instrumented  # type: ignore[no-any-return] # an ASGI application like the one given


def _paths(
    health: "HealthRegistry | None", metrics_path: str | None, metrics_token: str | None
) -> "dict[str, Application]":
    paths: dict[str, Application] = {}
    if health is not None:
        paths.update(dict.fromkeys(HEALTH_PATHS, health_app(health)))
    if metrics_path is not None:
        if not _is_path(metrics_path):
            raise DeclarationError(
                f"metrics_path={metrics_path!r}: give a path that begins with a slash"
            )
        path = path_of({"path": metrics_path})
        if path in paths:
            raise DeclarationError(
                f"metrics_path={metrics_path!r} is a path of the health endpoints: give another"
            )
        paths[path] = metrics_app(token=metrics_token)
    return paths


def _is_path(path: object) -> bool:
    return isinstance(path, str) and path.startswith("/")


def _wrap_stack(app: Any, outermost: Endpoints, middleware: ObservabilityMiddleware) -> None:
    """Go around Starlette's own outermost middleware, which answers unhandled errors."""
    build = app.build_middleware_stack

    def build_around() -> Endpoints:
        middleware.app = build()
        return outermost

    app.build_middleware_stack = build_around
    app._obskit_instrumented = True
    if app.middleware_stack is not None:  # it has served already
        app.middleware_stack = app.build_middleware_stack()
