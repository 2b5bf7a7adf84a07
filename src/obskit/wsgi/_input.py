"""The request's body on its way to the application."""

from functools import partial
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from obskit.wsgi._request import WsgiRequest

_SIZES: "dict[str, Callable[[Any], int]]" = {
    "read1": len,
    "readinto": lambda count: count or 0,
    "readinto1": lambda count: count or 0,
}
"""Ways to read that servers may offer beyond PEP 3333, and what tells the bytes from the result."""


class CountedInput:
    """Stands for the server's ``wsgi.input`` and counts what the application reads.

    Args:
        stream: The server's.
        request: The request whose body it is.
    """

    __slots__ = ("_request", "_stream")

    def __init__(self, stream: Any, request: "WsgiRequest") -> None:
        self._stream = stream
        self._request = request

    def read(self, *size: Any) -> bytes:
        """Read some bytes, or all that there are."""
        return self._counted(len, self._stream.read, *size)  # type: ignore[no-any-return] # bytes

    def readline(self, *size: Any) -> bytes:
        """Read a line."""
        return self._counted(len, self._stream.readline, *size)  # type: ignore[no-any-return] # bytes

    def readlines(self, *hint: Any) -> list[bytes]:
        """Read lines."""
        return self._counted(_total, self._stream.readlines, *hint)  # type: ignore[no-any-return] # bytes

    def __iter__(self) -> "Iterator[bytes]":
        lines = iter(self._stream)
        end: Any = object()
        while (line := self._counted(_size_of_line, next, lines, end)) is not end:
            yield line

    def __next__(self) -> bytes:
        return self._counted(_size_of_line, next, self._stream)  # type: ignore[no-any-return] # bytes

    def __enter__(self) -> Self:
        self._stream.__enter__()
        return self

    def __exit__(self, *error: object) -> Any:
        return self._stream.__exit__(*error)

    def __getattr__(self, name: str) -> Any:
        """Return what else the server's stream has."""
        value = getattr(self._stream, name)
        size = _SIZES.get(name)
        if size is None:
            return value
        return partial(self._counted, size, value)

    def _counted(
        self, size: "Callable[[Any], int]", read: "Callable[..., Any]", *arguments: Any
    ) -> Any:
        try:
            found = read(*arguments)
        except OSError:  # it is the server's stream: the client has gone
            self._request.disconnected = True
            raise
        self._request.request_bytes += size(found)
        return found


def _total(lines: list[bytes]) -> int:
    return sum(map(len, lines))


def _size_of_line(line: Any) -> int:
    return len(line) if isinstance(line, bytes) else 0
