"""WebSocket conversations over ASGI, spoken by hand."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from obskit.testing import Observed

CONNECT = {"type": "websocket.connect"}


def text(content: str) -> dict[str, Any]:
    return {"type": "websocket.receive", "text": content}


def data(content: Any) -> dict[str, Any]:
    return {"type": "websocket.receive", "bytes": content}


def gone(code: int, reason: str | None = "") -> dict[str, Any]:
    """What a server says when a client has closed."""
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


def accept(**given: Any) -> dict[str, Any]:
    return {"type": "websocket.accept", **given}


def says(content: str) -> dict[str, Any]:
    return {"type": "websocket.send", "text": content}


def close(*code: int) -> dict[str, Any]:
    return {"type": "websocket.close", **dict(zip(["code"], code, strict=False))}


def denial(status: int, **given: Any) -> dict[str, Any]:
    return {"type": "websocket.http.response.start", "status": status, "headers": [], **given}


@dataclass
class Conversation:
    """A server's side: what it tells the application, and what it is sent.

    Attributes:
        incoming: Messages for the application; after the last one it waits.
        scope: Besides what every scope has.
        refused: Types of messages at which the client turns out to have gone.
    """

    incoming: list[Any] = field(default_factory=list)
    scope: dict[str, Any] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    sent: list[Any] = field(default_factory=list)

    async def receive(self) -> Any:
        if not self.incoming:
            await asyncio.Event().wait()
        return self.incoming.pop(0)

    async def send(self, message: Any) -> None:
        if message["type"] in self.refused:
            raise ConnectionResetError("the client has gone")
        self.sent.append(message)

    async def run(self, app: Callable[..., Any]) -> "Conversation":
        self.scope = {
            "type": "websocket",
            "path": "/",
            "headers": [],
            "query_string": b"",
            **self.scope,
        }
        await app(self.scope, self.receive, self.send)
        return self

    def header(self, name: bytes) -> bytes | None:
        """The header of the answer to the handshake."""
        (answer,) = [message for message in self.sent if "headers" in message]
        values = [value for key, value in answer["headers"] if key.lower() == name]
        assert len(values) <= 1, values
        return values[0] if values else None


async def converse(app: Callable[..., Any], *incoming: Any, **scope: Any) -> Conversation:
    return await Conversation([CONNECT, *incoming], scope).run(app)


def does(*messages: Any) -> Any:
    """An application that receives the handshake, and then does as it is told.

    Args:
        messages: What it sends; ``receive`` waits for a message, and errors are raised.
    """

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        for message in messages:
            if message == "receive":
                await receive()
            elif isinstance(message, BaseException):
                raise message
            else:
                await send(message)

    return app


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """An application that says what it hears, until the client closes."""
    while (message := await receive())["type"] != "websocket.disconnect":
        if message["type"] == "websocket.connect":
            await send(accept())
        else:
            await send({**message, "type": "websocket.send"})


def line(observed: Observed) -> dict[str, Any]:
    return observed.logs.one(event="websocket connection")
