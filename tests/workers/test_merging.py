"""What several workers' numbers come to: prometheus_client's multi-process mode is the judge."""

import math
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args
from unittest import mock

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from tests.kits.workers import Process, Samples, samples

from obskit import metrics
from obskit.metrics._spec import MultiprocessMode
from obskit.workers._snapshot import Numbers, Shape, decode, encode, merge

if TYPE_CHECKING:
    from collections.abc import Callable

MODES = get_args(MultiprocessMode)
amounts = st.integers(-64, 64).map(lambda number: number / 8)
positive = st.integers(0, 64).map(lambda number: number / 8)
operations = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.one_of(
            st.tuples(st.just("count"), st.sampled_from(["web", 'a"b\n\\ # {x="y"}']), positive),
            st.tuples(st.just("observe"), st.just(""), positive),
            st.tuples(st.just("summarise"), st.just(""), positive),
            st.tuples(st.just("set"), st.sampled_from(MODES), amounts),
        ),
    ),
    max_size=30,
)


class Program:
    """The same metrics from either library; what each worker runs."""

    def __init__(self, library: Any, registry: CollectorRegistry) -> None:
        self.counter = library.Counter("orders", "Orders.", ["channel"], registry=registry)
        self.histogram = library.Histogram("size", "S.", buckets=(1, 4), registry=registry)
        self.summary = library.Summary("weight", "W.", registry=registry)
        self.gauges = {
            mode: library.Gauge(f"g_{mode}", "G.", registry=registry, multiprocess_mode=mode)
            for mode in MODES
        }

    def do(self, what: str, which: str, amount: float) -> None:
        methods: dict[str, Callable[[], Any]] = {
            "count": lambda: self.counter.labels(which).inc(amount),
            "observe": lambda: self.histogram.observe(amount),
            "summarise": lambda: self.summary.observe(amount),
            "set": lambda: self.gauges[which].set(amount),
        }
        methods[what]()


def _value_class(process: int) -> Any:
    return values.MultiProcessValue(lambda: process)  # type: ignore[no-untyped-call] # theirs


def theirs(steps: Any, dead: set[int]) -> Samples:
    with tempfile.TemporaryDirectory() as directory:
        with (
            mock.patch.dict(os.environ, PROMETHEUS_MULTIPROC_DIR=directory),
            mock.patch.object(values, "ValueClass"),
        ):
            kinds = [_value_class(own) for own in (1, 2, 3)]
            programs = []
            for kind in kinds:
                values.ValueClass = kind  # what a process has from import
                programs.append(Program(prometheus_client, CollectorRegistry()))
            for number, step in steps:
                values.ValueClass = kinds[number]
                programs[number].do(*step)
        for number in dead:
            mark_process_dead(number + 1, directory)  # type: ignore[no-untyped-call] # theirs
        values.close_all_multiprocess_files()  # type: ignore[no-untyped-call] # theirs
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for metric in MultiProcessCollector(None, directory).collect()  # type: ignore[no-untyped-call] # theirs
            for sample in metric.samples
        }


def ours(steps: Any, dead: set[int]) -> Samples:
    with tempfile.TemporaryDirectory() as directory:
        processes = [Process(Path(directory)) for _ in range(3)]
        programs = [Program(metrics, process.registry) for process in processes]
        for number, step in steps:
            programs[number].do(*step)
            metrics.default_engine.drain()
        for number, process in enumerate(processes):
            with mock.patch("os.getpid", lambda own=number + 1: own):
                process.worker.flush()
        for number in dead:
            processes[number].die()
        living = [process for number, process in enumerate(processes) if number not in dead]
        with mock.patch("os.getpid", return_value=processes.index(living[0]) + 1):
            return samples(living[0].scrape())


@pytest.mark.skipif(
    not hasattr(values, "close_all_multiprocess_files"),
    reason="this prometheus_client leaves its files open",
)
@given(operations, st.sets(st.integers(0, 2), max_size=2))
def test_every_kind_and_mode_merges_as_in_prometheus_client(steps: Any, dead: set[int]) -> None:
    assert ours(steps, dead) == theirs(steps, dead)


names = st.sampled_from(["a", "b_c"])
lines = st.sampled_from(['x{l="1 2"} ', 'x{l="\\n#"} ', "x "])
number = st.integers(-8, 8).map(float)
shapes = st.builds(
    Shape, names, st.just("gauge"), st.just(""), st.sampled_from(["sum", "min"]), st.just(())
)
snapshots = st.dictionaries(
    shapes, st.builds(Numbers, st.text(), st.dictionaries(lines, number)), max_size=3
)


@given(st.lists(snapshots, max_size=4), st.integers(0, 4))
def test_a_merge_of_merges_is_the_merge_of_all(parts: Any, cut: int) -> None:
    """What a slot's next owner inherits may be merged first, and with the others later."""
    whole: Any = {}
    for part in parts:
        merge(whole, part, alive=True)
    first: Any = {}
    second: Any = {}
    for part in parts[:cut]:
        merge(first, part, alive=True)
    for part in parts[cut:]:
        merge(second, part, alive=True)
    merge(first, second, alive=True)
    assert {shape: found.lines for shape, found in first.items()} == {
        shape: found.lines for shape, found in whole.items()
    }


@given(st.dictionaries(shapes, st.builds(Numbers, st.text(), st.dictionaries(lines, st.floats()))))
def test_a_snapshot_comes_back_as_it_was_written(snapshot: Any) -> None:
    found = decode(encode(snapshot))
    assert repr(found) == repr(snapshot)  # not a number is not equal to itself


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan, 1e300, 5e-324, 0.1 + 0.2])
def test_every_float_comes_back(number: float) -> None:
    shape = Shape("x", "gauge", "", "livemostrecent")
    found = decode(encode({shape: Numbers("", {"x ": (number, number)})}))
    assert repr(found[shape].lines) == repr({"x ": (number, number)})
