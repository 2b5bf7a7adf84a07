"""What the bare application emits, asked for with the fixture ``observed``."""

from typing import TYPE_CHECKING

import pytest
from httpx import ASGITransport, AsyncClient

from .app import app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from obskit.testing import Observed


pytestmark = pytest.mark.anyio


@pytest.fixture
async def client() -> "AsyncIterator[AsyncClient]":
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        yield client


async def test_requests_are_counted_by_the_template_of_their_route(
    client: AsyncClient, observed: "Observed"
) -> None:
    for name in ("ann", "bob"):
        response = await client.get(f"/greetings/{name}")
        assert response.text == f"Hello, {name}!\n"

    observed.operation("GET /greetings/{name}").times(2).with_outcome("ok")
    count = observed.metrics.delta("http_requests_total", route="/greetings/{name}", status="200")
    assert count == 2
    assert observed.spans.tree() == {"GET /greetings/{name}": {"greet": {}}}


async def test_paths_without_a_route_share_one_series(
    client: AsyncClient, observed: "Observed"
) -> None:
    for path in ("/nowhere", "/wp-login.php"):
        await client.get(path)

    assert observed.metrics.delta("http_requests_total", route="unmatched", status="404") == 2


async def test_metrics_and_probes_are_served_beside_it(
    client: AsyncClient, observed: "Observed"
) -> None:
    await client.get("/")
    page = await client.get("/metrics")
    ready = await client.get("/readyz")

    assert 'http_requests_total{method="GET",route="/",status="200"} 1.0' in page.text
    assert ready.json()["status"] == "ready"
    observed.operation("GET /").once()
