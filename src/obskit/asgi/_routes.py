"""Route templates: what the application's router has found, as a label value.

Starlette and FastAPI leave the route that they have matched in the scope, or at least its endpoint.
Its template within the whole application (a mount has a template of its own) is looked up in an
index that is built once; nothing is matched again.
"""

import re
from typing import TYPE_CHECKING, Any

from obskit.instruments import UNMATCHED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from obskit.asgi._types import Scope

MAXIMUM_ROUTES = 100_000
"""Routes that the index holds; with more, each request looks at its route alone."""

_PARAMETER = re.compile(r"\\{\w+\\}")
"""In an escaped template."""


class RouteTemplates:
    """The templates of one application's routes.

    Args:
        application: The outermost one; the templates are those of the first one with ``routes``
            among it and what it is a middleware around.
    """

    def __init__(self, application: Any) -> None:
        self._application = application
        self._index: dict[int, tuple[Any, str]] = {}
        self._endpoints: dict[int, dict[str, re.Pattern[str]]] = {}

    def find(self, scope: "Scope") -> str:
        """Return the template of the route that a request has taken.

        Args:
            scope: The request's scope, after routing.
        """
        route = scope.get("route")
        included = scope.get("fastapi", {}).get("effective_route_context")
        if included is not None and (route is None or included.original_route is route):
            chosen = getattr(included, "starlette_route", None) or included
            return (self._known(scope.get("app")) or "") + _own_template(chosen)
        if route is not None:
            return self._known(route) or _own_template(route) or UNMATCHED
        return self._of_endpoint(scope.get("endpoint"), scope) or UNMATCHED

    def _of_endpoint(self, endpoint: Any, scope: "Scope") -> str | None:
        """Return the template by the endpoint: what Starlette before 1.7 leaves in the scope."""
        known = None if endpoint is None else self._known(endpoint)
        candidates = self._endpoints.get(id(endpoint), {})
        if len(candidates) > 1:
            fits = (text for text in candidates if candidates[text].fullmatch(scope["path"]))
            return next(fits, known)
        return known

    def _known(self, key: Any) -> str | None:
        found = self._index.get(id(key))
        if found is None and len(self._index) < MAXIMUM_ROUTES:
            self._build()
            found = self._index.setdefault(id(key), (key, _own_template(key)))
        return None if found is None else found[1]

    def _build(self) -> None:
        """Index every route; the objects are kept, so that no other takes their identity."""
        for application in _inwards(self._application):
            self._index[id(application)] = (application, "")
            for part, template in _walk(application, ""):
                self._index[id(part)] = (part, template)
                self._endpoints.setdefault(id(part), {})[template] = _pattern(template)


def _walk(application: Any, prefix: str) -> "Iterator[tuple[Any, str]]":
    """Yield each route below an application, its endpoint and what is mounted, with the template.

    A mount may have middleware, and its application, too.
    """
    for route in getattr(application, "routes", None) or ():
        template = prefix + _own_template(route)
        yield route, template
        if not hasattr(route, "routes"):
            yield getattr(route, "endpoint", None), template
            continue
        for mounted in _inwards(getattr(route, "app", route)):
            yield mounted, template
            yield from _walk(mounted, template)


def _inwards(application: Any) -> "Iterator[Any]":
    """Yield an application and, if it is middleware, what it is around, down to one with routes."""
    yield application
    while not hasattr(application, "routes") and hasattr(application, "app"):
        application = application.app
        yield application


def _own_template(route: Any) -> str:
    """Return a route's template without the mounts above it; a mount's has no ``/{path}``."""
    template = getattr(route, "path_format", None) or getattr(route, "path", "")
    return str(template).removesuffix("/{path}") if hasattr(route, "routes") else str(template)


def _pattern(template: str) -> "re.Pattern[str]":
    """Return what paths of a template look like, below any root path."""
    return re.compile(".*" + _PARAMETER.sub("[^/]+", re.escape(template)))
