"""A WebSocket connection is one operation, however it ends."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.trace import SpanKind, StatusCode
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
from obskit.asgi import ObservabilityMiddleware
from obskit.instruments import CLOSE_CLASSES
from obskit.testing import Observed, observing

pytestmark = pytest.mark.anyio


async def test_a_connection_is_one_operation(observed: Observed) -> None:
    await converse(ObservabilityMiddleware(echo), text("a"), data(b"b"), gone(1000))
    observed.operation("WEBSOCKET unmatched").once().with_outcome("ok").with_labels(
        route="unmatched", close="normal"
    )
    assert observed.metrics.delta("websocket_connections_total") == 1
    assert observed.metrics.delta("websocket_connection_duration_seconds_count") == 1
    span = observed.spans.one("WEBSOCKET unmatched")
    assert len(observed.spans.all()) == 1
    assert span.kind is SpanKind.SERVER
    assert span.attributes is not None
    assert span.attributes["url.scheme"] == "ws"
    assert span.attributes["http.response.status_code"] == 101
    assert span.attributes["websocket.close_code"] == 1000
    assert span.attributes["websocket.messages_in"] == 2
    assert span.status.status_code is StatusCode.UNSET
    access = line(observed)
    assert len(observed.logs.all()) == 1
    assert (access["messages_in"], access["messages_out"]) == (2, 2)
    assert observed.metrics.value("http_requests_total") == 0


# The application, what the client does after the handshake; then: the class of the closing, the
# code, who has closed, the status of the handshake, the outcome, the level of the line.
ENDINGS: dict[str, tuple[Any, list[Any], tuple[Any, ...]]] = {
    "the client says goodbye": (
        *(echo, [gone(1000)]),
        ("normal", 1000, "client", 101, "ok", "info"),
    ),
    "the client leaves the page": (
        *(echo, [gone(1001)]),
        ("normal", 1001, "client", 101, "ok", "info"),
    ),
    "the client gives no code": (
        *(echo, [gone(1005)]),
        ("no_status", 1005, "client", 101, "ok", "info"),
    ),
    "the server gives no code": (
        *(echo, [{"type": "websocket.disconnect"}]),
        ("no_status", 1005, "client", 101, "ok", "info"),
    ),
    "the client vanishes": (
        *(echo, [gone(1006)]),
        ("abnormal", 1006, "client", 101, "client_disconnect", "info"),
    ),
    "the client sends too much": (
        *(echo, [gone(1009)]),
        ("protocol_error", 1009, "client", 101, "ok", "info"),
    ),
    "the client has an error of its own": (
        *(echo, [gone(1011)]),
        ("error", 1011, "client", 101, "ok", "info"),
    ),
    "the server stops": (
        *(echo, [gone(1012)]),
        ("shutdown", 1012, "server", 101, "ok", "info"),
    ),
    "the client has a code of its own": (
        *(echo, [gone(4711)]),
        ("application", 4711, "client", 101, "ok", "info"),
    ),
    "the client has a registered code": (
        *(echo, [gone(3008)]),
        ("registered", 3008, "client", 101, "ok", "info"),
    ),
    "the client has a code that is none": (
        *(echo, [gone(99_999)]),
        ("other", 99_999, "client", 101, "ok", "info"),
    ),
    "the client vanishes before the answer": (
        *(does("receive"), [gone(1006)]),
        ("abnormal", 1006, "client", None, "client_disconnect", "info"),
    ),
    "the application closes": (
        *(does(accept(), close()), []),
        ("normal", 1000, "application", 101, "ok", "info"),
    ),
    "the application closes without a code": (
        *(does(accept(), {"type": "websocket.close", "code": None}), []),
        ("normal", 1000, "application", 101, "ok", "info"),
    ),
    "the application closes with a policy": (
        *(does(accept(), close(1008)), []),
        ("policy", 1008, "application", 101, "ok", "info"),
    ),
    "the application closes with an error": (
        *(does(accept(), close(1011)), []),
        ("error", 1011, "application", 101, "error", "error"),
    ),
    "the application closes, and the server says so": (
        *(does(accept(), close(4000), "receive"), [gone(1006)]),
        ("application", 4000, "application", 101, "ok", "info"),
    ),
    "both close": (
        *(does(accept(), "receive", close(1011)), [gone(1001)]),
        ("normal", 1001, "client", 101, "ok", "info"),
    ),
    "the application refuses": (
        *(does(close()), []),
        ("rejected", None, "application", 403, "ok", "info"),
    ),
    "the application refuses, and the server says so": (
        *(does(close(), "receive"), [gone(1006)]),
        ("rejected", None, "application", 403, "ok", "info"),
    ),
    "the application answers a refusal": (
        *(does(denial(401), {"type": "websocket.http.response.body", "body": b"no"}), []),
        ("rejected", None, "application", 401, "ok", "info"),
    ),
    "the application answers that it cannot": (
        *(does(denial(503), {"type": "websocket.http.response.body"}), []),
        ("rejected", None, "application", 503, "error", "error"),
    ),
    "the application returns without an answer": (
        *(does(), []),
        ("error", None, "", 500, "error", "error"),
    ),
    "the application returns without closing": (
        *(does(accept(), says("a")), []),
        ("error", None, "", 101, "error", "error"),
    ),
}


@pytest.mark.parametrize(("app", "incoming", "expected"), ENDINGS.values(), ids=ENDINGS)
async def test_endings(
    observed: Observed, app: Any, incoming: list[Any], expected: tuple[Any, ...]
) -> None:
    kind, code, by, status, outcome, level = expected
    await converse(ObservabilityMiddleware(app), *incoming)
    access = line(observed)
    assert (access["close_code"], access["closed_by"]) == (code, by)
    assert (access["status"], access["outcome"], access["level"]) == (status, outcome, level)
    assert "exception" not in access
    assert observed.metrics.delta("websocket_connections_total") == 1
    assert observed.metrics.delta("websocket_connections_total", close=kind) == 1
    span = observed.spans.one("WEBSOCKET unmatched")
    assert (span.attributes or {}).get("obskit.outcome", "ok") == outcome
    assert (span.attributes or {}).get("http.response.status_code") == status
    assert (span.status.status_code is StatusCode.ERROR) == (outcome == "error")


async def test_a_span_tells_which_code_was_the_error(observed: Observed) -> None:
    await converse(ObservabilityMiddleware(does(accept(), close(1014))))
    await converse(ObservabilityMiddleware(does(denial(502))))
    types = [(span.attributes or {})["error.type"] for span in observed.spans.all()]
    assert types == ["1014", "502"]


@pytest.mark.parametrize(
    ("app", "status"), [(does(ValueError("no")), 500), (does(accept(), ValueError("no")), 101)]
)
async def test_an_application_that_raises(observed: Observed, app: Any, status: int) -> None:
    conversation = Conversation([CONNECT])
    with pytest.raises(ValueError, match="no"):
        await conversation.run(ObservabilityMiddleware(app))
    assert len(conversation.sent) == (status == 101)  # nothing is invented
    access = line(observed)
    assert (access["status"], access["outcome"], access["level"]) == (status, "error", "error")
    assert access["error_type"] == "ValueError"
    assert access["exception"].endswith("ValueError: no")
    assert observed.metrics.delta("websocket_connections_total", close="error") == 1
    observed.operation("WEBSOCKET unmatched").once().with_error("ValueError")
    (event,) = observed.spans.one("WEBSOCKET unmatched").events
    assert event.name == "exception"


async def test_the_very_error_goes_on(observed: Observed) -> None:
    error = ValueError("no")
    with pytest.raises(ValueError, match="no") as raised:
        await converse(ObservabilityMiddleware(does(accept(), error)))
    assert raised.value is error


async def test_an_error_after_the_client_has_closed_is_an_error(observed: Observed) -> None:
    app = does(accept(), "receive", ValueError("clean-up"))
    with pytest.raises(ValueError, match="clean-up"):
        await converse(ObservabilityMiddleware(app), gone(1000))
    assert (line(observed)["close_code"], line(observed)["outcome"]) == (1000, "error")
    assert observed.metrics.delta("websocket_connections_total", close="normal") == 1


async def test_an_error_is_logged_once(observed: Observed) -> None:
    @obskit.observe("inner")
    async def inner() -> None:
        raise ValueError("no")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await inner()

    with pytest.raises(ValueError, match="no"):
        await converse(ObservabilityMiddleware(app))
    assert observed.logs.one(event="operation failed")["exception"]
    assert "exception" not in line(observed)
    assert line(observed)["error_type"] == "ValueError"
    assert observed.spans.tree() == {"WEBSOCKET unmatched": {"inner": {}}}


async def test_a_cancelled_application(observed: Observed) -> None:
    conversation = Conversation([CONNECT])
    task = asyncio.create_task(conversation.run(ObservabilityMiddleware(echo)))
    while not conversation.sent:  # noqa: ASYNC110 - the other task's turn
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    access = line(observed)
    assert (access["outcome"], access["level"], access["status"]) == ("cancelled", "warning", 101)
    assert observed.metrics.delta("websocket_connections_total", close="cancelled") == 1


async def test_a_cancellation_after_the_closing_is_no_news(observed: Observed) -> None:
    """Servers and frameworks cancel applications once the client has gone."""
    app = does(accept(), "receive", asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await converse(ObservabilityMiddleware(app), gone(1001))
    assert line(observed)["outcome"] == "ok"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
async def test_what_belongs_to_the_host_is_never_swallowed(
    observed: Observed, kind: type[BaseException]
) -> None:
    with pytest.raises(kind):
        await converse(ObservabilityMiddleware(does(accept(), kind())))
    assert observed.metrics.delta("websocket_connections_total") == 1
    assert line(observed)["outcome"] in ("error", "cancelled")
    assert obskit.correlation_id() is None


async def test_the_application_s_own_outcome_counts(observed: Observed) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await echo(scope, receive, send)
        obskit.current().outcome = "error"

    await converse(ObservabilityMiddleware(app), gone(1000))
    assert (line(observed)["outcome"], line(observed)["level"]) == ("error", "error")
    span = observed.spans.one("WEBSOCKET unmatched")
    assert (span.attributes or {})["error.type"] == "1000"


async def test_what_the_application_calls_closed_is_cancelled_for_the_line(
    observed: Observed,
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await echo(scope, receive, send)
        obskit.current().outcome = "closed"

    await converse(ObservabilityMiddleware(app), gone(1000))
    assert line(observed)["outcome"] == "cancelled"
    observed.operation("WEBSOCKET unmatched").once().with_outcome("closed")


# Whatever comes

CODES = st.one_of(st.integers(0, 70_000), st.sampled_from([1000, 1005, 1006, 1012, 3000, 4999]))
CLIENTS = st.lists(st.one_of(st.builds(text, st.text()), st.builds(data, st.binary())), max_size=20)


@given(code=CODES, by_client=st.booleans())
@settings(deadline=None)
def test_every_code_has_a_class(code: int, by_client: bool) -> None:
    app = echo if by_client else does(accept(), close(code))
    with observing() as observed:
        asyncio.run(converse(ObservabilityMiddleware(app), *([gone(code)] if by_client else [])))
        counted = {
            kind: observed.metrics.delta("websocket_connections_total", close=kind)
            for kind in CLOSE_CLASSES
        }
    assert sum(counted.values()) == 1
    assert line(observed)["close_code"] == code
    assert counted["application"] == (4000 <= code <= 4999)
    assert counted["registered"] == (3000 <= code <= 3999)


@given(messages=CLIENTS, code=CODES)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_messages_pass_through_and_are_counted(messages: list[Any], code: int) -> None:
    heard: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def listen() -> Any:
            heard.append(await receive())
            return heard[-1]

        await echo(scope, listen, send)

    incoming = [*messages, gone(code)]
    with observing() as observed:
        conversation = asyncio.run(converse(ObservabilityMiddleware(app), *incoming))
        counted = observed.metrics.delta("websocket_messages_total")
    assert all(one is other for one, other in zip(heard[1:], incoming, strict=True))
    assert conversation.sent[1:] == [{**one, "type": "websocket.send"} for one in messages]
    assert line(observed)["messages_in"] == line(observed)["messages_out"] == len(messages)
    assert counted == 2 * len(messages)
