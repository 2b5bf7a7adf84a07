"""WSGI conversations as a server has them, held to PEP 3333 on both sides of the middleware."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

from obskit.testing import Observed
from obskit.wsgi import ObservabilityMiddleware

Application = Callable[..., Any]


@dataclass
class Reply:
    """One request: the environment it came with, and what the server has sent."""

    environ: dict[str, Any]
    status: str | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    is_sent: bool = False

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key.lower() == name]
        assert len(values) <= 1, values
        return values[0] if values else None


def environment(path: Any = "/", method: Any = "GET", body: Any = b"", **given: Any) -> Any:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "REMOTE_ADDR": "192.0.2.7",
        "wsgi.input": io.BytesIO(body),
        **({"CONTENT_LENGTH": str(len(body))} if body else {}),
    }
    setup_testing_defaults(environ)
    environ.update(given)
    return environ


def converse(
    app: Application,
    path: Any = "/",
    *,
    reply: Any = None,
    take: Any = None,
    fault: Any = None,
    **given: Any,
) -> Reply:
    """Make one request as a server does; errors of the application are the caller's.

    Args:
        app: The application.
        path: Of the request.
        reply: A `Reply` that is filled in, for those who expect an error.
        take: Parts that the server takes before it stops, if it does.
        fault: What stops it then, if anything: the error that writing to the client raises.
        **given: The environment, ``method`` and ``body``.
    """
    reply = reply or Reply({})
    assert isinstance(reply, Reply)
    reply.environ = environment(path, **given)

    def write(data: bytes) -> None:
        reply.is_sent = True
        reply.body += data

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        if exc_info is not None and reply.is_sent:
            raise exc_info[1]
        assert exc_info is not None or reply.status is None, "started twice"
        reply.status, reply.headers = status, headers
        return write

    iterable = app(reply.environ, start_response)
    try:
        _take(iterable, write, take, fault)
    finally:
        if hasattr(iterable, "close"):
            iterable.close()
    return reply


def _take(iterable: Any, write: Any, take: int | None, fault: BaseException | None) -> None:
    if take == 0 and fault is None:
        return
    for number, data in enumerate(iterable, 1):
        if fault is not None and number > (take or 0):
            raise fault
        write(data)
        if fault is None and number == take:
            return


def unheard(*_: Any) -> Any:
    """A server's ``start_response`` that does nothing."""


def observed_app(app: Application, **options: Any) -> Application:
    """The middleware between two validators."""
    checked: Any = validator(ObservabilityMiddleware(validator(app), **options))
    return checked  # type: ignore[no-any-return] # an application


def gives(*parts: bytes, status: str = "200 OK", headers: Any = None) -> Application:
    """An application that answers with these parts."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response(status, headers or [("Content-Type", "text/plain")])
        return list(parts)

    return app


def line(observed: Observed) -> dict[str, Any]:
    return observed.logs.one(event="http request")
