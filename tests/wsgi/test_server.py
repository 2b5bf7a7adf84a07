"""Under gunicorn, with both of its usual kinds of workers."""

import http.client
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

PROGRAM = """
    import time
    import obskit
    from flask import Flask, request, send_file
    from obskit.health import HealthRegistry
    from obskit.wsgi import instrument

    application = Flask("shop")
    health = HealthRegistry(version="1.0.0")

    @health.check("database")
    async def database():
        return True

    @application.get("/orders/<int:order_id>")
    def read(order_id):
        return f"{order_id} {obskit.correlation_id()}"

    @application.post("/orders")
    def create():
        return str(len(request.get_data()))

    @application.get("/fail")
    def fail():
        raise ValueError("no")

    @application.get("/endless")
    def endless():
        def parts():
            while True:
                yield b"x" * 65536
        return parts(), {"content-type": "application/octet-stream"}

    @application.get("/slow")
    def slow():
        def parts():
            yield b"begun\\n"
            time.sleep(1)
            yield b"done\\n"
        return parts()

    @application.get("/file")
    def file():
        return send_file(__file__)

    obskit.configure(service="shop")
    instrument(application, health=health)
"""

BARE = """
    import obskit
    from obskit.wsgi import instrument

    def fails(environ, start_response):
        raise ValueError("no")

    obskit.configure(service="shop")
    application = instrument(fails, route=lambda environ: "/")
"""

KINDS = [
    pytest.param(["--worker-class", "sync"], id="sync"),
    pytest.param(["--worker-class", "gthread", "--threads", "4"], id="gthread"),
]

Start = Callable[..., Any]
Until = Callable[[Callable[[], object]], None]

pytestmark = pytest.mark.parametrize("kind", KINDS)


def ask(server: Any, path: str, method: str = "GET", **given: Any) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request(method, path, **given)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def test_requests_of_every_sort(gunicorn: Start, until: Until, kind: list[str]) -> None:
    server = gunicorn(PROGRAM, *kind)
    status, headers, body = ask(server, "/orders/7", headers={"X-Request-ID": "mine"})
    assert (status, headers.get_all("x-request-id"), body) == (200, ["mine"], b"7 mine")
    assert ask(server, "/orders", "POST", body=b"x" * 100_000)[2] == b"100000"
    status, headers, _ = ask(server, "/fail")
    assert (status, len(headers.get_all("x-request-id"))) == (500, 1)
    assert ask(server, "/orders/8", "HEAD")[2] == b""
    status, headers, body = ask(server, "/file")
    size = int(headers["content-length"])
    assert (status, len(body)) == (200, size)
    assert ask(server, "/readyz")[0] == 200
    page = ask(server, "/metrics")[2].decode()
    labels = 'method="GET",route="/orders/<int:order_id>",status="200"'
    assert f"http_requests_total{{{labels}}} 1.0" in page
    assert 'http_requests_in_progress{method="GET",route="/file"} 0.0' in page
    until(lambda: len(server.lines()) == 5)
    lines = {entry["path"]: entry for entry in server.lines()}
    assert lines["/orders"]["request_bytes"] == 100_000
    assert lines["/fail"]["error_type"] == "ValueError"
    assert lines["/file"]["response_bytes"] == size
    assert {entry["outcome"] for entry in lines.values()} == {"ok", "error"}


def test_a_client_that_leaves_a_stream(gunicorn: Start, until: Until, kind: list[str]) -> None:
    server = gunicorn(PROGRAM, *kind)
    with server.connect() as client:
        client.sendall(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")
    until(server.lines)
    (access,) = server.lines()
    assert (access["status"], access["outcome"]) == (499, "client_disconnect")
    assert access["route"] == "/endless"
    assert access["response_bytes"] > 0
    page = ask(server, "/metrics")[2].decode()
    assert 'http_requests_total{method="GET",route="/endless",status="499"} 1.0' in page
    assert 'http_requests_in_progress{method="GET",route="/endless"} 0.0' in page


def test_a_stream_is_finished_before_the_worker_stops(
    gunicorn: Start, until: Until, kind: list[str]
) -> None:
    server = gunicorn(PROGRAM, *kind)
    with server.connect() as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        received = client.recv(4096)
        while b"begun" not in received:
            received += client.recv(4096)
        server.process.send_signal(signal.SIGTERM)
        while part := client.recv(4096):
            received += part
    assert b"done" in received
    assert server.stop() == 0
    (access,) = server.lines()
    assert (access["status"], access["outcome"]) == (200, "ok")
    assert access["duration_ms"] >= 1000


def test_workers_are_used_again_by_many_clients(
    gunicorn: Start, until: Until, kind: list[str]
) -> None:
    server = gunicorn(PROGRAM, *kind)

    def request(number: int) -> bool:
        headers = {"X-Request-ID": f"id-{number}"} if number % 2 else {}
        _, answered, body = ask(server, f"/orders/{number}", headers=headers)
        identifier = answered["x-request-id"]
        assert not headers or identifier == f"id-{number}"
        return bool(body.decode() == f"{number} {identifier}")

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(request, range(40)))
    until(lambda: len(server.lines()) == 40)
    assert len({entry["correlation_id"] for entry in server.lines()}) == 40


def test_the_page_of_an_error_carries_the_id_and_the_server_has_the_error(
    gunicorn: Start, until: Until, kind: list[str]
) -> None:
    server = gunicorn(BARE, *kind)
    status, headers, body = ask(server, "/", headers={"X-Request-ID": "mine"})
    assert (status, headers.get_all("x-request-id")) == (500, ["mine"])
    assert body == b"Internal Server Error"
    until(server.lines)
    assert server.lines()[0]["error_type"] == "ValueError"
    until(lambda: "Error handling request" in server.output.read_text())
