"""Behind real servers: several processes, some of them killed, one service."""

import http.client
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.kits.workers import samples

SERVICE = """
import os
import obskit
from obskit.asgi import metrics_app
from obskit.metrics import Counter

runtime = obskit.configure()
hits = Counter("hits", "Hits.")
metrics = metrics_app()


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/metrics":
        await metrics(scope, receive, send)
        return
    hits.inc()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})


def wsgi(environ, start_response):
    if environ["PATH_INFO"] == "/metrics":
        body, content_type = runtime.render()
    else:
        hits.inc()
        body, content_type = str(os.getpid()).encode(), "text/plain"
    start_response("200 OK", [("content-type", content_type)])
    return [body]
"""
SERVERS = {
    "uvicorn": ["uvicorn", "service:asgi", "--workers", "2", "--port", "{port}"],
    "gunicorn": ["gunicorn", "service:wsgi", "-w", "2", "-b", "127.0.0.1:{port}"],
    "gunicorn --preload": [
        "gunicorn",
        "--preload",
        "service:wsgi",
        "-w",
        "2",
        "-b",
        "127.0.0.1:{port}",
    ],
}

Serve = Callable[..., "Server"]


class Server:
    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self.log = log
        self.asked = 0

    def get(self, path: str) -> str:
        """Ask, again where a worker has been killed with the request."""
        deadline = time.monotonic() + 30
        while True:
            self.asked += path == "/"
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("GET", path)
                response = connection.getresponse()
                text = response.read().decode()
            except (OSError, http.client.HTTPException):
                assert time.monotonic() < deadline, self.log.read_text()
            else:
                assert response.status == 200, text
                return text
            finally:
                connection.close()

    def hits(self) -> float:
        return samples(self.get("/metrics")).get(("hits_total", ()), 0.0)

    def workers(self, number: int) -> set[int]:
        """Wait until so many workers answer; each answer is a hit."""
        deadline, found = time.monotonic() + 30, set[int]()
        while len(found) < number:
            assert time.monotonic() < deadline, self.log.read_text()
            found.add(int(self.get("/")))
        return found


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    (tmp_path / "service.py").write_text(SERVICE)
    (tmp_path / "workers").mkdir()
    servers: list[subprocess.Popen[bytes]] = []

    def serve(name: str, **environment: str) -> Server:
        if importlib.util.find_spec(SERVERS[name][0]) is None:
            pytest.skip(f"{SERVERS[name][0]} is not installed")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        log = tmp_path / "log"
        command = [word.format(port=port) for word in SERVERS[name]]
        with log.open("wb") as output:
            servers.append(
                subprocess.Popen(
                    [sys.executable, "-m", *command],
                    cwd=tmp_path,
                    env={**os.environ, "PYTHONPATH": str(tmp_path), **environment},
                    stdout=output,
                    stderr=output,
                )
            )
        return Server(port, log)

    yield serve
    for server in servers:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@pytest.mark.parametrize("name", SERVERS)
def test_totals_never_fall_while_workers_are_killed(
    serve: Serve, tmp_path: Path, name: str
) -> None:
    server = serve(name, OBSKIT_WORKERS_DIR=str(tmp_path / "workers"))
    last = 0.0
    server.workers(2)
    for _ in range(4):
        victim = 0
        for _ in range(25):
            victim = int(server.get("/"))
            now = server.hits()
            assert now >= last
            last = now
        os.kill(victim, signal.SIGKILL)
        server.workers(2)
    before = server.hits()
    for _ in range(40):
        server.get("/")
    deadline, totals = time.monotonic() + 10, [0.0, 1.0]
    while min(totals) < max(totals) or max(totals) < before + 40:
        totals = [server.hits() for _ in range(20)]
        assert totals == sorted(totals)
        assert time.monotonic() < deadline  # the other worker writes within a second
    assert totals[0] <= server.asked
    assert len(list((tmp_path / "workers").glob("*.snapshot"))) <= 4


@pytest.mark.parametrize("name", SERVERS)
def test_without_a_directory_it_is_said_once_per_worker(serve: Serve, name: str) -> None:
    server = serve(name)
    workers = server.workers(2)
    deadline = time.monotonic() + 30
    said = 0
    while said < len(workers):
        server.get("/metrics")
        said = server.log.read_text().count("several workers serve")
        assert time.monotonic() < deadline
    for _ in range(20):
        server.get("/metrics")
    assert server.log.read_text().count("several workers serve") == len(workers)
