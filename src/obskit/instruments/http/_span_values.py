"""What a server span says, by the names of OpenTelemetry's semantic conventions.

https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from obskit.instruments.http._captured import captured_headers
from obskit.instruments.http._paths import UNMATCHED
from obskit.instruments.http._redaction import redacted_path, redacted_query

if TYPE_CHECKING:
    from obskit.instruments.http._inbound import Inbound

SPAN_HEADERS = ("host", "user-agent")
"""Request headers that spans tell of, whether they are captured or not."""

OTHER_METHOD = "_OTHER"
"""As the conventions call a method that is not a known one; the name of a span has ``HTTP``."""

MAXIMUM_TEXT = 2048
"""Characters that are kept of what the client has sent."""

_STANDARD_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def span_name(request: "Inbound") -> str:
    """Return what a request's span is called: as the request, with ``HTTP`` for unknown methods.

    Args:
        request: One that is about to begin, or has just ended.
    """
    if getattr(request, "method", "") != OTHER_METHOD:
        return request.name
    return f"HTTP{request.name[len(OTHER_METHOD) :]}"


def first_values(request: "Inbound") -> dict[str, Any]:
    """Return the attributes that a span begins with: all that samplers may ask for.

    Args:
        request: One that is about to begin.
    """
    method: str = getattr(request, "method", "GET")  # a WebSocket's handshake is one
    values: dict[str, Any] = {
        "http.request.method": method,
        "url.path": redacted_path(request.path)[:MAXIMUM_TEXT],
        "url.scheme": request.scheme,
        "network.protocol.version": request.protocol_version,
    }
    if method == OTHER_METHOD:
        values["http.request.method_original"] = request.original_method[:MAXIMUM_TEXT]
    query = request.query
    if query:
        values["url.query"] = redacted_query(query)[:MAXIMUM_TEXT]
    client = request.client
    if client:
        values["client.address"] = client
    _add_server(request, values)
    agent = request.headers.get("user-agent")
    if agent:
        values["user_agent.original"] = agent[:MAXIMUM_TEXT]
    names = request._instrument.options.request_headers
    if names:
        values.update(captured_headers("request", names, request.headers))
    return values


def _add_server(request: "Inbound", values: dict[str, Any]) -> None:
    """Add the address that the client has asked for, or else the server's own."""
    host = request.headers.get("host")
    server = _split_host(host[:MAXIMUM_TEXT], values["url.scheme"]) if host else request.server
    if server is None:
        return
    values["server.address"], port = server
    if port is not None:
        values["server.port"] = port


@lru_cache(maxsize=256)
def _split_host(host: str, scheme: str) -> tuple[str, int | None]:
    """Split a ``Host`` header; an address of IPv6 stands in brackets."""
    address, colon, port = host.rpartition("@")[2].rpartition(":")
    if not colon or port.endswith("]"):
        address, port = host, ""
    if port.isdecimal() and len(port) <= len("65535"):
        return address.strip("[]"), int(port)
    return address.strip("[]"), _STANDARD_PORTS.get(scheme)


def last_values(request: "Inbound") -> dict[str, Any]:
    """Return the attributes that are known at the end, without those of other types than text.

    Args:
        request: One that has just ended.
    """
    status = getattr(request, "status", None)
    values: dict[str, Any] = {**request.extra_labels, **request.attributes}
    if request.route != UNMATCHED:
        values["http.route"] = request.route
    if status is not None and not getattr(request, "disconnected", False):
        values["http.response.status_code"] = status
    if request.outcome == "error" and request.error is None and status is not None:
        values["error.type"] = str(status)
    return values


def answer_headers(request: "Inbound") -> dict[str, list[str]]:
    """Return the attributes with captured headers of the answer.

    Args:
        request: One that has begun to be answered.
    """
    names = request._instrument.options.response_headers
    given = request.response_headers
    return captured_headers("response", names, given) if given else {}
