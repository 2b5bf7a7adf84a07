"""Django under ASGI: its middleware leaves the route in the scope."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import django
import pytest
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import include, path, re_path
from django.views.decorators.http import require_GET
from starlette.applications import Starlette
from starlette.routing import Mount

from obskit.asgi import instrument
from obskit.integrations.django import RouteMiddleware
from obskit.testing import Observed

pytestmark = pytest.mark.anyio

Check = Callable[..., Any]


@require_GET  # type: ignore[untyped-decorator] # Django has no types
def view(request: Any, **_: Any) -> HttpResponse:
    return HttpResponse("ok")


async def async_view(request: Any, **_: Any) -> HttpResponse:
    return HttpResponse("ok")


async def fail(request: Any, reason: str) -> HttpResponse:
    raise RuntimeError(reason)


async def gone(request: Any, thing: str) -> HttpResponse:
    raise Http404(thing)


async def stream(request: Any, count: int) -> StreamingHttpResponse:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b"part"

    return StreamingHttpResponse(parts())


urlpatterns = [
    path("", async_view),
    path("users/<int:pk>/", async_view),
    path("sync/<slug:name>", view),
    path("fail/<reason>", fail),
    path("gone/<thing>", gone),
    path("stream/<int:count>", stream),
    path("shop/<slug:tenant>/", include([path("orders/<uuid:order>", async_view)])),
    re_path(r"^articles/(?P<year>[0-9]{4})/(?:page-(\d+)/)?$", async_view),
    re_path(r"^robots\.txt$", async_view),
    path("mixed/", include([re_path(r"^items/(?P<id>(a|b)\d+)/$", async_view)])),
]

if not settings.configured:
    settings.configure(
        SECRET_KEY="-",
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        DEFAULT_CHARSET="utf-8",
        LOGGING_CONFIG=None,
        MIDDLEWARE=[
            "django.middleware.common.CommonMiddleware",
            "obskit.integrations.django.RouteMiddleware",
        ],
    )
    django.setup()


def app() -> Any:
    return get_asgi_application()


REQUESTS = [
    ("GET", "/", 200, "/"),
    ("GET", "/users/7/", 200, "/users/<int:pk>/"),
    ("GET", "/users/7", 301, "unmatched"),
    ("GET", "/sync/ann", 200, "/sync/<slug:name>"),
    ("POST", "/sync/ann", 405, "/sync/<slug:name>"),
    ("HEAD", "/users/7/", 200, "/users/<int:pk>/"),
    ("GET", "/users/seven/", 404, "unmatched"),
    ("GET", "/wp-login.php", 404, "unmatched"),
    ("GET", "/gone/mug", 404, "/gone/<thing>"),
    ("GET", "/fail/why", 500, "/fail/<reason>"),
    ("GET", "/stream/3", 200, "/stream/<int:count>"),
    (
        "GET",
        "/shop/acme/orders/00000000-0000-0000-0000-000000000000",
        200,
        "/shop/<slug:tenant>/orders/<uuid:order>",
    ),
    ("GET", "/articles/2024/", 200, "/articles/<year>/"),
    ("GET", "/robots.txt", 200, "/robots.txt"),
    ("GET", "/mixed/items/a12/", 200, "/mixed/items/<id>/"),
]


@pytest.mark.parametrize(("method", "path", "status", "route"), REQUESTS)
async def test_requests(check: Check, method: str, path: str, status: int, route: str) -> None:
    await check(instrument(app()), method, path, status, route)


async def test_a_stream_is_counted_with_its_bytes(check: Check, observed: Observed) -> None:
    response = await check(instrument(app()), "GET", "/stream/3", 200, "/stream/<int:count>")
    assert response.text == "partpartpart"
    assert observed.metrics.delta("http_response_size_bytes_sum", route="/stream/<int:count>") == 12


async def test_mounted_in_starlette(check: Check) -> None:
    outer = Starlette(routes=[Mount("/{tenant}/old", app=app())])
    route = "/{tenant}/old/users/<int:pk>/"
    await check(instrument(outer), "GET", "/acme/old/users/7/", 200, route)


def test_under_wsgi_the_environment_has_the_route() -> None:
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/sync/ann",
        "SERVER_NAME": "shop",
        "SERVER_PORT": "80",
        "wsgi.input": sys.stdin.buffer,
    }
    answer = get_wsgi_application()(environ, lambda *_: None)
    assert b"".join(answer) == b"ok"
    assert environ["obskit.route"] == "/sync/<slug:name>"


def test_a_request_without_a_match_is_left_alone(observed: Observed) -> None:
    assert RouteMiddleware(view).process_view(HttpRequest(), view, (), {}) is None
    assert {site for site, _ in observed.internal_errors()} == {"http.route"}


def test_without_django_the_error_says_what_to_install() -> None:
    program = "import sys; sys.modules['django'] = None; import obskit.integrations.django"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)  # noqa: PLW1510 - it has to fail
    assert "MissingExtraError" in done.stderr
    assert "pip install 'obskit-instrumentation[django]'" in done.stderr
