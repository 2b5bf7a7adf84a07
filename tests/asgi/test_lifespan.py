"""The lifespan protocol, whether or not the application knows it."""

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

import obskit
from obskit.asgi import Application, instrument
from obskit.tracing import _setup

pytestmark = pytest.mark.anyio

STARTUP, SHUTDOWN = {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}
COMPLETE = ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def live(app: Application, on_send: Callable[[], None] = lambda: None) -> list[str]:
    """Start an application and shut it down; return what the server hears."""
    messages = [SHUTDOWN, STARTUP]
    heard: list[str] = []

    async def receive() -> Any:
        return messages.pop()

    async def send(message: Any) -> None:
        heard.append(message["type"])
        on_send()

    await instrument(app)({"type": "lifespan"}, receive, send)
    return heard


async def raises(scope: Any, receive: Any, send: Any) -> None:
    raise NotImplementedError(scope["type"])


async def returns(scope: Any, receive: Any, send: Any) -> None:
    pass


async def returns_after_the_first_message(scope: Any, receive: Any, send: Any) -> None:
    await receive()


async def answers(scope: Any, receive: Any, send: Any) -> None:
    for _ in COMPLETE:
        await send({"type": (await receive())["type"] + ".complete"})


@pytest.mark.parametrize("app", [raises, returns, returns_after_the_first_message, answers])
async def test_spans_are_sent_before_the_server_hears_the_end(
    app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = InMemorySpanExporter()
    monkeypatch.setitem(_setup._PROCESSORS, "console", lambda: BatchSpanProcessor(exporter))
    sent: list[int] = []
    obskit.configure(tracing="console", logging="off", registry=CollectorRegistry())
    with obskit.observe("waiting"):
        pass
    heard = await live(app, lambda: sent.append(len(exporter.get_finished_spans())))
    assert heard == COMPLETE
    assert sent == [0, 1]


async def test_a_start_that_fails_is_the_server_s_to_see() -> None:
    """An application that has received the first message takes part in the protocol."""

    async def fails(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise ValueError("no database")

    with pytest.raises(ValueError, match="no database"):
        await live(fails)


async def test_an_application_that_refuses_to_start_is_not_answered_for() -> None:
    async def refuses(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed"})

    assert await live(refuses) == ["lifespan.startup.failed"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_what_belongs_to_the_host_is_never_swallowed(kind: type[BaseException]) -> None:
    async def ends(scope: Any, receive: Any, send: Any) -> None:
        raise kind

    with pytest.raises(kind):
        await live(ends)
