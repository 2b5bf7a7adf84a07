"""The application's iterable on its way to the server: the request lasts until it is closed."""

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from obskit._guard import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from obskit.wsgi._request import WsgiRequest


class Answer:
    """Iterates over what the application has returned; the request is current in each step.

    Args:
        request: One that is not current any more.
        iterable: What the application has returned.
    """

    __slots__ = ("__weakref__", "_iterable", "_request", "_step")

    def __init__(self, request: "WsgiRequest", iterable: Any) -> None:
        self._request = request
        self._iterable = iterable
        self._step: Callable[[], Any] = self._first

    def __iter__(self) -> "Answer":
        return self

    def __next__(self) -> Any:
        request = self._request
        request.resume()
        try:
            data = self._step()
        except StopIteration:
            request.is_exhausted = True
            raise
        except BaseException as error:
            request.finish(error)
            raise
        finally:
            request.suspend()
        request.count(data)
        return data

    def close(self) -> None:
        """Close what the application has returned, and end the request."""
        close_answer(self._request, getattr(self._iterable, "close", None))

    def __del__(self) -> None:
        """End the request of an answer that nobody has closed."""
        if not self._request._ended:
            close_answer(self._request, None)

    def _first(self) -> Any:
        self._step = step = iter(self._iterable).__next__
        return step()


class SizedAnswer(Answer):
    """The same for an iterable with a length, from which servers conclude that of the body."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._iterable)


def close_answer(request: "WsgiRequest", close: "Callable[[], object] | None") -> None:
    """End a request whose answer the server closes.

    Args:
        request: The request.
        close: Closes what the application has returned.
    """
    reason = sys.exc_info()[1]
    request.resume()
    try:
        if close is not None:
            close()
    except BaseException as error:
        request.finish(error)
        raise
    else:
        request.closed(reason)
    finally:
        reason = None
        request.suspend()


def watch(request: "WsgiRequest", iterable: Any) -> "Iterable[bytes]":
    """Return what the server gets in the place of what the application has returned.

    A file that the server sends by itself stays what it is, since servers know it by its class;
    then its ``close`` ends the request, and its length is that of the header.

    Args:
        request: The request.
        iterable: What the application has returned.
    """
    wrapper = request.scope.get("wsgi.file_wrapper")
    try:
        if wrapper is not None and _hand_over(request, iterable, wrapper):
            return iterable  # type: ignore[no-any-return] # the server's own
    except Exception as error:
        guard.report("wsgi.file", error)
    return (SizedAnswer if hasattr(type(iterable), "__len__") else Answer)(request, iterable)


def _hand_over(request: "WsgiRequest", iterable: Any, wrapper: Any) -> bool:
    """Let the server send a file, if this is one; the request ends with it, or now."""
    if not isinstance(wrapper, type):
        is_marked = hasattr(iterable, "read")  # uWSGI knows the very file that it was given
        if is_marked:
            _count_file(request)
            request.finish()
        return is_marked
    if not isinstance(iterable, wrapper):
        return False
    try:
        iterable.close = partial(close_answer, request, getattr(iterable, "close", None))  # type: ignore[attr-defined] # set here
    except AttributeError:
        return False
    _count_file(request)
    return True


def _count_file(request: "WsgiRequest") -> None:
    request.is_exhausted = True
    if request.method != "HEAD":
        request.response_bytes += request.length or 0
