"""What a scrape gets."""

from collections.abc import Iterable

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder, generate_latest

from obskit.metrics import Counter, Gauge, Histogram, render

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Failing:
    """A collector that fails: at once, half-way, or with a value that is no number."""

    def __init__(self, how: str) -> None:
        self._how = how

    def collect(self) -> Iterable[Metric]:
        if self._how == "at once":
            raise RuntimeError("broken")
        metric = Metric("faulty", "", "gauge")
        metric.add_sample("faulty", {}, "no number" if self._how == "value" else 1.0)  # type: ignore[arg-type] # the fault
        yield metric
        if self._how == "half-way":
            raise RuntimeError("broken")


@pytest.fixture
def filled(registry: CollectorRegistry) -> CollectorRegistry:
    """One of each, ours and theirs."""
    registry.set_target_info({"service": "orders"})
    Counter("orders", "Orders.", ["channel"], registry=registry).labels("web").inc(
        2, {"trace_id": "abc"}
    )
    Gauge("level", "Level.", unit="meters", registry=registry).set(3)
    Histogram("seconds", "Latency.", buckets=(1, 2), registry=registry).observe(1.5)
    prometheus_client.Counter("theirs", "Theirs.", registry=registry).inc()
    prometheus_client.Info("build", "Build.", registry=registry).info({"version": "1"})
    return registry


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "text/plain",
        "text/plain; version=1.0.0; escaping=allow-utf-8",
        "*/*",
        OPENMETRICS,
        "application/openmetrics-text",
        "application/openmetrics-text; version=1.0.0; escaping=dots, text/plain;q=0.5",
    ],
)
def test_a_page_has_the_bytes_of_prometheus_client(filled: CollectorRegistry, accept: str) -> None:
    encoder, content_type = choose_encoder(accept)
    assert render(filled, accept) == (encoder(filled), content_type)


@given(accept=st.text() | st.builds("{}; version={}".format, st.just("text/plain"), st.text()))
def test_any_accept_header_gets_a_page(accept: str) -> None:
    body, content_type = render(CollectorRegistry(), accept)
    assert body in {b"", b"# EOF\n"}
    assert content_type


def test_a_version_that_is_no_number_gets_plain_text(filled: CollectorRegistry) -> None:
    assert render(filled, "text/plain; version=x.y") == render(filled)


@pytest.mark.parametrize("how", ["at once", "half-way", "value"])
@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_a_faulty_collector_does_not_take_the_others_with_it(
    filled: CollectorRegistry, faults: list[tuple[str, Exception]], how: str, accept: str
) -> None:
    expected = render(filled, accept)
    filled.register(Failing(how))
    assert render(filled, accept) == expected
    assert [site for site, _ in faults] == ["metrics.collect"]


def test_only_the_samples_asked_for_are_shown(filled: CollectorRegistry) -> None:
    names = ["orders_total", "seconds_sum", "target_info"]
    body, _ = render(filled, "", names)
    lines = body.decode().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        'target_info{service="orders"} 1.0',
        'orders_total{channel="web"} 2.0',
        "seconds_sum 1.5",
    ]
    theirs = generate_latest(filled.restricted_registry(names)).decode().splitlines()
    assert sorted(lines) == sorted(theirs)


def test_a_collector_without_declared_names_is_asked_for_them(registry: CollectorRegistry) -> None:
    registry.register(Failing("not at all"))
    assert render(registry, "", ["faulty"])[0].endswith(b"faulty 1.0\n")
    assert render(registry, "", ["other"])[0] == b""


def test_an_empty_registry_is_an_empty_page(registry: CollectorRegistry) -> None:
    assert render(registry)[0] == b""
    assert render(registry, OPENMETRICS)[0] == b"# EOF\n"
