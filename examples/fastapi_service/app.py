"""An order service on FastAPI: one call instruments it, decorators name the work inside.

``/metrics`` asks for the bearer token in ``OBSKIT_METRICS_TOKEN``, if that is set.
"""

import argparse
import asyncio
import itertools
from typing import Annotated, Literal

import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

import obskit
from obskit.asgi import instrument
from obskit.health import HealthRegistry
from obskit.metrics import Counter

VERSION = "1.4.2"
PRICES = {"tea": 4_50, "mug": 12_00, "samovar": 649_00}
CREDIT_LIMIT = 1_000_00

app = FastAPI(title="orders", version=VERSION, telemetry={"tracing": False})  # obskit traces
health = HealthRegistry(version=VERSION)
log = obskit.get_logger(__name__)
sold = Counter("items_sold", "Items that have been paid for.", ["item"])


class NewOrder(BaseModel):
    item: Literal["tea", "mug", "samovar"]
    quantity: int = Field(ge=1, le=100)


class Order(NewOrder):
    id: int
    amount: int


class CardDeclinedError(Exception):
    """The customer's bank has said no."""


orders: dict[int, Order] = {}
numbers = itertools.count(1)


@obskit.observe("price_order")
def price(order: NewOrder) -> int:
    return PRICES[order.item] * order.quantity


@obskit.observe(
    "charge_card",
    labels={"provider": "stripe"},
    attributes={"amount": obskit.arg("amount")},
    slow=2.0,
)
async def charge_card(amount: int) -> None:
    await asyncio.sleep(0.001)  # stands for the provider's API
    if amount > CREDIT_LIMIT:
        raise CardDeclinedError(f"{amount} is above the limit")


@health.check("orders")
async def orders_are_kept() -> bool:
    return len(orders) < 1_000_000


async def bind_tenant(x_tenant: Annotated[str, Header()] = "public") -> None:
    """Name the tenant in every log line of the request, the access line included."""
    obskit.bind(tenant=x_tenant)


@app.post("/orders", status_code=201, dependencies=[Depends(bind_tenant)])
async def create_order(new: NewOrder) -> Order:
    amount = price(new)
    await charge_card(amount)
    order = Order(id=next(numbers), amount=amount, **new.model_dump())
    orders[order.id] = order
    sold.labels(order.item).inc(order.quantity)
    log.info("order placed", order_id=order.id, amount=amount)
    return order


@app.get("/orders/{order_id}", dependencies=[Depends(bind_tenant)])
async def get_order(order_id: int) -> Order:
    if order_id not in orders:
        raise HTTPException(404, "no such order")
    return orders[order_id]


@app.exception_handler(CardDeclinedError)
async def payment_required(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=402)


instrument(app, health=health)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    port: int = parser.parse_args().port
    obskit.configure(service="orders", version=VERSION)
    uvicorn.run(app, port=port, access_log=False, log_config=None)


if __name__ == "__main__":
    main()
