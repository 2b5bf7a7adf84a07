"""Quart: it keeps the route to itself; the integration makes it tell."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from quart import Blueprint, Quart, abort, websocket
from starlette.applications import Starlette
from starlette.routing import Mount

from obskit import asgi
from obskit.asgi._routes import RouteTemplates
from obskit.errors import DeclarationError
from obskit.integrations.quart import instrument
from obskit.testing import Observed

pytestmark = pytest.mark.anyio

Check = Callable[..., Any]


def app() -> Quart:
    app = Quart("shop")
    orders = Blueprint("orders", "orders", url_prefix="/v1/<tenant>")

    @app.route("/")
    async def home() -> str:
        return "home"

    @app.route("/users/<int:user_id>", methods=["GET", "POST"])
    async def user(user_id: int) -> dict[str, int]:
        return {"user": user_id}

    @app.route("/sync/<name>")
    def sync(name: str) -> str:
        return name

    @app.route("/fail/<reason>")
    async def fail(reason: str) -> str:
        raise RuntimeError(reason)

    @app.route("/gone/<thing>")
    async def gone(thing: str) -> str:
        abort(404)

    @app.route("/stream/<int:count>")
    async def stream(count: int) -> Any:
        async def parts() -> AsyncIterator[bytes]:
            for _ in range(count):
                yield b"part"

        return parts(), 200

    @app.websocket("/talk/<room>")
    async def talk(room: str) -> None:
        await websocket.send(await websocket.receive())

    @orders.route("/orders/<uuid:order_id>")
    async def order(tenant: str, order_id: Any) -> str:
        return f"{tenant} {order_id}"

    app.register_blueprint(orders)
    return app


REQUESTS = [
    ("GET", "/", 200, "/"),
    ("GET", "/users/7", 200, "/users/<int:user_id>"),
    ("POST", "/users/7", 200, "/users/<int:user_id>"),
    ("HEAD", "/users/7", 200, "/users/<int:user_id>"),
    ("OPTIONS", "/users/7", 200, "/users/<int:user_id>"),
    ("DELETE", "/users/7", 405, "unmatched"),
    ("GET", "/users/seven", 404, "unmatched"),
    ("GET", "/wp-login.php", 404, "unmatched"),
    ("GET", "/sync/ann", 200, "/sync/<name>"),
    ("GET", "/gone/mug", 404, "/gone/<thing>"),
    ("GET", "/fail/why", 500, "/fail/<reason>"),
    ("GET", "/stream/3", 200, "/stream/<int:count>"),
    (
        "GET",
        "/v1/acme/orders/00000000-0000-0000-0000-000000000000",
        200,
        "/v1/<tenant>/orders/<uuid:order_id>",
    ),
    ("GET", "/static/style.css", 404, "/static/<path:filename>"),
]


@pytest.mark.parametrize(("method", "path", "status", "route"), REQUESTS)
async def test_requests(check: Check, method: str, path: str, status: int, route: str) -> None:
    await check(instrument(app()), method, path, status, route)


async def test_a_request_that_is_refused_before_the_view_has_its_route(check: Check) -> None:
    served = app()

    @served.before_request
    async def refuse() -> None:
        abort(401)

    await check(instrument(served), "GET", "/users/7", 401, "/users/<int:user_id>")


async def test_a_stream_is_counted_with_its_bytes(check: Check, observed: Observed) -> None:
    response = await check(instrument(app()), "GET", "/stream/3", 200, "/stream/<int:count>")
    assert response.text == "partpartpart"
    assert observed.metrics.delta("http_response_size_bytes_sum", route="/stream/<int:count>") == 12


async def test_a_websocket_route_is_known(converse: Check) -> None:
    served = instrument(app())
    scope = await converse(served, "/talk/tea")
    assert RouteTemplates(served).find(scope) == "/talk/<room>"


async def test_a_websocket_without_a_route_has_none(converse: Check) -> None:
    served = instrument(app())
    with pytest.raises(IndexError):
        await converse(served, "/nowhere")
    assert RouteTemplates(served).find({"type": "websocket"}) == "unmatched"


async def test_mounted_in_starlette(check: Check) -> None:
    outer = Starlette(routes=[Mount("/{tenant}/shop", app=instrument(app()))])
    route = "/{tenant}/shop/users/<int:user_id>"
    await check(asgi.instrument(outer), "GET", "/acme/shop/users/7", 200, route)


async def test_applications_do_not_share_their_routes(check: Check) -> None:
    """Where one is instrumented, others leave nothing."""
    instrument(app())
    await check(asgi.instrument(app()), "GET", "/users/7", 200, "unmatched")


def test_the_same_application_is_returned_and_instrumented_once() -> None:
    served = app()
    assert instrument(served) is served
    with pytest.raises(DeclarationError, match="instrumented already"):
        instrument(served)


def test_without_quart_the_error_says_what_to_install() -> None:
    program = "import sys; sys.modules['quart'] = None; import obskit.integrations.quart"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)  # noqa: PLW1510 - it has to fail
    assert "MissingExtraError" in done.stderr
    assert "pip install 'obskit-instrumentation[quart]'" in done.stderr
