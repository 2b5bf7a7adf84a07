"""Route templates: one label value for each route, and never a raw path."""

import gc
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles

import obskit
from obskit.asgi import ObservabilityMiddleware, instrument
from obskit.asgi._routes import MOST_ROUTERS, RouteTemplates
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


def http_scope(path: str, **given: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"shop")],
        **given,
    }


async def taken(app: Any, path: str, **given: Any) -> dict[str, Any]:
    """Return the scope that an application leaves after a request."""
    scope = http_scope(path, **given)
    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not messages:
            await anyio.sleep_forever()
        return messages.pop()

    async def send(message: Any) -> None: ...

    await app(scope, receive, send)
    return scope


async def find(app: Any, path: str, **given: Any) -> list[str]:
    """Return what is found at first, and what is found again."""
    templates = RouteTemplates(app)
    scope = await taken(app, path, **given)
    return [templates.find(scope), templates.find(scope)]


def shared() -> Any:
    """Two applications that can be reached in several ways."""
    leaf = Starlette(routes=[Route("/{x}/y", answer), Route("/z", answer)])
    middle = Starlette(routes=[Mount("/a", app=leaf), Mount("/{b}", app=leaf)])
    api = FastAPI()
    api.add_api_route("/items/{id}", endpoint)
    router = APIRouter()
    router.add_api_route("/users/{user}", endpoint)
    router.add_route("/raw/{x}", answer)
    router.mount("/in/{place}", leaf)
    outer = FastAPI()
    outer.include_router(router, prefix="/v1")
    outer.include_router(router, prefix="/v2/{tenant}")
    outer.mount("/first", middle)
    outer.mount("/second/{s}", middle)
    outer.mount("/api1", api)
    outer.mount("/{tenant}/api", api)
    return outer


SHARED = [
    ("/first/a/1/y", "/first/a/{x}/y"),
    ("/first/other/1/y", "/first/{b}/{x}/y"),
    ("/second/1/a/z", "/second/{s}/a/z"),
    ("/second/a/a2/z", "/second/{s}/{b}/z"),
    ("/api1/items/1", "/api1/items/{id}"),
    ("/acme/api/items/1", "/{tenant}/api/items/{id}"),
    ("/acme/api/docs", "/{tenant}/api/docs"),
    ("/api1/docs", "/api1/docs"),
    ("/v1/users/1", "/v1/users/{user}"),
    ("/v2/acme/users/1", "/v2/{tenant}/users/{user}"),
    ("/v1/raw/1", "/v1/raw/{x}"),
    ("/v2/acme/raw/1", "/v2/{tenant}/raw/{x}"),
    ("/nowhere", "unmatched"),
]


INCLUDED_MOUNTS = [
    ("/v1/in/here/z", "/v1/in/{place}/z"),
    ("/v2/acme/in/there/1/y", "/v2/{tenant}/in/{place}/{x}/y"),
    ("/v2/acme/in/there/nowhere", "/v2/{tenant}/in/{place}"),
]


@pytest.mark.parametrize(("path", "template"), INCLUDED_MOUNTS)
async def test_mounts_of_included_routers(path: str, template: str) -> None:
    if "endpoint" not in await taken(shared(), path):
        pytest.skip("this FastAPI leaves the mounts of included routers out")
    assert await find(shared(), path) == [template, template]


@pytest.mark.parametrize(("path", "template"), SHARED)
@pytest.mark.parametrize("root", ["", "/proxy"])
async def test_the_way_that_was_taken_decides(root: str, path: str, template: str) -> None:
    assert await find(shared(), root + path, root_path=root) == [template, template]


@pytest.mark.parametrize(("path", "template"), [case for case in SHARED if case[0][:2] == "/v"][:4])
async def test_a_root_path_that_the_proxy_has_cut_off(path: str, template: str) -> None:
    """Mounts are left out: Starlette finds nothing below one then."""
    assert await find(shared(), path, root_path="/proxy") == [template, template]


async def test_a_router_below_two_hosts() -> None:
    """The path alone would fit both."""
    leaf = Starlette(routes=[Route("/y", answer)])
    app = Starlette(
        routes=[
            Host("one", Router([Mount("/{x}", app=leaf)])),
            Host("two", Router([Mount("/here", app=leaf)])),
        ]
    )
    for host, template in ((b"one", "/{x}/y"), (b"two", "/here/y")):
        assert await find(app, "/here/y", headers=[(b"host", host)]) == [template, template]


async def test_an_opaque_middleware_hides_nothing() -> None:
    class Opaque:
        def __init__(self, inside: Any) -> None:
            self._inside = inside

        async def __call__(self, *args: Any) -> None:
            await self._inside(*args)

    app = Opaque(shared())
    assert await find(app, "/acme/api/items/1") == ["/{tenant}/api/items/{id}"] * 2


async def test_one_middleware_below_two_applications() -> None:
    """The outermost router is the one of the request."""
    inner = Starlette(routes=[Route("/y/{z}", answer)])
    templates = RouteTemplates(inner)
    for prefix in ("/one", "/two/{x}"):
        outer = Starlette(routes=[Mount(prefix, app=inner)])
        path = prefix.replace("{x}", "acme") + "/y/1"
        assert templates.find(await taken(outer, path)) == f"{prefix}/y/{{z}}"


async def test_files_at_the_root_have_a_template(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("page")
    app = Starlette(routes=[Route("/x", answer), Mount("/", StaticFiles(directory=tmp_path))])
    assert await find(app, "/page.html") == ["/", "/"]
    assert await find(Starlette(routes=[Mount("/", app=app)]), "/page.html") == ["/", "/"]


async def test_unknown_paths_below_a_mount_at_the_root_are_unmatched() -> None:
    inner = Starlette(routes=[Route("/x", answer)])
    app = Starlette(routes=[Mount("/", app=inner)])
    assert await find(app, "/nowhere") == ["unmatched", "unmatched"]
    assert await find(app, "/x") == ["/x", "/x"]


async def test_an_application_that_is_mounted_in_itself() -> None:
    app = Starlette(routes=[Route("/x", answer)])
    app.mount("/in", app)
    assert await find(app, "/in/in/x") == ["/in/in/x", "/in/in/x"]


@pytest.mark.parametrize(
    ("path", "given", "template"),
    [
        ("/items/1", {"method": "HEAD"}, "/items/{id}"),
        ("/items/1", {"method": "POST"}, "/items/{id}"),
        ("/sub/items/1", {"method": "DELETE"}, "/sub/items/{id}"),
        ("/talk/tea", {"type": "websocket"}, "/talk/{room}"),
        ("/api/talk/tea", {"type": "websocket"}, "/api/talk/{room}"),
        ("/sub/talk/tea", {"type": "websocket"}, "/sub/talk/{room}"),
        ("/items/1", {"type": "websocket"}, "unmatched"),
    ],
)
async def test_methods_and_kinds(path: str, given: dict[str, str], template: str) -> None:
    async def talk(socket: Any) -> None: ...

    sub = Starlette(
        routes=[Route("/items/{id}", answer), WebSocketRoute("/talk/{room}", talk)],
    )
    router = APIRouter()
    router.add_api_websocket_route("/talk/{room}", talk)
    app = FastAPI()
    app.add_api_route("/items/{id}", endpoint)
    app.add_api_websocket_route("/talk/{room}", talk)
    app.include_router(router, prefix="/api")
    app.mount("/sub", sub)
    assert await find(app, path, **given) == [template, template]


@pytest.mark.parametrize("path", ["/items/1", "/nowhere"])
async def test_a_preflight_is_answered_before_the_routes(path: str) -> None:
    app = Starlette(routes=[Route("/items/{id}", answer)])
    app.add_middleware(CORSMiddleware, allow_origins=["*"])
    headers = [(b"origin", b"http://x"), (b"access-control-request-method", b"GET")]
    found = await find(app, path, method="OPTIONS", headers=headers)
    assert found == ["unmatched", "unmatched"]


class Counted(list[Any]):
    """Routes that count how often they are gone through."""

    walks = 0

    def __iter__(self) -> Any:
        self.walks += 1
        return super().__iter__()


class Routed:
    def __init__(self, routes: Any) -> None:
        self.routes = routes


async def test_foreign_endpoints_cost_no_walk_and_are_not_kept() -> None:
    """A framework may make a fresh endpoint, or route, for each request."""
    routes = Counted([Route("/a/{x}", answer)])
    templates = RouteTemplates(Routed(routes))
    assert templates.find({"endpoint": answer}) == "/a/{x}"
    walks = routes.walks
    for _ in range(10):
        route = Route("/unknown/{x}", partial(answer))
        alive = weakref.ref(route)
        assert templates.find({"route": route, "endpoint": route.endpoint}) == "/unknown/{x}"
        assert templates.find({"endpoint": Routed([])}) == "unmatched"
        del route
        gc.collect()
        assert alive() is None
    assert routes.walks == walks


async def test_known_routes_cost_no_walk() -> None:
    app = Starlette()
    app.router.routes = routes = Counted([Mount("/in", routes=[Route("/a/{x}", answer)])])
    templates = RouteTemplates(app)
    scope = await taken(app, "/in/a/1")
    assert templates.find(scope) == "/in/a/{x}"
    walks = routes.walks
    assert templates.find(scope) == "/in/a/{x}"
    assert routes.walks == walks


async def test_routers_that_are_made_for_each_request_are_forgotten() -> None:
    templates = RouteTemplates(answer)
    alive = []
    for number in range(MOST_ROUTERS * 3):
        app = Starlette(routes=[Route(f"/{number}/{{x}}", answer)])
        alive.append(weakref.ref(app.router))
        assert templates.find(await taken(app, f"/{number}/1")) == f"/{number}/{{x}}"
    del app
    gc.collect()
    assert sum(router() is not None for router in alive) <= MOST_ROUTERS


async def test_routes_that_come_and_go_are_looked_for_again() -> None:
    async def later(_: Any) -> PlainTextResponse:
        return PlainTextResponse("later")

    app = Starlette(routes=[Mount("/in", routes=[Route("/a", answer)])])
    templates = RouteTemplates(app)
    assert templates.find(await taken(app, "/in/a")) == "/in/a"
    (mount,) = app.routes
    assert isinstance(mount, Mount)
    mount.routes[0] = Route("/b", later)
    assert templates.find(await taken(app, "/in/b")) == "/in/b"


async def test_a_second_way_to_a_known_route_is_noticed() -> None:
    inner = Starlette(routes=[Route("/a", answer)])
    app = Starlette(routes=[Mount("/one", app=inner)])
    templates = RouteTemplates(app)
    assert templates.find(await taken(app, "/one/a")) == "/one/a"
    app.mount("/{two}", inner)
    assert templates.find(await taken(app, "/other/a")) == "/{two}/a"
    assert templates.find(await taken(app, "/one/a")) == "/one/a"


async def test_routes_that_come_to_an_included_router_are_noticed() -> None:
    async def later() -> str:
        return "later"

    inner, router = APIRouter(), APIRouter()
    inner.add_api_route("/old", endpoint)
    router.include_router(inner, prefix="/in")
    app = FastAPI()
    app.include_router(router, prefix="/{tenant}")
    templates = RouteTemplates(app)
    assert templates.find(await taken(app, "/acme/in/old")) == "/{tenant}/in/old"
    inner.add_api_route("/new/{x}", later)
    scope = await taken(app, "/acme/in/new/1")
    if "endpoint" not in scope:
        pytest.skip("this FastAPI copies the routes of included routers")
    assert templates.find(scope) == "/{tenant}/in/new/{x}"


OLD = [
    ("/a/1", {}, "/a/{x}"),
    ("/b/a/1", {}, "/b/a/{x}"),
    ("/root/a/1", {"root_path": "/root"}, "/a/{x}"),
    ("/root/b/a/1", {"root_path": "/root/b", "app_root_path": "/root"}, "/b/a/{x}"),
    ("/neither", {}, "/a/{x}"),
]


@pytest.mark.parametrize(("path", "given", "route"), OLD)
def test_an_endpoint_of_several_routes_is_told_apart_by_the_whole_path(
    path: str, given: dict[str, str], route: str
) -> None:
    """Starlette before 1.7 leaves only the endpoint in the scope."""
    routed = Routed([Route("/a/{x}", answer), Mount("/b", routes=[Route("/a/{x}", answer)])])
    scope = http_scope(path, endpoint=answer, **given)
    assert RouteTemplates(routed).find(scope) == route


def test_routes_that_are_no_sequence_are_indexed_once() -> None:
    templates = RouteTemplates(Routed({1: Route("/a/{x}", answer)}.values()))
    assert templates.find({"endpoint": answer}) == "/a/{x}"
    assert templates.find({"endpoint": endpoint}) == "unmatched"


def test_routes_without_an_endpoint_are_not_those_of_unmatched_requests() -> None:
    class Bare:
        path = "/bare"

    assert RouteTemplates(Routed([Bare()])).find({"endpoint": None}) == "unmatched"
