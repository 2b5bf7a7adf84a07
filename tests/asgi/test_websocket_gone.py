"""Clients that have gone without a closing frame."""

import asyncio
from typing import Any

import pytest
from starlette.websockets import WebSocket, WebSocketDisconnect
from tests.kits.websocket import (
    CONNECT,
    Conversation,
    accept,
    close,
    converse,
    does,
    echo,
    gone,
    line,
    says,
)

from obskit.asgi import ObservabilityMiddleware
from obskit.testing import Observed

pytestmark = pytest.mark.anyio

UVICORN = {"asgi": {"version": "3.0", "spec_version": "2.4"}}


@pytest.mark.parametrize(
    ("scope", "message", "outcome"),
    [
        (UVICORN, {"type": "websocket.disconnect", "code": 1005}, "client_disconnect"),
        (UVICORN, gone(1005), "ok"),
        (UVICORN, gone(1005, None), "ok"),
        (UVICORN, {"type": "websocket.disconnect", "code": 1001}, "ok"),
        ({"asgi": {"spec_version": "2.3"}}, {"type": "websocket.disconnect", "code": 1005}, "ok"),
        ({"asgi": {}}, {"type": "websocket.disconnect", "code": 1005}, "ok"),
    ],
)
async def test_a_connection_that_was_lost_under_uvicorn(
    observed: Observed, scope: dict[str, Any], message: dict[str, Any], outcome: str
) -> None:
    """From uvicorn comes 1005 then, without the reason that it has for every closing frame."""
    await converse(ObservabilityMiddleware(echo), message, **scope)
    assert line(observed)["outcome"] == outcome
    vanished = outcome == "client_disconnect"
    assert line(observed)["close_code"] == (1006 if vanished else message["code"])


async def raises_framework_error(scope: Any, receive: Any, send: Any) -> None:
    websocket = WebSocket(scope, receive, send)
    await websocket.accept()
    await websocket.send_text("a")


async def raises_in_group(scope: Any, receive: Any, send: Any) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(raises_framework_error(scope, receive, send))


@pytest.mark.parametrize(
    ("app", "error"),
    [
        (does(accept(), says("a")), ConnectionResetError),
        (raises_framework_error, WebSocketDisconnect),
        (raises_in_group, ExceptionGroup),
    ],
)
async def test_a_send_that_fails_because_the_client_has_gone(
    observed: Observed, app: Any, error: type[Exception]
) -> None:
    """Servers raise an ``OSError`` then: no error of the application's."""
    conversation = Conversation([CONNECT], refused=("websocket.send",))
    with pytest.raises(error):
        await conversation.run(ObservabilityMiddleware(app))
    access = line(observed)
    assert (access["outcome"], access["close_code"]) == ("client_disconnect", 1006)
    assert (access["messages_out"], access["level"]) == (0, "info")
    assert "exception" not in access
    assert observed.metrics.delta("websocket_connections_total", close="abnormal") == 1
    observed.operation("WEBSOCKET unmatched").once().with_outcome("cancelled")


@pytest.mark.parametrize("failing", ["websocket.accept", "websocket.close"])
async def test_a_client_that_has_gone_before_the_last_word(
    observed: Observed, failing: str
) -> None:
    conversation = Conversation([CONNECT], refused=(failing,))
    with pytest.raises(ConnectionResetError):
        await conversation.run(ObservabilityMiddleware(does(accept(), close(1011))))
    assert line(observed)["outcome"] == "client_disconnect"


async def test_the_code_may_come_after_the_failed_send(observed: Observed) -> None:
    """One task sends and fails; another one receives what the client has said at last."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(accept())
        with pytest.raises(OSError, match="gone"):
            await send(says("a"))
        await receive()

    conversation = Conversation([CONNECT, gone(1001)], refused=("websocket.send",))
    await conversation.run(ObservabilityMiddleware(app))
    assert (line(observed)["outcome"], line(observed)["close_code"]) == ("ok", 1001)


async def test_an_oserror_of_the_application_s_own_is_an_error(observed: Observed) -> None:
    app = does(accept(), "receive", ConnectionResetError("the database has gone"))
    with pytest.raises(ConnectionResetError):
        await converse(ObservabilityMiddleware(app), gone(1001))
    assert line(observed)["outcome"] == "error"


async def test_a_failure_beside_a_closing_is_an_error(observed: Observed) -> None:
    group = ExceptionGroup("tasks", [WebSocketDisconnect(1001), ValueError("no")])
    with pytest.raises(ExceptionGroup):
        await converse(ObservabilityMiddleware(does(accept(), "receive", group)), gone(1001))
    assert line(observed)["outcome"] == "error"


async def test_a_framework_s_error_while_the_connection_is_open_is_one(observed: Observed) -> None:
    with pytest.raises(WebSocketDisconnect):
        await converse(ObservabilityMiddleware(does(accept(), WebSocketDisconnect(1000))))
    assert line(observed)["outcome"] == "error"


async def test_a_message_that_the_server_refuses_is_the_application_s_error(
    observed: Observed,
) -> None:
    async def send(message: dict[str, Any]) -> None:
        raise RuntimeError("after sending 'websocket.close'")

    conversation = Conversation([CONNECT])
    conversation.send = send  # type: ignore[method-assign] # another server
    with pytest.raises(RuntimeError, match=r"websocket\.close"):
        await conversation.run(ObservabilityMiddleware(does(accept())))
    assert (line(observed)["outcome"], line(observed)["status"]) == ("error", 500)
