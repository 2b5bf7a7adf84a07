"""The benchmarks of HTTP compare what they say: each side does all of its work."""

import asyncio
import json
import threading
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import islice
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY

from obskit import bench
from obskit.bench import QUICK, Row
from obskit.bench import _http_hostile as hostile
from obskit.bench import _http_traffic as traffic
from obskit.bench._http_costs import SCRAPES, latencies
from obskit.bench._http_peers import (
    EXPORTER_LAYER,
    ID_LAYER,
    LINE_LAYER,
    STACK,
    TRACED_STACK,
    Layer,
    middleware_of,
    needs_of,
    own_state,
)
from obskit.bench._http_rows import EVERYTHING, METRICS, METRICS_AND_LINE, Work, request_sides
from obskit.bench._http_server import OURS, PEERS, SET_UPS, set_up
from obskit.bench._http_traffic import BODY, CORRELATION, TRACE, application, requesting, scopes
from obskit.bench._http_wrk import expect_answer, rate_in
from obskit.bench._operations import configured
from obskit.metrics import render
from obskit.testing import observing

if TYPE_CHECKING:
    from obskit.asgi import Application, Message, Scope

ROUTES = 3


def require(*layers: Layer) -> None:
    """Skip where a peer is not installed."""
    for need in needs_of(layers):
        pytest.importorskip(need.partition(":")[0], reason=f"{need} is not installed")


def answers(app: "Application", *requests: "Scope") -> "list[list[Message]]":
    """Return the messages with which an application answers each request."""

    async def answer(scope: "Scope") -> "list[Message]":
        messages: list[Message] = []

        async def receive() -> "Message":
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: "Message") -> None:
            messages.append(message)

        await app({**scope, "state": {}}, receive, send)
        return messages

    async def all_answers() -> "list[list[Message]]":
        return [await answer(scope) for scope in requests]

    return asyncio.run(all_answers())


def exporting_provider() -> tuple[TracerProvider, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter


def lines(captured: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in captured.readouterr().out.splitlines()]


def exported(count: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"obskit_bench_{count}", {"app_name": "bench", **labels})


def test_the_last_route_takes_the_request() -> None:
    browser, gateway = scopes(ROUTES, traced=True)
    assert browser["path"] == "/resource2/42"
    assert gateway["headers"][-2:] == [CORRELATION, TRACE]
    for start, body in answers(application(ROUTES), browser, gateway):
        assert (start["status"], body["body"]) == (200, BODY)


@pytest.mark.parametrize(
    ("work", "logged", "traced"),
    [(METRICS, 0, 0), (METRICS_AND_LINE, 2, 0), (EVERYTHING, 2, 2)],
    ids=["metrics", "line", "everything"],
)
def test_obskit_does_its_work_for_each_request(
    work: Work, logged: int, traced: int, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    provider, exporter = exporting_provider()
    with configured(**work.settings(provider)) as registry:
        answers(work.application(ROUTES), *scopes(ROUTES))
        page, _ = render(registry)
    assert b'http_requests_total{method="GET",route="/resource2/{item_id}",status="200"} 2' in page
    written = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    assert [line["route"] for line in written] == ["/resource2/{item_id}"] * logged
    assert ["trace_id" in line for line in written] == [traced > 0] * logged
    assert len(exporter.get_finished_spans()) == traced


def test_the_time_within_the_router_is_set_aside_but_not_that_of_its_messages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0

    def spend(seconds: float) -> None:
        nonlocal now
        now += seconds

    async def inner(scope: "Scope", receive: Any, send: Any) -> None:
        spend(100.0)
        await send({"type": "http.response.start"})

    class Outer:
        def __init__(self) -> None:
            self.router: Any = inner
            inner.routes = []  # type: ignore[attr-defined] # a router has some

        async def __call__(self, scope: "Scope", receive: Any, send: Any) -> None:
            async def slow(message: "Message") -> None:
                spend(2.0)
                await send(message)

            spend(1.0)
            await self.router(scope, receive, slow)

    monkeypatch.setattr(traffic, "perf_counter", lambda: now)
    with asyncio.Runner() as runner:
        assert requesting(runner, Outer(), scopes(ROUTES))(10) == 30.0


def test_what_is_measured_is_every_request() -> None:
    with observing() as observed, request_sides(METRICS, (), ROUTES, QUICK) as sides:
        sides.ours(100)
        counted = observed.metrics.value(
            "http_requests_total", method="GET", route="/resource2/{item_id}", status="200"
        )
    assert counted == 100


def test_the_stack_counts_logs_and_finds_ids(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    require(*STACK)
    with own_state(STACK):
        app = application(ROUTES, middleware_of(STACK, TracerProvider(shutdown_on_exit=False)))
        (start, _), _ = answers(app, *reversed(scopes(ROUTES)))
        labels = {"method": "GET", "path": "/resource2/{item_id}", "status_code": "200"}
        assert exported("requests_total", **labels) == 2
        assert exported("request_duration_seconds_count", **labels) == 2
    assert (CORRELATION[0], CORRELATION[1]) in start["headers"]
    written = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    assert [line["request_id"] == CORRELATION[1].decode() for line in written] == [True, False]
    assert (
        written[0].items()
        >= {
            "event": "request",
            "level": "info",
            "method": "GET",
            "path": "/resource2/42",
            "status": 200,
            "bytes": len(BODY),
            "client": "203.0.113.7",
        }.items()
    )


def test_the_traced_stack_records_one_span_and_logs_its_ids(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    require(*TRACED_STACK)
    provider, exporter = exporting_provider()
    with own_state(TRACED_STACK):
        app = application(ROUTES, middleware_of(TRACED_STACK, provider))
        answers(app, scopes(ROUTES, traced=True)[1])
    (span,) = exporter.get_finished_spans()
    line = json.loads(capsysbinary.readouterr().out)
    assert f"{span.context.trace_id:032x}" == line["trace_id"] == TRACE[1].decode().split("-")[1]
    assert f"{span.context.span_id:016x}" == line["span_id"]


@pytest.mark.parametrize("fastapi", [True, False])
def test_the_exporter_leaves_nothing_in_the_registry_of_the_process(fastapi: bool) -> None:
    require(EXPORTER_LAYER)
    before = {family.name for family in REGISTRY.collect()}
    for _ in range(2):
        with own_state([EXPORTER_LAYER], fastapi=fastapi):
            provider = TracerProvider(shutdown_on_exit=False)
            answers(application(ROUTES, middleware_of([EXPORTER_LAYER], provider)), *scopes(ROUTES))
            labels = {"method": "GET", "path": "/resource2/{item_id}", "status_code": "200"}
            assert exported("requests_total", **labels) == 2
    assert {family.name for family in REGISTRY.collect()} == before


def test_peers_that_keep_nothing_in_the_process_need_nothing_kept_apart() -> None:
    with own_state([LINE_LAYER, ID_LAYER]):
        assert exported("requests_total") is None


def test_what_the_line_needs_is_known() -> None:
    assert "orjson:dumps" in needs_of([LINE_LAYER])
    assert needs_of([ID_LAYER]) == ("asgi_correlation_id:CorrelationIdMiddleware",)


def test_an_application_that_raises_has_its_line(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    require(LINE_LAYER)

    async def fail(scope: "Scope", receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    (layer,) = middleware_of([LINE_LAYER], TracerProvider(shutdown_on_exit=False))
    with pytest.raises(ZeroDivisionError):
        answers(layer.cls(fail), scopes(ROUTES)[0])
    assert json.loads(capsysbinary.readouterr().out)["status"] == 500


def test_each_goal_has_a_row_for_every_number_of_routes() -> None:
    rows = [row for row in bench.select("asgi.*") if isinstance(row, Row) and row.goal is not None]
    assert sorted(row.name for row in rows) == sorted(
        f"asgi.{name}.{routes}"
        for name in ("request", "request_span")
        for routes in (20, 200, 2000)
    )


@pytest.mark.parametrize("name", SET_UPS)
def test_every_server_gives_the_same_answer(name: str) -> None:
    require(*PEERS.get(name, ()))
    with observing() as observed, ExitStack() as held:
        held.enter_context(own_state(PEERS.get(name, ())))
        ((start, body),) = answers(set_up(name, held), scopes(20)[1])
        assert (start["status"], body["body"]) == (200, BODY)
        assert (CORRELATION in start["headers"]) == (name != "bare")
        counted = observed.metrics.value(
            "http_requests_total", method="GET", route="/resource19/{item_id}", status="200"
        )
        assert (counted == 1) == (name in OURS)


def test_no_hostile_request_is_like_another() -> None:
    requests = list(islice(hostile.hostile_requests(Random(1)), 500))
    assert len({request["path"] for request in requests}) == 500
    assert len({request["method"] for request in requests}) > 100
    assert len({str(request["headers"]) for request in requests}) > 400
    assert any(request["path"].startswith("/resource3/") for request in requests)


def test_the_hostile_program_tells_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    hostile.main([200, 400])
    first, second = lines(capsys)
    assert first["series"] == second["series"] > 0
    assert first["bytes"] > 0


async def empty_page(_: "Scope", __: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def broken_page(_: "Scope", __: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 500, "headers": []})


def test_a_scrape_that_fails_is_no_result() -> None:
    with pytest.raises(ValueError, match="a scrape was answered with 500"):
        asyncio.run(latencies(empty_page, broken_page))


def test_requests_count_from_when_they_are_due() -> None:
    """What keeps the event loop busy makes every request late that should have come meanwhile."""
    taken: list[float] = []

    async def busy_page(scope: "Scope", receive: Any, send: Any) -> None:
        began = perf_counter()
        while perf_counter() - began < 0.001:
            pass
        await empty_page(scope, receive, send)
        taken.append(perf_counter() - began)

    late = asyncio.run(latencies(empty_page, busy_page))
    assert len(taken) == SCRAPES
    assert max(late) > sum(taken) / 2


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("Requests/sec:   1234.5\n  Non-2xx or 3xx responses: 3\n", "wrk: Non-2xx .* 3"),
        ("  Socket errors: connect 0, read 1, write 0, timeout 0\n", "wrk: Socket errors"),
        ("", "told no rate"),
    ],
)
def test_load_that_meets_errors_is_no_result(told: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rate_in(told)


def test_a_server_that_gives_another_answer_is_no_result() -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"something else")

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(ValueError, match="gives another answer"):
            expect_answer(f"http://127.0.0.1:{server.server_port}/")
        thread.join()


def test_a_rate_is_read_from_what_wrk_tells() -> None:
    assert (
        rate_in("  1000 requests in 1.00s\nRequests/sec:   1234.50\nTransfer/sec: 1KB\n") == 1234.5
    )
