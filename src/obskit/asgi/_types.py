"""The ASGI interface: https://asgi.readthedocs.io/en/latest/specs/main.html."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def path_of(scope: Scope) -> str:
    """Return the path below the mount point, with single slashes and none at the end.

    Args:
        scope: Of a request; its path holds the root path as ASGI says, or, with older servers, not.
    """
    path = below_root(scope.get("path", ""), scope.get("root_path", ""))
    return "/" + "/".join(part for part in path.split("/") if part)


def below_root(path: str, root: str) -> str:
    """Return a path without the root path in front of it, if that is there.

    Args:
        path: A request's.
        root: The root path; empty, or one that begins with a slash.
    """
    root = root.rstrip("/")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path
