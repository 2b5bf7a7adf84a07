"""Threads that call while others configure and switch: no call notices, nothing is miscounted."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from itertools import cycle
from typing import Any

import pytest
from prometheus_client import REGISTRY, CollectorRegistry

import obskit
from obskit.metrics import default_engine
from obskit.runtime import active_runtime
from obskit.runtime._store import _stores

THREADS = 16
NAMES = 50
ROUNDS = 40
CHANGES = 8

NAMESPACES = ("hammered_a", "hammered_b", "hammered_c")

Calls = list[Callable[[int], object]]


def functions(prefix: str) -> Calls:
    """Declare operations of all kinds, fifty names; each call returns its argument."""
    return [_declared(f"{prefix}.{number}", number % 5) for number in range(NAMES)]


def _declared(name: str, kind: int) -> Callable[[int], object]:
    @obskit.observe(name)
    def function(number: int) -> int:
        return number

    @obskit.observe(name, labels={"parity": obskit.arg("number")})
    async def coroutine(number: int) -> int:
        await asyncio.sleep(0)
        return number

    @obskit.observe(name)
    def generator(number: int) -> Generator[int]:
        yield number

    @obskit.observe(name)
    async def asynchronous(number: int) -> AsyncGenerator[int]:
        yield number

    async def first(number: int) -> int:
        (item,) = [item async for item in asynchronous(number)]
        return item

    def block(number: int) -> int:
        with obskit.observe(name):
            return number

    kinds: list[Callable[[int], object]] = [
        function,
        lambda number: _run(coroutine(number)),
        lambda number: sum(list(generator(number))),
        lambda number: _run(first(number)),
        block,
    ]
    return kinds[kind]


def _run(awaitable: Awaitable[Any]) -> Any:
    """Run a coroutine that waits for nothing."""
    steps = awaitable.__await__()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


class Hammering:
    """Threads that make calls, and one that changes something until they have ended.

    Half of the calls are made before it has changed something `CHANGES` times, or meanwhile.
    """

    def __init__(self, calls: Calls) -> None:
        self.errors: list[BaseException] = []
        self._calls = calls
        self._changed = threading.Event()
        self._start = threading.Barrier(THREADS + 1)
        self._threads = [threading.Thread(target=self._hammer) for _ in range(THREADS)]

    def beside(self, change: Callable[[], object]) -> None:
        """Make all calls while this thread changes something."""
        for thread in self._threads:
            thread.start()
        self._start.wait(10)
        changes = 0
        while any(thread.is_alive() for thread in self._threads):
            change()
            changes += 1
            if changes == CHANGES:
                self._changed.set()
        for thread in self._threads:
            thread.join(30)

    def _hammer(self) -> None:
        self._start.wait(10)
        try:
            for number in range(ROUNDS):
                if number == ROUNDS // 2:
                    assert self._changed.wait(30)
                for call in self._calls:
                    assert call(number % 2) == number % 2
        except BaseException as error:
            self.errors.append(error)


def ended(registry: CollectorRegistry, prefix: str) -> dict[str, float]:
    """Ended operations by name, over all families of the registry that count them."""
    counts: dict[str, float] = {}
    for family in registry.collect():
        for sample in family.samples:
            name = sample.labels.get("operation", "")
            if sample.name.endswith("operations_total") and name.startswith(f"{prefix}."):
                counts[name] = counts.get(name, 0) + sample.value
    return counts


def everywhere(registry: CollectorRegistry, prefix: str) -> dict[str, float]:
    """Ended operations by name, over all configurations that were active."""
    obskit.shutdown()
    counts = ended(REGISTRY, prefix)
    for namespace in NAMESPACES:
        obskit.configure(registry=registry, namespace=namespace, logging="off")
        for name, count in ended(registry, prefix).items():
            counts[name] = counts.get(name, 0) + count
    return counts


def nothing_in_flight() -> bool:
    """Tell whether no store of this process has an operation in flight."""
    return not any(store.in_flight or store.told for store in list(_stores))


@pytest.fixture(autouse=True)
def _switched_on_again() -> Generator[None]:
    yield
    obskit.control.enable()


def test_calls_beside_configurations_are_each_counted_once() -> None:
    """Sixteen threads, fifty names, five kinds; the totals of all configurations add up."""
    registry, namespaces = CollectorRegistry(), cycle([*NAMESPACES, ""])
    refused = default_engine.dropped_observations["refused"]

    def change() -> None:
        namespace = next(namespaces)
        if namespace:
            obskit.configure(registry=registry, namespace=namespace, logging="off")
        else:
            obskit.shutdown()

    hammering = Hammering(functions("configured"))
    hammering.beside(change)
    assert hammering.errors == []
    assert everywhere(registry, "configured") == {
        f"configured.{number}": THREADS * ROUNDS for number in range(NAMES)
    }
    assert nothing_in_flight()
    assert default_engine.dropped_observations["refused"] == refused


def test_calls_beside_switches_are_counted_or_not_and_leave_nothing() -> None:
    registry = CollectorRegistry()
    obskit.configure(registry=registry, logging="off")
    signals: Any = cycle([None, {"metric"}, {"log"}, {"span", "metric"}])

    def change() -> None:
        with obskit.control.disable("switched.*", signals=next(signals)):
            obskit.control.disable("switched.1*")
        obskit.control.enable("switched.1*")

    hammering = Hammering(functions("switched"))
    hammering.beside(change)
    assert hammering.errors == []
    counts = ended(registry, "switched")
    assert all(0 <= count <= THREADS * ROUNDS for count in counts.values())
    for call in hammering._calls:
        call(1)
    again = ended(registry, "switched")
    assert again == {
        f"switched.{number}": counts.get(f"switched.{number}", 0) + 1 for number in range(NAMES)
    }
    assert nothing_in_flight()


def test_calls_beside_everything_end_as_the_bare_ones() -> None:
    registry, namespaces = CollectorRegistry(), cycle(NAMESPACES)

    def change() -> None:
        obskit.configure(registry=registry, namespace=next(namespaces), logging="off")
        with obskit.control.disable("everything.*"):
            active_runtime().render()
        obskit.in_flight()
        obskit.shutdown()

    hammering = Hammering(functions("everything"))
    hammering.beside(change)
    assert hammering.errors == []
    assert nothing_in_flight()
    counts = everywhere(registry, "everything")
    assert all(count <= THREADS * ROUNDS for count in counts.values())


@pytest.fixture
def registry() -> Generator[CollectorRegistry]:
    registry = CollectorRegistry()
    with obskit.configure(registry=registry, logging="off"):
        yield registry


def test_a_call_in_progress_ends_as_it_began_when_it_is_switched_off(
    registry: CollectorRegistry,
) -> None:
    @obskit.observe("off.function")
    def function() -> str:
        obskit.control.disable("off.*")
        return obskit.current().name

    @obskit.observe("off.items")
    def items() -> Generator[str]:
        yield obskit.current().name
        obskit.control.disable("off.*")
        yield obskit.current().name

    assert [function(), function()] == ["off.function", ""]
    obskit.control.enable("off.*")
    assert list(items()) == ["off.items", "off.items"]
    with obskit.observe("off.block") as operation:
        assert operation.name == ""  # it began while switched off
        obskit.control.enable("off.*")
    with obskit.observe("off.block"):
        obskit.control.disable("off.*")
    assert ended(registry, "off") == {"off.function": 1, "off.items": 1, "off.block": 1}
    assert nothing_in_flight()


def test_a_call_in_progress_is_recorded_though_it_suppresses_others(
    registry: CollectorRegistry,
) -> None:
    @obskit.observe("suppressing.inner")
    def inner() -> str:
        return obskit.current().name

    @obskit.observe("suppressing.outer")
    def outer() -> list[str]:
        with obskit.suppressed():
            found = [inner()]
        return [*found, inner()]

    @obskit.observe("suppressing.items")
    def items() -> Generator[str]:
        with obskit.suppressed():
            yield inner()
            yield inner()
        yield inner()

    assert outer() == ["", "suppressing.inner"]
    generator = items()
    assert next(generator) == ""
    assert inner() == "suppressing.inner"
    assert list(generator) == ["", "suppressing.inner"]
    with obskit.suppressed():
        assert list(items()) == ["", "", ""]
    assert ended(registry, "suppressing") == {
        "suppressing.outer": 1,
        "suppressing.inner": 3,
        "suppressing.items": 1,
    }
    assert nothing_in_flight()
    assert obskit.current().name == ""


def test_what_began_suppressed_stays_so_and_leaves_nothing(registry: CollectorRegistry) -> None:
    @obskit.observe("begun.items")
    def items() -> Generator[int]:
        yield 1
        yield 2

    with obskit.suppressed():
        generator = items()
        next(generator)
    assert list(generator) == [2]
    assert ended(registry, "begun") == {"begun.items": 0}
    assert nothing_in_flight()
