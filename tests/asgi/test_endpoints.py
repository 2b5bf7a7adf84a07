"""What scrapes and probes get."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount

import obskit
from obskit._guard import guard
from obskit.asgi import health_app, instrument, metrics_app
from obskit.errors import DeclarationError
from obskit.health import HealthRegistry
from obskit.testing import Observed

pytestmark = pytest.mark.anyio

Call = Callable[..., Any]

TOKEN = "s3cr3t-token"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("orders", "Orders.", ["channel"], registry=registry).labels('web\n"\\').inc(3)
    Counter("visits", "Visits.", registry=registry).inc()
    return registry


def values(text: str, parse: Any = families) -> dict[str, float]:
    return {
        sample.name: sample.value
        for family in parse(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def accept(text: str) -> list[tuple[bytes, bytes]]:
    return [(b"accept", text.encode("latin-1"))]


# Metrics


async def test_the_text_format(call: Call, registry: CollectorRegistry) -> None:
    answer = await call(metrics_app(registry))
    assert answer.status == 200
    assert answer.header(b"content-type").startswith(b"text/plain; version=")
    assert answer.header(b"content-length") == str(len(answer.body)).encode()
    assert answer.header(b"vary") == b"accept, accept-encoding"
    assert answer.header(b"cache-control") == b"no-store"
    assert values(answer.body.decode()) == {"orders_total": 3, "visits_total": 1}


async def test_openmetrics(call: Call, registry: CollectorRegistry) -> None:
    answer = await call(metrics_app(registry), headers=accept(OPENMETRICS))
    assert answer.header(b"content-type").startswith(b"application/openmetrics-text")
    assert answer.body.endswith(b"# EOF\n")
    assert values(answer.body.decode(), open_families) == {"orders_total": 3, "visits_total": 1}


@pytest.mark.parametrize(
    "text", ["", "*/*", ";;;", "application/openmetrics-text; version=x", "é", "text/html,,;q"]
)
async def test_a_malformed_accept_is_a_valid_page(
    call: Call, registry: CollectorRegistry, text: str
) -> None:
    answer = await call(metrics_app(registry), headers=accept(text))
    assert answer.status == 200
    assert b"orders_total" in answer.body


async def test_only_the_names_asked_for(call: Call, registry: CollectorRegistry) -> None:
    app = metrics_app(registry)
    one = await call(app, query_string=b"name[]=visits_total")
    assert values(one.body.decode()) == {"visits_total": 1}
    both = await call(app, query_string=b"name%5B%5D=visits_total&name[]=orders_total")
    assert set(values(both.body.decode())) == {"visits_total", "orders_total"}
    none = await call(app, query_string=b"name[]=%ff%00&x=1")
    assert (none.status, values(none.body.decode())) == (200, {})


@pytest.mark.parametrize(
    ("header", "zipped"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("gzip;q=1.0", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("x-gzip-like", False),
        ("*", True),
        ("br, *;q=0.1", True),
        ("*;q=0", False),
        ("*;q=0, gzip", True),
        ("gzip;q=0, *;q=1", False),
        ("gzip;q=0.5, identity", False),
        ("gzip;q=0.5, identity;q=0.5", True),
        ("identity;q=0, gzip;q=0.001", True),
        ("gzip ; Q = 1", True),
        ("gzip;level=9", True),
        ("gzip;level=9;q=0", False),
        ("gzip;q=high", False),
        ("gzip;q=nan", False),
        ("gzip;q=-1", False),
        ("gzip;q=2", False),
        (",;,q=1,", False),
    ],
)
async def test_gzip_where_it_is_taken(
    call: Call, registry: CollectorRegistry, header: str, zipped: bool
) -> None:
    answer = await call(metrics_app(registry), headers=[(b"accept-encoding", header.encode())])
    assert (answer.header(b"content-encoding") == b"gzip") == zipped
    assert answer.header(b"content-length") == str(len(answer.body)).encode()
    text = gzip.decompress(answer.body) if zipped else answer.body
    assert values(text.decode()) == {"orders_total": 3, "visits_total": 1}


async def test_head_is_get_without_the_body(call: Call, registry: CollectorRegistry) -> None:
    got, head = [await call(metrics_app(registry), method=method) for method in ("GET", "HEAD")]
    assert head.body == b""
    assert head.headers == got.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "OPTIONS", "get", ""])
@pytest.mark.parametrize("kind", ["metrics", "health"])
async def test_other_methods_are_refused(
    call: Call, registry: CollectorRegistry, method: str, kind: str
) -> None:
    app = metrics_app(registry) if kind == "metrics" else health_app(HealthRegistry())
    answer = await call(app, "/health", method=method)
    assert (answer.status, answer.header(b"allow")) == (405, b"GET, HEAD")
    assert b"orders" not in answer.body


GOOD = [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER   {TOKEN} "]
BAD = [
    None,
    "",
    "Bearer",
    "Bearer ",
    TOKEN,
    f"Basic {TOKEN}",
    "Bearer nope",
    f"Bearer {TOKEN}x",
    f"Bearer {TOKEN[:-1]}",
    f"Bearer{TOKEN}",
    "Bearer \xff\xfe",
    f"Bearer {TOKEN}\xe9",
    f"Bearer\t{TOKEN}",
    f"Token Bearer {TOKEN}",
    f"Bearer {TOKEN.upper()}",
]


@pytest.mark.parametrize(("given", "status"), [(t, 200) for t in GOOD] + [(t, 401) for t in BAD])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "//metrics", "/metrics//"])
async def test_the_token(  # noqa: PLR0917 - one per column of the table
    observed: Observed, call: Call, given: str | None, status: int, method: str, path: str
) -> None:
    app = instrument(PlainTextResponse("app"), metrics_token=TOKEN)
    headers = [] if given is None else [(b"Authorization", given.encode("latin-1"))]
    answer = await call(app, path, headers=headers, method=method)
    assert answer.status == status
    if status == 401:
        assert answer.header(b"www-authenticate") == b"Bearer"
        assert answer.header(b"cache-control") == b"no-store"
        assert b"obskit" not in answer.body


async def test_the_token_is_a_setting_that_may_come_later(call: Call) -> None:
    app = metrics_app(CollectorRegistry())
    assert (await call(app)).status == 200
    obskit.configure(metrics_token=TOKEN, logging="off")
    assert (await call(app)).status == 401
    headers = [(b"authorization", f"Bearer {TOKEN}".encode())]
    assert (await call(app, headers=headers)).status == 200


@pytest.mark.parametrize("token", ["", "two words", "é", "a\nb", 7])
def test_a_token_that_no_header_carries_is_refused(token: Any) -> None:
    with pytest.raises(DeclarationError, match="token"):
        metrics_app(token=token)


class Broken:
    def collect(self) -> Any:
        raise RuntimeError("no samples")


async def test_a_collector_that_fails_leaves_the_others(
    call: Call, registry: CollectorRegistry
) -> None:
    registry.register(Broken())
    with guard.recording() as faults:
        answer = await call(metrics_app(registry))
    assert values(answer.body.decode()) == {"orders_total": 3, "visits_total": 1}
    assert [site for site, _ in faults] == ["metrics.collect"]


async def test_a_scrape_that_fails_is_a_500_without_details(call: Call) -> None:
    with guard.recording() as faults:
        answer = await call(metrics_app(), query_string=None)  # no server does that
    assert (answer.status, answer.body) == (500, b"internal error\n")
    assert [site for site, _ in faults] == ["asgi.endpoint"]


def test_only_a_registry_will_do() -> None:
    with pytest.raises(DeclarationError, match="registry=5: give a prometheus_client"):
        metrics_app(5)  # type: ignore[arg-type] # what the test is about


@pytest.fixture(params=["metrics", "health"])
def endpoint(request: pytest.FixtureRequest, registry: CollectorRegistry) -> Any:
    kinds = {"metrics": metrics_app(registry), "health": health_app(HealthRegistry())}
    return kinds[request.param]


async def exchanged(app: Any, kind: str, *received: str) -> list[dict[str, Any]]:
    """Return what an application sends that receives messages of these types."""
    waiting = [{"type": f"{kind}.{name}"} for name in received]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app({"type": kind, "path": "/metrics", "headers": []}, receive, send)
    assert waiting == []
    return sent


async def test_a_websocket_is_closed_before_it_is_accepted(endpoint: Any) -> None:
    sent = await exchanged(endpoint, "websocket", "connect")
    assert sent == [{"type": "websocket.close", "code": 1000}]


async def test_a_websocket_that_has_gone_is_left_alone(endpoint: Any) -> None:
    assert await exchanged(endpoint, "websocket", "disconnect") == []


async def test_the_lifespan_is_answered(endpoint: Any) -> None:
    sent = await exchanged(endpoint, "lifespan", "startup", "shutdown")
    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


async def test_an_unknown_scope_is_rejected_as_asgi_asks(endpoint: Any) -> None:
    with pytest.raises(NotImplementedError, match="carrier-pigeon"):
        await exchanged(endpoint, "carrier-pigeon")


def test_a_server_serves_it_alone(serve: Any, registry: CollectorRegistry) -> None:
    port = serve(metrics_app(registry), lifespan="on")
    answer = httpx.get(f"http://127.0.0.1:{port}/anything")
    assert (answer.status_code, values(answer.text)) == (
        200,
        {"orders_total": 3, "visits_total": 1},
    )
    assert httpx.head(f"http://127.0.0.1:{port}/").headers["content-encoding"] == "gzip"


# Health


def health(*, works: bool = True) -> HealthRegistry:
    registry = HealthRegistry(version="1.2.3")

    @registry.check("db")
    def db() -> bool:
        return works

    return registry


@pytest.mark.parametrize(
    ("path", "works", "status", "part"),
    [
        ("/health", True, 200, {"status": "healthy", "version": "1.2.3"}),
        ("/health/", True, 200, {"status": "healthy"}),
        ("/health", False, 503, {"status": "unhealthy"}),
        ("/livez", True, 200, {"status": "alive"}),
        ("/livez", False, 200, {"status": "alive"}),
        ("/readyz", True, 200, {"status": "ready"}),
        ("/readyz", False, 503, {"status": "not_ready", "checks": {"db": False}}),
        ("/version", True, 200, {"version": "1.2.3"}),
        ("/version", False, 200, {"version": "1.2.3"}),
    ],
)
async def test_health(
    call: Call, path: str, works: bool, status: int, part: dict[str, Any]
) -> None:
    answer = await call(instrument(PlainTextResponse("app"), health=health(works=works)), path)
    assert answer.status == status
    assert answer.header(b"content-type") == b"application/json"
    assert answer.header(b"cache-control") == b"no-store"
    assert json.loads(answer.body).items() >= part.items()


async def test_a_check_that_raises_tells_nothing(call: Call) -> None:
    registry = HealthRegistry()

    @registry.check("db")
    def db() -> bool:
        raise RuntimeError("postgres://user:hunter2@db")

    obskit.configure(logging="off")
    answer = await call(health_app(registry), "/health")
    assert answer.status == 503
    assert b"hunter2" not in answer.body


async def test_other_paths_of_the_health_application_are_unknown(call: Call) -> None:
    assert (await call(health_app(health()), "/other")).status == 404


def test_only_a_health_registry_will_do() -> None:
    with pytest.raises(DeclarationError, match="HealthRegistry"):
        health_app(object())  # type: ignore[arg-type] # what the test is about


# Where they are


@pytest.mark.parametrize("path", ["/api/metrics", "/metrics"])
async def test_a_root_path_with_and_without_its_prefix(call: Call, path: str) -> None:
    app = instrument(PlainTextResponse("app"))
    assert b"# HELP" in (await call(app, path, root_path="/api")).body


async def test_below_a_mount(call: Call) -> None:
    outer = Starlette(
        routes=[Mount("/in", app=instrument(PlainTextResponse("app"), health=health()))]
    )
    assert b"# HELP" in (await call(outer, "/in/metrics")).body
    assert (await call(outer, "/in/livez")).status == 200
    assert (await call(outer, "/in/else")).body == b"app"
    assert (await call(outer, "/metrics")).status == 404


async def test_another_path_or_none(call: Call) -> None:
    app = instrument(PlainTextResponse("app"), metrics_path="/internal/metrics/")
    assert b"# HELP" in (await call(app, "/internal/metrics")).body
    assert (await call(app, "/metrics")).body == b"app"
    assert (
        await call(instrument(PlainTextResponse("x"), metrics_path=None), "/metrics")
    ).body == b"x"


async def test_endpoints_are_neither_counted_nor_logged(observed: Observed, call: Call) -> None:
    app = instrument(PlainTextResponse("app"), health=health())
    for path in ("/metrics", "/health", "/livez", "/readyz", "/version"):
        assert (await call(app, path)).status == 200
    observed.logs.none(event="http request")
    assert observed.metrics.value("http_requests_total") == 0
    assert observed.spans.all() == []
