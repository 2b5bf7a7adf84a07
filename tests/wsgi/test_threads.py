"""Threads are used again and again, and many at once: nothing is left in them, nothing is mixed."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from opentelemetry import context as opentelemetry_context
from tests.kits.wsgi import converse, unheard

import obskit
from obskit.context import current_context
from obskit.testing import Observed
from obskit.wsgi import ObservabilityMiddleware, instrument

PLAIN = [("Content-Type", "text/plain")]


def test_nothing_stays_in_a_thread_that_is_used_again(observed: Observed) -> None:
    """However a request ends, and whatever the application leaves behind in the context."""

    def app(environ: Any, start_response: Any) -> Any:
        way = environ["PATH_INFO"]
        obskit.bind(left="behind")
        if way == "/raise":
            raise ValueError("no")
        start_response("200 OK", PLAIN)
        yield b"one"
        obskit.bound(inner="x").__enter__()  # never left
        if way == "/middle":
            raise ValueError("no")
        yield b"two"

    served = ObservabilityMiddleware(app)

    def request(way: str) -> Any:
        before = opentelemetry_context.get_current()
        assert current_context.get() is None
        with contextlib.suppress(ValueError):
            converse(served, way, take=1 if way == "/leave" else None)
        assert opentelemetry_context.get_current() == before
        return current_context.get()

    with ThreadPoolExecutor(1) as pool:
        ways = ["/all", "/raise", "/middle", "/leave", "/all"]
        assert [pool.submit(request, way).result() for way in ways] == [None] * 5
    lines = observed.logs.all(event="http request")
    assert len({access["correlation_id"] for access in lines}) == 5
    assert observed.in_flight() == []


def test_what_a_thread_had_before_is_there_afterwards(observed: Observed) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", PLAIN)
        return [str(obskit.correlation_id()).encode()]

    with obskit.bound(correlation_id="worker"):
        assert converse(ObservabilityMiddleware(app)).body != b"worker"
        assert obskit.correlation_id() == "worker"


def test_many_requests_at_once_are_told_apart(observed: Observed) -> None:
    together = threading.Barrier(8)

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", PLAIN)
        for _ in range(3):
            together.wait(10)
            yield str(obskit.correlation_id()).encode() + b" "

    served = instrument(app)

    def request(number: int) -> list[str]:
        ids: list[str] = []
        for turn in range(5):
            name = f"id-{number}-{turn}"
            reply = converse(served, HTTP_X_REQUEST_ID=name)
            assert reply.header("x-request-id") == name
            ids += set(reply.body.decode().split())
        return ids

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(request, range(8)))
    assert found == [[f"id-{number}-{turn}" for turn in range(5)] for number in range(8)]
    assert observed.metrics.delta("http_requests_total", status="200") == 40
    assert observed.in_flight() == []


def test_an_answer_that_another_thread_sends(observed: Observed) -> None:
    """As servers do that write from a thread of their own."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", PLAIN)
        yield str(obskit.correlation_id()).encode()

    served = ObservabilityMiddleware(app)
    environ = {"HTTP_X_REQUEST_ID": "mine", "PATH_INFO": "/", "REQUEST_METHOD": "GET"}
    iterable: Any = served(environ, unheard)

    def send() -> Any:
        parts = list(iterable)
        iterable.close()
        return parts, current_context.get()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(send).result() == ([b"mine"], None)
    assert current_context.get() is None
    assert observed.logs.one(event="http request")["correlation_id"] == "mine"
