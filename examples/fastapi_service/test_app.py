"""What one request emits, asked for with the fixture ``observed``."""

from typing import TYPE_CHECKING

import pytest
from httpx import ASGITransport, AsyncClient

import obskit

from .app import app, orders

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from obskit.testing import Observed

pytestmark = pytest.mark.anyio

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
async def client() -> "AsyncIterator[AsyncClient]":
    orders.clear()
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        yield client


async def test_an_order_is_charged_and_counted(client: AsyncClient, observed: "Observed") -> None:
    response = await client.post("/orders", json={"item": "mug", "quantity": 2})

    assert response.status_code == 201
    observed.operation("charge_card").once().with_outcome("ok").with_labels(provider="stripe")
    observed.operation("charge_card").with_attributes(amount=24_00)
    assert observed.metrics.delta("items_sold_total", item="mug") == 2
    assert observed.metrics.delta("http_requests_total", route="/orders", status="201") == 1


async def test_the_spans_of_a_request_are_one_tree(
    client: AsyncClient, observed: "Observed"
) -> None:
    await client.post("/orders", json={"item": "tea", "quantity": 1})

    assert observed.spans.tree() == {"POST /orders": {"price_order": {}, "charge_card": {}}}


async def test_a_request_continues_the_trace_of_its_client(
    client: AsyncClient, observed: "Observed"
) -> None:
    await client.get("/orders/1", headers={"traceparent": TRACEPARENT})

    line = observed.logs.one(event="http request")
    assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


async def test_every_line_of_a_request_carries_its_id_and_tenant(
    client: AsyncClient, observed: "Observed"
) -> None:
    headers = {"X-Request-ID": "req-1", "X-Tenant": "acme"}
    response = await client.post("/orders", json={"item": "tea", "quantity": 1}, headers=headers)

    assert response.headers["X-Request-ID"] == "req-1"
    lines = observed.logs.all(correlation_id="req-1", tenant="acme")
    assert [line["event"] for line in lines] == ["order placed", "http request"]


async def test_a_declined_card_is_an_error_of_the_charge_but_not_of_the_service(
    client: AsyncClient, observed: "Observed"
) -> None:
    response = await client.post("/orders", json={"item": "samovar", "quantity": 2})

    assert response.status_code == 402
    observed.operation("charge_card").once().with_error("CardDeclinedError")
    observed.operation("POST /orders").once().with_outcome("ok").with_labels(status="402")
    assert observed.logs.one(event="operation failed")["amount"] == 1298_00


async def test_unknown_paths_share_one_series(client: AsyncClient, observed: "Observed") -> None:
    for path in ("/wp-login.php", "/.env"):
        assert (await client.get(path)).status_code == 404

    assert observed.metrics.delta("http_requests_total", route="unmatched", status="404") == 2


async def test_probes_are_answered_and_not_counted(
    client: AsyncClient, observed: "Observed"
) -> None:
    live = await client.get("/livez")
    ready = await client.get("/readyz")

    assert live.json() == {"status": "alive"}
    assert ready.json() == {"status": "ready", "checks": {"orders": True}}
    assert observed.metrics.value("http_requests_total") == 0


async def test_metrics_ask_for_the_token(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OBSKIT_METRICS_TOKEN", "s3cret")
    with obskit.configure():
        without = await client.get("/metrics")
        with_token = await client.get("/metrics", headers={"Authorization": "Bearer s3cret"})

    assert (without.status_code, with_token.status_code) == (401, 200)
