"""HTTP metrics without any framework: names as data, requests as operations."""

import logging
import threading
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

import obskit
from obskit.errors import DeclarationError
from obskit.instruments import DEFAULT_HTTP_NAMES, HttpInstrument, HttpNames, HttpRequest
from obskit.runtime import active_runtime
from obskit.testing import Observed


def request(instrument: HttpInstrument, route: Callable[[], str] = lambda: "/r") -> HttpRequest:
    return HttpRequest(
        instrument, method="GET", path="/p", correlation_id="id", headers={}, find_route=route
    )


def test_the_default_families() -> None:
    assert [(spec.kind, spec.name, spec.labels) for spec in DEFAULT_HTTP_NAMES.specs()] == [
        ("counter", "http_requests", ("method", "route", "status")),
        ("histogram", "http_request_duration_seconds", ("method", "route")),
        ("histogram", "http_request_size_bytes", ("method", "route")),
        ("histogram", "http_response_size_bytes", ("method", "route")),
        ("gauge", "http_requests_in_progress", ("method", "route")),
    ]


@pytest.mark.parametrize(
    "given",
    [
        {"requests": "a b"},
        {"method": "le"},
        {"route": "__x"},
        {"buckets": (2.0, 1.0)},
        {"request_size": "http_response_size_bytes"},
        {"in_progress": "http_requests"},
        {"route": "method"},
        {"status": "route"},
    ],
    ids=str,
)
def test_wrong_names_are_refused_at_once(given: dict[str, str]) -> None:
    with pytest.raises(DeclarationError):
        HttpNames(**given)  # type: ignore[arg-type] # what the test is about


@pytest.mark.parametrize("status", [200, 404, 500, 503, None])
def test_an_answered_request_is_counted_once(observed: Observed, status: int | None) -> None:
    instrument = HttpInstrument(active_runtime())
    one = request(instrument)
    one.begin()
    one.enter()
    one.status = status
    one.answered()
    assert observed.in_flight() == []
    one.end()
    one.end(ValueError("late"))
    one.leave()
    assert observed.metrics.delta("http_requests_total", status=str(status or 500)) == 1


def test_the_route_may_be_unknown_until_the_end(observed: Observed) -> None:
    found = ["unmatched"]
    one = request(HttpInstrument(active_runtime()), lambda: found[-1])
    one.begin()
    one.enter()
    assert observed.metrics.value("http_requests_in_progress", route="unmatched") == 1
    found.append("/items/{id}")
    assert observed.metrics.value("http_requests_in_progress", route="/items/{id}") == 1
    one.end()
    one.leave()
    observed.operation("GET /items/{id}").once()


def test_a_scrape_in_another_thread_sees_it(observed: Observed) -> None:
    one = request(HttpInstrument(active_runtime()))
    one.begin()
    one.enter()
    seen: list[float] = []
    thread = threading.Thread(
        target=lambda: seen.append(observed.metrics.value("http_requests_in_progress"))
    )
    thread.start()
    thread.join()
    one.end()
    one.leave()
    assert seen == [1]


def test_lines_go_to_the_host_s_logging_where_that_was_left_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    registry = CollectorRegistry()
    obskit.configure(logging="off", tracing="off", registry=registry)
    one = request(HttpInstrument(active_runtime()))
    one.begin()
    one.end()
    (record,) = [record for record in caplog.records if record.name == "obskit.access"]
    assert (record.getMessage(), record.levelname) == ("http request", "ERROR")
    assert vars(record)["status"] == 500


def test_without_a_configuration_it_is_counted_and_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    runtime = active_runtime()
    one = request(HttpInstrument(runtime))
    one.begin()
    one.end()
    assert not [record for record in caplog.records if record.name == "obskit.access"]
    labels = {"method": "GET", "route": "/r", "status": "500"}
    assert (runtime.registry.get_sample_value("http_requests_total", labels) or 0) >= 1
