"""Applications that answer scrapes and probes."""

import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from obskit._guard import guard
from obskit._scrapes import (
    METHODS,
    Answer,
    check_endpoint,
    completed,
    method_not_allowed,
    metrics_answer,
    text_answer,
)
from obskit.errors import DeclarationError
from obskit.health import HealthRegistry
from obskit.health._probes import PROBES, probe
from obskit.wsgi._environ import path_of, request_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from prometheus_client import CollectorRegistry

    Respond = Callable[[WSGIEnvironment], Answer]

_JSON = [("content-type", "application/json"), ("cache-control", "no-store")]


def metrics_app(
    registry: "CollectorRegistry | None" = None, *, token: str | None = None
) -> "WSGIApplication":
    """Make an application that answers every path with the metrics.

    Args:
        registry: What to show; by default the registry of the configuration.
        token: The bearer token to ask for; by default the setting ``metrics_token``.

    Raises:
        DeclarationError: If the registry is none, or the token not one that a header can carry.
    """
    check_endpoint("metrics_app", registry, token)

    def respond(environ: "WSGIEnvironment") -> Answer:
        return metrics_answer(
            environ["REQUEST_METHOD"],
            request_headers(environ),
            environ.get("QUERY_STRING", ""),
            token=token,
            registry=registry,
        )

    return _endpoint(respond)


def health_app(registry: HealthRegistry) -> "WSGIApplication":
    """Make an application that answers ``/health``, ``/livez``, ``/readyz`` and ``/version``.

    Checks run on one event loop of their own, on a thread that the first probe starts.

    Args:
        registry: Whose checks are asked.

    Raises:
        DeclarationError: If that is something else.
    """
    if not isinstance(registry, HealthRegistry):
        raise DeclarationError(f"health={registry!r}: give an obskit.health.HealthRegistry")

    def respond(environ: "WSGIEnvironment") -> Answer:
        method, path = environ["REQUEST_METHOD"], path_of(environ)
        if method not in METHODS:
            return method_not_allowed()
        if path not in PROBES:
            return completed(text_answer(404, "not found"), method)
        status, body = probe(registry, path)
        return completed(Answer(status, _JSON, (json.dumps(body).encode(),)), method)

    return _endpoint(respond)


def _endpoint(respond: "Respond") -> "WSGIApplication":
    """Make an application of a function from an environment to an answer."""

    def application(
        environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> "Iterable[bytes]":
        try:
            status, headers, body = respond(environ)
        except Exception as error:
            guard.report("wsgi.endpoint", error)
            status, headers, body = text_answer(500, "internal error")
        start_response(f"{status} {HTTPStatus(status).phrase}", list(headers))
        return list(body)

    return application
