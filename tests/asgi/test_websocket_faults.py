"""Faults of telemetry, and what makes no sense to it, leave WebSocket connections alone."""

import asyncio
from typing import Any

import pytest
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from prometheus_client import CollectorRegistry
from tests.kits.websocket import (
    CONNECT,
    Conversation,
    accept,
    close,
    converse,
    data,
    denial,
    does,
    echo,
    gone,
    line,
    says,
    text,
)

import obskit
from obskit._guard import guard
from obskit.asgi import ObservabilityMiddleware
from obskit.instruments import RequestLabel, WebSocketNames
from obskit.testing import Observed

pytestmark = pytest.mark.anyio

NAMES = WebSocketNames(message_bytes="websocket_message_bytes_total")


async def test_a_registry_without_room() -> None:
    registry = CollectorRegistry()
    obskit.configure(registry=registry, max_series=2, logging="off", tracing="off")
    app = ObservabilityMiddleware(echo, route=lambda scope: scope["path"])
    for number in range(5):
        conversation = await converse(app, text("a"), gone(1000), path=f"/{number}")
        assert len(conversation.sent) == 2
    values = {"route": "_overflow", "close": "_overflow"}
    assert registry.get_sample_value("websocket_connections_total", values) == 3


class BrokenRegistry(CollectorRegistry):
    def register(self, collector: Any) -> None:
        raise MemoryError("registry")


async def test_a_registry_that_raises() -> None:
    obskit.configure(registry=BrokenRegistry(), logging="off", tracing="off")
    with guard.recording() as faults:
        conversation = await converse(ObservabilityMiddleware(echo), text("a"), gone(1000))
    assert conversation.sent[1] == says("a")
    assert {site for site, _ in faults} == {"metrics.declare"}


class Faulty(SpanProcessor):
    def __init__(self, method: str) -> None:
        setattr(self, method, self.fail)

    def fail(self, *arguments: Any) -> None:
        raise RuntimeError("span processor")


@pytest.mark.parametrize("method", ["on_start", "on_end"])
async def test_a_span_processor_that_raises(method: str) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Faulty(method))
    registry = CollectorRegistry()
    obskit.configure(tracing=provider, registry=registry, logging="off")
    with guard.recording() as faults:
        conversation = await converse(ObservabilityMiddleware(echo), text("a"), gone(1000))
    assert conversation.sent[1] == says("a")
    assert {site for site, _ in faults} == {"operation.span"}
    labels = {"route": "unmatched", "close": "normal"}
    assert registry.get_sample_value("websocket_connections_total", labels) == 1


class Odd:
    """A route that is none: it cannot be a label."""

    def __str__(self) -> str:
        return "/odd"


@pytest.mark.parametrize(
    ("messages", "options"),
    [
        ([data(7), gone(1000)], {"websocket_names": NAMES}),
        ([text("a"), {"type": "websocket.disconnect", "code": "bye"}], {}),
        ([text("a"), gone(1000)], {"route": lambda scope: Odd()}),
    ],
    ids=["content", "code", "route"],
)
async def test_messages_that_make_no_sense_to_us(
    observed: Observed, messages: list[Any], options: Any
) -> None:
    conversation = await converse(ObservabilityMiddleware(echo, **options), *messages)
    assert conversation.sent[1] == {**messages[0], "type": "websocket.send"}
    assert observed.internal_errors()
    assert obskit.correlation_id() is None


@pytest.mark.parametrize(
    "odd",
    [
        accept(headers=[7]),
        accept(headers=5),
        denial(200) | {"status": "what"},
        close(1) | {"code": "no"},
    ],
)
async def test_answers_that_make_no_sense_to_us_are_the_server_s_to_judge(
    observed: Observed, odd: dict[str, Any]
) -> None:
    messages = [accept(), odd] if odd["type"] == "websocket.close" else [odd]
    conversation = await converse(ObservabilityMiddleware(does(*messages)))
    assert conversation.sent[-1]["type"] == odd["type"]
    assert observed.internal_errors()


async def test_a_label_that_fails_is_another(observed: Observed) -> None:
    label = RequestLabel(lambda scope: scope.missing, one_of=["a"])
    await converse(ObservabilityMiddleware(echo, labels={"tier": label}), gone(1000))
    assert observed.metrics.delta("websocket_connections_total", tier="other") == 1
    assert [site for site, _ in observed.internal_errors()] == ["http.label"]


async def test_a_reconfiguration_meanwhile_leaves_connections_alone(observed: Observed) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(accept())
        with obskit.configure(registry=CollectorRegistry(), logging="off", tracing="off"):
            await receive()
            await send(says("a"))
        await send(close())

    conversation = await converse(ObservabilityMiddleware(app), text("a"))
    assert [message["type"].rpartition(".")[2] for message in conversation.sent] == [
        *("accept", "send", "close")
    ]
    assert observed.metrics.delta("websocket_messages_total") == 2


def test_connections_under_any_event_loop(observed: Observed) -> None:
    """Nothing here asks which one it is: the messages are driven by hand."""
    conversation = Conversation([CONNECT, text("a"), gone(1000)])
    running = conversation.run(ObservabilityMiddleware(echo))
    with pytest.raises(StopIteration):
        running.send(None)
    assert line(observed)["messages_out"] == 1


def test_many_messages_of_many_connections(observed: Observed) -> None:
    async def all_at_once() -> None:
        app = ObservabilityMiddleware(echo)
        messages = [text("x")] * 1000
        await asyncio.gather(*(converse(app, *messages, gone(1000)) for _ in range(5)))

    asyncio.run(all_at_once())
    assert observed.metrics.delta("websocket_messages_total", direction="in") == 5000
    assert observed.metrics.delta("websocket_messages_total", direction="out") == 5000
