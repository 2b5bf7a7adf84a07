"""Costs that must not grow: with the number of series, and of workers that have come and gone."""

import gc
import tracemalloc
from functools import partial
from itertools import chain
from statistics import median
from typing import TYPE_CHECKING

import prometheus_client
from prometheus_client import CollectorRegistry

import obskit
from obskit import metrics
from obskit.bench._hand_written import labelled_call
from obskit.bench._measure import calling, interleaved
from obskit.bench._metrics import bind_counters
from obskit.bench._operations import configured, decorated_call
from obskit.bench._rows import Case, Cost
from obskit.metrics import default_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from obskit.bench._metrics import Changes
    from obskit.bench._rows import Effort

LABEL_VALUES = (20, 200, 2_000)


def _label_values(effort: "Effort") -> "Iterator[Case]":
    """Measure labelled calls whose label has few or many values, all of them in turn."""
    with configured(max_series=2 * max(LABEL_VALUES)):
        sides = [
            (
                calling(decorated_call(labels={"kind": obskit.arg("kind")}), values),
                calling(labelled_call(CollectorRegistry()), values),
            )
            for values in (
                [f"/route/{number}" for number in range(count)] for count in LABEL_VALUES
            )
        ]
        rounds = interleaved(list(chain(*sides)), effort)
    for place, count in enumerate(LABEL_VALUES):
        yield Case(
            what=f"{count:,} values",
            ours=median(times[2 * place] for times in rounds),
            baseline=median(times[2 * place + 1] for times in rounds),
        )


def _memory(effort: "Effort") -> "Iterator[Case]":
    for count in effort.memory_series:
        theirs = partial(bind_counters, prometheus_client, CollectorRegistry(), count)
        ours = partial(bind_counters, metrics, CollectorRegistry(), count, max_series=2 * count)
        yield Case(
            what=f"{count:,} series, each",
            ours=_weigh(ours) / count,
            baseline=_weigh(theirs) / count,
        )


def _weigh(make: "Callable[[], Changes]") -> int:
    """Return the bytes that stay allocated by what it makes, each of which is changed once."""
    gc.collect()
    tracemalloc.start()
    try:
        for change in make():
            change()
        default_engine.drain()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


GROWTH_COSTS = (
    Cost(
        name="cost.label_values",
        work="decorated call with a label from an argument that has few or many values",
        baseline="prometheus_client by hand, .labels() in each call",
        unit="s",
        cases=_label_values,
    ),
    Cost(
        name="cost.memory",
        work="memory of a counter's series with three labels",
        baseline="prometheus_client's",
        unit="B",
        cases=_memory,
    ),
)
