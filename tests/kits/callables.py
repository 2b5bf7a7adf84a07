"""Every kind of callable that a decorator may meet: how to make one, and how to use it up.

A test makes the same callable bare and decorated, and holds the decorated one to the bare one.
`callable_table` has all kinds.
"""

import inspect
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any

Decorator = Callable[[Any], Any]
Body = Callable[[Any], Any]


@dataclass(frozen=True)
class Made:
    """A callable that was made, bare or decorated."""

    decorated: Any
    """What the decorator gave."""

    call: Callable[[Any], Any]
    """Calls it with one value."""


@dataclass(frozen=True)
class Kind:
    """One kind of callable."""

    name: str

    build: Callable[[Decorator, Body], Any]
    """Returns what the decorator gave, or `Made` where a call takes more than one value."""

    run: Callable[[Callable[[Any], Any], Any], Any]
    """Calls it with a value and returns all that comes of it."""

    operations: int = 1
    """How many decorated calls one run is."""

    lazy: bool = False
    """Whether a call only returns something that does the body's work later."""

    parameter: str | None = "value"
    """The name under which the decorator may find the value."""

    cached: bool = False
    """Whether a second call with the same value does no work, and keeps what it was given."""

    def make(self, decorate: Decorator, body: Body) -> Made:
        """Make one that does the body's work."""
        made = self.build(decorate, body)
        return made if isinstance(made, Made) else Made(made, made)


def identity(function: Any) -> Any:
    """Leave a callable bare: the decorator to compare others with."""
    return function


def by_hand(awaitable: Awaitable[Any]) -> Any:
    """Await something without an event loop, in the context of whoever asks."""

    async def main() -> Any:
        return await awaitable

    steps = main()
    try:
        while True:
            steps.send(None)
    except StopIteration as end:
        return end.value


def call(function: Callable[[Any], Any], value: Any) -> Any:
    return function(value)


def await_(function: Callable[[Any], Any], value: Any) -> Any:
    return by_hand(function(value))


def exhaust(function: Callable[[Any], Any], value: Any) -> Any:
    """Return the items of a generator and its return value."""
    items: list[Any] = []

    def delegate() -> Generator[Any]:
        items.append((yield from function(value)))

    return [*delegate(), *items]


def exhaust_async(function: Callable[[Any], Any], value: Any) -> Any:
    async def main() -> Any:
        return [item async for item in function(value)]

    return by_hand(main())


def enter(function: Callable[[Any], Any], value: Any) -> Any:
    with function(value) as given:
        return given


def enter_async(function: Callable[[Any], Any], value: Any) -> Any:
    async def main() -> Any:
        async with function(value) as given:
            return given

    return by_hand(main())


def is_named(function: Any) -> bool:
    """Tell whether a callable has names of its own: a partial and an object have none."""
    return inspect.isroutine(function) and hasattr(function, "__qualname__")
