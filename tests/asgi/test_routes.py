"""Route templates: one label value for each route, and never a raw path."""

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router
from starlette.staticfiles import StaticFiles

import obskit
from obskit.asgi import ObservabilityMiddleware, instrument
from obskit.asgi._routes import RouteTemplates
from obskit.testing import Observed

pytestmark = pytest.mark.anyio

Get = Callable[..., Any]


async def answer(request: Any) -> PlainTextResponse:
    return PlainTextResponse("ok")


async def endpoint() -> str:
    return "ok"


def starlette_app(directory: Path) -> Starlette:
    (directory / "style.css").write_text("a {}")
    inner = Starlette(routes=[Route("/deep/{name}", answer)])
    return Starlette(
        routes=[
            Route("/", answer),
            Route("/items/{id:int}", answer, methods=["GET", "POST"]),
            Route("/slash/", answer),
            Mount("/{tenant}/api", routes=[Route("/orders/{id}", answer), Mount("/in", app=inner)]),
            Mount("/static", StaticFiles(directory=directory)),
            Mount("/plain", Router([Route("/x/{y}", answer)])),
        ]
    )


STARLETTE = [
    ("GET", "/", 200, "/"),
    ("GET", "/items/7", 200, "/items/{id}"),
    ("DELETE", "/items/7", 405, "/items/{id}"),
    ("GET", "/items/x", 404, "unmatched"),
    ("GET", "/wp-login.php", 404, "unmatched"),
    ("GET", "/slash", 307, "unmatched"),
    ("GET", "/acme/api/orders/7", 200, "/{tenant}/api/orders/{id}"),
    ("GET", "/acme/api/in/deep/x", 200, "/{tenant}/api/in/deep/{name}"),
    ("GET", "/acme/api/nowhere", 404, "/{tenant}/api"),
    ("GET", "/static/style.css", 200, "/static"),
    ("GET", "/static/gone.css", 404, "/static"),
    ("GET", "/plain/x/1", 200, "/plain/x/{y}"),
]


@pytest.mark.parametrize(("method", "path", "status", "route"), STARLETTE)
@pytest.mark.parametrize("around", ["instrument", "added", "outside", "above another"])
async def test_starlette(  # noqa: PLR0917 - one per column of the table
    observed: Observed,
    get: Get,
    tmp_path: Path,
    around: str,
    method: str,
    path: str,
    status: int,
    route: str,
) -> None:
    app: Any = starlette_app(tmp_path)
    if around == "instrument":
        app = instrument(app)
    elif around == "added":
        app.add_middleware(ObservabilityMiddleware)
    elif around == "outside":
        app = ObservabilityMiddleware(app)
    else:
        app = ObservabilityMiddleware(GZipMiddleware(app))
    assert (await get(app, path, method)).status_code == status
    assert (await get(app, path, method)).status_code == status
    counted = observed.metrics.delta(
        "http_requests_total", method=method, route=route, status=str(status)
    )
    assert counted == 2


def fastapi_app() -> FastAPI:
    innermost = APIRouter(prefix="/users/{user}")
    innermost.add_api_route("/orders/{id}", endpoint)
    inner = APIRouter(prefix="/v1")
    inner.include_router(innermost, prefix="/shop")
    inner.add_api_route("/ping", endpoint)
    inner.add_route("/raw/{x}", answer)
    sub = FastAPI()
    sub.add_api_route("/leaf/{x}", endpoint)
    sub.include_router(inner, prefix="/again")
    app = FastAPI()
    app.add_api_route("/items/{id}", endpoint)
    app.include_router(inner, prefix="/api/{tenant}")
    app.include_router(inner, prefix="/other")
    app.mount("/sub/{part}", sub)
    app.mount("/inside", ObservabilityMiddleware(Starlette(routes=[Route("/a/{b}", answer)])))
    app.add_route("/raw/{x}", answer)
    return app


FASTAPI = [
    ("GET", "/items/7", 200, "/items/{id}"),
    ("POST", "/items/7", 405, "/items/{id}"),
    ("GET", "/api/acme/v1/ping", 200, "/api/{tenant}/v1/ping"),
    ("GET", "/other/v1/ping", 200, "/other/v1/ping"),
    (
        "GET",
        "/api/acme/v1/shop/users/3/orders/7",
        200,
        "/api/{tenant}/v1/shop/users/{user}/orders/{id}",
    ),
    ("GET", "/sub/one/leaf/2", 200, "/sub/{part}/leaf/{x}"),
    ("GET", "/sub/one/again/v1/ping", 200, "/sub/{part}/again/v1/ping"),
    ("GET", "/sub/one/gone", 404, "/sub/{part}"),
    ("GET", "/docs", 200, "/docs"),
    ("GET", "/raw/1", 200, "/raw/{x}"),
    ("GET", "/other/raw/1", 200, "/other/raw/{x}"),
    ("GET", "/sub/one/again/raw/1", 200, "/sub/{part}/again/raw/{x}"),
    ("GET", "/inside/a/1", 200, "/inside/a/{b}"),
    ("GET", "/gone", 404, "unmatched"),
]


@pytest.mark.parametrize(("method", "path", "status", "route"), FASTAPI)
@pytest.mark.parametrize("around", ["instrument", "added"])
async def test_fastapi(  # noqa: PLR0917 - one per column of the table
    observed: Observed, get: Get, around: str, method: str, path: str, status: int, route: str
) -> None:
    app = fastapi_app()
    if around == "instrument":
        instrument(app)
    else:
        app.add_middleware(ObservabilityMiddleware)
    assert (await get(app, path, method)).status_code == status
    assert (
        observed.metrics.delta(
            "http_requests_total", method=method, route=route, status=str(status)
        )
        == 1
    )


async def test_an_application_mounted_below_a_prefix(observed: Observed, get: Get) -> None:
    inner = ObservabilityMiddleware(Starlette(routes=[Route("/items/{id}", answer)]))
    outer = Starlette(routes=[Mount("/{tenant}/in", app=inner)])
    await get(outer, "/acme/in/items/1")
    await get(outer, "/other/in/items/2")
    assert (
        observed.metrics.delta("http_requests_total", route="/{tenant}/in/items/{id}", status="200")
        == 2
    )


async def test_hosts_are_no_part_of_a_template(observed: Observed, get: Get) -> None:
    app = instrument(
        Starlette(routes=[Host("shop", Router([Route("/items/{id}", answer)]), name="shop")])
    )
    await get(app, "/items/1")
    assert observed.metrics.delta("http_requests_total", route="/items/{id}") == 1


async def test_a_middleware_that_runs_the_rest_in_another_task(
    observed: Observed, get: Get
) -> None:
    class Passing(BaseHTTPMiddleware):
        async def dispatch(self, request: Any, call_next: Any) -> Any:
            obskit.bind(seen="by the middleware")
            return await call_next(request)

    app = Starlette(routes=[Route("/items/{id}", answer)])
    app.add_middleware(Passing)
    await get(instrument(app), "/items/1")
    line = observed.logs.one(event="http request")
    assert (line["route"], line["seen"], line["status"]) == (
        "/items/{id}",
        "by the middleware",
        200,
    )


async def test_routes_added_while_serving_are_found(observed: Observed, get: Get) -> None:
    app = instrument(Starlette(routes=[Route("/old/{x}", answer)]))
    await get(app, "/old/1")

    async def leaf(_: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    app.router.routes.append(Mount("/new", routes=[Route("/leaf/{y}", leaf)]))
    await get(app, "/new/leaf/1")
    assert observed.metrics.delta("http_requests_total", route="/new/leaf/{y}") == 1


async def test_frameworks_without_routes_in_the_scope_have_one_value(
    observed: Observed, get: Get
) -> None:
    app = ObservabilityMiddleware(PlainTextResponse("ok"))
    for number in range(20):
        await get(app, f"/{number}")
    assert observed.metrics.delta("http_requests_total", route="unmatched") == 20


async def test_a_hook_tells_the_route(observed: Observed, get: Get) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["template"] = "/x/{n}" if scope["path"].startswith("/x/") else None
        await PlainTextResponse("ok")(scope, receive, send)

    wrapped = instrument(app, route=lambda scope: scope.get("template"))
    await get(wrapped, "/x/1")
    await get(wrapped, "/y")
    assert observed.metrics.delta("http_requests_total", route="/x/{n}") == 1
    assert observed.metrics.delta("http_requests_total", route="unmatched") == 1


async def test_a_hook_that_raises_leaves_the_request_alone(observed: Observed, get: Get) -> None:
    def fail(scope: Any) -> str:
        raise LookupError("no route")

    response = await get(instrument(PlainTextResponse("ok"), route=fail), "/x")
    assert (response.status_code, response.text) == (200, "ok")
    assert observed.metrics.delta("http_requests_total", route="unmatched", status="200") == 1
    assert {site for site, _ in observed.internal_errors()} == {"http.route"}


class Counted(list[Any]):
    """Routes that count how often they are gone through."""

    walks = 0

    def __iter__(self) -> Any:
        self.walks += 1
        return super().__iter__()


class Routed:
    def __init__(self, routes: Any) -> None:
        self.routes = routes


def test_foreign_endpoints_cost_no_walk_and_are_not_kept() -> None:
    """A framework may make a fresh endpoint, or route, for each request."""
    routes = Counted([Route("/a/{x}", answer)])
    templates = RouteTemplates(Routed(routes))
    assert templates.find({"endpoint": answer}) == "/a/{x}"
    walks = routes.walks
    for _ in range(10):
        route = Route("/unknown/{x}", answer)
        alive = weakref.ref(route)
        assert templates.find({"route": route}) == "/unknown/{x}"
        assert templates.find({"endpoint": Routed([])}) == "unmatched"
        del route
        gc.collect()
        assert alive() is None
    assert routes.walks == walks


def test_routes_that_come_and_go_are_looked_for_again() -> None:
    async def later(_: Any) -> None: ...

    app = Starlette(routes=[Mount("/in", routes=[Route("/a", answer)])])
    templates = RouteTemplates(app)
    (mount,) = app.routes
    assert isinstance(mount, Mount)
    (first,) = mount.routes
    assert templates.find({"route": first}) == "/in/a"
    mount.routes[0] = second = Route("/b", later)
    assert templates.find({"route": second}) == "/in/b"
    assert templates.find({"endpoint": later}) == "/in/b"


SHARED = [
    ("/a/1", {}, "/a/{x}"),
    ("/b/a/1", {}, "/b/a/{x}"),
    ("/root/a/1", {"root_path": "/root"}, "/a/{x}"),
    ("/root/b/a/1", {"root_path": "/root/b", "app_root_path": "/root"}, "/b/a/{x}"),
    ("/neither", {}, "/b/a/{x}"),
]


@pytest.mark.parametrize(("path", "given", "route"), SHARED)
def test_an_endpoint_of_several_routes_is_told_apart_by_the_whole_path(
    path: str, given: dict[str, str], route: str
) -> None:
    """Starlette before 1.7 leaves only the endpoint in the scope."""
    templates = RouteTemplates(Routed([Route("/a/{x}", answer), Route("/b/a/{x}", answer)]))
    assert templates.find({"endpoint": answer, "path": path, **given}) == route


def test_routes_that_are_no_sequence_are_indexed_once() -> None:
    templates = RouteTemplates(Routed({1: Route("/a/{x}", answer)}.values()))
    assert templates.find({"endpoint": answer}) == "/a/{x}"
    assert templates.find({"endpoint": endpoint}) == "unmatched"


def test_routes_without_an_endpoint_are_not_those_of_unmatched_requests() -> None:
    class Bare:
        path = "/bare"

    assert RouteTemplates(Routed([Bare()])).find({"endpoint": None}) == "unmatched"
