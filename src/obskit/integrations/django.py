"""Django: its routes in metrics, lines and spans."""

import functools
import re
from typing import TYPE_CHECKING, Any

from obskit._guard import guard
from obskit.errors import MissingExtraError
from obskit.instruments import ROUTE

try:
    from asgiref.sync import iscoroutinefunction, markcoroutinefunction
    from django.contrib.admindocs.utils import (
        remove_non_capturing_groups,
        replace_metacharacters,
        replace_named_groups,
        replace_unnamed_groups,
    )
except ImportError as _error:
    raise MissingExtraError("obskit.integrations.django", "django") from _error

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

__all__ = ["RouteMiddleware"]

_ESCAPED = re.compile(r"\\(\W)")
"""A character that stands for itself in a regular expression."""


class RouteMiddleware:
    """Django middleware that leaves the route in the scope, or in the environment under WSGI.

    Add ``"obskit.integrations.django.RouteMiddleware"`` to the setting ``MIDDLEWARE``, at any
    place; it adds no thread and no event loop. The template of ``path("users/<int:pk>/", ...)`` is
    ``/users/<int:pk>/``, and so is that of ``re_path(r"^users/(?P<pk>[0-9]+)/$", ...)`` without
    the converter: ``/users/<pk>/``.

    Args:
        get_response: What Django calls next.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: "Callable[[HttpRequest], Any]") -> None:
        self._get_response = get_response
        self.process_view: Callable[..., Any] = _leave_route
        if iscoroutinefunction(get_response):  # pyright: ignore[reportDeprecated] # not asyncio's
            markcoroutinefunction(self)
            self.process_view = _leave_route_async

    def __call__(self, request: "HttpRequest") -> Any:
        """Answer a request, or return what does when it is awaited."""
        return self._get_response(request)


def _leave_route(request: Any, *_: object) -> None:
    """Note the route, which Django knows when it is about to call the view."""
    try:
        carrier = request.scope if hasattr(request, "scope") else request.environ
        carrier[ROUTE] = _template(request.resolver_match.route)
    except Exception as error:
        guard.report("http.route", error)


async def _leave_route_async(request: Any, *_: object) -> None:
    _leave_route(request)


@functools.lru_cache(maxsize=4096)
def _template(route: str) -> str:
    """Return a route, which may have regular expressions in it, as people write paths.

    Args:
        route: As Django's resolver has put it together: without a slash in front.
    """
    bare = remove_non_capturing_groups(route)
    bare = replace_unnamed_groups(replace_named_groups(bare))
    return "/" + _ESCAPED.sub(r"\1", replace_metacharacters(bare)).lstrip("/")
