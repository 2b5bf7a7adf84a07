"""What obskit says about itself."""

import pytest
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from obskit._guard import Guard
from obskit.errors import DuplicateError
from obskit.metrics import (
    Engine,
    Family,
    InternalMetrics,
    MetricSpec,
    register_internal,
    unregister_internal,
)


def test_faults_and_losses_are_shown(registry: CollectorRegistry, engine: Engine) -> None:
    faults = Guard()
    registry.register(InternalMetrics(faults, engine))
    faults.report("operation.finish", RuntimeError())
    family = Family(MetricSpec("counter", "orders", "", ("x",)), max_series=0, engine=engine)
    family.cell(("a",)).count(-1)
    faults.dropped_spans.add("queue_full", 3)
    shown = {
        line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")
    }
    assert shown == {
        'obskit_internal_errors_total{site="operation.finish"} 1.0',
        'obskit_dropped_series_total{family="orders"} 1.0',
        'obskit_dropped_spans_total{reason="queue_full"} 3.0',
        'obskit_dropped_observations_total{reason="overflow"} 0.0',
        'obskit_dropped_observations_total{reason="refused"} 1.0',
    }


def test_registering_twice_is_registering_once(registry: CollectorRegistry) -> None:
    collector = register_internal(registry)
    assert register_internal(registry) is collector
    unregister_internal(registry)
    unregister_internal(registry)
    assert generate_latest(registry) == b""
    assert register_internal(registry) is not collector


def test_a_taken_name_is_refused(registry: CollectorRegistry) -> None:
    Gauge("obskit_dropped_series", "", registry=registry)
    with pytest.raises(DuplicateError, match="obskit_dropped_series"):
        register_internal(registry)
