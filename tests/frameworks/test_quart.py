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


async def home() -> str:
    return "home"


async def user(user_id: int) -> dict[str, int]:
    return {"user": user_id}


def sync(name: str) -> str:
    return name


async def fail(reason: str) -> str:
    raise RuntimeError(reason)


async def gone(thing: str) -> str:
    abort(404)


async def stream(count: int) -> Any:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b"part"

    return parts(), 200


async def talk(room: str) -> None:
    await websocket.send(await websocket.receive())


async def order(tenant: str, order_id: Any) -> str:
    return f"{tenant} {order_id}"


def app() -> Quart:
    made = Quart("shop")
    made.add_url_rule("/", view_func=home)
    made.add_url_rule("/users/<int:user_id>", view_func=user, methods=["GET", "POST"])
    made.add_url_rule("/sync/<name>", view_func=sync)
    made.add_url_rule("/fail/<reason>", view_func=fail)
    made.add_url_rule("/gone/<thing>", view_func=gone)
    made.add_url_rule("/stream/<int:count>", view_func=stream)
    made.add_websocket("/talk/<room>", view_func=talk)
    orders = Blueprint("orders", "orders", url_prefix="/v1/<tenant>")
    orders.add_url_rule("/orders/<uuid:order_id>", view_func=order)
    made.register_blueprint(orders)
    return made


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
    scope, answers = await converse(served, "/talk/tea")
    assert (RouteTemplates(served).find(scope), answers) == ("/talk/<room>", ["hello"])


async def test_a_websocket_without_a_route_has_none(converse: Check) -> None:
    served = instrument(app())
    scope, answers = await converse(served, "/nowhere")
    assert (RouteTemplates(served).find(scope), answers) == ("unmatched", [])


async def test_mounted_in_starlette(check: Check) -> None:
    inner: Any = instrument(app())
    outer = Starlette(routes=[Mount("/{tenant}/shop", app=inner)])
    route = "/{tenant}/shop/users/<int:user_id>"
    await check(asgi.instrument(outer), "GET", "/acme/shop/users/7", 200, route)


async def test_applications_do_not_share_their_routes(check: Check) -> None:
    """Where one is instrumented, others leave nothing."""
    instrument(app())
    await check(asgi.instrument(app().asgi_app), "GET", "/users/7", 200, "unmatched")


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
