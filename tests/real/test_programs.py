"""The examples as what they are: programs that somebody starts, and stops by a signal."""

import signal
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from .programs import EXAMPLES, free_port, run_example, running, until

if TYPE_CHECKING:
    from pathlib import Path


def test_the_quickstart_ends_by_itself_and_shows_its_counters() -> None:
    output = run_example("quickstart")

    assert (
        'operations_total{error_type="",kind="invoice",operation="job",outcome="ok"} 2.0' in output
    )
    assert 'invoices_total{currency="EUR"} 2.0' in output


@pytest.mark.parametrize(
    ("example", "path", "series"),
    [
        ("fastapi_service", "/orders/1", 'route="/orders/{order_id}",status="404"'),
        ("plain_asgi", "/greetings/ann", 'route="/greetings/{name}",status="200"'),
    ],
)
def test_a_service_counts_what_it_serves_and_ends_when_told(
    example: str, path: str, series: str, tmp_path: "Path"
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "app.py", "--port", str(port)]
    with running(command, tmp_path / "log", EXAMPLES / example) as service:
        until("the service is ready", lambda: httpx.get(f"{url}/readyz").is_success)
        response = httpx.get(f"{url}{path}", headers={"X-Request-ID": "probe-1"})
        page = httpx.get(f"{url}/metrics").text
        service.send_signal(signal.SIGTERM)
        service.wait(10)

    assert response.headers["X-Request-ID"] == "probe-1"
    assert f'http_requests_total{{method="GET",{series}}} 1.0' in page
    log = (tmp_path / "log").read_text()
    assert '"correlation_id":"probe-1"' in log
    assert "Traceback" not in log
