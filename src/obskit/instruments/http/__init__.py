"""HTTP requests as a server sees them: metrics, the access line, the server span."""

from obskit.instruments.http._instrument import HttpInstrument
from obskit.instruments.http._names import DEFAULT_HTTP_NAMES, HttpNames
from obskit.instruments.http._request import UNMATCHED, HttpRequest

__all__ = ["DEFAULT_HTTP_NAMES", "UNMATCHED", "HttpInstrument", "HttpNames", "HttpRequest"]
