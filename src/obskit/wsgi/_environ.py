"""What a WSGI environment says of a request: https://peps.python.org/pep-3333/#environ-variables."""

from typing import TYPE_CHECKING

from obskit.instruments import plain_path

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import WSGIEnvironment

CORRELATION_ID = "obskit.correlation_id"
"""Where an environment has the id of the request; only where the request is recorded."""

_WITHOUT_PREFIX = frozenset({"CONTENT_TYPE", "CONTENT_LENGTH"})


def decoded(text: str) -> str:
    """Return a text as the client meant it: bytes of UTF-8 that came as Latin-1 characters.

    Args:
        text: A value of the environment.
    """
    return text if text.isascii() else text.encode("latin-1", "replace").decode("utf-8", "replace")


def path_of(environ: "WSGIEnvironment") -> str:
    """Return the path below the mount point, with single slashes and none at the end.

    Args:
        environ: Of a request.
    """
    return plain_path(decoded(environ.get("PATH_INFO", "")))


def header_keys(names: "Iterable[str]") -> tuple[tuple[str, str], ...]:
    """Return where an environment has request headers, and their names.

    Args:
        names: In lower case.
    """
    return tuple((_key(name), name) for name in names)


def request_headers(environ: "WSGIEnvironment") -> dict[str, str]:
    """Return all headers of a request, with names in lower case.

    Args:
        environ: Of the request.
    """
    return {
        key.removeprefix("HTTP_").lower().replace("_", "-"): value
        for key, value in environ.items()
        if key.startswith("HTTP_") or key in _WITHOUT_PREFIX
    }


def may_have_body(environ: "WSGIEnvironment") -> bool:
    """Tell whether a request may come with a body.

    Args:
        environ: Of the request.
    """
    length = environ.get("CONTENT_LENGTH")
    if length:
        return bool(length != "0")
    return "HTTP_TRANSFER_ENCODING" in environ or environ.get("REQUEST_METHOD") not in _BODILESS


_BODILESS = frozenset({"GET", "HEAD"})
"""Methods whose requests have a body only where a header says so."""


def _key(name: str) -> str:
    key = name.upper().replace("-", "_")
    return key if key in _WITHOUT_PREFIX else f"HTTP_{key}"
