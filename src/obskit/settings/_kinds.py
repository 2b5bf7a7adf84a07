"""What values of a sort look like: how they are checked, and read from text."""

import math
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from obskit.settings._tokens import BEARER_SYNTAX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
"""https://prometheus.io/docs/concepts/data_model/"""

HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""``token`` of RFC 9110, section 5.6.2."""

RESERVED_HEADERS = frozenset(
    """
    accept accept-charset accept-encoding accept-language accept-ranges age allow authorization
    baggage cache-control connection content-disposition content-encoding content-language
    content-length content-location content-range content-security-policy content-type cookie date
    etag expect expires forwarded from host if-match if-modified-since if-none-match if-range
    if-unmodified-since keep-alive last-modified link location max-forwards origin pragma
    proxy-authenticate proxy-authorization proxy-connection range referer retry-after server
    set-cookie strict-transport-security te traceparent tracestate trailer transfer-encoding
    upgrade user-agent vary via warning www-authenticate
    """.split()  # noqa: SIM905 - a list would take sixty lines
)
"""Headers that HTTP frames, routes or guards messages with, or that trace contexts are in."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of value."""

    expected: str
    """What is accepted, for people; completes "expected ..."."""

    check: "Callable[[object], object]"
    """Normalises a value; raises any ``Exception`` to refuse it."""

    read: "Callable[[str], object]" = str
    """Makes text a value for ``check``; raises any ``Exception`` to refuse it."""

    def parse(self, text: str) -> object:
        """Read and check a value that came as text."""
        return self.check(self.read(text))


def choice(words: "Mapping[str | bool, str]", *, otherwise: str = "") -> Kind:
    """Make a kind that takes a few words, in small letters or capitals.

    Args:
        words: What is accepted, and what each stands for.
        otherwise: What else the user of this kind accepts, for people.
    """

    def check(value: object) -> object:
        if not isinstance(value, str | bool):
            raise TypeError
        return words[value.lower() if isinstance(value, str) else value]

    shown = ", ".join(word for word in words if isinstance(word, str))
    return Kind(f"one of {shown}{otherwise}", check)


def choice_or_provider(words: "Mapping[str | bool, str]") -> Kind:
    """Make a kind that takes a few words or an OpenTelemetry tracer provider."""
    named = choice(words, otherwise=", or (keyword) an OpenTelemetry TracerProvider")

    def check(value: object) -> object:
        if not isinstance(value, type) and callable(getattr(value, "get_tracer", None)):
            return value
        return named.check(value)

    return Kind(named.expected, check)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode()
    return value


def _matching(pattern: re.Pattern[str]) -> "Callable[[object], str]":
    def check(value: object) -> str:
        text = _text(value)
        if not pattern.fullmatch(text):
            raise ValueError
        return text

    return check


_header = _matching(HEADER_NAME)
_metric_name = _matching(METRIC_NAME)
_token = _matching(re.compile(BEARER_SYNTAX))


def _prefix(value: object) -> str:
    return "" if value == "" else _metric_name(value)


def _optional_token(value: object) -> str | None:
    return None if value is None else _token(value)


def _headers(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise TypeError
    names = tuple(_header(name) for name in value)
    if any(name.lower() in RESERVED_HEADERS for name in names):
        raise ValueError
    return names


def _directory(value: object) -> str | None:
    if value is None:
        return None
    path = _text(os.fspath(value))  # type: ignore[call-overload] # what is no path raises
    if not path or "\0" in path:
        raise ValueError
    return path


def _positive_integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise TypeError
    return value


def _duration(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError
    seconds = float(value)
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError
    return seconds


def _registry(value: object) -> CollectorRegistry | None:
    if value is not None and not isinstance(value, CollectorRegistry):
        raise TypeError
    return value


def _listed(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(","))


TEXT = Kind("text", _text)
PREFIX = Kind("a Prometheus name prefix (letters, digits, _ and :, no digit first)", _prefix)
HEADERS = Kind(
    "a list of one or more HTTP header names that mean nothing else (unlike Content-Length)",
    _headers,
    read=_listed,
)
TOKEN = Kind("a bearer token (letters, digits and -._~+/, then =)", _optional_token)
DIRECTORY = Kind("the path of a directory", _directory)
POSITIVE_INTEGER = Kind("a whole number above 0", _positive_integer, read=int)
DURATION = Kind("a finite number of seconds, 0 or more", _duration, read=float)
REGISTRY = Kind("a prometheus_client CollectorRegistry or None", _registry)
