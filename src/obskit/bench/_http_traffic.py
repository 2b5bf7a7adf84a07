"""Requests as a server hands them to an application, and the application that answers them."""

import os
from contextlib import contextmanager, redirect_stdout
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from obskit.bench._measure import own_code
from obskit.metrics import default_engine

if TYPE_CHECKING:
    from asyncio import Runner
    from collections.abc import Generator, Iterable, Sequence

    from obskit.asgi import Application, Message, Receive, Scope, Send
    from obskit.bench._rows import Side

APPLICATION = "starlette.applications:Starlette"
"""What the application is made with."""

BODY = b'{"id":42,"name":"tea"}'

HEADERS = (
    (b"host", b"shop.example.com"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    (b"accept", b"application/json, text/plain, */*"),
    (b"accept-language", b"en-GB,en;q=0.7,de;q=0.3"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"referer", b"https://shop.example.com/catalogue"),
    (b"connection", b"keep-alive"),
    (b"cookie", b"session=8f14e45fceea167a5a36dedd4bea2543; theme=dark"),
    (b"x-forwarded-for", b"203.0.113.7"),
    (b"x-forwarded-proto", b"https"),
)
"""Of every request."""

CORRELATION = (b"x-request-id", b"9f86d081884c4d659a2feaa0c55ad015")

TRACE = (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


def path_to_last(routes: int) -> str:
    """Return a path that the last of so many routes matches."""
    return f"/resource{routes - 1}/42"


def application(routes: int, middleware: "Sequence[Any]" = ()) -> Any:
    """Make a Starlette application.

    Args:
        routes: How many routes it has.
        middleware: Its middleware, the outermost first.
    """
    from starlette.applications import Starlette  # noqa: PLC0415 - optional
    from starlette.responses import Response  # noqa: PLC0415 - the same
    from starlette.routing import Route  # noqa: PLC0415 - the same

    async def item(_: Any) -> Response:
        return Response(BODY, media_type="application/json")

    listed = [Route(f"/resource{number}/{{item_id}}", item) for number in range(routes)]
    return Starlette(routes=listed, middleware=middleware)


def scopes(routes: int, *, traced: bool = False) -> "tuple[Scope, Scope]":
    """Return requests that match the last route: one from a browser, one through a gateway.

    Args:
        routes: How many there are.
        traced: Whether the gateway traces; it sends a correlation id in any case.
    """
    path = path_to_last(routes)
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("203.0.113.7", 51234),
        "scheme": "http",
        "method": "GET",
        "root_path": "",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"page=2",
        "headers": list(HEADERS),
    }
    further = [CORRELATION, TRACE] if traced else [CORRELATION]
    return scope, {**scope, "headers": [*HEADERS, *further]}


async def receive() -> "Message":
    """Give an empty body, as a server would."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: "Message") -> None:
    """Take a message, and forget it."""


class Aside:
    """A router whose time is set aside; that of the messages that leave it is not.

    With many routes it takes a hundred times as long as what is measured, and never twice the same.

    Args:
        router: What finds and calls the endpoint.
    """

    def __init__(self, router: Any) -> None:
        self._router = router
        self.routes: list[Any] = router.routes
        self.seconds = 0.0

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve one request."""
        away = 0.0

        async def leave(message: "Message") -> None:
            nonlocal away
            left = perf_counter()
            await send(message)
            away += perf_counter() - left

        began = perf_counter()
        await self._router(scope, receive, leave)
        self.seconds += perf_counter() - began - away


def requesting(runner: "Runner", app: Any, requests: "Sequence[Scope]") -> "Side":
    """Make a side of an application: its requests follow each other in one task.

    What obskit records is folded within the time measured. What the router takes does not count.

    Args:
        runner: Has the event loop.
        app: A Starlette application that has not served yet.
        requests: Their scopes, in turn; each request gets a copy.
    """
    loop = own_code(_loop)
    app.router = aside = Aside(app.router)

    async def timed(times: int) -> float:
        aside.seconds = 0.0
        began = perf_counter()
        await loop(app, islice(cycle(requests), times), receive, send)
        default_engine.drain()
        return perf_counter() - began - aside.seconds

    return lambda times: runner.run(timed(times))


async def _loop(
    app: "Application", requests: "Iterable[Scope]", receive: "Receive", send: "Send"
) -> None:
    for scope in requests:
        await app({**scope, "state": {}}, receive, send)


@contextmanager
def lines_to_nowhere() -> "Generator[None]":
    """Have standard output be a file that keeps nothing, while the block runs."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        yield
