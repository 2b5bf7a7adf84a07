"""Applications that answer scrapes and probes."""

import gzip
import hmac
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from prometheus_client import CollectorRegistry

from obskit._guard import guard
from obskit.asgi._types import path_of
from obskit.errors import DeclarationError
from obskit.health import HealthRegistry
from obskit.health import _shapes as shapes
from obskit.propagation import lower_headers
from obskit.runtime import active_runtime
from obskit.settings import is_bearer_token

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from obskit.asgi._types import Application, Receive, Scope, Send

    Headers = list[tuple[bytes, bytes]]
    Respond = Callable[[dict[str, str], Scope], Awaitable[tuple[int, Headers, bytes]]]

_TEXT: "Headers" = [(b"content-type", b"text/plain; charset=utf-8")]
_JSON: "Headers" = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]


def metrics_app(
    registry: "CollectorRegistry | None" = None, *, token: str | None = None
) -> "Application":
    """Make an application that answers every path with the metrics.

    Args:
        registry: What to show; by default the registry of the configuration.
        token: The bearer token to ask for; by default the setting ``metrics_token``.

    Raises:
        DeclarationError: If the registry is none, or the token not one that a header can carry.
    """
    if registry is not None and not isinstance(registry, CollectorRegistry):
        raise DeclarationError(
            f"metrics_app: registry={registry!r}: give a prometheus_client CollectorRegistry"
        )
    if token is not None and not is_bearer_token(token):
        raise DeclarationError("metrics_app: token= must be a bearer token as RFC 6750 defines it")

    async def respond(headers: dict[str, str], scope: "Scope") -> tuple[int, "Headers", bytes]:
        runtime = active_runtime()
        if not _is_allowed(headers, token or runtime.settings.metrics_token):
            return 401, [*_TEXT, (b"www-authenticate", b"Bearer")], b"bearer token required\n"
        names = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("name[]", [])
        body, content_type = runtime.render(headers.get("accept", ""), names, registry)
        answer = [(b"content-type", content_type.encode()), (b"vary", b"accept, accept-encoding")]
        if _takes_gzip(headers.get("accept-encoding", "")):
            body = gzip.compress(body, compresslevel=1)
            answer.append((b"content-encoding", b"gzip"))
        return 200, answer, body

    return _endpoint(respond)


def health_app(registry: HealthRegistry) -> "Application":
    """Make an application that answers ``/health``, ``/livez``, ``/readyz`` and ``/version``.

    Args:
        registry: Whose checks are asked.

    Raises:
        DeclarationError: If that is something else.
    """
    if not isinstance(registry, HealthRegistry):
        raise DeclarationError(f"health={registry!r}: give an obskit.health.HealthRegistry")

    async def respond(_: dict[str, str], scope: "Scope") -> tuple[int, "Headers", bytes]:
        probe = _PROBES.get(path_of(scope))
        if probe is None:
            return 404, _TEXT, b"not found\n"
        status, body = await probe(registry)
        return status, _JSON, json.dumps(body).encode()

    return _endpoint(respond)


async def _health(registry: HealthRegistry) -> tuple[int, dict[str, Any]]:
    report = await registry.report()
    return report.http_status, shapes.full(report)


async def _live(registry: HealthRegistry) -> tuple[int, dict[str, Any]]:
    report = await registry.live()
    return report.http_status, shapes.live(report)


async def _ready(registry: HealthRegistry) -> tuple[int, dict[str, Any]]:
    report = await registry.ready()
    return report.http_status, shapes.ready(report)


async def _version(registry: HealthRegistry) -> tuple[int, dict[str, Any]]:
    report = await registry.live()
    return 200, shapes.version(report)


_PROBES: "dict[str, Callable[[HealthRegistry], Awaitable[tuple[int, dict[str, Any]]]]]" = {
    "/health": _health,
    "/livez": _live,
    "/readyz": _ready,
    "/version": _version,
}
HEALTH_PATHS = tuple(_PROBES)
"""The paths that `health_app` answers."""


def _endpoint(respond: "Respond") -> "Application":
    """Make an application of a function from request headers and scope to a response."""

    async def application(scope: "Scope", _: "Receive", send: "Send") -> None:
        if scope["type"] != "http":
            return
        method = scope.get("method")
        status, headers, body = 405, [*_TEXT, (b"allow", b"GET, HEAD")], b"method not allowed\n"
        if method in ("GET", "HEAD"):
            try:
                status, headers, body = await respond(lower_headers(scope["headers"]), scope)
            except Exception as error:
                guard.report("asgi.endpoint", error)
                status, headers, body = 500, _TEXT, b"internal error\n"
        headers = [*headers, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})

    return application


def _takes_gzip(accepted: str) -> bool:
    """Tell whether an ``Accept-Encoding`` header names gzip, and not with a weight of zero."""
    for coding in accepted.lower().split(","):
        name, _, weight = "".join(coding.split()).partition(";q=")
        if name == "gzip":
            return not weight or weight.strip("0.") != ""
    return False


def _is_allowed(headers: dict[str, str], token: str | None) -> bool:
    """Tell whether a request carries the token, in a time that does not tell how nearly."""
    if token is None:
        return True
    scheme, _, given = headers.get("authorization", "").partition(" ")
    same = hmac.compare_digest(given.strip().encode("utf-8"), token.encode("utf-8"))
    return same and scheme.lower() == "bearer"
