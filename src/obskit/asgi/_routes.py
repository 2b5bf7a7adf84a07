"""Route templates: what the application's router has found, as a label value.

Starlette and FastAPI leave the route that they have matched in the scope. Its template within the
whole application (a mount has a template of its own) is looked up in an index that is built once;
nothing is matched again.
"""

from typing import TYPE_CHECKING, Any

from obskit.instruments import UNMATCHED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from obskit.asgi._types import Scope

MAXIMUM_ROUTES = 100_000
"""Routes that the index holds; with more, each request looks at its route alone."""


class RouteTemplates:
    """The templates of one application's routes.

    Args:
        application: The outermost application that has ``routes``; any other has no templates.
    """

    def __init__(self, application: Any) -> None:
        self._application = application
        self._routes: dict[int, tuple[Any, str]] = {}
        self._prefixes: dict[int, tuple[Any, str]] = {}

    def find(self, scope: "Scope") -> str:
        """Return the template of the route that a request has taken.

        Args:
            scope: The request's scope, after routing.
        """
        route = scope.get("route")
        if route is None:
            return UNMATCHED
        included = scope.get("fastapi", {}).get("effective_route_context")
        if included is not None and included.original_route is route:
            prefix = self._known(self._prefixes, scope.get("app"))
            return (prefix or "") + str(included.path_format)
        return self._known(self._routes, route) or _own_template(route) or UNMATCHED

    def _known(self, index: dict[int, tuple[Any, str]], key: Any) -> str | None:
        found = index.get(id(key))
        if found is None and len(self._routes) < MAXIMUM_ROUTES:
            self._build()
            found = index.setdefault(id(key), (key, _own_template(key)))
        return None if found is None else found[1]

    def _build(self) -> None:
        """Index every route; the objects are kept, so that no other takes their identity."""
        self._prefixes[id(self._application)] = (self._application, "")
        for route, template, application in _walk(self._application, ""):
            self._routes[id(route)] = (route, template)
            if application is not None:
                self._prefixes[id(application)] = (application, template)


def _walk(application: Any, prefix: str) -> "Iterator[tuple[Any, str, Any]]":
    """Yield each route below an application with its template, and what is mounted there."""
    for route in getattr(application, "routes", None) or ():
        template = prefix + _own_template(route)
        mounted = getattr(route, "app", None) if hasattr(route, "routes") else None
        yield route, template, mounted
        if hasattr(route, "routes"):
            yield from _walk(route, template)


def _own_template(route: Any) -> str:
    """Return a route's template without the mounts above it; a mount's has no ``/{path}``."""
    template = getattr(route, "path_format", None) or getattr(route, "path", "")
    return str(template).removesuffix("/{path}") if hasattr(route, "routes") else str(template)
