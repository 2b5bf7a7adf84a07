"""Workers that share a directory: what any of them shows, and what becomes of the dead ones."""

import threading
import time
from pathlib import Path
from unittest import mock

import pytest
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client import Counter as TheirCounter
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from tests.kits.workers import Process, Start, samples

import obskit
from obskit.metrics import Counter, Gauge, Histogram, Info, register_internal, render
from obskit.runtime import active_runtime
from obskit.workers import _snapshot, _warning, _worker, warn_of_several_workers
from obskit.workers._recorded import recorded

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
FORMATS = [
    "",
    OPENMETRICS,
    f"{OPENMETRICS}; escaping=values",
    "text/plain; version=1.0.0; escaping=dots",
]


def orders(process: Process) -> Counter:
    return Counter("orders", "Orders.", ["channel"], registry=process.registry)


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.parametrize("accept", FORMATS)
def test_the_page_of_one_worker_is_the_page_of_its_registry(start: Start, accept: str) -> None:
    one = start()
    orders(one).labels('a"b\n').inc(3)
    Counter("with:colon", "C.", ["l"], registry=one.registry).labels("x").inc()
    Histogram("latency", "L\n.", unit="seconds", registry=one.registry).observe(0.2)
    Gauge("level", "G.", registry=one.registry, multiprocess_mode="sum").set(1e9)
    Info("build", "B.", registry=one.registry).info({"version": "1"})
    with mock.patch("prometheus_client.metrics._use_created", new=False):
        assert one.worker.render(accept) == render(one.registry, accept)


def test_created_lines_are_left_out(start: Start) -> None:
    one = start()
    orders(one).labels("web").inc()
    assert "_created" in render(one.registry)[0].decode()
    assert "_created" not in one.scrape()


def test_any_worker_shows_the_totals_of_all(start: Start) -> None:
    one, two = start(), start()
    orders(one).labels("web").inc(2)
    orders(two).labels("web").inc(3)
    orders(two).labels("shop").inc()
    two.worker.flush()
    for process in (one, two):
        assert samples(process.scrape()) == {
            ("orders_total", (("channel", "web"),)): 5,
            ("orders_total", (("channel", "shop"),)): 1,
        }


def test_some_samples_only(start: Start) -> None:
    one, two = start(), start()
    Histogram("size", "S.", registry=two.registry).observe(1)
    orders(two).labels("web").inc()
    two.worker.flush()
    page = one.scrape(names=("size_sum", "size_count"))
    assert samples(page) == {("size_sum", ()): 1, ("size_count", ()): 1}
    assert page.count("# TYPE") == 1


def test_openmetrics_of_all_workers_parses(start: Start) -> None:
    one, two = start(), start()
    orders(two).labels("web").inc(2, exemplar={"trace_id": "1"})
    two.worker.flush()
    page = one.scrape(OPENMETRICS)
    assert page.endswith("# EOF\n")
    (family,) = open_families(page)  # type: ignore[no-untyped-call] # theirs has no types
    assert (family.name, family.type, family.samples[0].value) == ("orders", "counter", 2)


def test_the_writer_needs_no_scrape(start: Start) -> None:
    one, two = start(), start()
    with mock.patch.object(_worker, "INTERVAL", 0.01):
        two.worker.start()
        two.worker.start()
        orders(two).labels("web").inc()
        deadline = time.monotonic() + 10
        while "orders_total" not in one.scrape():
            assert time.monotonic() < deadline
        two.worker.stop()


def test_a_new_worker_goes_on_from_what_a_dead_one_has_left(start: Start, tmp_path: Path) -> None:
    observer, first = start(), start()
    orders(first).labels("web").inc(7)
    Gauge("busy", "B.", registry=first.registry, multiprocess_mode="livesum").set(1)
    Gauge("peak", "P.", registry=first.registry, multiprocess_mode="max").set(9)
    first.worker.flush()
    assert observer.value("busy") == 1
    first.die()
    assert "busy" not in observer.scrape()
    before = files(tmp_path)
    second = start()
    orders(second).labels("web").inc()
    second.worker.flush()
    assert observer.value('orders_total{channel="web"}') == 8
    assert observer.value("peak") == 9
    assert files(tmp_path) == before


def test_recycled_workers_leave_few_files_and_quick_scrapes(start: Start, tmp_path: Path) -> None:
    observer = start()
    observer.worker.flush()
    for _ in range(5_000):
        process = Process(tmp_path)
        Counter("orders", "Orders.", registry=process.registry).inc()
        process.worker.flush()
        process.die()
    assert len(files(tmp_path)) == 4
    began = time.perf_counter()
    assert observer.value("orders_total") == 5_000
    assert time.perf_counter() - began < 1


def test_five_thousand_dead_workers_at_once(start: Start, tmp_path: Path) -> None:
    one = start()
    registry = CollectorRegistry()
    counter = Counter("orders", "Orders.", ["channel"], registry=registry)
    for number in range(20):
        counter.labels(number).inc()
    snapshot = _snapshot.encode(recorded(registry))
    for number in range(1, 5_001):
        (tmp_path / f"obskit-1-{number:04}.snapshot").write_bytes(snapshot)
    began = time.perf_counter()
    assert one.value('orders_total{channel="7"}') == 5_000
    assert time.perf_counter() - began < 1


def test_what_many_dead_workers_leave_is_bounded(start: Start) -> None:
    process, previous = start(), ""
    with (
        mock.patch.object(_snapshot, "MAX_LINES", 10),
        mock.patch.object(_snapshot, "MAX_PROCESSES", 3),
    ):
        for number in range(20):
            orders(process).labels(f'{number}"').inc()
            sizes = Histogram("size", "S.", ["n"], buckets=(1,), registry=process.registry)
            sizes.labels(number).observe(1)
            gauge = Gauge("level", "L.", registry=process.registry)
            gauge.set(number)
            with mock.patch("os.getpid", lambda number=number: number):
                process.worker.flush()
            process.die()
            process = start()
        previous = process.scrape()
    found = samples(previous)
    assert sum(value for (name, _), value in found.items() if name == "orders_total") == 20
    assert sum(value for (name, _), value in found.items() if name == "size_count") == 20
    assert found["orders_total", (("channel", "_overflow"),)] == 10
    assert found["size_bucket", (("le", "1.0"), ("n", "_overflow"))] == 18
    assert [labels[0][1] for name, labels in found if name == "level"] == ["17", "18", "19"]


def test_two_shapes_of_one_name(start: Start, faults: list[tuple[str, Exception]]) -> None:
    """As while a new version is rolled out: one is shown, and the page stays whole."""
    old, new = start(), start()
    Counter("orders", "Orders.", registry=old.registry).inc()
    Gauge("orders", "Orders.", registry=new.registry, multiprocess_mode="max").set(2)
    new.worker.flush()
    assert samples(old.scrape()) == {("orders_total", ()): 1}
    assert samples(new.scrape()) == {("orders", ()): 2}
    assert {site for site, _ in faults} == {"workers.shape"}


def test_what_of_prometheus_client_is_shown(start: Start) -> None:
    """Its own metrics are this worker's; what would jump between processes is left out."""
    one = start()
    TheirCounter("theirs", "T.", registry=one.registry).inc()
    ProcessCollector(registry=one.registry)
    PlatformCollector(registry=one.registry)
    GCCollector(registry=one.registry)
    page = one.scrape()
    assert "theirs_total 1.0" in page
    assert "python_info" in page
    assert "process_" not in page
    assert "python_gc" not in page


def test_scrapes_and_records_in_many_threads_agree(start: Start) -> None:
    one, two = start(), start()
    counters = [orders(process).labels("web") for process in (one, two)]
    for counter, process in zip(counters, (one, two), strict=True):
        counter.inc()
        process.worker.flush()
        process.worker.start()
    stop = threading.Event()
    seen: list[list[float]] = []

    def record() -> None:
        while not stop.is_set():
            for counter in counters:
                counter.inc()

    def scrape(process: Process) -> None:
        seen.append([process.value('orders_total{channel="web"}') for _ in range(50)])

    recorder = threading.Thread(target=record)
    scrapers = [threading.Thread(target=scrape, args=(process,)) for process in (one, two) * 2]
    for thread in (recorder, *scrapers):
        thread.start()
    for thread in scrapers:
        thread.join()
    stop.set()
    recorder.join()
    assert len(seen) == 4
    assert seen == [sorted(totals) for totals in seen]
    two.worker.stop()
    total = sum(counter._cell.value for counter in counters)
    assert one.value('orders_total{channel="web"}') == total


def test_a_child_begins_at_zero_beside_what_its_parent_has_written(start: Start) -> None:
    """What runs in a forked child, with the parent's slot as one that was left."""
    one = start()
    registry = one.registry
    counter = Counter("orders", "O.", registry=registry)
    gauge = Gauge("level", "G.", registry=registry, multiprocess_mode="sum")
    recent = Gauge("recent", "G.", registry=registry, multiprocess_mode="mostrecent")
    register_internal(registry)
    counter.inc(5)
    gauge.set(2)
    recent.set(3)
    one.worker.flush()
    one.worker._after_fork_in_child()
    counter.inc()
    gauge.inc()
    found = samples(one.scrape())
    assert [found[name, ()] for name in ("orders_total", "level", "recent")] == [6, 3, 3]


def test_a_scrape_does_not_wait_long_for_a_writer_that_hangs(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = start()
    counter = Counter("orders", "O.", registry=one.registry)
    counter.inc()
    one.worker.flush()
    counter.inc()
    monkeypatch.setattr(_worker, "PATIENCE", 0.01)
    with one.worker._lock:
        assert one.value("orders_total") == 1
    assert one.value("orders_total") == 2


def test_outside_of_servers_no_warning_is_given(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_several_workers()
    assert caplog.records == []
    assert _warning._twins() >= 1
    assert _warning._command("none") == b""


# The runtime


def test_configured_again_it_counts_nothing_twice(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    counter = Counter("orders", "Orders.", registry=registry)
    for number in range(3):
        with obskit.configure(workers_dir=str(tmp_path), registry=registry, logging="off") as one:
            counter.inc()
            assert f"orders_total {number + 1}.0" in one.render()[0].decode()
    with obskit.configure(
        workers_dir=str(tmp_path), registry=registry, logging="off", service="x"
    ) as two:
        assert "orders_total 3.0" in two.render()[0].decode()
        with obskit.configure(workers_dir=str(tmp_path), registry=registry, logging="off") as three:
            assert three.worker is two.worker or two.worker is None
            assert "orders_total 3.0" in three.render()[0].decode()


def test_the_last_numbers_are_written_at_shutdown(start: Start, tmp_path: Path) -> None:
    observer = start()
    registry = CollectorRegistry()
    obskit.configure(workers_dir=str(tmp_path), registry=registry, logging="off")

    @obskit.observe("work")
    def work() -> None: ...

    work()
    obskit.shutdown()
    labels = (("error_type", ""), ("operation", "work"), ("outcome", "ok"))
    assert samples(observer.scrape())["operations_total", labels] == 1


def test_flush_writes_them_too(start: Start, tmp_path: Path) -> None:
    observer = start()
    registry = CollectorRegistry()
    with obskit.configure(workers_dir=str(tmp_path), registry=registry, logging="off") as runtime:
        Counter("orders", "Orders.", registry=registry).inc()
        runtime.flush()
        assert observer.value("orders_total") == 1


def test_another_registry_is_this_workers_own(tmp_path: Path) -> None:
    other = CollectorRegistry()
    Counter("orders", "Orders.", registry=other).inc()
    with obskit.configure(
        workers_dir=str(tmp_path), registry=CollectorRegistry(), logging="off"
    ) as runtime:
        assert runtime.render(registry=other) == render(other)


def test_without_a_directory_the_page_is_the_registrys() -> None:
    runtime = active_runtime()
    assert runtime.render(names=["nothing"]) == render(runtime.registry, names=["nothing"])
