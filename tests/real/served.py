"""The application that every server serves; its access line is the only one that is wanted."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute

import obskit
from obskit.asgi import instrument
from obskit.asgi._server_logs import silence_server_access_logs

obskit.configure(service="served", log_format="json")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    say("lifespan: begun")
    yield
    say("lifespan: ended")


async def plain(request: Request) -> Response:
    return PlainTextResponse("plain")


async def stream(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(request.path_params["count"]):
            yield b"part"
            await asyncio.sleep(0)

    return StreamingResponse(parts())


async def endless(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        while True:
            yield b"part" * 1000
            await asyncio.sleep(0.01)

    return StreamingResponse(parts())


async def fail(request: Request) -> Response:
    raise RuntimeError("planted")


async def wait(request: Request) -> Response:
    """Answer when the client has gone, as the server tells it."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    return PlainTextResponse("for nobody")


async def sleep(request: Request) -> Response:
    """Take no notice of the client."""
    try:
        await asyncio.sleep(0.5)
    except asyncio.CancelledError:
        say("sleep: cancelled")
        raise
    say("sleep: over")
    return PlainTextResponse("for nobody")


async def talk(socket: Any) -> None:
    await socket.accept()
    await socket.send_text(await socket.receive_text())
    await socket.close()


app = instrument(
    Starlette(
        routes=[
            Route("/plain/{x}", plain),
            Route("/stream/{count:int}", stream),
            Route("/endless/{x}", endless),
            Route("/fail/{x}", fail),
            Route("/wait/{x}", wait),
            Route("/sleep/{x}", sleep),
            WebSocketRoute("/talk/{room}", talk),
        ],
        lifespan=lifespan,
    )
)

if "KEEP_SERVER_ACCESS_LOGS" not in os.environ:
    silence_server_access_logs()
