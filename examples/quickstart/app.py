"""A worker that sends invoices: observed functions, without any web framework.

It works off the messages of one batch, prints the counters and ends.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY

import obskit
from obskit.metrics import Counter, render

if TYPE_CHECKING:
    from collections.abc import Iterator

log = obskit.get_logger(__name__)
invoices = Counter("invoices", "Invoices that customers have got.", ["currency"])


@dataclass(frozen=True)
class Order:
    id: int
    currency: str
    prices: tuple[int, ...]


@dataclass(frozen=True)
class Message:
    order: Order
    headers: dict[str, str] = field(default_factory=dict)


class NothingToBillError(Exception):
    """The order has no lines."""


@obskit.observe("invoice.lines", attributes={"order_id": obskit.arg("order.id")})
def lines(order: Order) -> "Iterator[str]":
    for number, price in enumerate(order.prices, start=1):
        yield f"{number:>3} {price / 100:8.2f} {order.currency}"


@obskit.observe("invoice.render", slow=0.1)
def render_invoice(order: Order) -> str:
    time.sleep(0.02 * len(order.prices))  # stands for typesetting
    page = "\n".join(lines(order))
    obskit.current().set(characters=len(page))
    return page


@obskit.observe("invoice.send", labels={"currency": obskit.arg("order.currency")})
async def send(order: Order, page: str) -> None:
    if not page:
        raise NothingToBillError(f"order {order.id} is empty")
    await asyncio.sleep(0.01)  # stands for a mail server
    invoices.labels(order.currency).inc()
    log.info("invoice sent", order_id=order.id)


async def handle(message: Message) -> None:
    """Work off one message, under the correlation id and the trace that it came with."""
    with obskit.extract(message.headers), obskit.observe("job", kind="invoice") as job:
        job.set(order_id=message.order.id)
        page = await asyncio.to_thread(render_invoice, message.order)
        job.event("rendered")
        await send(message.order, page)


BATCH = (
    Message(Order(1, "EUR", (1999, 499)), headers={"X-Request-ID": "shop-7f3a"}),
    Message(Order(2, "USD", ())),
    Message(Order(3, "EUR", tuple(range(100, 1000, 100)))),
)
"""One that goes well, one that fails, one that is slow."""


async def work_off(batch: tuple[Message, ...]) -> int:
    """Return how many messages could not be worked off; each has left an error in the log."""
    results = await asyncio.gather(*map(handle, batch), return_exceptions=True)
    return sum(isinstance(result, Exception) for result in results)


def main() -> None:
    obskit.configure(service="invoicing", version="1.0.0")
    failed = asyncio.run(work_off(BATCH))
    log.info("batch done", messages=len(BATCH), failed=failed)
    counters, _ = render(REGISTRY, names=["invoices_total", "operations_total"])
    print(counters.decode())


if __name__ == "__main__":
    main()
