"""What is counted of WebSocket connections, and that nothing of it can disturb them."""

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi import WebSocket as FastAPIWebSocket
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket
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
from obskit import control
from obskit.asgi import ObservabilityMiddleware, instrument
from obskit.instruments import AccessLog, RequestLabel, WebSocketNames
from obskit.testing import Observed

pytestmark = pytest.mark.anyio

NAMES = WebSocketNames(message_bytes="websocket_message_bytes_total")


class Meeting:
    """An application whose every step is watched."""

    def __init__(self, observed: Observed) -> None:
        self.observed = observed
        self.seen: list[float] = []

    def look(self) -> None:
        self.seen.append(self.observed.metrics.value("websocket_connections_in_progress"))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.look()
        await receive()
        self.look()
        await send(accept())
        self.look()
        await receive()
        self.look()


@pytest.mark.parametrize(
    ("last", "seen"),
    [(text("a"), [0, 0, 1, 1]), (gone(1001), [0, 0, 1, 0]), (gone(1006), [0, 0, 1, 0])],
)
async def test_connections_are_in_progress_from_accept_to_close(
    observed: Observed, last: dict[str, Any], seen: list[float]
) -> None:
    meeting = Meeting(observed)
    await converse(ObservabilityMiddleware(meeting), last)
    assert meeting.seen == seen
    assert observed.metrics.value("websocket_connections_in_progress") == 0


@pytest.mark.parametrize("app", [does(close()), does(denial(401)), does()])
async def test_refused_handshakes_are_never_in_progress(observed: Observed, app: Any) -> None:
    await converse(ObservabilityMiddleware(app))
    assert observed.metrics.value("websocket_connections_in_progress") == 0
    assert observed.metrics.value("websocket_messages_total") == 0


async def test_messages_show_while_the_connection_lasts(observed: Observed) -> None:
    """A connection may last for days: the next scrape has what there was so far."""
    counted: list[tuple[float, float]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(accept())
        for _ in range(3):
            await receive()
            await send(says("a"))
            await send(says("b"))
            counted.append(
                (
                    observed.metrics.value("websocket_messages_total", direction="in"),
                    observed.metrics.value("websocket_messages_total", direction="out"),
                )
            )
        await send(close())

    await converse(ObservabilityMiddleware(app), text("1"), text("2"), text("3"))
    assert counted == [(1, 2), (2, 4), (3, 6)]


@pytest.mark.parametrize(
    ("message", "size"),
    [
        (text("hello"), 5),
        (text("h\N{LATIN SMALL LETTER E WITH ACUTE}\N{SNOWMAN}"), 6),
        (text(""), 0),
        (data(b"\x00\xff"), 2),
        (data(b""), 0),
        ({"type": "websocket.receive", "bytes": None, "text": "ab"}, 2),
        ({"type": "websocket.receive", "bytes": bytearray(7), "text": None}, 7),
        ({"type": "websocket.receive"}, 0),
        (text("\ud800"), 3),
    ],
)
async def test_bytes_are_counted_on_demand(
    observed: Observed, message: dict[str, Any], size: int
) -> None:
    await converse(ObservabilityMiddleware(echo, websocket_names=NAMES), message, gone(1000))
    for direction in ("in", "out"):
        labels = {"direction": direction, "route": "unmatched"}
        assert observed.metrics.delta("websocket_message_bytes_total", **labels) == size
        assert line(observed)[f"bytes_{direction}"] == size


async def test_bytes_are_not_counted_by_default(observed: Observed) -> None:
    await converse(ObservabilityMiddleware(echo), text("a"), gone(1000))
    assert observed.metrics.value("websocket_message_bytes_total") == 0
    assert "bytes_in" not in line(observed)


async def test_metrics_may_be_left_out(observed: Observed) -> None:
    names = WebSocketNames(connections=None, in_progress=None, messages=None, duration=None)
    await converse(ObservabilityMiddleware(echo, websocket_names=names), text("a"), gone(1000))
    shown = [metric.name for metric in observed.registry.collect()]
    assert [name for name in shown if "websocket" in name or "unwanted" in name] == []
    assert line(observed)["messages_in"] == 1


async def test_other_names_and_labels(observed: Observed) -> None:
    names = WebSocketNames.prefixed("feed", route="endpoint", close="reason", direction="way")
    await converse(ObservabilityMiddleware(echo, websocket_names=names), text("a"), gone(4000))
    labels = {"endpoint": "unmatched", "reason": "application"}
    assert observed.metrics.delta("feed_connections_total", **labels) == 1
    assert observed.metrics.delta("feed_messages_total", endpoint="unmatched", way="out") == 1
    assert observed.metrics.value("feed_connection_duration_seconds_count") == 1
    assert observed.metrics.value("feed_connections_in_progress", endpoint="unmatched") == 0


async def test_labels_of_the_user_s(observed: Observed) -> None:
    labels: dict[str, str | RequestLabel] = {
        "tier": RequestLabel(lambda scope: scope["state"]["tier"], one_of=["gold", "free"]),
        "zone": "eu",
    }

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["state"]["tier"] = "gold"
        await echo(scope, receive, send)

    await converse(ObservabilityMiddleware(app, labels=labels), text("a"), gone(1000))
    given = {"tier": "gold", "zone": "eu"}
    assert observed.metrics.delta("websocket_connections_total", close="normal", **given) == 1
    assert observed.metrics.delta("websocket_connection_duration_seconds_count", **given) == 1
    assert observed.metrics.delta("websocket_messages_total", direction="in") == 1
    assert (line(observed)["tier"], line(observed)["zone"]) == ("gold", "eu")
    observed.operation("WEBSOCKET unmatched").once().with_labels(tier="gold", close="normal")


async def test_a_connection_is_an_example_of_its_duration(observed: Observed) -> None:
    await converse(ObservabilityMiddleware(does(accept(), close())))
    (duration,) = [
        metric
        for metric in observed.registry.collect()
        if metric.name == "websocket_connection_duration_seconds"
    ]
    (exemplar,) = [sample.exemplar for sample in duration.samples if sample.exemplar]
    assert exemplar.labels["trace_id"] == line(observed)["trace_id"]


# Routes


async def greet(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()


class Chat(WebSocketEndpoint):
    encoding = "text"

    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        await websocket.send_text(data)


STARLETTE = Starlette(
    routes=[
        WebSocketRoute("/rooms/{room}", greet),
        Mount("/api/{version}", routes=[WebSocketRoute("/chat/{id:int}", Chat)]),
        Route("/rooms/{room}", lambda request: PlainTextResponse("page")),
    ]
)


@pytest.mark.parametrize(
    ("path", "route", "incoming", "messages"),
    [
        ("/rooms/7", "/rooms/{room}", (), 1),
        ("/api/v1/chat/8", "/api/{version}/chat/{id}", (text("a"), gone(1001)), 2),
        ("/nowhere", "unmatched", (), 0),
    ],
)
async def test_routes_of_starlette(
    observed: Observed, path: str, route: str, incoming: tuple[Any, ...], messages: int
) -> None:
    await converse(ObservabilityMiddleware(STARLETTE), *incoming, path=path)
    kind = "normal" if messages else "rejected"
    assert observed.metrics.delta("websocket_connections_total", route=route, close=kind) == 1
    observed.operation(f"WEBSOCKET {route}").once().with_outcome("ok")
    assert (observed.spans.one(f"WEBSOCKET {route}").attributes or {}).get("http.route") == (
        None if route == "unmatched" else route
    )
    counted = observed.metrics.value("websocket_messages_total", route=route)
    assert counted == observed.metrics.value("websocket_messages_total") == messages


async def test_routes_of_fastapi_and_one_line_for_all(observed: Observed) -> None:
    app, inner = FastAPI(), FastAPI()

    @app.websocket("/rooms/{room}")
    @inner.websocket("/inner/{room}")
    async def rooms(websocket: FastAPIWebSocket, room: int) -> None:
        await websocket.accept()
        async for message in websocket.iter_json():
            await websocket.send_json({"room": room, **message})
        assert obskit.current().name.startswith("WEBSOCKET /")

    app.mount("/mounted", inner)
    instrument(app)
    for path in ("/rooms/1", "/mounted/inner/2"):
        conversation = await converse(app, text('{"a": 1}'), gone(1000), path=path)
        assert conversation.header(b"x-request-id")
        assert conversation.sent[1]["text"] == f'{{"room":{path[-1]},"a":1}}'
    for route in ("/rooms/{room}", "/mounted/inner/{room}"):
        observed.operation(f"WEBSOCKET {route}").once().with_outcome("ok")
        assert observed.metrics.delta("websocket_messages_total", route=route) == 2


async def test_parameters_that_are_wrong_are_a_refusal(observed: Observed) -> None:
    app = FastAPI()

    @app.websocket("/rooms/{room}")
    async def rooms(websocket: FastAPIWebSocket, room: int) -> None:
        raise AssertionError

    await converse(instrument(app), path="/rooms/x")
    assert (line(observed)["status"], line(observed)["outcome"]) == (403, "ok")


# What is not recorded


@pytest.mark.parametrize("way", ["excluded", "suppressed", "disabled", "inner"])
async def test_connections_that_nobody_wants_to_see(observed: Observed, way: str) -> None:
    given: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        given.extend([receive, send])
        await echo(scope, receive, send)

    conversation = Conversation([CONNECT, text("a"), gone(1000)], {"path": "/feed/1"})
    instrumented = ObservabilityMiddleware(app, excluded_paths=["/feed/*"] * (way == "excluded"))
    if way == "suppressed":
        with obskit.suppressed():
            await conversation.run(instrumented)
    elif way == "disabled":
        with control.disable("websocket"):
            await conversation.run(instrumented)
    elif way == "inner":
        await conversation.run(ObservabilityMiddleware(instrumented))
        observed.operation("WEBSOCKET unmatched").once()
        return
    else:
        await conversation.run(instrumented)
    assert given == [conversation.receive, conversation.send]
    assert conversation.sent[0] == accept()
    assert "state" not in conversation.scope
    assert observed.logs.all() == []
    assert observed.spans.all() == []
    assert observed.metrics.value("websocket_connections_total") == 0


async def test_signals_are_switched_off_one_by_one(observed: Observed) -> None:
    app = ObservabilityMiddleware(echo, websocket_names=NAMES)
    with control.disable("websocket", signals={"metric"}):
        await converse(app, text("a"), gone(1000))
    with control.disable("websocket", signals={"log"}):
        await converse(app, text("a"), gone(1000))
    with control.disable("websocket", signals={"span"}):
        await converse(app, text("a"), gone(1000))
    assert observed.metrics.delta("websocket_connections_total") == 2
    assert observed.metrics.delta("websocket_messages_total") == 4
    assert len(observed.logs.all(event="websocket connection")) == 2
    assert len(observed.spans.all()) == 2


@pytest.mark.parametrize(
    ("log", "lines"),
    [
        (False, 0),
        (AccessLog(quiet_paths=["/feed"]), 1),
        (AccessLog(sample=0.0), 1),
        (AccessLog(levels={"ok": "debug"}), 1),
        (AccessLog(), 2),
    ],
)
async def test_lines_as_the_access_log_says(observed: Observed, log: Any, lines: int) -> None:
    app = ObservabilityMiddleware(echo, access_log=log)
    await converse(app, gone(1000), path="/feed")
    await converse(app, gone(1006), path="/feed")
    levels = [found["level"] for found in observed.logs.all(event="websocket connection")]
    assert len(levels) == lines
