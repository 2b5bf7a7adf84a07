"""One call around an application."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from obskit.asgi import instrument
from obskit.errors import DeclarationError
from obskit.health import HealthRegistry
from obskit.testing import Observed

pytestmark = pytest.mark.anyio

Get = Callable[..., Any]


async def hello(request: Any) -> PlainTextResponse:
    return PlainTextResponse("hello " * 200)


@pytest.mark.parametrize("make", [Starlette, FastAPI])
def test_starlette_and_fastapi_are_changed_in_place(make: Callable[[], Any]) -> None:
    app = make()
    assert instrument(app) is app


@pytest.mark.parametrize("make", [Starlette, FastAPI, lambda: PlainTextResponse("x")])
def test_twice_is_refused(make: Callable[[], Any]) -> None:
    app = instrument(make())
    with pytest.raises(DeclarationError, match="already"):
        instrument(app)


@pytest.mark.parametrize("app", [None, 7, "module:app"])
def test_only_an_application_will_do(app: Any) -> None:
    with pytest.raises(DeclarationError, match="not an ASGI application"):
        instrument(app)


@pytest.mark.parametrize("path", ["metrics", "", 5])
def test_a_path_begins_with_a_slash(path: Any) -> None:
    with pytest.raises(DeclarationError, match="metrics_path"):
        instrument(Starlette(), metrics_path=path)


@pytest.mark.parametrize("path", ["/health", "/livez/"])
def test_metrics_and_health_do_not_share_a_path(path: str) -> None:
    with pytest.raises(DeclarationError, match=r"metrics_path=.*health endpoints"):
        instrument(Starlette(), metrics_path=path, health=HealthRegistry())


def test_health_is_a_registry() -> None:
    with pytest.raises(DeclarationError, match=r"health=5: give an obskit\.health\.HealthRegistry"):
        instrument(Starlette(), health=5)  # type: ignore[arg-type] # what the test is about


def test_a_refused_call_leaves_the_application_as_it_was() -> None:
    app = Starlette()
    with pytest.raises(DeclarationError):
        instrument(app, metrics_token="two words")
    with pytest.raises(DeclarationError):
        instrument(app, route="x")  # type: ignore[arg-type] # what the test is about
    assert instrument(app) is app


async def test_an_application_that_has_served_already(observed: Observed, get: Get) -> None:
    app = Starlette(routes=[Route("/", hello)])
    await get(app, "/")
    instrument(app)
    assert "x-request-id" in (await get(app, "/")).headers
    observed.operation("GET /").once()


async def test_middleware_added_before_and_after_is_inside(observed: Observed, get: Get) -> None:
    app = Starlette(routes=[Route("/", hello)], middleware=[Middleware(GZipMiddleware)])
    instrument(app)
    seen = []

    class Later:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            seen.append(observed.in_flight())
            await self.app(scope, receive, send)

    app.add_middleware(Later)
    response = await get(app, "/", headers={"accept-encoding": "gzip"})
    assert response.headers["content-encoding"] == "gzip"
    assert seen == [["GET"]]
    line = observed.logs.one(event="http request")
    assert line["response_bytes"] == int(response.headers["content-length"]) < 1_200


async def test_two_applications_share_the_metrics(observed: Observed, get: Get) -> None:
    for _ in range(2):
        await get(instrument(Starlette(routes=[Route("/", hello)])), "/")
    assert observed.metrics.delta("http_requests_total", route="/") == 2


@pytest.mark.parametrize(
    ("framework", "remedy"), [("flask", "obskit.wsgi"), ("quart", "obskit.integrations.quart")]
)
def test_an_application_that_is_instrumented_elsewhere_is_refused(
    framework: str, remedy: str
) -> None:
    module: Any = pytest.importorskip(framework)
    app = getattr(module, framework.capitalize())("shop")
    with pytest.raises(DeclarationError, match=f"use {remedy}.instrument"):
        instrument(app)
