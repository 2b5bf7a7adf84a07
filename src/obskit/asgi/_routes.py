"""Route templates: what the application's router has found, as a label value.

Starlette and FastAPI leave the outermost router in the scope and the route that they have matched,
or at least its endpoint. Its template within the whole application (a mount has a template of its
own) is looked up in an index that is built when routes have come or gone; nothing is matched again,
but for a route that can be reached in several ways.

Litestar leaves the template itself, and so do the modules of `obskit.integrations`.
"""

from typing import TYPE_CHECKING, Any

from obskit.asgi._route_index import RouteIndex, own_template
from obskit.instruments import ROUTE, UNMATCHED

if TYPE_CHECKING:
    from obskit.asgi._route_index import Left, Place
    from obskit.asgi._types import Scope

MOST_ROUTERS = 64
"""Outermost routers that are remembered; there is one, unless they are made on the way."""


class RouteTemplates:
    """The templates of one application's routes.

    Args:
        application: Has the routes, or is middleware around what has, where the framework leaves
            no router in the scope.
    """

    def __init__(self, application: Any) -> None:
        self._application = application
        self._indexes: dict[int, RouteIndex] = {}
        self._templates: dict[tuple[int, int, int], str] = {}

    def find(self, scope: "Scope") -> str:
        """Return the template of the route that a request has taken, or ``unmatched``.

        Args:
            scope: The request's scope, after routing.
        """
        left = scope.get
        key = (id(left("router")), id(left("route")), id(left("endpoint")))
        return self._templates.get(key) or self._search(scope, key)

    def _search(self, scope: "Scope", key: tuple[int, int, int]) -> str:
        """Return the template of a route that is not known yet, or not by its identity alone."""
        places = self._places(scope, key[1:])
        if not places:
            return _joined(own_template(scope.get("route")), _left(scope)) or UNMATCHED
        place = places[0] if len(places) == 1 else _taken(places, scope)
        if len(places) == 1 and len(place.steps) == 1 and not place.is_mount:
            self._templates[key] = place.template
        return _joined(place.template, _left(scope)) or UNMATCHED

    def _places(self, scope: "Scope", left: "Left") -> "list[Place]":
        """Return where the route may be; what is unknown is looked for again if routes are new."""
        if scope.get("endpoint") is None:
            return []
        root = scope.get("router") or self._application
        index = self._indexes.get(id(root))
        if index is None or index.has_grown():
            index = self._build(root)
        places = index.find(left)
        if not places and not index.is_current():
            places = self._build(root).find(left)
        return places

    def _build(self, root: Any) -> RouteIndex:
        if len(self._indexes) >= MOST_ROUTERS:
            self._indexes.clear()
        self._templates.clear()  # before what they are of may go away
        index = self._indexes[id(root)] = RouteIndex(root)
        return index


def _taken(places: "list[Place]", scope: "Scope") -> "Place":
    """Return the place of several that a request has come to; FastAPI says what it has included."""
    included = scope.get("fastapi", {}).get("effective_route_context")
    there = [place for place in places if place.steps[-1] is included] or places
    if len(there) == 1:
        return there[0]
    return next((place for place in there if place.fits(scope)), there[0])


def _left(scope: "Scope") -> str:
    """Return the template that a framework has left as a text."""
    return str(scope.get(ROUTE) or scope.get("path_template") or "")


def _joined(outer: str, inner: str) -> str:
    return outer.rstrip("/") + inner if inner else outer
