"""Starlette: the router leaves the route in the scope, or at least the endpoint."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from obskit.asgi import instrument
from obskit.asgi._routes import RouteTemplates
from obskit.testing import Observed

pytestmark = pytest.mark.anyio

Check = Callable[..., Any]


async def user(request: Request) -> Response:
    return PlainTextResponse("user")


async def fail(request: Request) -> Response:
    raise RuntimeError(request.path_params["reason"])


async def gone(request: Request) -> Response:
    raise HTTPException(404)


async def stream(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(request.path_params["count"]):
            yield b"part"

    return StreamingResponse(parts())


async def talk(socket: Any) -> None:
    await socket.accept()
    await socket.send_text(await socket.receive_text())


def app() -> Starlette:
    shop = Starlette(routes=[Route("/users/{user}", user), Route("/fail/{reason}", fail)])
    made = Starlette(
        routes=[
            Route("/users/{user:int}", user, methods=["GET", "POST"]),
            Route("/fail/{reason}", fail),
            Route("/gone/{thing}", gone),
            Route("/stream/{count:int}", stream),
            WebSocketRoute("/talk/{room}", talk),
            Mount("/files", StaticFiles(directory=Path(__file__).parent)),
            Mount("/{tenant}/shop", app=shop),
            Mount("/shop", app=shop),
        ]
    )
    made.add_middleware(CORSMiddleware, allow_origins=["*"])
    return made


REQUESTS = [
    ("GET", "/users/7", 200, "/users/{user}"),
    ("HEAD", "/users/7", 200, "/users/{user}"),
    ("DELETE", "/users/7", 405, "/users/{user}"),
    ("GET", "/users/7/", 307, "unmatched"),
    ("GET", "/users/seven", 404, "unmatched"),
    ("GET", "/gone/mug", 404, "/gone/{thing}"),
    ("GET", "/fail/why", 500, "/fail/{reason}"),
    ("GET", "/stream/3", 200, "/stream/{count}"),
    ("GET", "/files/conftest.py", 200, "/files"),
    ("GET", "/files/gone.css", 404, "/files"),
    ("GET", "/acme/shop/users/7", 200, "/{tenant}/shop/users/{user}"),
    ("GET", "/shop/users/7", 200, "/shop/users/{user}"),
    ("GET", "/shop/fail/why", 500, "/shop/fail/{reason}"),
]


@pytest.mark.parametrize(("method", "path", "status", "route"), REQUESTS)
async def test_requests(check: Check, method: str, path: str, status: int, route: str) -> None:
    await check(instrument(app()), method, path, status, route)


async def test_a_preflight(get: Check, observed: Observed) -> None:
    headers = {"origin": "http://x", "access-control-request-method": "GET"}
    response = await get(instrument(app()), "/users/7", "OPTIONS", headers=headers)
    assert (response.status_code, "x-request-id" in response.headers) == (200, True)
    assert observed.metrics.delta("http_requests_total", method="OPTIONS", route="unmatched") == 1


async def test_a_stream_is_counted_with_its_bytes(check: Check, observed: Observed) -> None:
    response = await check(instrument(app()), "GET", "/stream/3", 200, "/stream/{count}")
    assert response.text == "partpartpart"
    assert observed.metrics.delta("http_response_size_bytes_sum", route="/stream/{count}") == 12


async def test_a_websocket_route_is_known(converse: Check) -> None:
    served = app()
    scope, answers = await converse(served, "/talk/tea")
    assert (RouteTemplates(served).find(scope), answers) == ("/talk/{room}", ["hello"])
