"""The ASGI interface: https://asgi.readthedocs.io/en/latest/specs/main.html."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from obskit.instruments.http import below_root, plain_path

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def path_of(scope: Scope) -> str:
    """Return the path below the mount point, with single slashes and none at the end.

    Args:
        scope: Of a request.
    """
    path: str = scope.get("path", "")
    root: str = scope.get("root_path", "")
    return plain_path(below_root(path, root) if root else path)
