"""A class of others, to be patched: its module is imported once, so that it can be pickled."""

import asyncio
import functools
from collections.abc import AsyncGenerator, Generator
from typing import Any

import wrapt


class Client:
    """Every kind of method that a class of others may have."""

    def __init__(self, host: str = "shop") -> None:
        self.host = host

    def get(self, path: str, /, *, times: int = 1) -> str:
        """Fetch a path."""
        return f"{self.host}{path}" * times

    async def fetch(self, path: str) -> str:
        await asyncio.sleep(0)
        return self.get(path)

    def pages(self, count: int) -> Generator[int, str, str]:
        said = ""
        for number in range(count):
            said += (yield number) or ""
        return said

    async def stream(self, count: int) -> AsyncGenerator[int]:
        for number in range(count):
            yield number

    @classmethod
    def make(cls, host: str) -> "Client":
        return cls(host)

    @staticmethod
    def quote(text: str) -> str:
        return f"<{text}>"

    @property
    def url(self) -> str:
        """Where it is."""
        return f"https://{self.host}"

    def fail(self) -> None:
        raise LookupError(self.host)

    def without_self() -> str:  # type: ignore[misc] # called through the class, which works
        return "called"


class Mobile(Client):
    """Inherits everything but one method."""

    def get(self, path: str, /, *, times: int = 1) -> str:
        return super().get(path, times=times).upper()


def title(method: str, cls: type = Client) -> str:
    """Return the default name of a method's operation."""
    return f"{cls.__module__}.{cls.__qualname__}.{method}"


def members() -> list[dict[str, object]]:
    """Return what the classes hold, without what pickling remembers there."""
    held: list[dict[str, object]] = [dict(vars(cls)) for cls in (Client, Mobile)]
    return [{name: one[name] for name in one if name != "__slotnames__"} for one in held]


def wrapped_by_others(function: Any) -> Any:
    """Patch as most people do."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return f"[{function(*args, **kwargs)}]"

    return wrapper


def wrapped_by_wrapt(function: Any) -> Any:
    """Patch as OpenTelemetry's instrumentations do."""

    def wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        return f"[{wrapped(*args, **kwargs)}]"

    return wrapt.FunctionWrapper(function, wrapper)


def closed_over(function: Any) -> Any:
    """Patch without a trace of what is inside."""
    return lambda *args, **kwargs: f"[{function(*args, **kwargs)}]"


def a_class() -> Any:
    """Return a new class with one method."""

    class Theirs:
        def work(self, value: str = "x") -> str:
            return value

    return Theirs
