"""Telemetry of the host's own inside of the middleware: found once, so that there is one span.

What is known by sight: FastAPI's native telemetry, Starlette's middleware, contrib's (which logfire
uses, too). None of them is imported for that. Just inside of what is found a `SpanReader` is put:
it sees the span that has been begun, or that none has (switched off, no provider, an excluded
address), in which case obskit begins its own.
"""

import re
import sys
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from obskit._guard import guard
from obskit.context import current_context
from obskit.instruments import Inbound, below_root, describe_host_span, meet_host
from obskit.operation import outcome_of
from obskit.tracing import swap_trace_context

if TYPE_CHECKING:
    from collections.abc import Iterator

    from obskit.asgi._types import Application, Receive, Scope, Send

CONTRIB = "opentelemetry.instrumentation.asgi"
"""The module whose middleware leaves no mark in the scope."""

_MIDDLEWARE = {
    (CONTRIB, "OpenTelemetryMiddleware"),
    ("starlette.middleware.opentelemetry", "OpenTelemetryMiddleware"),
}
"""Modules and names of classes that begin a server span and then call their ``app``."""

_MARKS = ("fastapi.telemetry", "starlette.opentelemetry")
"""What telemetry around the middleware leaves in the scope."""

_DEEPEST = 100
"""Middleware on top of one another, at the most: an attribute ``app`` may lead anywhere."""

_PARAMETER = re.compile(r"\\{\w+\\}")
"""In an escaped template."""


class SpanReader:
    """Stands just inside of the host's telemetry.

    Args:
        app: What that telemetry has called before.
    """

    def __init__(self, app: "Application") -> None:
        self.app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve one connection."""
        request = _waiting()
        if request is None:
            await self.app(scope, receive, send)
            return
        inner = meet_host(request)
        outer = None if inner is None else swap_trace_context(inner)
        try:
            await self.app(scope, receive, send)
        except BaseException as error:
            describe_host_span(request, outcome_of(error))
            raise
        else:
            describe_host_span(request, "ok")
        finally:
            if outer is not None:
                swap_trace_context(outer)


class HostTelemetry:
    """Knows whether telemetry of the host's will begin a span for a request.

    An application is looked at once, and again when its middleware has been put up anew.
    """

    def __init__(self) -> None:
        self._app: Any = None
        self._owners: list[Any] = []
        self._stacks: list[tuple[Any, Any]] = []
        self._everywhere = False
        self._mounted: re.Pattern[str] | None = None

    def begins_span(self, app: "Application", scope: "Scope") -> bool:
        """Tell whether a span will be begun inside, as far as that can be known before.

        Args:
            app: What the middleware is around.
            scope: The request's.
        """
        if app is not self._app or (self._stacks and self._has_changed()):
            self._look(app)
        if self._mounted is None:
            return self._everywhere
        path = below_root(scope["path"], scope.get("root_path", ""))
        return self._mounted.match(path) is not None

    def _has_changed(self) -> bool:
        for owner, stack in self._stacks:  # noqa: SIM110 - a generator costs more
            if owner.middleware_stack is not stack:
                return True
        return False

    def _look(self, app: "Application") -> None:
        self._owners, self._everywhere, self._mounted = [], False, None
        try:
            chain = self._inwards(app)
            self._everywhere = _put_reader(chain, mounted=False)
            if not self._everywhere:
                self._mounted = _pattern(list(self._mounts(chain, "")))
        except Exception as error:
            guard.report("asgi.telemetry", error)
        self._stacks = [(owner, owner.middleware_stack) for owner in self._owners]
        self._app = app

    def _inwards(self, app: Any) -> list[Any]:
        """Return an application and what it is around, down to a router or the like."""
        return list(islice(self._step_inwards(app), _DEEPEST))

    def _step_inwards(self, app: Any) -> "Iterator[Any]":
        while callable(app):
            yield app
            if hasattr(app, "build_middleware_stack"):  # Starlette's applications
                app = self._stack_of(app)
            else:
                app = getattr(app, "app", None) or getattr(app, "asgi_app", None)

    def _stack_of(self, app: Any) -> Any:
        """Return an application's middleware, put up now if it has not served yet."""
        self._owners.append(app)
        if app.middleware_stack is None:
            try:
                app.middleware_stack = app.build_middleware_stack()
            except Exception:
                return None  # the application will find that, too
        return app.middleware_stack

    def _mounts(self, chain: list[Any], prefix: str) -> "Iterator[str]":
        """Yield the templates of mounted applications that begin a span in any case.

        Contrib's does not, where there is one already.
        """
        router = next((part for part in reversed(chain) if hasattr(part, "routes")), None)
        for route in getattr(router, "routes", None) or ():
            template = getattr(route, "path_format", None)
            if not isinstance(template, str) or not hasattr(route, "routes"):
                continue
            mount = prefix + template.removesuffix("/{path}")
            inner = self._inwards(route.app)
            if _put_reader(inner, mounted=True):
                yield mount
            else:
                yield from self._mounts(inner, mount)


def may_be_around(scope: "Scope") -> bool:
    """Tell whether telemetry of the host's may stand around the middleware.

    Args:
        scope: A request's.
    """
    return CONTRIB in sys.modules or any(scope.get(mark) for mark in _MARKS)


def _waiting() -> Inbound | None:
    """Return the request at hand if it awaits the host's span."""
    record = current_context.get()
    operation = None if record is None else record.operation
    while operation is not None and not isinstance(operation, Inbound):
        operation = operation.parent
    return None if operation is None or operation.awaited is None else operation


def _put_reader(chain: list[Any], *, mounted: bool) -> bool:
    """Put a reader inside of the innermost telemetry in a chain.

    Returns:
        Whether there is any.
    """
    for part in reversed(chain):
        name = _inner_name(part, mounted=mounted)
        if name is not None:
            inner = getattr(part, name)
            if not isinstance(inner, SpanReader):
                setattr(part, name, SpanReader(inner))
            return True
    return False


def _inner_name(part: Any, *, mounted: bool) -> str | None:
    """Return the attribute with what telemetry is around; None for anything else."""
    names = {(cls.__module__, cls.__name__) for cls in type(part).__mro__}
    if names & _MIDDLEWARE:
        return None if mounted and any(module == CONTRIB for module, _ in names) else "app"
    settings: Any = getattr(part, "_telemetry", None)
    if ("fastapi.applications", "FastAPI") not in names or not isinstance(settings, Mapping):
        return None
    return "middleware_stack" if settings.get("tracing") else None


def _pattern(templates: list[str]) -> "re.Pattern[str] | None":
    """Return what paths begin with that are below one of these templates."""
    texts = [_PARAMETER.sub("[^/]+", re.escape(template)) for template in templates]
    return re.compile(f"(?:{'|'.join(texts)})(?:/|$)") if texts else None
