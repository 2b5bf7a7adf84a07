"""HTTP metrics without any framework: names as data, requests as operations."""

import logging
import re
import threading
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from tests.kits.requests import answer, new_instrument, new_request

import obskit
from obskit.clock import ManualClock
from obskit.errors import DeclarationError
from obskit.instruments import DEFAULT_HTTP_NAMES, OTEL_HTTP_NAMES, HttpNames, RequestLabel
from obskit.runtime import active_runtime
from obskit.testing import Observed, observing


def test_the_default_families() -> None:
    assert [(spec.kind, spec.name, spec.labels) for spec in DEFAULT_HTTP_NAMES.specs()] == [
        ("counter", "http_requests", ("method", "route", "status")),
        ("histogram", "http_request_duration_seconds", ("method", "route")),
        ("histogram", "http_request_size_bytes", ("method", "route")),
        ("histogram", "http_response_size_bytes", ("method", "route")),
        ("gauge", "http_requests_in_progress", ("method", "route")),
    ]


def test_the_families_of_opentelemetry() -> None:
    every = (
        *("http_request_method", "http_route", "http_response_status_code"),
        *("url_scheme", "error_type", "network_protocol_version"),
    )
    assert [(spec.kind, spec.name, spec.labels) for spec in OTEL_HTTP_NAMES.specs()] == [
        ("histogram", "http_server_request_duration_seconds", every),
        ("histogram", "http_server_request_body_size_bytes", every),
        ("histogram", "http_server_response_body_size_bytes", every),
        ("gauge", "http_server_active_requests", ("http_request_method", "url_scheme")),
    ]
    assert OTEL_HTTP_NAMES.specs()[0].buckets[:4] == (0.005, 0.01, 0.025, 0.05)


def test_names_with_another_beginning() -> None:
    names = HttpNames.prefixed("web", route="endpoint", in_progress=None)
    assert [spec.name for spec in names.specs()] == [
        "web_requests",
        "web_request_duration_seconds",
        "web_request_size_bytes",
        "web_response_size_bytes",
    ]
    assert names.specs()[0].labels == ("method", "endpoint", "status")


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
        {"requests_labels": ("method", "path")},
        {"duration_labels": ["method"]},
        {"in_progress_labels": ("status",)},
    ],
    ids=str,
)
def test_wrong_names_are_refused_at_once(given: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError):
        HttpNames(**given)


@pytest.mark.parametrize("status", [200, 404, 500, 503, None])
def test_an_answered_request_is_counted_once(observed: Observed, status: int | None) -> None:
    one = new_request()
    answer(one, status)
    one.end(ValueError("late"))
    assert observed.in_flight() == []
    assert observed.metrics.delta("http_requests_total", status=str(status or 500)) == 1


def test_the_route_may_be_unknown_until_the_end(observed: Observed) -> None:
    found = ["unmatched"]
    one = new_request(route=lambda _: found[-1])
    one.begin()
    one.enter()
    assert observed.metrics.value("http_requests_in_progress", route="unmatched") == 1
    found.append("/items/{id}")
    assert observed.metrics.value("http_requests_in_progress", route="/items/{id}") == 1
    one.end()
    one.leave()
    observed.operation("GET /items/{id}").once()


def test_a_request_is_told_by_its_method_until_it_has_ended(observed: Observed) -> None:
    one = new_request(headers={"x-request-id": "abc"})
    one.begin()
    one.enter()
    (running,) = obskit.in_flight()
    assert (running.name, running.correlation_id) == ("GET", "abc")
    assert running.labels == {"method": "GET", "route": "/r"}
    one.end()
    one.leave()


def test_a_scrape_in_another_thread_sees_it(observed: Observed) -> None:
    one = new_request()
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


def test_status_codes_by_class(observed: Observed) -> None:
    instrument = new_instrument(names=HttpNames(group_status=True))
    for status in (200, 204, 404, 503):
        answer(new_request(instrument), status)
    counted = {
        status: observed.metrics.value("http_requests_total", status=status)
        for status in ("2xx", "4xx", "5xx")
    }
    assert counted == {"2xx": 2, "4xx": 1, "5xx": 1}


def test_the_convention_of_opentelemetry(observed: Observed) -> None:
    instrument = new_instrument(convention="otel")
    answer(new_request(instrument, method="BREW", scheme="https", protocol_version="2"), 201)
    answer(new_request(instrument), 503)
    answer(new_request(instrument), None, ValueError("x"))
    page = observed.metrics.value
    name = "http_server_request_duration_seconds_count"
    fine = {"url_scheme": "https", "network_protocol_version": "2", "error_type": ""}
    assert page(name, http_request_method="_OTHER", http_response_status_code="201", **fine) == 1
    assert page(name, error_type="503") == 1
    assert page(name, error_type="ValueError", http_response_status_code="500") == 1
    assert page("http_server_active_requests", http_request_method="GET", url_scheme="http") == 0


def test_time_to_headers_is_measured_where_it_has_a_name() -> None:
    clock = ManualClock()
    with observing(clock) as observed:
        instrument = new_instrument(names=HttpNames(time_to_headers="http_time_to_headers_seconds"))
        one = new_request(instrument)
        one.begin()
        one.enter()
        clock.advance(0.25)
        one.begin_answer(200)
        clock.advance(4)
        one.answered()
        one.leave()
        assert observed.metrics.value("http_time_to_headers_seconds_sum") == pytest.approx(0.25)
        assert observed.metrics.value("http_request_duration_seconds_sum") == pytest.approx(4.25)
        assert observed.logs.one(event="http request")["time_to_headers_ms"] == pytest.approx(250)


def test_a_metric_without_a_name_is_left_out(observed: Observed) -> None:
    names = HttpNames(
        requests=None, duration=None, request_size=None, response_size=None, in_progress=None
    )
    answer(new_request(new_instrument(names=names)))
    page = active_runtime().render()[0].decode()
    assert not re.search("^(# HELP )?(http|unwanted)_", page, re.MULTILINE)
    observed.operation("GET /r").once()


def test_labels_of_the_user_s_own(observed: Observed) -> None:
    plan = RequestLabel(lambda scope: scope["plan"], one_of=("free", "pro"))
    instrument = new_instrument(labels={"app": "shop", "plan": plan})
    answer(new_request(instrument, plan="pro"))
    answer(new_request(instrument, plan="gold"))
    answer(new_request(instrument))  # it is not there
    value = observed.metrics.value
    assert value("http_requests_total", app="shop", plan="pro") == 1
    assert value("http_requests_total", app="shop", plan="other") == 2
    assert value("http_requests_in_progress", app="shop", route="/r") == 0
    assert value("http_request_duration_seconds_count", plan="pro") == 1
    assert value("http_response_size_bytes_count", plan="pro") == 1
    assert observed.logs.all(event="http request")[0]["plan"] == "pro"
    span = observed.spans.all("GET /r")[0]
    assert (span.attributes or {})["plan"] == "pro"


def test_a_label_whose_reading_fails(observed: Observed) -> None:
    plan = RequestLabel(lambda scope: scope.nonsense, one_of=("free", "pro"), other="unknown")
    answer(new_request(new_instrument(labels={"plan": plan})))
    assert observed.metrics.value("http_requests_total", plan="unknown") == 1
    assert [site for site, _ in observed.internal_errors()] == ["http.label"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"nmaes": 1}, "nmaes= is no option: did you mean names="),
        ({"xyz": 1}, "there are names, convention"),
        ({"sample": 0.5}, r"give access_log=AccessLog\(sample=...\)"),
        ({"buckets": (1,)}, r"give names=HttpNames\(buckets=...\)"),
        ({"names": "http"}, "HttpNames"),
        ({"convention": "aws"}, "'prometheus' or 'otel'"),
        ({"convention": "otel", "names": HttpNames()}, "give one"),
        ({"access_log": "yes"}, "AccessLog"),
        ({"excluded_paths": "/metrics"}, "list of paths"),
        ({"excluded_paths": 7}, "list of paths"),
        ({"route": "/x"}, "give a function"),
        ({"new_correlation_id": 7}, "give a function"),
        ({"inbound_trace": "maybe"}, "always, link, never"),
        ({"labels": ["app"]}, "names and values"),
        ({"labels": {"app": 7}}, "RequestLabel"),
        ({"labels": {"route": "x"}}, "given twice"),
        ({"request_headers": "accept"}, "request_headers"),
        ({"response_headers": [b"x"]}, "response_headers"),
    ],
    ids=str,
)
def test_wrong_options_are_refused_at_once(options: dict[str, Any], told: str) -> None:
    with pytest.raises(DeclarationError, match=told):
        new_instrument(**options)


@pytest.mark.parametrize(("read", "one_of"), [(7, ("a",)), (len, ()), (len, "abc")])
def test_a_label_that_cannot_be_read_is_refused_at_once(read: Any, one_of: Any) -> None:
    with pytest.raises(DeclarationError):
        RequestLabel(read, one_of=one_of)


def test_ids_of_the_user_s_own(observed: Observed) -> None:
    instrument = new_instrument(new_correlation_id=lambda: "mine-1")
    assert new_request(instrument).correlation_id == "mine-1"
    assert new_request(instrument, headers={"x-request-id": "theirs"}).correlation_id == "theirs"


def fails() -> str:
    raise LookupError


@pytest.mark.parametrize("make", [lambda: "not valid!", lambda: None, lambda: 7, fails])
def test_an_id_that_is_none_is_replaced(observed: Observed, make: Any) -> None:
    identifier = new_request(new_instrument(new_correlation_id=make)).correlation_id
    assert len(identifier) == 32
    assert [site for site, _ in observed.internal_errors()] == ["http.correlation_id"]


def test_an_operation_that_is_switched_off(observed: Observed) -> None:
    with obskit.control.disable("http request", signals=["metric", "log"]):
        answer(new_request())
    answer(new_request())
    assert observed.metrics.value("http_requests_total") == 1
    assert len(observed.logs.all(event="http request")) == 1


def test_lines_go_to_the_host_s_logging_where_that_was_left_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    registry = CollectorRegistry()
    obskit.configure(logging="off", tracing="off", registry=registry)
    answer(new_request(), None)
    (record,) = [record for record in caplog.records if record.name == "obskit.access"]
    assert (record.getMessage(), record.levelname) == ("http request", "ERROR")
    assert vars(record)["status"] == 500


def test_without_a_configuration_it_is_counted_and_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    answer(new_request(), None)
    assert not [record for record in caplog.records if record.name == "obskit.access"]
    labels = {"method": "GET", "route": "/r", "status": "500"}
    found = active_runtime().registry.get_sample_value("http_requests_total", labels)
    assert (found or 0) >= 1


def test_versions_and_errors_that_are_told_apart_are_few(observed: Observed) -> None:
    instrument = new_instrument(convention="otel")
    for number in range(80):
        error = type(f"Error{number}", (Exception,), {})()
        answer(new_request(instrument, protocol_version=f"9.{number}"), None, error)
    page = active_runtime().render(names=["http_server_request_duration_seconds_count"])[0]
    errors = set(re.findall('error_type="([^"]*)"', page.decode()))
    versions = set(re.findall('network_protocol_version="([^"]*)"', page.decode()))
    assert versions == {"other"}
    assert len(errors) == 51
    assert "other" in errors
