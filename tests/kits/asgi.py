"""ASGI messages, applications that only send them, and the access line."""

from typing import Any

from obskit.testing import Observed


def start(status: int = 200, **given: Any) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": [], **given}


def body(content: bytes = b"", *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": content, "more_body": more}


def sends(*messages: dict[str, Any]) -> Any:
    """An application that sends these messages."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return app


def line(observed: Observed) -> dict[str, Any]:
    return observed.logs.one(event="http request")
