"""Whatever clients send, the number of series stays, and nothing is kept of it."""

import random
import re
import string
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import obskit
from obskit.asgi import instrument
from obskit.context import is_valid_correlation_id
from obskit.runtime import active_runtime

pytestmark = pytest.mark.anyio

Call = Callable[..., Any]


async def item(request: Any) -> PlainTextResponse:
    return PlainTextResponse("item")


ROUTES = {"/", "unmatched", "/{tenant}/shop", "/{tenant}/shop/items/{id}"}


def shop(**options: Any) -> Starlette:
    inner = Starlette(routes=[Route("/items/{id}", item)])
    routes = [Mount("/{tenant}/shop", inner), Route("/", item)]
    return instrument(Starlette(routes=routes), **options)


def label_values(name: str) -> list[tuple[str, ...]]:
    """Return the label values of a metric's series."""
    page = active_runtime().render()[0].decode()
    lines = [line for line in page.splitlines() if line.startswith(f"{name}{{")]
    return [tuple(re.findall('"((?:[^"\\\\]|\\\\.)*)"', line)) for line in lines]


async def pound(call: Call, app: Any, chance: random.Random, times: int) -> None:
    def noise(length: int = 12) -> str:
        return "".join(chance.choices(string.printable + "äß€\x00", k=length))

    for _ in range(times):
        path = chance.choice(["/", f"/{noise()}", f"/{noise()}/shop/items/{noise()}"])
        headers = [
            (b"host", noise().encode()),
            (b"x-request-id", noise(chance.choice([1, 20, 9000])).encode()),
            (b"traceparent", noise(55).encode()),
            (noise().encode(), noise().encode()),
        ]
        exchange = await call(
            app,
            path,
            method=chance.choice(["GET", "POST", noise()]),
            headers=headers,
            query_string=noise(40).encode(),
            root_path=chance.choice(["", f"/{noise()}"]),
            client=(noise(), 1),
        )
        assert is_valid_correlation_id(exchange.header(b"x-request-id").decode())


@pytest.mark.parametrize(
    ("convention", "name"),
    [
        ("prometheus", "http_requests_total"),
        ("otel", "http_server_request_duration_seconds_count"),
    ],
)
async def test_nothing_that_clients_send_is_a_label(call: Call, convention: Any, name: str) -> None:
    with obskit.configure(logging="off", registry=CollectorRegistry()):
        await pound(call, shop(convention=convention), random.Random(convention), 600)
        found = label_values(name)
        assert active_runtime().store.in_flight == set()
    known = {"GET", "POST", "_OTHER", "http", "1.1", ""} | ROUTES
    values = {value for values in found for value in values}
    assert {value for value in values - known if not value.isdigit()} == set()
    assert {"GET", "_OTHER", "unmatched", "/{tenant}/shop/items/{id}"} <= values
    assert len(found) <= 3 * len(ROUTES) * 5


@given(method=st.text(max_size=20), path=st.text(max_size=40), host=st.binary(max_size=20))
def test_any_method_path_and_host(method: str, path: str, host: bytes) -> None:
    async def serve() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        async def send(message: Any) -> None:
            """Take no notice."""

        scope = {"type": "http", "method": method, "path": path, "headers": [(b"host", host)]}
        await shop()(scope, receive, send)

    with obskit.configure(logging="off", registry=CollectorRegistry()):
        anyio.run(serve)
        for known_method, route, status in label_values("http_requests_total"):
            assert known_method in {"_OTHER", method}
            assert route in ROUTES
            assert status in {"200", "307", "404", "405"}
