"""Rows about requests: what is added to each by obskit, by its peers, and by all they have."""

import asyncio
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from obskit.asgi import instrument
from obskit.bench._http_peers import (
    EXPORTER_LAYER,
    ID_LAYER,
    INSTRUMENTATOR_LAYER,
    LINE_LAYER,
    SPAN_LAYER,
    STACK,
    TRACED_STACK,
    middleware_of,
    needs_of,
    own_state,
)
from obskit.bench._http_traffic import (
    APPLICATION,
    application,
    lines_to_nowhere,
    requesting,
    scopes,
)
from obskit.bench._operations import configured, recording_provider
from obskit.bench._rows import Row, Sides

if TYPE_CHECKING:
    from collections.abc import Generator

    from opentelemetry.trace import TracerProvider

    from obskit.bench._http_peers import Layer
    from obskit.bench._rows import Effort

ROUTES = (20, 200, 2_000)
"""Of the applications; each request matches the last one."""

LINES = {"logging": "own", "log_format": "json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What obskit does for a request."""

    text: str
    """For people."""

    lines: bool = True
    """Whether it writes one."""

    traced: bool = False
    """Whether it records a span."""

    def settings(self, provider: "TracerProvider") -> dict[str, Any]:
        """Return settings of obskit.

        Args:
            provider: Makes the spans.
        """
        tracing = provider if self.traced else "off"
        return {**(LINES if self.lines else {}), "tracing": tracing}

    def application(self, routes: int) -> Any:
        """Return an application that obskit observes.

        Args:
            routes: How many routes it has.
        """
        return instrument(application(routes), access_log=self.lines)


METRICS = Work(text="metrics, id", lines=False)
METRICS_AND_LINE = Work(text="metrics, id, JSON line")
EVERYTHING = Work(text="metrics, id, JSON line, recorded span", traced=True)


@contextmanager
def request_sides(
    work: Work, layers: "tuple[Layer, ...]", routes: int, _: "Effort", *, fastapi: bool = True
) -> "Generator[Sides]":
    """Set up the same application bare, with peers and with obskit.

    Args:
        work: What obskit does.
        layers: The peers, the outermost first.
        routes: How many routes the application has.
        fastapi: As `own_state` takes it.
    """
    provider = recording_provider()
    requests = scopes(routes, traced=work.traced)
    with ExitStack() as held:
        for context in (lines_to_nowhere(), own_state(layers, fastapi=fastapi)):
            held.enter_context(context)
        held.enter_context(configured(**work.settings(provider)))
        runner = held.enter_context(asyncio.Runner())
        theirs = application(routes, middleware_of(layers, provider))
        yield Sides(
            bare=requesting(runner, application(routes), requests),
            baseline=requesting(runner, theirs, requests),
            ours=requesting(runner, work.application(routes), requests),
        )


def _rows(
    name: str,
    work: Work,
    baseline: str,
    *layers: "Layer",
    goal: float | None = None,
    **further: Any,
) -> list[Row]:
    return [
        Row(
            name=f"asgi.{name}.{routes}",
            work=f"request around {routes:,} routes: {work.text}",
            baseline=baseline,
            goal=goal,
            sides=partial(request_sides, work, layers, routes, **further),
            needs=(APPLICATION, *needs_of(layers)),
        )
        for routes in ROUTES
    ]


HTTP_ROWS = (
    *_rows(
        "request",
        METRICS_AND_LINE,
        "starlette_exporter, asgi-correlation-id and a structlog access line",
        *STACK,
        goal=0.15,
    ),
    *_rows(
        "request_span",
        EVERYTHING,
        "the same and opentelemetry-instrumentation-asgi",
        *TRACED_STACK,
        goal=0.15,
    ),
    *_rows(
        "request_no_fastapi",
        METRICS_AND_LINE,
        "as asgi.request, where starlette_exporter does not find routes by FastAPI",
        *STACK,
        fastapi=False,
    ),
    *_rows("starlette_exporter", METRICS, "starlette_exporter: metrics", EXPORTER_LAYER),
    *_rows(
        "instrumentator",
        METRICS,
        "prometheus-fastapi-instrumentator: metrics",
        INSTRUMENTATOR_LAYER,
    ),
    *_rows("correlation_id", METRICS, "asgi-correlation-id: id", ID_LAYER),
    *_rows("structlog", METRICS_AND_LINE, "structlog access line by hand: JSON line", LINE_LAYER),
    *_rows(
        "opentelemetry",
        EVERYTHING,
        "opentelemetry-instrumentation-asgi: recorded span",
        SPAN_LAYER,
    ),
)
