"""Real processes: forked, killed and ended in every way."""

import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry
from tests.kits.workers import Samples, samples

import obskit
from obskit._guard import guard
from obskit.metrics import Counter, Gauge, Histogram
from obskit.runtime import Runtime

if TYPE_CHECKING:
    from obskit.metrics._spec import MultiprocessMode

KIT = Path(__file__).parents[1] / "kits"


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    with obskit.configure(
        workers_dir=str(tmp_path), registry=CollectorRegistry(), logging="off"
    ) as runtime:
        yield runtime


@pytest.fixture
def _untraced() -> None:
    """Coverage has a lock of its own, which a child that is forked beside threads may find held."""
    if sys.gettrace() is not None:
        pytest.skip("coverage itself is not safe where threads fork: run without it")


def page(runtime: Runtime) -> Samples:
    return samples(runtime.render()[0].decode())


def in_child(work: Callable[[], object]) -> None:
    """Run something in a forked child and wait; it must end well."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_killed_writers_lose_and_double_nothing_that_was_written(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", KIT / "killed_workers.py", tmp_path],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "monotone\n", done.stderr


def test_a_forked_child_counts_only_what_it_has_counted(runtime: Runtime) -> None:
    """As with gunicorn's --preload: what the parent has counted is in the parent's file."""
    registry = runtime.registry
    counter = Counter("orders", "O.", registry=registry)
    histogram = Histogram("size", "S.", registry=registry, buckets=(1,))
    modes: tuple[MultiprocessMode, ...] = ("sum", "min", "max", "livesum", "mostrecent")
    gauges = {mode: Gauge(mode, "G.", registry=registry, multiprocess_mode=mode) for mode in modes}
    counter.inc(5)
    histogram.observe(0.5)
    for gauge in gauges.values():
        gauge.set(5)

    def work() -> None:
        counter.inc()
        histogram.observe(2)
        gauges["sum"].inc()
        runtime.flush()

    for _ in range(3):
        in_child(work)
    found = page(runtime)
    assert found["orders_total", ()] == 8
    assert found["size_count", ()] == 4
    assert found["size_sum", ()] == 6.5
    assert [found[mode, ()] for mode in modes] == [8, 0, 5, 5, 5]
    counter.inc()
    assert page(runtime)["orders_total", ()] == 9


def test_a_series_that_begins_again_in_a_child(runtime: Runtime) -> None:
    counter = Counter("orders", "O.", ["channel"], registry=runtime.registry)
    counter.labels("web").inc(5)

    def work() -> None:
        counter.remove("web")
        counter.labels("web").inc(2)
        runtime.flush()
        counter.labels("web").inc(4)
        runtime.flush()

    in_child(work)
    assert page(runtime)["orders_total", (("channel", "web"),)] == 11


def test_children_of_children(runtime: Runtime) -> None:
    counter = Counter("orders", "O.", registry=runtime.registry)
    counter.inc()

    def grandchild() -> None:
        counter.inc()
        runtime.flush()

    def child() -> None:
        counter.inc()
        in_child(grandchild)
        runtime.flush()

    in_child(child)
    assert page(runtime)["orders_total", ()] == 3


def test_what_runs_in_the_parent_does_not_run_in_the_child(runtime: Runtime) -> None:
    key = ("operations_in_progress", (("operation", "parent"),))
    with obskit.observe("parent"):
        in_child(runtime.flush)
        assert page(runtime)[key] == 1
    assert page(runtime)[key] == 0


@pytest.mark.usefixtures("_untraced")
def test_forks_while_threads_record_and_scrape(runtime: Runtime) -> None:
    counter = Counter("orders", "O.", ["from"], registry=runtime.registry)
    parent, child = counter.labels("parent"), counter.labels("child")
    stop = threading.Event()

    def record() -> None:
        while not stop.is_set():
            parent.inc()

    def scrape() -> None:
        while not stop.is_set():
            runtime.render()

    threads = [threading.Thread(target=work) for work in (record, record, scrape)]
    for thread in threads:
        thread.start()

    def work() -> None:
        child.inc()
        runtime.flush()

    try:
        for _ in range(50):
            in_child(work)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    found = page(runtime)
    assert found["orders_total", (("from", "child"),)] == 50
    assert found["orders_total", (("from", "parent"),)] == parent._cell.value


def test_the_writer_runs_on_after_a_fork_and_in_the_child(runtime: Runtime) -> None:
    def names() -> list[str]:
        return [thread.name for thread in threading.enumerate()]

    def work() -> None:
        assert "obskit-workers" in names()

    in_child(work)
    assert names().count("obskit-workers") == 1


ENDING = """
import multiprocessing, sys
import obskit
from obskit.metrics import Counter


def work() -> None:
    orders.inc()


runtime = obskit.configure(workers_dir=sys.argv[1], logging="off")
orders = Counter("orders", "O.")
process = multiprocessing.get_context("fork").Process(target=work)
process.start()
process.join()
assert b"orders_total 1.0" in runtime.render()[0]
print("counted")
"""


def test_a_process_of_multiprocessing_writes_when_it_ends(tmp_path: Path) -> None:
    """A forked one ends without ``atexit``."""
    done = subprocess.run(
        [sys.executable, "-c", ENDING, tmp_path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "counted\n", done.stderr


THEIRS = """
import os, sys
import prometheus_client
import obskit
from obskit.metrics import Counter
from prometheus_client.multiprocess import MultiProcessCollector

if "registered" in sys.argv:
    MultiProcessCollector(prometheus_client.REGISTRY)
runtime = obskit.configure(workers_dir=sys.argv[1], logging="off")
theirs, ours = prometheus_client.Counter("theirs", "T."), Counter("ours", "O.")
theirs.inc()
ours.inc()
child = os.fork()
if child == 0:
    theirs.inc()
    ours.inc()
    runtime.flush()
    os._exit(0)
os.waitpid(child, 0)
page = runtime.render()[0].decode()
assert page.count("theirs_total 2.0") == page.count("ours_total 2.0") == 1, page
print("both")
"""


@pytest.mark.parametrize("how", ["registered", "not registered"])
def test_beside_the_multiprocess_mode_of_prometheus_client(tmp_path: Path, how: str) -> None:
    own, theirs = tmp_path / "own", tmp_path / "theirs"
    own.mkdir()
    theirs.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", THEIRS, own, how],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(theirs)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "both\n", done.stderr


@pytest.mark.usefixtures("_untraced")
def test_threads_that_fork_at_the_same_time_keep_the_writer(runtime: Runtime) -> None:
    orders = Counter("orders", "Orders.", registry=runtime.registry)
    worker = runtime.worker
    assert worker is not None

    def fork() -> None:
        for _ in range(25):
            in_child(lambda: None)

    threads = [threading.Thread(target=fork) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worker._thread is not None
    assert worker._thread.is_alive()
    writers = [each for each in threading.enumerate() if each.name == "obskit-workers"]
    assert len(writers) == 1
    orders.inc()
    assert page(runtime)[("orders_total", ())] == 1


def test_the_latest_gauge_is_the_one_that_was_set_last(runtime: Runtime) -> None:
    """Whenever the processes come to write it."""
    latest = Gauge("latest", "L.", registry=runtime.registry, multiprocess_mode="mostrecent")
    latest.set(1)

    def work() -> None:
        latest.set(2)
        runtime.flush()

    in_child(work)
    assert page(runtime)[("latest", ())] == 2


def test_totals_do_not_fall_for_want_of_descriptors(runtime: Runtime) -> None:
    """A scrape that cannot read the others' files fails rather than show less than before."""
    orders = Counter("orders", "Orders.", registry=runtime.registry)
    orders.inc(5)

    def work() -> None:
        orders.inc(100)
        runtime.flush()

    in_child(work)
    assert page(runtime)[("orders_total", ())] == 105
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with guard.recording(), pytest.raises(OSError, match="Too many open files"):
            runtime.render()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert page(runtime)[("orders_total", ())] == 105
