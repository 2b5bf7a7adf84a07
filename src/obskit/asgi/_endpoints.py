"""Applications that answer scrapes and probes."""

import json
from typing import TYPE_CHECKING

from obskit._guard import guard
from obskit._scrapes import (
    METHODS,
    Answer,
    Scrape,
    check_endpoint,
    completed,
    method_not_allowed,
    page_answer,
    read_scrape,
    renderer,
    text_answer,
)
from obskit.asgi._lifespan import Lifespan
from obskit.asgi._loops import let_others_run, until_done
from obskit.asgi._types import path_of
from obskit.errors import DeclarationError
from obskit.health import HealthRegistry
from obskit.health._probes import PROBES
from obskit.propagation import lower_headers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from prometheus_client import CollectorRegistry

    from obskit.asgi._types import Application, Receive, Scope, Send

    Respond = Callable[[Scope], Awaitable[Answer]]

_JSON = [("content-type", "application/json"), ("cache-control", "no-store")]


def metrics_app(
    registry: "CollectorRegistry | None" = None, *, token: str | None = None
) -> "Application":
    """Make an application that answers every path with the metrics.

    Pages are rendered on a thread, one at a time; scrapes that wait for the same one share it.

    Args:
        registry: What to show; by default the registry of the configuration.
        token: The bearer token to ask for; by default the setting ``metrics_token``.

    Raises:
        DeclarationError: If the registry is none, or the token not one that a header can carry.
    """
    check_endpoint("metrics_app", registry, token)

    async def respond(scope: "Scope") -> Answer:
        asked = read_scrape(
            scope["method"],
            lower_headers(scope["headers"]),
            scope.get("query_string", b"").decode("latin-1"),
            token=token,
            registry=registry,
        )
        if not isinstance(asked, Scrape):
            return asked
        page = renderer.page(asked)
        await until_done(page)
        return page_answer(asked, page.result())

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

    async def respond(scope: "Scope") -> Answer:
        if scope["method"] not in METHODS:
            return method_not_allowed()
        probe = PROBES.get(path_of(scope))
        if probe is None:
            return text_answer(404, "not found")
        status, body = await probe(registry)
        return Answer(status, _JSON, (json.dumps(body).encode(),))

    return _endpoint(respond)


def _endpoint(respond: "Respond") -> "Application":
    """Make an application of a function from a request's scope to its answer."""

    async def application(scope: "Scope", receive: "Receive", send: "Send") -> None:
        kind = scope["type"]
        if kind == "http":
            await _send(await _answered(respond, scope), send)
        elif kind == "websocket":
            await _close(receive, send)
        elif kind == "lifespan":
            await Lifespan(receive, send).run(_without_part, scope)
        else:
            raise NotImplementedError(f"the scope type {kind!r} has no answer here")

    return application


async def _answered(respond: "Respond", scope: "Scope") -> Answer:
    try:
        answer = await respond(scope)
    except Exception as error:
        guard.report("asgi.endpoint", error)
        answer = text_answer(500, "internal error")
    return completed(answer, scope["method"])


async def _send(answer: Answer, send: "Send") -> None:
    """Send an answer, part by part; other requests have their turn in between."""
    headers = [(name.encode(), value.encode()) for name, value in answer.headers]
    *parts, last = answer.body or (b"",)
    try:
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
            await let_others_run()
        await send({"type": "http.response.body", "body": last})
    except OSError:
        return  # the client has gone


async def _close(receive: "Receive", send: "Send") -> None:
    """Close a websocket before it is accepted: the server answers 403."""
    if (await receive())["type"] == "websocket.connect":
        await send({"type": "websocket.close", "code": 1000})


async def _without_part(scope: "Scope", receive: "Receive", send: "Send") -> None:
    """Take no part in a protocol."""
