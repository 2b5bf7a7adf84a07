"""What requests must not cost more for: routes, scrapes, and whatever clients send."""

import asyncio
import json
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from functools import partial
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

import prometheus_client
from prometheus_client import REGISTRY, CollectorRegistry

from obskit import metrics
from obskit.asgi import instrument
from obskit.bench._http_rows import METRICS_AND_LINE, ROUTES
from obskit.bench._http_traffic import (
    APPLICATION,
    application,
    lines_to_nowhere,
    receive,
    requesting,
    scopes,
    send,
)
from obskit.bench._measure import interleaved
from obskit.bench._operations import configured, recording_provider
from obskit.bench._rows import Case, Cost

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from obskit.asgi import Application, Message
    from obskit.bench._rows import Effort, Side

SCRAPES = 50
"""At once."""

SECONDS_BETWEEN_REQUESTS = 0.002

FIRST_REQUESTS = 10_000
"""Hostile requests after which nothing may grow any more."""

SETTLED = 2 * 1024 * 1024
"""Bytes within which an allocator comes and goes."""

HANDLE_METRICS = "starlette_exporter:handle_metrics"


class Shortcut:
    """A router that finds the last of its routes at once.

    The usual one passes all of them, which leaves nothing of ours in the processor's caches.

    Args:
        routes: All of them.
    """

    def __init__(self, routes: list[Any]) -> None:
        self.routes = routes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        route = self.routes[-1]
        scope.update(route.matches(scope)[1], router=self, route=route)
        await route.handle(scope, receive, send)


def _routes(effort: "Effort") -> "Iterator[Case]":
    with ExitStack() as held:
        held.enter_context(lines_to_nowhere())
        held.enter_context(configured(**METRICS_AND_LINE.settings(recording_provider())))
        runner = held.enter_context(asyncio.Runner())
        sides: list[Side] = []
        for routes in ROUTES:
            for app in (application(routes), METRICS_AND_LINE.application(routes)):
                app.router = Shortcut(app.routes)
                sides.append(requesting(runner, app, scopes(routes)))
        rounds = interleaved(sides, effort)
    for place, routes in enumerate(ROUTES):
        added = [times[2 * place + 1] - times[2 * place] for times in rounds]
        yield Case(what=f"{routes:,} routes", ours=median(added))


def _scrapes(page: str, effort: "Effort") -> "Iterator[Case]":
    with configured() as registry:
        _fill(metrics, registry, effort.series, max_series=2 * effort.series)
        app = instrument(application(20))
        ours = asyncio.run(latencies(app, app))
    with _page(page, effort.series) as theirs:
        baseline = asyncio.run(latencies(application(20), theirs))
    for what, place in (("p50", 49), ("p99", 98)):
        yield Case(
            what=f"{what} of a request, {SCRAPES} scrapes of {effort.series:,} series",
            ours=quantiles(ours, n=100)[place],
            baseline=quantiles(baseline, n=100)[place],
        )


def _fill(library: Any, registry: CollectorRegistry, series: int, **limit: int) -> None:
    family = library.Gauge("level", "Levels.", ["vessel"], registry=registry, **limit)
    for number in range(series):
        family.labels(f"vessel-{number}").set(number / 7)


@contextmanager
def _page(name: str, series: int) -> "Generator[Application]":
    """Make the usual endpoint of a registry; one of the two knows only that of the process."""
    registry = CollectorRegistry()
    _fill(prometheus_client, registry, series)
    if name != HANDLE_METRICS:
        yield prometheus_client.make_asgi_app(registry)
        return
    from starlette.applications import Starlette  # noqa: PLC0415 - optional
    from starlette_exporter import handle_metrics  # noqa: PLC0415 - the same

    app: Any = Starlette()
    app.add_route("/metrics", handle_metrics)
    REGISTRY.register(registry)
    try:
        yield app
    finally:
        REGISTRY.unregister(registry)


async def latencies(app: "Application", pages: "Application") -> list[float]:
    """Return how late each request is answered, from when it was due, while pages are scraped.

    Args:
        app: What the requests are for.
        pages: What the scrapes are for.

    Raises:
        ValueError: If a scrape fails.
    """
    clock = asyncio.get_running_loop().time
    (scope, _) = scopes(20)
    scraping = asyncio.gather(*[_scrape(pages) for _ in range(SCRAPES)])
    late: list[float] = []
    due = clock()
    while not scraping.done() or len(late) < SCRAPES:
        due += SECONDS_BETWEEN_REQUESTS
        await asyncio.sleep(due - clock())
        await app({**scope, "state": {}}, receive, send)
        late.append(clock() - due)
    await scraping
    return late


async def _scrape(pages: "Application") -> None:
    """Ask for a page, as Prometheus does, but not for a compressed one."""

    async def take(message: "Message") -> None:
        if message.get("status", 200) != 200:  # noqa: PLR2004 - the status of success
            raise ValueError(f"a scrape was answered with {message['status']}")

    (scope, _) = scopes(20)
    accept = (b"accept", b"text/plain;version=0.0.4;q=0.3,*/*;q=0.1")
    scrape = {"path": "/metrics", "raw_path": b"/metrics", "query_string": b"", "headers": [accept]}
    await pages({**scope, **scrape}, receive, take)


def _hostile(effort: "Effort") -> "Iterator[Case]":
    first = min(FIRST_REQUESTS, effort.requests // 5)
    command = [sys.executable, "-m", "obskit.bench._http_hostile", str(first), str(effort.requests)]
    told = subprocess.check_output(command, text=True)  # noqa: S603 - our own
    before, after = map(json.loads, told.splitlines())
    between = f"between {first:,} and {effort.requests:,} requests"
    yield Case(what=f"memory, grown {between}", ours=after["bytes"] - before["bytes"])
    yield Case(
        what=f"series, grown {between}: {after['series']:,} in all",
        ours=after["series"] - before["series"],
        unit="1",
    )


HTTP_COSTS = (
    Cost(
        name="cost.routes",
        work="added to a request by metrics, id, JSON line; the router finds the route at once",
        baseline="",
        unit="s",
        cases=_routes,
        needs=(APPLICATION,),
    ),
    Cost(
        name="cost.scrapes",
        work="a request every 2 ms, from when it is due, while all scrapes are asked for at once",
        baseline="prometheus_client's make_asgi_app beside an application without any telemetry",
        unit="s",
        cases=partial(_scrapes, "prometheus_client:make_asgi_app"),
        needs=(APPLICATION,),
    ),
    Cost(
        name="cost.scrapes_threads",
        work="the same",
        baseline="starlette_exporter's handle_metrics, in the same way",
        unit="s",
        cases=partial(_scrapes, HANDLE_METRICS),
        needs=(APPLICATION, HANDLE_METRICS),
    ),
    Cost(
        name="cost.hostile",
        work="requests with ever new methods, paths, hosts, ids and headers",
        baseline="",
        unit="B",
        limit=SETTLED,
        cases=_hostile,
        needs=(APPLICATION,),
    ),
)
