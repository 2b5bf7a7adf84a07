"""The metrics of one configuration: what happens when their names are taken."""

from collections.abc import Generator
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

import obskit
from obskit._guard import guard
from obskit.errors import DuplicateError
from obskit.metrics import MetricSpec
from obskit.runtime import MetricStore, active_runtime

SECONDS = MetricSpec("histogram", "seconds", "", ("operation",), buckets=(1.0, 2.0))
OTHERWISE = replace(SECONDS, buckets=(1.0, 5.0))


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def store(registry: CollectorRegistry) -> MetricStore:
    return MetricStore(registry, namespace="shop", max_series=10)


@pytest.fixture
def faults() -> Generator[list[tuple[str, Exception]]]:
    with guard.recording() as recorded:
        yield recorded


def running() -> Gauge:
    return Gauge("shop_running", "", registry=None)


def test_a_taken_name_is_reported_once_with_both_shapes_and_the_remedy(
    registry: CollectorRegistry, store: MetricStore, faults: list[tuple[str, Exception]]
) -> None:
    Counter("shop_seconds", "The host's.", ["a"], registry=registry)
    for _ in range(2):
        store.family(SECONDS).cell(("x",)).observe(1)
    ((site, error),) = faults
    assert (site, type(error)) == ("metrics.declare", DuplicateError)
    for part in ("histogram shop_seconds{operation}", "Counter", "{a}", "namespace="):
        assert part in str(error)


@pytest.mark.parametrize("kept_out", [True, False])
def test_a_taken_name_does_not_keep_obskits_own_counts_out(
    kept_out: bool, registry: CollectorRegistry, store: MetricStore
) -> None:
    if kept_out:
        Counter("shop_seconds", "", registry=registry)
    store.family(SECONDS)
    assert b"obskit_dropped_series" in generate_latest(registry)


def test_taken_names_of_obskits_own_counts_do_not_keep_metrics_out(
    registry: CollectorRegistry, store: MetricStore, faults: list[tuple[str, Exception]]
) -> None:
    Gauge("obskit_dropped_series", "The host's.", registry=registry)
    store.family(SECONDS).cell(("x",)).observe(1)
    assert registry.get_sample_value("shop_seconds_count", {"operation": "x"}) == 1
    assert [type(error) for _, error in faults] == [DuplicateError]


def test_a_check_finds_what_the_registry_holds(
    registry: CollectorRegistry, store: MetricStore
) -> None:
    Counter("shop_seconds", "", registry=registry)
    with pytest.raises(DuplicateError, match=r"shop_seconds.*taken.*namespace="):
        store.check(SECONDS)


def test_a_check_finds_what_was_checked_before(
    registry: CollectorRegistry, store: MetricStore
) -> None:
    store.check(SECONDS)
    store.check(replace(SECONDS, help="Other words."))
    assert generate_latest(registry) == b""
    with pytest.raises(DuplicateError, match=r"2\.0, inf; choose another name"):
        store.check(OTHERWISE)


def test_a_check_of_the_same_shape_passes_once_declared(store: MetricStore) -> None:
    store.family(SECONDS)
    store.check(SECONDS)
    with pytest.raises(DuplicateError):
        store.check(OTHERWISE)


def test_a_gauge_of_the_stores_own_is_shared_by_declarations(store: MetricStore) -> None:
    for labels in ((), ("operation",)):
        store.check(MetricSpec("gauge", "running", "", labels))
    store.collector("running", running)
    store.check(MetricSpec("gauge", "running", ""))


def test_a_collector_whose_name_is_taken_is_reported_with_the_remedy(
    registry: CollectorRegistry, store: MetricStore, faults: list[tuple[str, Exception]]
) -> None:
    gauge = Gauge("shop_running", "The host's.", registry=registry)
    store.collector("running", running)
    ((site, error),) = faults
    assert site == "metrics.declare"
    assert "cannot declare shop_running" in str(error)
    assert "namespace=" in str(error)
    store.detach()
    assert [family.name for family in registry.collect()] == [gauge._name]


def test_a_registry_that_fails_is_reported(faults: list[tuple[str, Exception]]) -> None:
    class Failing(CollectorRegistry):
        def register(self, collector: object) -> None:
            raise OSError

    store = MetricStore(Failing(), namespace="", max_series=10)
    store.collector("running", running)
    assert [type(error) for _, error in faults] == [OSError, OSError]


def test_detaching_leaves_nothing_behind_and_attaching_brings_it_back(
    registry: CollectorRegistry, store: MetricStore
) -> None:
    store.attach()
    assert generate_latest(registry) == b""
    store.family(SECONDS).cell(("x",)).observe(1)
    before = generate_latest(registry)
    store.detach()
    store.detach()
    assert generate_latest(registry) == b""
    store.attach()
    assert sorted(generate_latest(registry).splitlines()) == sorted(before.splitlines())


def count(registry: CollectorRegistry, prefix: str = "") -> float | None:
    labels = {"operation": "work", "outcome": "ok", "error_type": ""}
    return registry.get_sample_value(f"{prefix}operations_total", labels)


def test_metrics_configured_again_go_on_counting(registry: CollectorRegistry) -> None:
    for namespace in ("", "shop", "", "shop", "shop"):
        obskit.configure(registry=registry, namespace=namespace, logging="off")
        with obskit.observe("work"):
            pass
    assert count(registry, "shop_") == 3
    assert count(registry) is None
    obskit.configure(registry=registry, logging="off")
    assert count(registry) == 2
    obskit.shutdown()
    assert generate_latest(registry) == b""


@pytest.mark.usefixtures("alone")
def test_the_metrics_of_few_former_configurations_are_kept(registry: CollectorRegistry) -> None:
    obskit.configure(registry=registry, logging="off")
    with obskit.observe("work"):
        pass
    for number in range(20):
        obskit.configure(registry=registry, namespace=f"n{number}", logging="off")
    obskit.configure(registry=registry, logging="off")
    assert count(registry) is None


def test_the_metrics_of_a_configuration_to_come_back_to_are_always_kept(
    registry: CollectorRegistry,
) -> None:
    with obskit.configure(registry=registry, logging="off") as outer:
        with obskit.observe("work"):
            pass
        for number in range(20):
            with obskit.configure(registry=registry, namespace=f"n{number}", logging="off"):
                pass
        assert active_runtime() is outer
        assert count(registry) == 1
