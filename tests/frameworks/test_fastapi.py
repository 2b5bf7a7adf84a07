"""FastAPI: routers that are included, nested, twice, and applications that are mounted."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, HTTPException, Query, WebSocket
from fastapi.responses import StreamingResponse
from fastapi.staticfiles import StaticFiles

from obskit.asgi import instrument
from obskit.asgi._routes import RouteTemplates
from obskit.testing import Observed

pytestmark = pytest.mark.anyio

Check = Callable[..., Any]

orders = APIRouter(prefix="/orders")
users = APIRouter()


@orders.get("/{order}")
async def order(order: int) -> int:
    return order


@users.get("/users/{user}")
@users.head("/users/{user}")
def user(user: int, page: Annotated[int, Query(gt=0)] = 1) -> int:
    return user + page


@users.get("/fail/{reason}")
async def fail(reason: str) -> None:
    raise RuntimeError(reason)


@users.get("/gone/{thing}")
async def gone(thing: str) -> None:
    raise HTTPException(404)


@users.get("/stream/{count}")
async def stream(count: int) -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b"part"

    return StreamingResponse(parts())


@users.websocket("/talk/{room}")
async def talk(socket: WebSocket, room: str) -> None:
    await socket.accept()
    await socket.send_text(await socket.receive_text())


def app() -> FastAPI:
    tenant = APIRouter(prefix="/{tenant}")
    tenant.include_router(orders)
    mounted = FastAPI()
    mounted.include_router(orders, prefix="/v9")
    made = FastAPI()
    made.include_router(users)
    made.include_router(orders, prefix="/v1")
    made.include_router(orders, prefix="/v2")
    made.include_router(tenant, prefix="/of")
    made.mount("/files", StaticFiles(directory=Path(__file__).parent))
    made.mount("/old", mounted)
    made.mount("/in/{place}", mounted)
    return made


REQUESTS = [
    ("GET", "/users/7", 200, "/users/{user}"),
    ("HEAD", "/users/7", 200, "/users/{user}"),
    ("GET", "/users/seven", 422, "/users/{user}"),
    ("GET", "/users/7?page=0", 422, "/users/{user}"),
    ("DELETE", "/users/7", 405, "/users/{user}"),
    ("GET", "/users/7/", 307, "unmatched"),
    ("GET", "/nowhere", 404, "unmatched"),
    ("GET", "/gone/mug", 404, "/gone/{thing}"),
    ("GET", "/fail/why", 500, "/fail/{reason}"),
    ("GET", "/stream/3", 200, "/stream/{count}"),
    ("GET", "/v1/orders/7", 200, "/v1/orders/{order}"),
    ("GET", "/v2/orders/7", 200, "/v2/orders/{order}"),
    ("GET", "/of/acme/orders/7", 200, "/of/{tenant}/orders/{order}"),
    ("POST", "/of/acme/orders/7", 405, "/of/{tenant}/orders/{order}"),
    ("GET", "/old/v9/orders/7", 200, "/old/v9/orders/{order}"),
    ("GET", "/in/here/v9/orders/7", 200, "/in/{place}/v9/orders/{order}"),
    ("GET", "/in/here/nowhere", 404, "/in/{place}"),
    ("GET", "/in/here/docs", 200, "/in/{place}/docs"),
    ("GET", "/docs", 200, "/docs"),
    ("GET", "/openapi.json", 200, "/openapi.json"),
    ("GET", "/files/conftest.py", 200, "/files"),
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
