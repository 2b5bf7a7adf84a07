"""Litestar: it leaves the template in the scope."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from litestar import Litestar, Request, Router, asgi, get, post, websocket
from litestar.connection import WebSocket
from litestar.exceptions import NotFoundException
from litestar.response import Stream
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from obskit.asgi import instrument
from obskit.asgi._routes import RouteTemplates
from obskit.testing import Observed

pytestmark = pytest.mark.anyio

Check = Callable[..., Any]


@get("/")
async def home() -> str:
    return "home"


@get("/users/{user_id:int}")
async def user(request: Request[Any, Any, Any]) -> dict[str, int]:
    return {"user": request.path_params["user_id"]}


@post("/users/{user_id:int}")
async def change() -> None:
    return None


@get("/fail/{reason:str}")
async def fail() -> None:
    raise RuntimeError


@get("/gone/{thing:str}")
async def gone() -> None:
    raise NotFoundException


@get("/stream/{count:int}")
async def stream(request: Request[Any, Any, Any]) -> Stream:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(request.path_params["count"]):
            yield b"part"

    return Stream(parts())


@get("/orders/{order_id:uuid}")
async def order() -> str:
    return "order"


@websocket("/talk/{room:str}")
async def talk(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    await socket.send_text(await socket.receive_text())


async def answer(request: Any) -> PlainTextResponse:
    return PlainTextResponse("ok")


mounted = asgi("/old", is_mount=True, copy_scope=False)(
    Starlette(routes=[Route("/items/{item}/", answer)])
)


def app() -> Litestar:
    handlers: list[Any] = [home, user, change, fail, gone, stream, talk, mounted]
    return Litestar([*handlers, Router("/v1/{tenant:str}", route_handlers=[order])])


REQUESTS = [
    ("GET", "/", 200, "/"),
    ("GET", "/users/7", 200, "/users/{user_id}"),
    ("POST", "/users/7", 201, "/users/{user_id}"),
    ("DELETE", "/users/7", 405, "unmatched"),
    ("GET", "/users/seven", 404, "unmatched"),
    ("GET", "/wp-login.php", 404, "unmatched"),
    ("GET", "/gone/mug", 404, "/gone/{thing}"),
    ("GET", "/fail/why", 500, "/fail/{reason}"),
    ("GET", "/stream/3", 200, "/stream/{count}"),
    ("GET", "/v1/acme/orders/" + "0" * 32, 200, "/v1/{tenant}/orders/{order_id}"),
    ("GET", "/old/items/1", 200, "/items/{item}/"),  # Litestar does not tell where a mount is
    ("GET", "/old/none", 404, "unmatched"),
]


@pytest.mark.parametrize(("method", "path", "status", "route"), REQUESTS)
async def test_requests(check: Check, method: str, path: str, status: int, route: str) -> None:
    await check(instrument(app()), method, path, status, route)


async def test_a_stream_is_counted_with_its_bytes(check: Check, observed: Observed) -> None:
    response = await check(instrument(app()), "GET", "/stream/3", 200, "/stream/{count}")
    assert response.text == "partpartpart"
    assert observed.metrics.delta("http_response_size_bytes_sum", route="/stream/{count}") == 12


async def test_a_websocket_route_is_known(converse: Check) -> None:
    served = app()
    scope, answers = await converse(served, "/talk/tea")
    assert (RouteTemplates(served).find(scope), answers) == ("/talk/{room}", ["hello"])


async def test_mounted_in_starlette(check: Check) -> None:
    inner: Any = app()
    outer = Starlette(routes=[Mount("/{tenant}/shop", app=inner)])
    await check(
        instrument(outer), "GET", "/acme/shop/users/7", 200, "/{tenant}/shop/users/{user_id}"
    )
