"""Route templates: what the application's router has found, as a label value.

Starlette and FastAPI leave the route that they have matched in the scope, or at least its endpoint.
Its template within the whole application (a mount has a template of its own) is looked up in an
index that is built when routes have come or gone; nothing is matched again.
"""

import functools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from obskit.asgi._types import below_root
from obskit.instruments import UNMATCHED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from obskit.asgi._types import Scope

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
        self._index: dict[int, tuple[Any, list[str]]] = {}
        self._routers: list[Any] = []
        self._shape: list[tuple[int, int]] | None = None

    def find(self, scope: "Scope") -> str:
        """Return the template of the route that a request has taken.

        Args:
            scope: The request's scope, after routing.
        """
        route = scope.get("route")
        included = scope.get("fastapi", {}).get("effective_route_context")
        if included is not None and (route is None or included.original_route is route):
            chosen = getattr(included, "starlette_route", None) or included
            return "".join(self._known(scope.get("app"))[-1:]) + _own_template(chosen)
        if route is not None:
            return "".join(self._known(route)[-1:]) or _own_template(route) or UNMATCHED
        return self._of_endpoint(scope.get("endpoint"), scope) or UNMATCHED

    def _of_endpoint(self, endpoint: Any, scope: "Scope") -> str:
        """Return the template by the endpoint: what Starlette before 1.7 leaves in the scope."""
        candidates = self._known(endpoint)
        if len(candidates) > 1:
            root = scope.get("app_root_path", scope.get("root_path", ""))
            path = below_root(scope["path"], root)
            fits = (text for text in candidates if _pattern(text).fullmatch(path))
            return next(fits, candidates[-1])
        return "".join(candidates)

    def _known(self, key: Any) -> list[str]:
        """Return the templates of a route, an endpoint or an application; none for a foreign one.

        What is not in the index is looked for again only if routes have come or gone since.
        """
        if key is None:
            return []
        found = self._index.get(id(key))
        if found is None and self._shape != _shape(self._routers):
            self._build()
            found = self._index.get(id(key))
        return [] if found is None else found[1]

    def _build(self) -> None:
        """Index every route; the objects are kept, so that no other takes their identity."""
        index: dict[int, tuple[Any, list[str]]] = {}
        for part, template in _parts(self._application):
            templates = index.setdefault(id(part), (part, []))[1]
            if template not in templates[-1:]:
                templates.append(template)
        self._routers = [part for part, _ in index.values() if _has_listed_routes(part)]
        self._shape = _shape(self._routers)
        self._index = index


def _has_listed_routes(part: Any) -> bool:
    return isinstance(getattr(part, "routes", None), Sequence)


def _shape(routers: "list[Any]") -> list[tuple[int, int]]:
    """Return what changes when routes come or go: how many there are, and which is the last."""
    listed = [router.routes for router in routers]
    return [(len(routes), id(routes[-1]) if routes else 0) for routes in listed]


def _parts(application: Any) -> "Iterator[tuple[Any, str]]":
    """Yield an application, what it is around, and everything below, with the templates."""
    for inner in _inwards(application):
        yield inner, ""
        yield from _walk(inner, "")


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


@functools.lru_cache(maxsize=4096)
def _pattern(template: str) -> "re.Pattern[str]":
    """Return what paths of a template look like, below any root path."""
    return re.compile(_PARAMETER.sub("[^/]+", re.escape(template)))
