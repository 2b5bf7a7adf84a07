"""The service of the demo: a small order service, as a user of obskit would write it."""

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

import obskit
from obskit.asgi import instrument
from obskit.health import HealthRegistry
from obskit.metrics import Counter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SLOW_SECONDS = 0.15

log = obskit.get_logger("demo.orders")


class Order(BaseModel):
    """What a client orders."""

    id: int
    items: list[str]
    card: str = "4242"


class CardDeclinedError(Exception):
    """The bank says no."""


@obskit.observe("price_order")
def price_order(order: Order) -> int:
    """Return the price in cents."""
    return sum(100 * len(item) for item in order.items)


@obskit.observe(
    "charge_card",
    labels={"provider": "stripe"},
    attributes={"order_id": obskit.arg("order.id")},
)
async def charge_card(order: Order, cents: int) -> None:
    """Take the money."""
    await asyncio.sleep(0.01)
    if order.card == "declined":
        raise CardDeclinedError
    log.info("card charged", cents=cents)


@obskit.observe("monthly_report", slow=SLOW_SECONDS)
async def monthly_report() -> dict[str, int]:
    """Count everything, slowly."""
    with obskit.observe("read_archive", tier="cold") as operation:
        await asyncio.sleep(SLOW_SECONDS * 1.5)
        operation.set(rows=1200)
    return {"orders": 1200}


@obskit.observe("export_orders")
async def export_orders() -> "AsyncIterator[str]":
    """Yield orders for as long as somebody reads them."""
    for number in range(10_000):
        yield f"order {number}\n" * 100
        await asyncio.sleep(0.005)


def new_service(version: str) -> FastAPI:
    """Make the service: four routes, one metric of its own, two health checks.

    Args:
        version: What ``/version`` says.
    """
    app = FastAPI(title="Orders")
    orders = Counter("demo_orders", "Orders placed.", ["channel"])

    @app.post("/orders", status_code=201)
    async def place(order: Order) -> dict[str, int]:
        obskit.bind(order_id=order.id)
        log.info("order received", items=len(order.items))
        cents = price_order(order)
        await charge_card(order, cents)
        orders.labels("web").inc()
        return {"id": order.id, "cents": cents}

    @app.get("/orders/{order_id}")
    async def show(order_id: int) -> dict[str, int]:
        return {"id": order_id}

    @app.get("/report")
    async def report() -> dict[str, int]:
        return await monthly_report()

    @app.get("/export")
    async def export() -> StreamingResponse:
        return StreamingResponse(export_orders(), media_type="text/plain")

    return instrument(app, health=_health(version))


def _health(version: str) -> HealthRegistry:
    health = HealthRegistry(version=version)

    @health.check("database", timeout=0.5)
    async def database() -> None:
        await asyncio.sleep(0.001)

    @health.check("mailer", timeout=0.5, critical=False)
    def mailer() -> None:
        """Ask a mail server that nobody has started."""
        with contextlib.closing(socket.create_connection(("127.0.0.1", 1), timeout=0.3)):
            pass

    return health
