"""Costs under load: several threads, and the slowest calls while pages are rendered."""

import threading
from array import array
from contextlib import contextmanager
from functools import partial
from statistics import median, quantiles
from time import perf_counter, perf_counter_ns, process_time
from typing import TYPE_CHECKING, Any

import prometheus_client
from prometheus_client import CollectorRegistry, generate_latest

from obskit import metrics
from obskit.bench._hand_written import bound_call
from obskit.bench._measure import own_code, repeated
from obskit.bench._metrics import bind_counters
from obskit.bench._operations import configured, decorated_call
from obskit.bench._rows import Case, Cost
from obskit.metrics import default_engine, render

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from obskit.bench._rows import Effort

    Call = Callable[[object], object]

THREADS = (1, 4, 16)

SCRAPED_SERIES = 1_000
"""Series in the registry that is rendered again and again."""

SECONDS_BETWEEN_SCRAPES = 0.05

TAIL_ROUNDS = 3

QUANTILES = {"p50": 499, "p99": 989, "p99.9": 998}
"""Where `statistics.quantiles` of 1,000 parts has them."""


def _threads(effort: "Effort") -> "Iterator[Case]":
    with configured():
        loops = [repeated(decorated_call()), repeated(bound_call(CollectorRegistry()))]
        for number in THREADS:
            share = effort.thread_calls // number
            rounds = [
                [_shared_out(loop, number, share) for loop in loops]
                for _ in range(effort.least_rounds)
            ]
            for part, what in enumerate(("wall clock", "processor")):
                yield Case(
                    what=f"{number} thread{'s' * (number > 1)}, {what}",
                    ours=median(ours[part] for ours, _ in rounds),
                    baseline=median(theirs[part] for _, theirs in rounds),
                )


def _shared_out(loop: "Callable[[int], None]", number: int, share: int) -> tuple[float, float]:
    """Return the wall-clock and processor seconds of each call, made by several threads."""
    gate = threading.Barrier(number + 1)

    def run() -> None:
        gate.wait()
        loop(share)

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    gate.wait()
    wall, processor = perf_counter(), process_time()
    for thread in threads:
        thread.join()
    default_engine.drain()
    total = number * share
    return (perf_counter() - wall) / total, (process_time() - processor) / total


def _tail(effort: "Effort") -> "Iterator[Case]":
    seconds = effort.tail_seconds / TAIL_ROUNDS
    with configured() as ours:
        theirs = CollectorRegistry()
        call, baseline = decorated_call(), bound_call(theirs)
        _fill(metrics, ours)
        _fill(prometheus_client, theirs)
        rounds = [
            (
                _slowest(call, partial(render, ours), seconds),
                _slowest(baseline, partial(generate_latest, theirs), seconds),
            )
            for _ in range(TAIL_ROUNDS)
        ]
    for what in QUANTILES:
        yield Case(
            what=f"{what} of a call",
            ours=median(mine[what] for mine, _ in rounds),
            baseline=median(other[what] for _, other in rounds),
        )


def _fill(library: Any, registry: CollectorRegistry) -> None:
    for change in bind_counters(library, registry, SCRAPED_SERIES):
        change()


def _slowest(call: "Call", scrape: "Callable[[], object]", seconds: float) -> dict[str, float]:
    """Return quantiles of the seconds that a call takes while another thread scrapes."""
    with _repeating(scrape):
        taken = own_code(_one_by_one)(call, int(seconds * 1e9))
    parts = quantiles(taken, n=1000)
    return {name: parts[place] / 1e9 for name, place in QUANTILES.items()}


def _one_by_one(call: "Call", nanoseconds: int) -> "array[int]":
    """Call for so long, and return what each call took."""
    taken = array("q")
    began = perf_counter_ns()
    end = began + nanoseconds
    while began < end:
        call(1)
        taken.append(perf_counter_ns() - began)
        began = perf_counter_ns()
    return taken


@contextmanager
def _repeating(scrape: "Callable[[], object]") -> "Generator[None]":
    """Have another thread scrape every now and then while the block runs."""
    done = threading.Event()

    def run() -> None:
        while not done.wait(SECONDS_BETWEEN_SCRAPES):
            scrape()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


LOAD_COSTS = (
    Cost(
        name="cost.threads",
        work="decorated call made by several threads at once; seconds of the whole ÷ calls",
        baseline="prometheus_client by hand, labels bound once",
        unit="s",
        cases=_threads,
    ),
    Cost(
        name="cost.tail",
        work="decorated call, one by one, while another thread renders pages (20 a second)",
        baseline="prometheus_client by hand, scraped in the same way",
        unit="s",
        cases=_tail,
    ),
)
