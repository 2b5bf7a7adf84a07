"""Instruments keep the types of what they decorate. Never run: mypy and pyright check it."""

from collections.abc import AsyncGenerator, Generator
from enum import Enum as Enumeration
from typing import assert_type

from obskit.metrics import AllowedValues, Counter, Enum, Gauge, Histogram, Info, Summary


class Tier(Enumeration):
    FREE = "free"


seconds = Histogram("seconds", "", ["route"], buckets=(0.1, "5"), registry=None)
inside = Gauge("inside", "", multiprocess_mode="livesum")
errors = Counter("errors", "", allowed={})
orders = Counter(
    "orders", "", ["tier", "shop"], allowed={"tier": Tier, "shop": AllowedValues(["a"], "rest")}
)


@seconds.labels("/").time()
def function(cart: list[int], *, factor: float = 1.0) -> float:
    return sum(cart) * factor


@inside.track_inprogress()
@errors.count_exceptions((KeyError, OSError))
async def coroutine(cart: list[int]) -> int:
    return sum(cart)


@Summary("batch", "").time()
def generator(count: int) -> Generator[int, str, bool]:
    yield from range(count)
    return True


@errors.count_exceptions
async def async_generator(count: int) -> AsyncGenerator[int, str]:
    for number in range(count):
        yield number


class Shop:
    @inside.time()
    def method(self, item: str) -> int:
        return len(item)

    @errors.count_exceptions(KeyError)
    @classmethod
    def above(cls, item: str) -> int:
        return len(item)


async def signatures_stay() -> None:
    assert_type(function([1], factor=2.0), float)
    assert_type(await coroutine([1]), int)
    assert_type(generator(1), Generator[int, str, bool])
    assert_type(async_generator(1), AsyncGenerator[int, str])
    assert_type(Shop().method("x"), int)
    assert_type(Shop.above("x"), int)


def handles_are_of_the_same_class() -> None:
    assert_type(orders.labels("free", 1), Counter)
    assert_type(orders.labels(tier=Tier.FREE, shop=None), Counter)
    with seconds.time() as block:
        block.labels(route="/")
    assert_type(block.duration, float | None)


def wrong_calls_are_found() -> None:
    function("cart")  # type: ignore[arg-type] # not a list of numbers
    errors.inc("1")  # type: ignore[arg-type] # not a number
    Info("build", "").info(["x"])  # type: ignore[arg-type] # not a mapping
    Enum("state", "", states=[1])  # type: ignore[list-item] # not texts
    Gauge("level", "", multiprocess_mode="latest")  # type: ignore[arg-type] # no such mode
    Counter("sales", "", ["tier"], allowed={"tier": 5})  # type: ignore[dict-item] # not several
