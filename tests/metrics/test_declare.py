"""Families in registries."""

import threading
from dataclasses import replace

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry

from obskit.errors import DuplicateError
from obskit.metrics import Counter, Family, Gauge, Histogram, MetricSpec, declare, undeclare

ORDERS = MetricSpec("counter", "orders", "Orders placed.", ("channel",))


def test_the_same_shape_is_the_same_family(registry: CollectorRegistry) -> None:
    family = declare(registry, ORDERS)
    assert declare(registry, replace(ORDERS, help="Other words.")) is family
    assert declare(CollectorRegistry(), ORDERS) is not family


@pytest.mark.parametrize(
    "other",
    [
        MetricSpec("gauge", "orders", "", ("channel",)),
        MetricSpec("counter", "orders", "", ("channel", "card")),
        MetricSpec("gauge", "orders_total", ""),
        MetricSpec("histogram", "orders", "", ("channel",)),
    ],
)
def test_another_shape_under_a_taken_name_is_refused(
    registry: CollectorRegistry, other: MetricSpec
) -> None:
    declare(registry, ORDERS)
    with pytest.raises(DuplicateError) as caught:
        declare(registry, other)
    assert str(other) in str(caught.value)
    assert str(ORDERS) in str(caught.value)
    assert "choose another name" in str(caught.value)


def test_other_buckets_or_another_merging_are_another_shape(registry: CollectorRegistry) -> None:
    Histogram("seconds", "", buckets=(1, 2), registry=registry)
    with pytest.raises(DuplicateError, match=r"buckets 1\.0, 3\.0"):
        Histogram("seconds", "", buckets=(1, 3), registry=registry)
    Gauge("level", "", multiprocess_mode="max", registry=registry)
    with pytest.raises(DuplicateError, match="merged by max"):
        Gauge("level", "", registry=registry)


def test_a_name_that_prometheus_client_holds_is_refused(registry: CollectorRegistry) -> None:
    prometheus_client.Counter("orders", "", registry=registry)
    with pytest.raises(DuplicateError, match=r"taken in this registry by a Counter;.* namespace="):
        declare(registry, ORDERS)
    prometheus_client.Counter("sales", "", ["a", "b"], registry=registry)
    with pytest.raises(DuplicateError, match=r"by a Counter with the labels \{a,b\}"):
        declare(registry, replace(ORDERS, name="sales"))
    prometheus_client.Gauge("seconds_count", "", registry=registry)
    with pytest.raises(DuplicateError, match="'seconds_count' is taken"):
        Histogram("seconds", "", registry=registry)


def test_prometheus_client_refuses_a_name_that_is_ours(registry: CollectorRegistry) -> None:
    declare(registry, ORDERS)
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        prometheus_client.Counter("orders", "", registry=registry)


def test_what_was_undeclared_can_be_declared_otherwise(registry: CollectorRegistry) -> None:
    family = declare(registry, ORDERS)
    undeclare(registry, family)
    undeclare(registry, family)
    assert declare(registry, MetricSpec("gauge", "orders", "")) is not family


def test_an_instrument_registered_by_hand_is_found(registry: CollectorRegistry) -> None:
    orders = Counter("orders", "", ["channel"], registry=None)
    registry.register(orders)
    assert declare(registry, ORDERS) is orders.family
    registry.unregister(orders)
    assert declare(registry, ORDERS) is not orders.family


class LateRegistry(CollectorRegistry):
    """A registry in which somebody else is quicker, once."""

    def __init__(self, winner: Family | object) -> None:
        super().__init__()
        self._winner = winner

    def register(self, collector: object) -> None:
        winner, self._winner = self._winner, None
        if winner is not None:
            super().register(winner)  # type: ignore[arg-type] # a collector, or something that fails
        super().register(collector)  # type: ignore[arg-type] # the same


def test_losing_a_race_gives_the_winners_family() -> None:
    winner = Family(ORDERS)
    assert declare(LateRegistry(winner), ORDERS) is winner


def test_a_registry_that_refuses_for_its_own_reasons_is_heard() -> None:
    class Refusing(CollectorRegistry):
        def register(self, collector: object) -> None:
            raise ValueError("closed")

    with pytest.raises(ValueError, match="closed"):
        declare(Refusing(), ORDERS)


def test_threads_that_declare_at_once_share_one_family(registry: CollectorRegistry) -> None:
    families: list[Family] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait(10)
        families.append(declare(registry, ORDERS))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(families) == 8
    assert len(set(families)) == 1
