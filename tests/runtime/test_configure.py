"""`configure`: what it makes, what undoes it, and what it leaves alone."""

import itertools
import logging
import sys
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY, CollectorRegistry, Gauge, generate_latest

import obskit
from obskit._guard import guard
from obskit.errors import ConfigurationError, DuplicateError, MissingExtraError, UnknownSettingError
from obskit.logs import is_ours
from obskit.runtime import active_runtime
from obskit.testing import observing


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture(autouse=True)
def faults() -> Generator[list[tuple[str, Exception]]]:
    """The faults of a test: it has to take those that it provokes, and others fail it."""
    with guard.recording() as recorded:
        yield recorded
    assert recorded == []


def taken(faults: list[tuple[str, Exception]]) -> list[str]:
    sites = [site for site, _ in faults]
    faults.clear()
    return sites


def count(registry: CollectorRegistry, operation: str = "work", prefix: str = "") -> float | None:
    labels = {"operation": operation, "outcome": "ok", "error_type": ""}
    return registry.get_sample_value(f"{prefix}operations_total", labels)


def work() -> None: ...


def seven() -> int:
    return 7


def test_decorating_before_and_after_is_the_same(registry: CollectorRegistry) -> None:
    before = obskit.observe("before")(work)
    with obskit.configure(registry=registry, logging="off"):
        after = obskit.observe("after")(work)
        before()
        after()
        assert count(registry, "before") == count(registry, "after") == 1


def test_an_unconfigured_operation_counts_in_the_default_registry() -> None:
    obskit.observe("unconfigured")(work)()
    assert count(REGISTRY, "unconfigured") == 1


def test_metrics_move_to_the_registry_and_back_with_their_counts(
    registry: CollectorRegistry,
) -> None:
    decorated = obskit.observe("moves")(work)
    decorated()
    with obskit.configure(registry=registry, logging="off"):
        decorated()
        assert count(REGISTRY, "moves") is None
        assert count(registry, "moves") == 1
    assert count(registry, "moves") is None
    decorated()
    assert count(REGISTRY, "moves") == 2
    with obskit.configure(registry=registry, logging="off"):
        assert count(registry, "moves") == 1  # the same metrics again go on counting
    with obskit.configure(registry=CollectorRegistry(), logging="off") as runtime:
        assert count(runtime.registry, "moves") == 0  # others begin at nothing


def test_another_configuration_of_the_same_metrics_goes_on_counting(
    registry: CollectorRegistry,
) -> None:
    decorated = obskit.observe("work")(work)
    with obskit.configure(registry=registry, service="a", logging="off"):
        decorated()
        with (
            obskit.observe("block"),
            obskit.configure(registry=registry, service="b", logging="off"),
        ):
            decorated()
            assert count(registry) == 2
            running = {"operation": "block"}
            assert registry.get_sample_value("operations_in_progress", running) == 1
        decorated()
        assert count(registry) == 3
        assert registry.get_sample_value("operations_in_progress", running) == 0


def test_the_namespace_is_in_front_of_every_name(registry: CollectorRegistry) -> None:
    with obskit.configure(registry=registry, namespace="shop", logging="off"):
        obskit.observe("work")(work)()
        assert count(registry, prefix="shop_") == 1
        names = {metric.name for metric in registry.collect()}
    assert {name for name in names if not name.startswith(("shop_", "obskit_"))} == set()
    assert "shop_operations_in_progress" in names


def test_settings_reach_the_runtime() -> None:
    with obskit.configure(service="orders", version="1.4.2", environment="prod") as runtime:
        assert runtime.settings.service == "orders"
        assert runtime.configured
        assert active_runtime() is runtime
    assert not runtime.configured


def test_the_same_settings_again_change_nothing() -> None:
    first = obskit.configure(service="orders", logging="off")
    assert obskit.configure(service="orders", logging="off") is first
    assert obskit.configure(service="other", logging="off") is not first


def test_each_hold_is_given_up_by_itself() -> None:
    with obskit.configure(service="orders", logging="off") as outer:
        with obskit.configure(service="orders", logging="off") as inner:
            assert inner is outer
        assert active_runtime() is outer
    assert not active_runtime().configured


ORDERS = list(itertools.permutations(range(3)))


@pytest.mark.parametrize("order", ORDERS)
def test_configurations_may_be_left_in_any_order(order: tuple[int, ...]) -> None:
    """The one active is the innermost that nobody has left; in the end there is none."""
    before = active_runtime()
    runtimes = [
        obskit.configure(service=f"s{number}", logging="off").__enter__() for number in range(3)
    ]
    held = dict(enumerate(runtimes))
    for number in order:
        was_active = active_runtime()
        runtimes[number].__exit__(None, None, None)
        del held[number]
        if was_active is runtimes[number]:
            assert active_runtime() is (held[max(held)] if held else before)
        else:
            assert active_runtime() is was_active
    assert active_runtime() is before


@pytest.mark.parametrize("again", [1, 2])
def test_closing_twice_is_closing_once(again: int) -> None:
    first = obskit.configure(service="a", logging="off").__enter__()
    second = obskit.configure(service="b", logging="off")
    for _ in range(again):
        second.close()
    assert active_runtime() is first
    first.close()
    assert not active_runtime().configured


def test_a_configuration_that_is_replaced_is_not_come_back_to() -> None:
    obskit.configure(service="a", logging="off")
    second = obskit.configure(service="b", logging="off")
    obskit.configure(service="c", logging="off")
    second.close()
    assert active_runtime().settings.service == "c"


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"servce": "x"}, UnknownSettingError),
        ({"shutdown_timeout": "soon"}, ConfigurationError),
        ({"namespace": "not a name"}, ConfigurationError),
    ],
)
def test_a_wrong_setting_leaves_everything_as_it_was(
    settings: dict[str, Any], error: type[Exception]
) -> None:
    with obskit.configure(service="orders", logging="off") as runtime:
        with pytest.raises(error):
            obskit.configure(**settings)
        assert active_runtime() is runtime


@pytest.mark.parametrize("same_registry", [True, False])
def test_a_configuration_that_cannot_start_leaves_the_former_at_work(
    same_registry: bool, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its metrics go on, too: counts, what is in progress, and families declared afterwards."""
    name = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with obskit.configure(service="a", registry=registry, tracing=provider) as runtime:
        decorated = obskit.observe("work")(work)
        decorated()
        with obskit.observe("around"), monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            with pytest.raises(MissingExtraError, match=r"obskit-instrumentation\[otlp\]"):
                obskit.configure(
                    service="b",
                    tracing="otlp",
                    registry=registry if same_registry else CollectorRegistry(),
                )
            assert active_runtime() is runtime
            assert runtime.configured
            decorated()
            running = {"operation": "around"}
            assert registry.get_sample_value("operations_in_progress", running) == 1
        obskit.observe("later")(work)()
        assert count(registry) == 2
        assert count(registry, "later") == 1
        assert [span.name for span in exporter.get_finished_spans()] == [
            *("work", "work", "around", "later")
        ]


@pytest.mark.parametrize("configured", [True, False])
def test_logging_that_cannot_be_taken_over_stays_with_the_former(
    configured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if configured:
        obskit.configure(service="a", logging="own")
    before, handlers = active_runtime(), len(logging.root.handlers)
    add, failures = logging.root.addHandler, [KeyboardInterrupt()]

    def interrupted(handler: logging.Handler) -> None:
        if failures:
            raise failures.pop()
        add(handler)

    monkeypatch.setattr(logging.root, "addHandler", interrupted)
    with pytest.raises(KeyboardInterrupt):
        obskit.configure(service="b", logging="own")
    assert active_runtime() is before
    assert before.configured is configured
    assert (before.logs is not None) is configured
    assert len(logging.root.handlers) == handlers


def test_a_missing_extra_leaves_an_unconfigured_process_unconfigured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handlers = list(logging.root.handlers)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ImportError, match="tracing='otlp' needs the extra 'otlp'"):
        obskit.configure(tracing="otlp")
    assert not active_runtime().configured
    assert logging.root.handlers == handlers


@pytest.mark.parametrize(
    "name", ["operations_total", "operation_duration_seconds", "operations_in_progress"]
)
def test_a_name_that_the_host_uses_is_left_to_the_host(
    name: str, registry: CollectorRegistry, faults: list[tuple[str, Exception]]
) -> None:
    decorated = obskit.observe("work")(seven)
    gauge = Gauge(name, "The host's own.", registry=registry)
    gauge.set(42)
    with obskit.configure(registry=registry, logging="off"):
        assert [decorated(), decorated()] == [7, 7]
    assert registry.get_sample_value(name) == 42
    assert taken(faults) == ["metrics.declare"]


@pytest.mark.parametrize(
    "name", ["operations_total", "operation_duration_seconds", "operations_in_progress"]
)
def test_decorating_under_a_name_that_the_host_uses_is_refused(
    name: str, registry: CollectorRegistry, faults: list[tuple[str, Exception]]
) -> None:
    """Once a configuration tells where the metrics will be."""
    Gauge(name, "The host's own.", registry=registry)
    taken_by_the_host = pytest.raises(DuplicateError, match=f"'{name}' is taken .*; set namespace=")
    with obskit.configure(registry=registry, logging="off"), taken_by_the_host:
        obskit.observe("work")(seven)
    with obskit.configure(registry=registry, logging="off", namespace="shop"):
        assert obskit.observe("work")(seven)() == 7
    faults.clear()  # functions that other tests have decorated are told, too


def test_undo_gives_logging_and_structlog_back() -> None:
    handlers, level = list(logging.root.handlers), logging.root.level
    with obskit.configure(logging="own", log_level="debug"):
        assert logging.root.handlers != handlers
        assert is_ours()
    assert (logging.root.handlers, logging.root.level) == (handlers, level)
    assert not structlog.is_configured()


def test_logging_off_leaves_logging_alone(caplog: pytest.LogCaptureFixture) -> None:
    """Lines of obskit's own then go through the host's logging."""
    handlers = list(logging.root.handlers)
    with obskit.configure(logging="off", tracing="off", registry=CollectorRegistry()):
        assert logging.root.handlers == handlers
        with pytest.raises(ValueError, match="x"), obskit.observe("work"):
            raise ValueError("x")
    (record,) = (each for each in caplog.records if each.getMessage() == "operation failed")
    assert record.name == __name__
    assert record.operation == "work"  # type: ignore[attr-defined] # given as extra
    assert record.exc_info is not None


def test_unconfigured_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match="x"), obskit.observe("unconfigured"):
        raise ValueError("x")
    assert caplog.records == []


def test_lines_below_the_level_are_not_made(registry: CollectorRegistry) -> None:
    with obskit.configure(log_level="critical"), observing() as observed:
        with pytest.raises(ValueError, match="x"), obskit.observe("work"):
            raise ValueError("x")
        observed.logs.none(event="operation failed")


def test_a_provider_of_the_hosts_is_used_and_left_running() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with obskit.configure(tracing=provider, logging="off"):
        obskit.observe("work")(work)()
    with provider.get_tracer("host").start_as_current_span("host"):
        pass
    assert [span.name for span in exporter.get_finished_spans()] == ["work", "host"]


def test_shutdown_twice_is_shutdown_once_and_calls_go_on(registry: CollectorRegistry) -> None:
    obskit.configure(registry=registry, logging="off")
    decorated = obskit.observe("outlives")(seven)
    decorated()
    obskit.shutdown()
    obskit.shutdown()
    assert decorated() == 7
    assert not active_runtime().configured
    assert count(registry, "outlives") is None
    assert count(REGISTRY, "outlives") == 1


def test_an_operation_may_begin_before_and_end_after_the_shutdown(
    registry: CollectorRegistry,
) -> None:
    obskit.configure(registry=registry, logging="off")
    with obskit.observe("around"):
        obskit.shutdown()
    assert obskit.current().name == ""
    with obskit.observe("around"), obskit.configure(registry=registry, logging="off"):
        pass
    assert REGISTRY.get_sample_value("operations_in_progress", {"operation": "around"}) == 0


def call_until(stop: threading.Event) -> None:
    decorated = obskit.observe("busy")(seven)
    while not stop.is_set():
        assert decorated() == 7


def configure_often(number: int) -> None:
    for turn in range(20):
        with obskit.configure(service=f"s{number}-{turn}", logging="off", tracing="off"):
            obskit.observe("busy")(seven)()
        if turn % 5 == 0:
            obskit.shutdown()


def test_calls_while_others_configure_and_shut_down() -> None:
    """No call fails, and none stays in flight."""
    stop = threading.Event()
    with ThreadPoolExecutor(6) as pool:
        callers = [pool.submit(call_until, stop) for _ in range(2)]
        list(pool.map(configure_often, range(4)))
        stop.set()
        assert [caller.result() for caller in callers] == [None, None]
    obskit.shutdown()
    generate_latest(REGISTRY)
    assert active_runtime().store.in_flight == set()


def test_the_same_configuration_from_many_threads_is_one() -> None:
    barrier = threading.Barrier(8)

    def configure(_: int) -> obskit.Runtime:
        barrier.wait()
        return obskit.configure(service="orders", logging="off")

    with ThreadPoolExecutor(8) as pool:
        runtimes = set(pool.map(configure, range(8)))
    assert len(runtimes) == 1


def test_a_recorder_inside_a_recorder_takes_everything_for_a_while() -> None:
    decorated = obskit.observe("work")(work)
    with observing() as outer:
        with observing() as inner:
            decorated()
        with obskit.configure(service="orders"):
            decorated()
            obskit.get_logger("test").info("outer")
        inner.operation("work").once()
        outer.operation("work").once()
        assert outer.logs.one(event="outer")["service"] == "orders"


def test_a_recorder_cannot_be_closed_by_what_it_records() -> None:
    with observing() as observed:
        active_runtime().close()
        obskit.observe("work")(work)()
        observed.operation("work").once()


@pytest.mark.usefixtures("alone")
def test_the_gauge_shows_no_more_idle_operations_than_the_settings_allow(
    registry: CollectorRegistry,
) -> None:
    with obskit.configure(registry=registry, logging="off", max_series=3):
        for number in range(5):
            obskit.observe(f"work-{number}")(work)()
        (gauge,) = (each for each in registry.collect() if each.name == "operations_in_progress")
    assert [sample.labels["operation"] for sample in gauge.samples] == [
        *("work-0", "work-1", "work-2")
    ]


def test_a_configuration_under_a_recorder_does_not_outlast_it() -> None:
    with observing() as observed:
        obskit.configure(service="orders")
        obskit.get_logger("test").info("inside")
        assert observed.logs.one(event="inside")["service"] == "orders"
    assert not active_runtime().configured


def test_spans_waiting_are_sent_by_a_flush(registry: CollectorRegistry) -> None:
    with obskit.configure(tracing="off", logging="off", registry=registry) as runtime:
        runtime.flush()
    with observing() as observed, obskit.configure(service="orders") as runtime:
        obskit.observe("work")(work)()
        runtime.flush()
        assert len(observed.spans.all("work")) == 1


def test_a_listed_operation_is_what_runs_now(registry: CollectorRegistry) -> None:
    with obskit.configure(registry=registry, logging="off", namespace="shop"):
        decorated: Any = obskit.observe("work")(
            lambda: registry.get_sample_value("shop_operations_in_progress", {"operation": "work"})
        )
        assert decorated() == 1
        assert registry.get_sample_value("shop_operations_in_progress", {"operation": "work"}) == 0


def test_a_host_that_empties_its_registry_is_not_hindered(registry: CollectorRegistry) -> None:
    """Whatever the host takes out stays its business, also when obskit takes out its own."""
    with obskit.configure(registry=registry, logging="off"):
        obskit.observe("work")(work)()
        for collector in list(registry._collector_to_names):
            registry.unregister(collector)
        obskit.observe("work")(work)()
