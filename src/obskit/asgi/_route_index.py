"""Where routes are: every route below a router, by what frameworks leave of it in a scope."""

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from obskit.asgi._types import Scope

    Left = tuple[int, int]
    """The identities of the route and the endpoint in a scope; of None where there is none."""

MOST_PLACES = 50_000
"""Places that an index has room for: what is mounted often is at many of them."""

DEEPEST = 16
"""Mounts within mounts that are looked into: an application may be mounted in itself."""


@dataclass(frozen=True, slots=True)
class Place:
    """One way to a route.

    Attributes:
        template: Of the whole path, with the templates of the mounts.
        steps: What matches the path, part after part: mounts, hosts, and the route.
        route: What the framework leaves in the scope as the route.
        endpoint: What it leaves there as the endpoint.
        is_mount: Whether a framework below may have a route of its own.
    """

    template: str
    steps: "tuple[Any, ...]"
    route: Any
    endpoint: Any
    is_mount: bool

    def fits(self, scope: "Scope") -> bool:
        """Tell whether a request has come this way, by the framework's own matching.

        Args:
            scope: The request's, after routing.
        """
        seen: dict[str, Any] = {
            "type": scope.get("type"),
            "method": scope.get("method"),
            "headers": scope.get("headers", ()),
            "path": scope.get("path", ""),
            "root_path": scope.get("app_root_path", scope.get("root_path", "")),
        }
        for step in self.steps:
            match, found = step.matches(seen)
            if not match.value:
                return False
            seen.update(found)
        return True


class RouteIndex:
    """The places below one router; the objects are kept, so that no other takes their identity.

    Args:
        root: A router, or an application that has ``routes`` or is middleware around one.
    """

    def __init__(self, root: Any) -> None:
        self.root = root
        self._places: dict[Left, list[Place]] = {}
        self._routers: dict[int, Any] = {}
        for place in islice(self._below(root, "", ()), MOST_PLACES):
            for route in (place.route, None):  # a framework may leave the endpoint alone
                places = self._places.setdefault((id(route), id(place.endpoint)), [])
                if not places or places[-1].template != place.template:
                    places.append(place)
        self._shape = _shape(self._routers.values())

    def find(self, left: "Left") -> list[Place]:
        """Return the places of what is left in a scope; the endpoint decides.

        Args:
            left: Whose route may be that of a mount further out.
        """
        return self._places.get(left) or self._places.get((id(None), left[1])) or []

    def has_grown(self) -> bool:
        """Tell whether the outermost router has other routes: maybe further ways to known ones."""
        return self._shape[:1] != _shape(islice(self._routers.values(), 1))

    def is_current(self) -> bool:
        """Tell whether no routes have come or gone."""
        return self._shape == _shape(self._routers.values())

    def _below(self, application: Any, prefix: str, steps: "tuple[Any, ...]") -> "Iterator[Place]":
        """Yield every place below an application, which may be middleware around another."""
        while not hasattr(application, "routes") and hasattr(application, "app"):
            application = application.app
        routes = self._routes_of(application) if len(steps) < DEEPEST else ()
        for route, seen_as in routes:
            template = prefix + own_template(route)
            below = (*steps, route)
            if not hasattr(route, "routes"):
                yield Place(template, below, seen_as, getattr(route, "endpoint", None), False)
                continue
            mounted = getattr(route, "app", None)
            shown = template or ("" if route.routes else "/")
            yield Place(shown, below, seen_as, mounted, True)
            yield from self._below(mounted, template, below)

    def _routes_of(self, router: Any) -> "Iterator[tuple[Any, Any]]":
        """Yield a router's routes, each with what the framework calls the route in the scope."""
        routes = getattr(router, "routes", None) or ()
        if isinstance(routes, list):
            self._routers[id(router)] = router
        for route in routes:
            if hasattr(route, "effective_route_contexts"):  # what FastAPI has included
                yield from self._included(route)
            else:
                yield route, route

    def _included(self, included: Any) -> "Iterator[tuple[Any, Any]]":
        """Yield the routes of an included router of FastAPI's, with the prefixes of inclusion."""
        for _ in self._routes_of(included.original_router):
            pass  # so that routes that come to it later are noticed
        for context in included.effective_route_contexts():
            route = context.starlette_route
            yield (context, context.original_route) if route is None else (route, route)


def _shape(routers: "Iterable[Any]") -> list[tuple[int, int]]:
    """Return what changes when routes come or go: how many there are, and the last one."""
    listed = [router.routes for router in routers]
    return [(len(routes), id(routes[-1]) if routes else 0) for routes in listed]


def own_template(route: Any) -> str:
    """Return a route's template without the mounts above it; a mount's has no ``/{path}``.

    Args:
        route: A framework's; what has no path has an empty template.
    """
    template = str(getattr(route, "path_format", None) or getattr(route, "path", ""))
    return template.removesuffix("/{path}") if hasattr(route, "routes") else template
