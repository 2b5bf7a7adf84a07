"""Metric sets for kinds of work that every system knows, free of any framework."""

from obskit.instruments.http import (
    DEFAULT_HTTP_NAMES,
    UNMATCHED,
    HttpInstrument,
    HttpNames,
    HttpRequest,
)

__all__ = ["DEFAULT_HTTP_NAMES", "UNMATCHED", "HttpInstrument", "HttpNames", "HttpRequest"]
