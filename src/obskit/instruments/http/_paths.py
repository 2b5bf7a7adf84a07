"""Paths of requests."""

from typing import TYPE_CHECKING, Any

from obskit.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

UNMATCHED = "unmatched"
"""The route of requests that no route matches."""


ROUTE = "obskit.route"
"""Where a framework's integration leaves the template: a key of ASGI scopes and WSGI
environments."""


class PathSet:
    """Paths, and beginnings of paths.

    Args:
        paths: Each one path; or, where it ends in ``/*``, that path and all below.
    """

    __slots__ = ("_beginnings", "_exact")

    def __init__(self, paths: "Iterable[str]") -> None:
        listed = list(paths)
        above = [plain_path(path[:-2]) for path in listed if path.endswith("/*")]
        exact = [plain_path(path) for path in listed if not path.endswith("/*")]
        self._exact = frozenset([*exact, *above])
        self._beginnings = tuple(path.rstrip("/") + "/" for path in above)

    def __contains__(self, path: str) -> bool:
        return path in self._exact or path.startswith(self._beginnings)


def plain_path(path: str) -> str:
    """Return a path with single slashes and none at the end.

    Args:
        path: A request's, below the root path.
    """
    if "//" not in path and path.startswith("/") and not path.endswith("/"):
        return path
    return "/" + "/".join(part for part in path.split("/") if part)


def below_root(path: str, root: str) -> str:
    """Return a path without the root path in front of it, if that is there.

    Args:
        path: A request's: it holds the root path as ASGI says, or, with older servers, not.
        root: The root path; empty, or one that begins with a slash.
    """
    if not root:
        return path
    root = root.rstrip("/")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def checked_metrics_path(path: Any, taken: "Container[str]") -> str:
    """Return the path of the metrics, plain.

    Args:
        path: What the user has given.
        taken: The paths of the health endpoints, if there are any.

    Raises:
        DeclarationError: If it is no path, or taken.
    """
    if not isinstance(path, str) or not path.startswith("/"):
        raise DeclarationError(f"metrics_path={path!r}: give a path that begins with a slash")
    plain = plain_path(path)
    if plain in taken:
        raise DeclarationError(
            f"metrics_path={path!r} is a path of the health endpoints: give another"
        )
    return plain
