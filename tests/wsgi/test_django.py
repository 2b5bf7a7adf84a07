"""Django: its WSGI handler wrapped, with routes that need no setting."""

import contextlib
import io
import logging
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from wsgiref.util import FileWrapper

import django
import pytest
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, Http404, HttpResponse, StreamingHttpResponse
from django.urls import include, path, re_path
from opentelemetry.trace import StatusCode
from tests.kits.wsgi import converse, line

import obskit
from obskit.testing import Observed
from obskit.wsgi import ObservabilityMiddleware, instrument


def read(request: Any, pk: int) -> HttpResponse:
    return HttpResponse(f"{pk} {obskit.correlation_id()}")


def create(request: Any) -> HttpResponse:
    return HttpResponse(str(len(request.body)))


def fail(request: Any) -> HttpResponse:
    raise ValueError("no")


def missing(request: Any) -> HttpResponse:
    raise Http404


def stream(request: Any) -> StreamingHttpResponse:
    return StreamingHttpResponse(f"{n} {obskit.current().name}\n" for n in range(3))


def file(request: Any) -> FileResponse:
    return FileResponse(io.BytesIO(b"x" * 1000), filename="x.bin")


URLS: Any = ModuleType("tests_wsgi_django_urls")
URLS.urlpatterns = [
    path("orders/<int:pk>/", read),
    path("create/", create),
    path("fail/", fail),
    path("missing/", missing),
    path("stream/", stream),
    path("file/", file),
    path("api/", include([re_path(r"^items/(?P<pk>[0-9]+)/$", read)])),
    path("", create),
]


@pytest.fixture(autouse=True, scope="module")
def _django() -> Iterator[None]:
    """One configuration for the process: Django has no more."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).setitem(sys.modules, URLS.__name__, URLS)
        if not settings.configured:
            settings.configure(ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None, SECRET_KEY="x")
            django.setup()
        yield


@pytest.fixture(name="application")
def _application(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(settings, "ROOT_URLCONF", URLS.__name__, raising=False)
    monkeypatch.setattr(settings, "ALLOWED_HOSTS", ["*"])
    monkeypatch.setattr(settings, "MIDDLEWARE", ["django.middleware.common.CommonMiddleware"])
    return instrument(get_wsgi_application())


def test_a_request(observed: Observed, application: Any) -> None:
    reply = converse(application, "/orders/7/")
    access = line(observed)
    assert (reply.status, reply.body) == ("200 OK", f"7 {access['correlation_id']}".encode())
    assert reply.header("x-request-id") == access["correlation_id"]
    assert (access["route"], access["path"]) == ("/orders/<int:pk>/", "/orders/7/")
    observed.operation("GET /orders/<int:pk>/").once().with_outcome("ok")
    assert observed.spans.tree() == {"GET /orders/<int:pk>/": {}}


@pytest.mark.parametrize(
    ("asked", "status", "route"),
    [
        ("/api/items/7/", 200, "/api/items/(?P<pk>[0-9]+)/"),
        ("/", 200, "/"),
        ("/missing/", 404, "/missing/"),
        ("/nowhere/", 404, "unmatched"),
        ("/orders/7", 301, "unmatched"),
    ],
)
def test_routes(observed: Observed, application: Any, asked: str, status: int, route: str) -> None:
    converse(application, asked)
    assert (line(observed)["status"], line(observed)["route"]) == (status, route)


def test_the_mount_point_is_no_part_of_the_route(observed: Observed, application: Any) -> None:
    converse(application, "/orders/7/", SCRIPT_NAME="/shop")
    assert line(observed)["route"] == "/orders/<int:pk>/"
    assert line(observed)["path"] == "/shop/orders/7/"


def test_the_body_is_counted(observed: Observed, application: Any) -> None:
    assert converse(application, "/create/", method="POST", body=b"x" * 300).body == b"300"
    assert (line(observed)["request_bytes"], line(observed)["response_bytes"]) == (300, 3)


def test_an_error_page_of_django_s_own(
    observed: Observed, application: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "django.request"):
        reply = converse(application, "/fail/")
    access = line(observed)
    assert reply.status == "500 Internal Server Error"
    assert reply.header("x-request-id") == access["correlation_id"]
    assert (access["route"], access["error_type"]) == ("/fail/", "ValueError")
    assert "exception" not in access
    assert observed.logs.one(logger="django.request")["exception"].endswith("ValueError: no")
    span = observed.spans.one("GET /fail/")
    assert span.status.status_code is StatusCode.ERROR
    assert [event.name for event in span.events] == ["exception"]
    assert "obskit.error" not in reply.environ


def test_a_stream(observed: Observed, application: Any) -> None:
    assert converse(application, "/stream/").body == b"0 GET\n1 GET\n2 GET\n"
    assert line(observed)["response_bytes"] == 18


def test_a_stream_whose_client_goes_away(observed: Observed, application: Any) -> None:
    converse(application, "/stream/", take=1)
    assert line(observed)["outcome"] == "client_disconnect"


def test_a_file_is_sent_by_the_server(observed: Observed, application: Any) -> None:
    environ: dict[str, Any] = {"wsgi.file_wrapper": FileWrapper}
    assert converse(application, "/file/", **environ).body == b"x" * 1000
    assert line(observed)["response_bytes"] == 1000


@pytest.mark.usefixtures("application")
def test_a_handler_is_watched_once(observed: Observed) -> None:
    handler = get_wsgi_application()
    ObservabilityMiddleware(handler)
    watched = handler.resolve_request
    app = ObservabilityMiddleware(handler)
    assert handler.resolve_request is watched
    converse(app, "/orders/7/")
    assert line(observed)["route"] == "/orders/<int:pk>/"


@pytest.mark.usefixtures("application")
def test_a_handler_within_other_middleware(observed: Observed) -> None:
    class Wrapped:
        def __init__(self, application: Any) -> None:
            self.application = application

        def __call__(self, environ: Any, start_response: Any) -> Any:
            return self.application(environ, start_response)

    converse(instrument(Wrapped(get_wsgi_application())), "/orders/7/")
    assert line(observed)["route"] == "/orders/<int:pk>/"


@pytest.mark.usefixtures("application")
def test_with_the_route_middleware_regular_expressions_are_written_as_paths(
    observed: Observed, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "obskit.integrations.django.RouteMiddleware"
    monkeypatch.setattr(settings, "MIDDLEWARE", [name])
    converse(instrument(get_wsgi_application()), "/api/items/7/")
    assert line(observed)["route"] == "/api/items/<pk>/"
