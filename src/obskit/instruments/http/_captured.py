"""Headers that are attributes of spans, as far as they have been asked for."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from obskit.errors import DeclarationError
from obskit.instruments.http._redaction import (
    HIDDEN_HEADER,
    is_secret_header,
    redacted_address,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

MAXIMUM_HEADERS = 32
"""Names of headers that may be captured of requests, and likewise of answers."""

MAXIMUM_VALUE = 1024
"""Characters of a header's value that are kept."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
"""A token, as https://www.rfc-editor.org/rfc/rfc9110#section-5.1 says."""


def captured_header_names(option: str, given: Any) -> tuple[str, ...]:
    """Check names of headers that are to be captured.

    Args:
        option: What the user calls the option.
        given: The names, in any case.

    Returns:
        The names in lower case, each once.

    Raises:
        DeclarationError: If that is no list of header names, or too many.
    """
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise DeclarationError(f"{option}={given!r}: give a list of header names")
    names: list[Any] = list(given)
    for name in names:
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            raise DeclarationError(f"{option}: {name!r} is no name of a header")
    distinct = tuple(dict.fromkeys(name.lower() for name in names))
    if len(distinct) > MAXIMUM_HEADERS:
        raise DeclarationError(
            f"{option}: {len(distinct)} headers: capture {MAXIMUM_HEADERS} at the most"
        )
    return distinct


def captured_headers(
    kind: str, names: "Iterable[str]", headers: "Mapping[str, str]"
) -> dict[str, list[str]]:
    """Return span attributes with the values of headers; what may be a secret is hidden.

    Args:
        kind: ``request`` or ``response``.
        names: The headers to capture, in lower case.
        headers: Names in lower case, and values.
    """
    return {
        f"http.{kind}.header.{name}": [_shown(name, headers[name])]
        for name in names
        if name in headers
    }


def _shown(name: str, value: str) -> str:
    if is_secret_header(name):
        return HIDDEN_HEADER
    if "?" in value or "//" in value:
        value = redacted_address(value)
    return value if len(value) <= MAXIMUM_VALUE else value[: MAXIMUM_VALUE - 1] + "…"
