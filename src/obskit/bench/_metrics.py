"""Rows about instruments, pages and imports."""

import os
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

import prometheus_client
from prometheus_client import CollectorRegistry, generate_latest

from obskit import metrics
from obskit.bench._measure import calling
from obskit.bench._rows import Row, Sides
from obskit.metrics import default_engine, render

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from obskit.bench._rows import Effort, Side

    Changes = Sequence[Callable[[], None]]

LINES_PER_HISTOGRAM = 18
"""15 buckets, a count, a sum and a time of creation."""

THEIR_IMPORTS = "prometheus_client, structlog, opentelemetry.trace"


class _Nothing:
    """Has the methods of every instrument, and does nothing in them."""

    def inc(self, amount: float = 1) -> None:
        """Do nothing."""

    def observe(self, amount: float) -> None:
        """Do nothing."""

    def set(self, value: float) -> None:
        """Do nothing."""


@contextmanager
def _method(kind: str, method: str, values: "Sequence[float]", _: "Effort") -> "Generator[Sides]":
    def side(library: Any) -> "Side":
        instrument = getattr(library, kind)("work", "Work.", registry=CollectorRegistry())
        return calling(getattr(instrument, method), values)

    yield Sides(
        bare=calling(getattr(_Nothing(), method), values),
        baseline=side(prometheus_client),
        ours=side(metrics),
    )


def bind_counters(library: Any, registry: CollectorRegistry, lines: int, **limit: int) -> "Changes":
    """Make counters with three labels; as many lines more are their times of creation.

    Args:
        library: Has the class ``Counter``.
        registry: Where they are registered.
        lines: How many there shall be.
        **limit: Further arguments.

    Returns:
        What changes each of them.
    """
    family = library.Counter(
        "requests", "Requests.", ["method", "route", "status"], registry=registry, **limit
    )
    return [family.labels("GET", f"/route/{number}", "200").inc for number in range(lines)]


def bind_histograms(
    library: Any, registry: CollectorRegistry, lines: int, **limit: int
) -> "Changes":
    """Make histograms with two labels and the default buckets; arguments as for counters."""
    family = library.Histogram(
        "request_duration_seconds", "Durations.", ["method", "route"], registry=registry, **limit
    )
    return [
        partial(family.labels("GET", f"/route/{number}").observe, number % 97 / 9.0)
        for number in range(max(lines // LINES_PER_HISTOGRAM, 1))
    ]


@contextmanager
def _page(bind: "Callable[..., Changes]", effort: "Effort") -> "Generator[Sides]":
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    room = 2 * effort.series
    yield Sides(
        baseline=_rendering(
            partial(generate_latest, theirs), bind(prometheus_client, theirs, effort.series)
        ),
        ours=_rendering(partial(render, ours), bind(metrics, ours, effort.series, max_series=room)),
    )


def _rendering(render_page: "Callable[[], object]", changes: "Changes") -> "Side":
    """Make a side that renders a page, all values of which have changed since the page before."""

    def side(times: int) -> float:
        seconds = 0.0
        for _ in range(times):
            for change in changes:
                change()
            default_engine.drain()
            began = perf_counter()
            render_page()
            seconds += perf_counter() - began
        return seconds

    return side


@contextmanager
def _imports(modules: str, _: "Effort") -> "Generator[Sides]":
    yield Sides(baseline=_importing(THEIR_IMPORTS), ours=_importing(modules))


def _importing(modules: str) -> "Side":
    """Make a side that imports in fresh interpreters; their own start is not counted.

    They keep bytecode, whatever this one does: installed packages have theirs.
    """
    program = f"from time import perf_counter as t; b = t(); import {modules}; print(t() - b)"
    command = [sys.executable, "-c", program]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}

    def side(times: int) -> float:
        return sum(
            float(subprocess.check_output(command, env=environment))  # noqa: S603 - our own
            for _ in range(times)
        )

    return side


METRIC_ROWS = (
    Row(
        name="metrics.counter",
        work="Counter.inc(), bound",
        baseline="prometheus_client's",
        goal=0.35,
        sides=partial(_method, "Counter", "inc", ()),
    ),
    Row(
        name="metrics.histogram",
        work="Histogram.observe(), bound",
        baseline="prometheus_client's",
        goal=0.35,
        sides=partial(_method, "Histogram", "observe", (0.003, 0.04, 0.7, 6.0)),
    ),
    Row(
        name="metrics.gauge_set",
        work="Gauge.set(), bound",
        baseline="prometheus_client's",
        sides=partial(_method, "Gauge", "set", (3.0, 12.0)),
    ),
    Row(
        name="metrics.gauge_inc",
        work="Gauge.inc(), bound",
        baseline="prometheus_client's",
        sides=partial(_method, "Gauge", "inc", ()),
    ),
    Row(
        name="metrics.summary",
        work="Summary.observe(), bound",
        baseline="prometheus_client's",
        sides=partial(_method, "Summary", "observe", (0.003, 0.04, 0.7, 6.0)),
    ),
    Row(
        name="exposition.counters",
        work="a page of counters with three labels, all changed since the last",
        baseline="prometheus_client's generate_latest, same series and values",
        goal=0.08,
        sides=partial(_page, bind_counters),
    ),
    Row(
        name="exposition.histograms",
        work="a page of as many lines of histograms, all changed since the last",
        baseline="prometheus_client's generate_latest, same series and values",
        goal=0.08,
        sides=partial(_page, bind_histograms),
    ),
    Row(
        name="import",
        work="import obskit, in a fresh interpreter",
        baseline=f"import {THEIR_IMPORTS}",
        goal=1.1,
        sides=partial(_imports, "obskit"),
    ),
    Row(
        name="import.all",
        work="import those, then obskit, which alone leaves structlog until it is needed",
        baseline=f"import {THEIR_IMPORTS}",
        sides=partial(_imports, f"{THEIR_IMPORTS}, obskit"),
    ),
)
