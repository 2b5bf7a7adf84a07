"""Decorated callables keep their types. Never run: mypy and pyright check it."""

from collections.abc import AsyncGenerator, Generator
from functools import partial
from typing import assert_type

import obskit


@obskit.observe
def bare(cart: list[int], *, factor: float = 1.0) -> float:
    return sum(cart) * factor


@obskit.observe()
def called(cart: list[int]) -> int:
    return sum(cart)


@obskit.observe("named", labels={"tier": "gold"}, attributes={"n": obskit.arg("cart")}, slow=2.0)
async def coroutine(cart: list[int]) -> int:
    return sum(cart)


@obskit.observe(tier="gold")
def generator(count: int) -> Generator[int, str, bool]:
    yield from range(count)
    return True


@obskit.observe
async def async_generator(count: int) -> AsyncGenerator[int, str]:
    for number in range(count):
        yield number


class Shop:
    @obskit.observe
    def method(self, item: str) -> int:
        return len(item)

    @obskit.observe("above")
    @classmethod
    def above(cls, item: str) -> int:
        return len(item)

    @classmethod
    @obskit.observe
    def below(cls, item: str) -> int:
        return len(item)

    @obskit.observe
    @staticmethod
    def static(item: str) -> int:
        return len(item)


class Scale:
    def __call__(self, grams: int) -> float:
        return grams / 1000


async def signatures_stay() -> None:
    assert_type(bare([1], factor=2.0), float)
    assert_type(called([1]), int)
    assert_type(await coroutine([1]), int)
    assert_type(generator(1), Generator[int, str, bool])
    assert_type(async_generator(1), AsyncGenerator[int, str])
    assert_type(Shop().method("x"), int)
    assert_type(Shop.above("x"), int)
    assert_type(Shop.below("x"), int)
    assert_type(Shop.static("x"), int)
    assert_type(obskit.observe("scale")(Scale()), Scale)
    assert_type(obskit.observe(Scale()), Scale)
    assert_type(obskit.observe(partial(called, [1])), partial[int])


def wrong_arguments_are_found() -> None:
    bare("cart")  # type: ignore[arg-type] # not a list of numbers
    bare([1], factors=1.0)  # type: ignore[call-arg] # misspelt
    called()  # type: ignore[call-arg] # one is missing
    Shop().method(1)  # type: ignore[arg-type] # not a text


async def carried_work_keeps_its_type() -> None:
    async def job(number: int) -> str:
        return str(number)

    def work(number: int) -> str:
        return str(number)

    assert_type(obskit.carry(work)(1), str)
    assert_type(await obskit.carry(job)(1), str)
    assert_type(obskit.carry(called, process=True)([1]), int)


def wrong_declarations_are_found() -> None:
    obskit.observe("x", slow="2 s")  # type: ignore[call-overload] # a number of seconds
    obskit.observe("x", labels=["tier"])  # type: ignore[call-overload] # a mapping
    obskit.MetricNames(totals="x")  # type: ignore[call-arg] # misspelt
