"""The metrics and the health endpoints over WSGI, and `instrument`, which puts them around."""

import asyncio
import gzip
import json
import os
import subprocess
import sys
import textwrap
import threading
from typing import Any
from wsgiref.validate import validator

import pytest
from prometheus_client import CollectorRegistry, Counter
from tests.kits.wsgi import converse, gives, line

import obskit
from obskit.errors import DeclarationError
from obskit.health import HealthRegistry
from obskit.health._probes import ProbeLoop
from obskit.testing import Observed
from obskit.wsgi import health_app, instrument, metrics_app


def checked(app: Any) -> Any:
    return validator(app)


def test_the_metrics_are_shown(observed: Observed) -> None:
    app = checked(instrument(gives(b"ok"), route=lambda environ: "/orders"))
    converse(app, "/orders")
    reply = converse(app, "/metrics")
    assert reply.status == "200 OK"
    assert (reply.header("content-type") or "").startswith("text/plain")
    assert reply.header("content-length") == str(len(reply.body))
    assert b'http_requests_total{method="GET",route="/orders",status="200"} 1.0' in reply.body
    assert line(observed)["path"] == "/orders", "scrapes are quiet"


def test_a_page_is_negotiated(observed: Observed) -> None:
    accept = {"HTTP_ACCEPT": "application/openmetrics-text", "HTTP_ACCEPT_ENCODING": "gzip"}
    reply = converse(checked(metrics_app()), **accept)
    assert (reply.header("content-type") or "").startswith("application/openmetrics-text")
    assert gzip.decompress(reply.body).endswith(b"# EOF\n")


def test_some_samples_of_another_registry(observed: Observed) -> None:
    registry = CollectorRegistry()
    Counter("wanted", "W.", registry=registry).inc()
    Counter("unwanted", "U.", registry=registry).inc()
    app = checked(metrics_app(registry))
    page = converse(app, QUERY_STRING="name%5B%5D=wanted_total").body
    assert b"wanted_total 1.0" in page
    assert b"unwanted" not in page


def test_head_and_other_methods(observed: Observed) -> None:
    app = checked(metrics_app())
    head = converse(app, method="HEAD")
    assert (head.status, head.body) == ("200 OK", b"")
    other = converse(app, method="DELETE")
    assert (other.status, other.header("allow")) == ("405 Method Not Allowed", "GET, HEAD")


def test_a_token(observed: Observed) -> None:
    app = checked(instrument(gives(b"ok"), metrics_token="s3cret"))
    refused = converse(app, "/metrics")
    assert (refused.status, refused.header("www-authenticate")) == ("401 Unauthorized", "Bearer")
    assert converse(app, "/metrics", HTTP_AUTHORIZATION="Bearer s3cret").status == "200 OK"
    assert converse(app, "/metrics", HTTP_AUTHORIZATION="Bearer \u00e9").status == refused.status


def test_a_fault_is_reported(observed: Observed) -> None:
    class Broken(HealthRegistry):
        async def report(self) -> Any:
            raise RuntimeError("broken")

    reply = converse(checked(health_app(Broken())), "/health")
    assert (reply.status, reply.body) == ("500 Internal Server Error", b"internal error\n")
    assert [site for site, _ in observed.internal_errors()] == ["wsgi.endpoint"]


def test_another_path_and_none(observed: Observed) -> None:
    moved = instrument(gives(b"mine"), metrics_path="/internal/metrics/", excluded_paths=[])
    kind = converse(moved, "/internal//metrics").header("content-type")
    assert (kind or "").startswith("text/plain; version=")
    assert converse(moved, "/metrics").body == b"mine"
    assert converse(instrument(gives(b"mine"), metrics_path=None), "/metrics").body == b"mine"


def test_health(observed: Observed) -> None:
    health = HealthRegistry(version="1.2.3")
    loops: list[Any] = []

    @health.check("database")
    async def database() -> None:
        loops.append(asyncio.get_running_loop())

    @health.check("cache", critical=False)
    def cache() -> bool:
        return False

    app = checked(instrument(gives(b"mine"), health=health))
    ready = converse(app, "/readyz")
    assert ready.status == "200 OK"
    assert ready.header("content-type") == "application/json"
    assert json.loads(ready.body)["checks"] == {"database": True, "cache": False}
    report = json.loads(converse(app, "/health/").body)
    assert report["checks"]["database"]["status"] == "healthy"
    assert report["version"] == "1.2.3"
    assert json.loads(converse(app, "/livez").body) == {"status": "alive"}
    assert json.loads(converse(app, "/version").body)["version"] == "1.2.3"
    assert converse(app, "/livez", method="HEAD").body == b""
    assert converse(app, "/livez", method="PUT").status == "405 Method Not Allowed"
    assert converse(app, "/elsewhere").body == b"mine"
    assert converse(checked(health_app(health)), "/elsewhere").status == "404 Not Found"
    assert len(set(loops)) == 1, "clients that belong to an event loop go on working"
    assert observed.logs.all(event="http request") != []


def test_an_unhealthy_service(observed: Observed) -> None:
    health = HealthRegistry()
    health.add("database", lambda: False)
    assert converse(checked(health_app(health)), "/readyz").status == "503 Service Unavailable"


def test_probes_from_many_threads_share_a_run(observed: Observed) -> None:
    health = HealthRegistry()
    runs: list[int] = []
    waiting = threading.Barrier(5)

    @health.check("slow")
    async def slow() -> None:
        runs.append(1)
        while not all(thread.asked for thread in threads):  # noqa: ASYNC110 - threads set it
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)

    class Asking(threading.Thread):
        asked = False
        status: str | None = None

        def run(self) -> None:
            waiting.wait(10)
            self.asked = True
            self.status = converse(health_app(health), "/readyz").status

    threads = [Asking() for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert [thread.status for thread in threads] == ["200 OK"] * 5
    assert len(runs) < 5


def test_a_probe_inside_of_an_event_loop(observed: Observed) -> None:
    """A development server may run there."""
    health = HealthRegistry()
    health.add("database", lambda: True)

    async def main() -> Any:
        return converse(health_app(health), "/readyz").status

    assert asyncio.run(main()) == "200 OK"


def test_a_forked_worker_has_an_event_loop_of_its_own() -> None:
    program = """
        import asyncio, os, sys
        from tests.kits.wsgi import converse
        from obskit.health import HealthRegistry
        from obskit.wsgi import health_app

        health = HealthRegistry()

        @health.check("database")
        async def database():
            await asyncio.sleep(0)

        def ask():
            return converse(health_app(health), "/readyz").status

        assert ask() == "200 OK"
        child = os.fork()
        if child == 0:
            os._exit(0 if ask() == "200 OK" else 1)
        _, status = os.waitpid(child, 0)
        assert ask() == "200 OK"
        sys.exit(os.waitstatus_to_exitcode(status))
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_system_without_threads(observed: Observed, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("obskit.health._probes.probe_loop", ProbeLoop())
    monkeypatch.setattr(threading.Thread, "start", start)
    reply = converse(checked(health_app(HealthRegistry())), "/livez")
    assert reply.status == "500 Internal Server Error"
    assert [site for site, _ in observed.internal_errors()] == ["wsgi.endpoint"]


def test_probes_take_no_part_in_the_request_around(observed: Observed) -> None:
    seen: list[str | None] = []
    health = HealthRegistry()
    health.add("database", lambda: seen.append(obskit.correlation_id()))
    converse(instrument(gives(b"ok"), health=health), "/readyz", HTTP_X_REQUEST_ID="mine")
    assert seen == [None]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    raise NotImplementedError


class Asgi:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"app": None}, "is not a WSGI application"),
        ({"app": asgi}, "use obskit.asgi.instrument"),
        ({"app": Asgi()}, "use obskit.asgi.instrument"),
        ({"app": instrument(gives(b"ok"))}, "instrumented already"),
        ({"health": object()}, "give an obskit.health.HealthRegistry"),
        ({"metrics_path": "metrics"}, "begins with a slash"),
        ({"metrics_path": 7}, "begins with a slash"),
        ({"metrics_path": "/livez", "health": HealthRegistry()}, "is a path of the health"),
        ({"metrics_token": "no token"}, "bearer token"),
        ({"no_such": 1}, "is no option"),
    ],
)
def test_wrong_arguments_are_said_at_once(given: dict[str, Any], told: str) -> None:
    with pytest.raises(DeclarationError, match=told):
        instrument(**{"app": gives(b"ok"), **given})


def test_an_application_whose_inside_is_odd(observed: Observed) -> None:
    class Odd:
        @property
        def app(self) -> Any:
            raise RuntimeError("odd")

        def __call__(self, environ: Any, start_response: Any) -> Any:
            return gives(b"ok")(environ, start_response)

    assert converse(instrument(Odd())).body == b"ok"
    assert [site for site, _ in observed.internal_errors()] == ["wsgi.frameworks"]
