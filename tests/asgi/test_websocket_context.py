"""The ids of WebSocket connections: where they come from and go, and that they stay apart."""

import asyncio
import contextvars
import re
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, get_current_span
from prometheus_client import CollectorRegistry
from tests.kits.websocket import (
    CONNECT,
    Conversation,
    accept,
    close,
    converse,
    denial,
    does,
    echo,
    gone,
    line,
    says,
    text,
)

import obskit
from obskit.asgi import ObservabilityMiddleware
from obskit.testing import Observed

pytestmark = pytest.mark.anyio

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_the_id_of_the_handshake_is_the_connection_s(observed: Observed) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend([obskit.correlation_id(), scope["state"]["correlation_id"]])
        await does(accept(), close())(scope, receive, send)

    conversation = await converse(
        ObservabilityMiddleware(app), headers=[(b"x-request-id", b"mine")], state={"pool": 1}
    )
    assert seen == ["mine", "mine"]
    assert conversation.header(b"x-request-id") == b"mine"
    assert line(observed)["correlation_id"] == "mine"
    assert conversation.scope["state"]["pool"] == 1
    assert obskit.correlation_id() is None


@pytest.mark.parametrize("given", [b"", b"a b", b"x" * 200, b"\xff", b"a\r\nset-cookie: b"])
async def test_an_id_that_is_none_is_replaced(observed: Observed, given: bytes) -> None:
    conversation = await converse(
        ObservabilityMiddleware(does(accept(), close())), headers=[(b"x-request-id", given)]
    )
    made = conversation.header(b"x-request-id") or b""
    assert re.fullmatch(rb"[0-9a-f]{32}", made)
    assert line(observed)["correlation_id"] == made.decode()


async def test_the_application_s_own_header_is_replaced(observed: Observed) -> None:
    own = accept(headers=[(b"X-Request-ID", b"other"), (b"x-a", b"b")], subprotocol="chat", more=1)
    given = {**own, "headers": list(own["headers"])}
    conversation = await converse(
        ObservabilityMiddleware(does(own, close())), headers=[(b"x-request-id", b"mine")]
    )
    assert conversation.sent[0] == {
        **own,
        "headers": [(b"x-a", b"b"), (b"x-request-id", b"mine")],
    }
    assert own == given  # the application's message is its own


@pytest.mark.parametrize(
    "given",
    [accept(), accept(headers=None), accept(headers=()), accept(headers=iter(())), denial(401)],
)
async def test_answers_have_the_id(observed: Observed, given: dict[str, Any]) -> None:
    app = ObservabilityMiddleware(does(given, close()))
    conversation = await converse(app, headers=[(b"x-request-id", b"mine")])
    assert conversation.sent[0]["headers"] == [(b"x-request-id", b"mine")]


async def test_a_denial_s_body_passes_through(observed: Observed) -> None:
    bodies = [
        {"type": "websocket.http.response.body", "body": b"n", "more_body": True},
        {"type": "websocket.http.response.body", "body": b"o"},
    ]
    conversation = await converse(ObservabilityMiddleware(does(denial(403), *bodies)))
    assert all(one is other for one, other in zip(conversation.sent[1:], bodies, strict=True))


@pytest.mark.parametrize(
    ("asgi", "has_id"),
    [
        ({"spec_version": "2.0"}, False),
        ({"spec_version": "2.1"}, True),
        ({"version": "3.0"}, True),
        (None, True),
    ],
)
async def test_servers_whose_answers_have_no_headers(
    observed: Observed, asgi: Any, has_id: bool
) -> None:
    """The first version of the specification has none in ``websocket.accept``."""
    message = accept()
    conversation = await converse(ObservabilityMiddleware(does(message, close())), asgi=asgi)
    assert ("headers" in conversation.sent[0]) == has_id
    assert (conversation.sent[0] is message) == (not has_id)


async def test_unknown_messages_pass_through(observed: Observed) -> None:
    heard: list[Any] = []
    odd = {"type": "websocket.ping", "more": [1]}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(accept())
        heard.append(await receive())
        await send(odd)
        await send(close())

    conversation = await converse(ObservabilityMiddleware(app), odd)
    assert heard[0] is odd
    assert conversation.sent[1] is odd
    assert (line(observed)["messages_in"], line(observed)["messages_out"]) == (0, 0)


async def test_tasks_of_the_application_have_the_id(observed: Observed) -> None:
    log = obskit.get_logger("app")

    async def listen(receive: Any) -> None:
        while (await receive())["type"] != "websocket.disconnect":
            log.info("heard")

    async def talk(send: Any) -> None:
        for _ in range(3):
            await send(says("tick"))
            log.info("said")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(accept())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(listen(receive))
            tasks.create_task(talk(send))

    await converse(
        ObservabilityMiddleware(app),
        *(text("a"), text("b"), gone(1000)),
        headers=[(b"x-request-id", b"mine")],
    )
    lines = observed.logs.all(logger="app")
    assert [one["correlation_id"] for one in lines] == ["mine"] * 5
    assert (line(observed)["messages_in"], line(observed)["messages_out"]) == (2, 3)


async def test_two_connections_at_a_time_stay_apart(observed: Observed) -> None:
    turns = asyncio.Barrier(2)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(accept())
        obskit.bind(**{scope["path"][1:]: True})
        for _ in range(5):
            await turns.wait()
            await send(says(str(obskit.correlation_id())))
        await send(close())

    instrumented = ObservabilityMiddleware(app)
    one, other = await asyncio.gather(
        converse(instrumented, path="/a", headers=[(b"x-request-id", b"a")]),
        converse(instrumented, path="/b", headers=[(b"x-request-id", b"b")]),
    )
    assert [message["text"] for message in one.sent[1:-1]] == ["a"] * 5
    assert [message["text"] for message in other.sent[1:-1]] == ["b"] * 5
    first, second = sorted(observed.logs.all(), key=lambda found: found["path"])
    assert "b" not in first
    assert "a" not in second


async def test_nothing_leaks_where_a_server_reuses_its_context(observed: Observed) -> None:
    """As uvicorn does with all connections of one client."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        obskit.bind(**{f"n{scope['path'][1:]}": True})
        await does(accept(), close())(scope, receive, send)

    instrumented = ObservabilityMiddleware(app)
    context = contextvars.copy_context()
    for number in range(3):
        running = converse(instrumented, path=f"/{number}")
        await asyncio.create_task(running, context=context)
        assert context.run(obskit.correlation_id) is None
    for number, found in enumerate(observed.logs.all()):
        assert [name for name in found if re.fullmatch(r"n\d", name)] == [f"n{number}"]
    assert len({found["correlation_id"] for found in observed.logs.all()}) == 3


async def test_what_is_around_a_connection_is_not_its_own(observed: Observed) -> None:
    with obskit.bound(around=True), obskit.observe("around"):
        await converse(ObservabilityMiddleware(does(accept(), close())))
        assert obskit.current().name == "around"
    assert "around" not in line(observed)
    assert observed.spans.one("WEBSOCKET unmatched").parent is None


async def test_the_caller_s_span_is_the_parent_of_all_that_happens(observed: Observed) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(accept())
        with obskit.observe("inside"):
            await send(says("a"))
        await send(close())

    await converse(ObservabilityMiddleware(app), headers=[(b"traceparent", PARENT.encode())])
    span = observed.spans.one("WEBSOCKET unmatched")
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"
    assert observed.spans.tree() == {"WEBSOCKET unmatched": {"inside": {}}}
    assert line(observed)["correlation_id"] == "0af7651916cd43dd8448eb211c80319c"


async def test_a_trace_is_handed_on_where_nothing_is_traced(observed: Observed) -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(f"{get_current_span().get_span_context().trace_id:032x}")
        await does(accept(), close())(scope, receive, send)

    with obskit.configure(tracing="off", logging="off", registry=CollectorRegistry()):
        await converse(ObservabilityMiddleware(app), headers=[(b"traceparent", PARENT.encode())])
    assert seen == ["0af7651916cd43dd8448eb211c80319c"]
    assert not get_current_span().get_span_context().is_valid


@pytest.mark.parametrize("place", ["around", "inside"])
@pytest.mark.parametrize(
    ("app", "last", "outcome"),
    [
        (echo, gone(1000), None),
        (echo, gone(1006), "client_disconnect"),
        (does(accept(), close(1011)), None, "error"),
        (does(denial(503)), None, "error"),
    ],
)
async def test_a_span_of_the_host_s_learns_how_the_connection_ended(
    place: str, app: Any, last: Any, outcome: str | None
) -> None:
    """There is one server span; whichever middleware is outermost."""
    contrib = pytest.importorskip("opentelemetry.instrumentation.asgi").OpenTelemetryMiddleware
    exporter = InMemorySpanExporter()
    tracer = TracerProvider(shutdown_on_exit=False)
    tracer.add_span_processor(SimpleSpanProcessor(exporter))
    obskit.configure(tracing=tracer, logging="off", registry=CollectorRegistry())
    if place == "around":
        hosted = contrib(ObservabilityMiddleware(app), tracer_provider=tracer)
    else:
        hosted = ObservabilityMiddleware(contrib(app, tracer_provider=tracer))
    await converse(hosted, last)
    spans = exporter.get_finished_spans()
    (server,) = [span for span in spans if span.kind is SpanKind.SERVER]
    assert (server.attributes or {}).get("obskit.outcome") == outcome


async def test_headers_that_were_asked_for_are_in_the_span(observed: Observed) -> None:
    app = ObservabilityMiddleware(
        does(accept(headers=[(b"X-Room", b"blue")]), close()),
        request_headers=["origin", "sec-websocket-key"],
        response_headers=["x-room"],
    )
    headers = [(b"origin", b"https://shop"), (b"sec-websocket-key", b"c2VjcmV0")]
    await converse(app, headers=headers)
    attributes = observed.spans.one("WEBSOCKET unmatched").attributes or {}
    assert attributes["http.request.header.origin"] == ("https://shop",)
    assert attributes["http.request.header.sec-websocket-key"] == ("[REDACTED]",)
    assert attributes["http.response.header.x-room"] == ("blue",)


async def test_secrets_of_the_query_are_hidden(observed: Observed) -> None:
    await converse(
        ObservabilityMiddleware(does(accept(), close())), query_string=b"room=1&token=s3cret"
    )
    assert line(observed)["path"] == "/?room=1&token=REDACTED"
    assert "s3cret" not in str(observed.spans.one("WEBSOCKET unmatched").attributes)


async def test_what_is_set_on_a_connection_is_in_its_line_and_span(observed: Observed) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        obskit.current().set(room="blue", route="mine")
        await does(accept(), close())(scope, receive, send)

    await converse(ObservabilityMiddleware(app))
    assert (line(observed)["room"], line(observed)["route"]) == ("blue", "unmatched")
    attributes = observed.spans.one("WEBSOCKET unmatched").attributes or {}
    assert attributes["room"] == "blue"


async def test_connections_in_flight_are_listed(observed: Observed) -> None:
    conversation = Conversation([CONNECT], {"headers": [(b"x-request-id", b"mine")]})
    app = ObservabilityMiddleware(echo, route=lambda scope: "/rooms/{id}")
    task = asyncio.create_task(conversation.run(app))
    while not conversation.sent:  # noqa: ASYNC110 - the other task's turn
        await asyncio.sleep(0)
    (found,) = obskit.in_flight()
    assert (found.name, found.labels) == ("WEBSOCKET /rooms/{id}", {"route": "/rooms/{id}"})
    assert found.correlation_id == "mine"
    conversation.incoming.append(gone(1000))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert obskit.in_flight() == []
    observed.operation("WEBSOCKET /rooms/{id}").once().with_labels(close="cancelled")
