"""A real Prometheus scrapes a real service: what it answers equals the traffic that was sent."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from .programs import EXAMPLES, free_port, running, until

if TYPE_CHECKING:
    from collections.abc import Generator

TOKEN = "s3cret-token"

TRAFFIC = {
    ("POST", "/orders", "201"): 7,
    ("POST", "/orders", "402"): 2,
    ("POST", "/orders", "422"): 3,
    ("GET", "/orders/{order_id}", "200"): 5,
    ("GET", "/orders/{order_id}", "404"): 4,
    ("GET", "unmatched", "404"): 6,
}
"""Requests by method, route and status."""

CONFIGURATION = """\
global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
scrape_configs:
  - job_name: good
    authorization: {{credentials: {token}}}
    static_configs: [{{targets: ["{target}"]}}]
  - job_name: bad
    authorization: {{credentials: not-the-token}}
    static_configs: [{{targets: ["{target}"]}}]
"""

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="no prometheus: apt-get install prometheus"
)
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="no promtool: apt-get install prometheus"
)


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running server, as its HTTP API shows it."""

    url: str

    def query(self, expression: str, *by: str) -> dict[tuple[str, ...], float]:
        """Return the values of an instant query by the values of these labels.

        Args:
            expression: PromQL.
            *by: Label names; a series without one counts as the empty text.
        """
        answer = self._get("query", query=expression)
        return {
            tuple(series["metric"].get(name, "") for name in by): float(series["value"][1])
            for series in answer["result"]
        }

    def target(self, job: str) -> dict[str, Any]:
        """Return what is known of the target of a job."""
        (target,) = (
            target
            for target in self._get("targets")["activeTargets"]
            if target["labels"]["job"] == job
        )
        return dict(target)

    def await_values(
        self, expression: str, by: tuple[str, ...], expected: dict[tuple[str, ...], float]
    ) -> None:
        """Wait until a query answers exactly this, and fail with what it answered otherwise."""

        def equal() -> bool:
            assert self.query(expression, *by) == expected
            return True

        until(expression, equal)

    def _get(self, endpoint: str, **parameters: str) -> dict[str, Any]:
        response = httpx.get(f"{self.url}/api/v1/{endpoint}", params=parameters)
        assert response.is_success, response.text
        return dict(response.json()["data"])


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> "Generator[str]":
    """The order service after the traffic; the fixture is its address, without a scheme."""
    address = f"127.0.0.1:{free_port()}"
    with running(
        [sys.executable, "app.py", "--port", address.partition(":")[2]],
        tmp_path_factory.mktemp("service") / "log",
        EXAMPLES / "fastapi_service",
        OBSKIT_METRICS_TOKEN=TOKEN,
    ):
        with httpx.Client(base_url=f"http://{address}") as client:
            until("the service is ready", lambda: client.get("/readyz").is_success)
            send_traffic(client)
        yield address


@pytest.fixture(scope="session")
def prometheus(service: str, tmp_path_factory: pytest.TempPathFactory) -> "Generator[Prometheus]":
    folder = tmp_path_factory.mktemp("prometheus")
    configuration = folder / "prometheus.yml"
    configuration.write_text(CONFIGURATION.format(token=TOKEN, target=service))
    address = f"127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    ]
    with running(command, folder / "log"):
        url = f"http://{address}"
        until("Prometheus is ready", lambda: httpx.get(f"{url}/-/ready").is_success)
        yield Prometheus(url)


def send_traffic(client: httpx.Client) -> None:
    """Send what `TRAFFIC` says, and check that it is what was answered."""
    bodies = {
        "201": {"item": "mug", "quantity": 2},
        "402": {"item": "samovar", "quantity": 2},
        "422": {"item": "mug", "quantity": 0},
    }
    paths = {"200": "/orders/1", "404": "/orders/999"}
    for (method, route, status), times in TRAFFIC.items():
        path = {"/orders": route, "unmatched": "/wp-login.php"}.get(route) or paths[status]
        for _ in range(times):
            response = client.request(method, path, json=bodies.get(status))
            assert str(response.status_code) == status


def requests_by_route() -> dict[tuple[str, ...], float]:
    totals: dict[tuple[str, ...], float] = {}
    for (method, route, _), times in TRAFFIC.items():
        totals[method, route] = totals.get((method, route), 0) + times
    return totals


@needs_prometheus
def test_only_the_scrape_with_the_token_is_let_in(prometheus: Prometheus) -> None:
    prometheus.await_values("up", ("job",), {("good",): 1, ("bad",): 0})

    assert prometheus.target("good")["lastError"] == ""
    assert "401 Unauthorized" in prometheus.target("bad")["lastError"]
    assert prometheus.query('{job="bad",__name__=~"http_.*|operation.*|obskit_.*"}') == {}


@needs_prometheus
def test_requests_are_those_that_were_sent(prometheus: Prometheus) -> None:
    prometheus.await_values(
        "http_requests_total",
        ("method", "route", "status"),
        {series: float(times) for series, times in TRAFFIC.items()},
    )


@needs_prometheus
@pytest.mark.parametrize(
    "name",
    [
        "http_request_duration_seconds",
        "http_request_size_bytes",
        "http_response_size_bytes",
    ],
)
def test_histograms_hold_every_request(prometheus: Prometheus, name: str) -> None:
    for samples in (f"{name}_count", f'{name}_bucket{{le="+Inf"}}'):
        prometheus.await_values(samples, ("method", "route"), requests_by_route())


@needs_prometheus
def test_operations_are_those_behind_the_requests(prometheus: Prometheus) -> None:
    prometheus.await_values(
        "operations_total",
        ("operation", "outcome", "error_type", "provider"),
        {
            ("price_order", "ok", "", ""): 9,
            ("price_order", "error", "", ""): 0,  # known before it happens
            ("charge_card", "ok", "", "stripe"): 7,
            ("charge_card", "error", "", "stripe"): 0,
            ("charge_card", "error", "CardDeclinedError", "stripe"): 2,
        },
    )
    prometheus.await_values(
        "operation_duration_seconds_count",
        ("operation", "outcome"),
        {("price_order", "ok"): 9, ("charge_card", "ok"): 7, ("charge_card", "error"): 2},
    )
    prometheus.await_values(
        "operations_in_progress", ("operation",), {("price_order",): 0, ("charge_card",): 0}
    )


@needs_prometheus
def test_a_counter_of_the_applications_own_is_scraped_with_them(prometheus: Prometheus) -> None:
    prometheus.await_values("items_sold_total", ("item",), {("mug",): 14})


@needs_prometheus
def test_a_quantile_can_be_computed(prometheus: Prometheus) -> None:
    prometheus.await_values("count(http_request_duration_seconds_count)", (), {(): 3})

    quantile = (
        "histogram_quantile(0.9, sum by (le)"
        ' (operation_duration_seconds_bucket{operation="charge_card"}))'
    )
    (seconds,) = prometheus.query(quantile).values()
    assert 0.001 <= seconds < 1.0  # the example waits for a millisecond


@needs_prometheus
def test_obskit_reports_no_fault_of_its_own(prometheus: Prometheus) -> None:
    prometheus.await_values("sum(obskit_dropped_observations_total)", (), {(): 0})

    assert prometheus.query("obskit_internal_errors_total > 0") == {}
    assert prometheus.query("obskit_dropped_series_total > 0") == {}


@needs_promtool
def test_promtool_finds_nothing_to_complain_about(service: str) -> None:
    page = httpx.get(
        f"http://{service}/metrics",
        headers={"Authorization": f"Bearer {TOKEN}", "Accept": "text/plain"},
    )
    lint = subprocess.run(
        ["promtool", "check", "metrics"],
        input=page.text,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "http_requests_total{" in page.text
    assert (lint.returncode, lint.stdout, lint.stderr) == (0, "", "")
