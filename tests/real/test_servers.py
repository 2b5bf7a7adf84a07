"""Behind each server, in a process of its own: answers, disconnects, logs and a clean end."""

import importlib.util
import json
import signal
import socket
import sys
from collections.abc import Generator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from .programs import free_port, running, until

HERE = Path(__file__).parent

COMMANDS = {
    "uvicorn": "uvicorn served:app --port {port}",
    "hypercorn": "hypercorn served:app --bind 127.0.0.1:{port} --access-logfile -",
    "granian": "granian served:app --interface asgi --port {port} --access-log",
    "gunicorn": "gunicorn served:app --bind 127.0.0.1:{port} --access-logfile -"
    " --worker-class uvicorn_worker.UvicornWorker",
}
"""With access logs, as far as the servers have them."""

OLD_UVICORN = tuple(map(int, version("uvicorn").split(".")[:3])) < (0, 32, 1)
STREAMS_ON_WITH_OLD_UVICORN = ("uvicorn", "gunicorn")

NEEDED = {"gunicorn": ("gunicorn", "uvicorn_worker")}


@dataclass(frozen=True, slots=True)
class Served:
    """A server at work."""

    name: str
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def lines(self, path: str) -> list[dict[str, Any]]:
        """Return obskit's access lines of requests of a path."""
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in map(json.loads, lines) if line.get("path") == path]

    def line(self, path: str) -> dict[str, Any]:
        """Wait for the one access line of a path."""
        until(f"a line of {path}", lambda: self.lines(path))
        (line,) = self.lines(path)
        return line

    def count(self, series: str) -> str:
        """Return the value of a series on the metrics page."""
        page = httpx.get(f"{self.url}/metrics").text
        return "".join(line.split()[-1] for line in page.splitlines() if line.startswith(series))

    def in_progress(self, route: str) -> int:
        """Return the number of requests of a route that are at work."""
        return int(float(self.count(f'http_requests_in_progress{{method="GET",route="{route}"}}')))


def command(name: str, port: int) -> list[str]:
    for module in NEEDED.get(name, (name,)):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"no {module}: pip install {module.replace('_', '-')}")
    words = COMMANDS[name].format(port=port).split()
    return [sys.executable, "-m", *words]


@pytest.fixture(scope="module", params=COMMANDS)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Served]:
    port = free_port()
    found = Served(request.param, port, tmp_path_factory.mktemp(request.param) / "log")
    with running(command(found.name, port), found.log, HERE):
        until("the server answers", lambda: httpx.get(f"{found.url}/plain/first").is_success)
        yield found


def test_plain_answers(served: Served) -> None:
    response = httpx.get(f"{served.url}/plain/get", headers={"x-request-id": "mine"})
    assert (response.text, response.headers["x-request-id"]) == ("plain", "mine")
    line = served.line("/plain/get")
    assert (line["route"], line["status"], line["outcome"]) == ("/plain/{x}", 200, "ok")
    assert line["correlation_id"] == "mine"


def test_head(served: Served) -> None:
    response = httpx.head(f"{served.url}/plain/head")
    assert (response.status_code, response.content) == (200, b"")
    assert "x-request-id" in response.headers
    assert served.line("/plain/head")["method"] == "HEAD"


def test_streams(served: Served) -> None:
    assert httpx.get(f"{served.url}/stream/3").text == "partpartpart"
    assert served.line("/stream/3")["status"] == 200
    assert served.count('http_response_size_bytes_sum{method="GET",route="/stream/{count}"') == (
        "12.0"
    )


def test_unmatched_paths(served: Served) -> None:
    assert httpx.get(f"{served.url}/nowhere").status_code == 404
    assert served.line("/nowhere")["route"] == "unmatched"


def test_errors_carry_the_id_and_are_written_about_by_the_server(served: Served) -> None:
    response = httpx.get(f"{served.url}/fail/it", headers={"x-request-id": "broken"})
    assert (response.status_code, response.headers["x-request-id"]) == (500, "broken")
    line = served.line("/fail/it")
    assert (line["status"], line["outcome"], line["error_type"]) == (500, "error", "RuntimeError")
    until("the server's line", lambda: "RuntimeError: planted" in served.log.read_text())


def test_metrics(served: Served) -> None:
    for _ in range(2):
        assert httpx.get(f"{served.url}/plain/counted").is_success
    series = 'http_requests_total{method="GET",route="/plain/{x}",status="200"}'
    assert float(served.count(series)) >= 2
    assert served.lines("/metrics") == []


@pytest.mark.parametrize("path", ["/endless/left", "/wait/left"])
def test_a_client_that_leaves(served: Served, path: str) -> None:
    """During the answer, and before it: each server tells."""
    if path.startswith("/endless") and served.name in STREAMS_ON_WITH_OLD_UVICORN and OLD_UVICORN:
        pytest.skip("uvicorn before 0.32.1 promises an error in send, and raises none")
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        if path.startswith("/endless"):
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        else:
            until("the request is at work", lambda: served.in_progress("/wait/{x}") == 1)
    line = served.line(path)
    assert (line["status"], line["outcome"]) == (499, "client_disconnect")


def test_a_client_that_leaves_an_application_that_does_not_ask(served: Served) -> None:
    """No server tells an application that neither receives nor streams: it answers nobody."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as client:
        client.sendall(b"GET /sleep/left HTTP/1.1\r\nhost: x\r\n\r\n")
        until("the request is at work", lambda: served.in_progress("/sleep/{x}") == 1)
    line = served.line("/sleep/left")
    assert (line["status"], line["outcome"]) == (200, "ok")
    until("the application's own end", lambda: "sleep: over" in served.log.read_text())
    assert "sleep: cancelled" not in served.log.read_text()


def test_websockets_are_left_alone(served: Served) -> None:
    with connect(f"ws://127.0.0.1:{served.port}/talk/tea") as socket:
        socket.send("hello")
        assert socket.recv() == "hello"


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("silent", [True, False], ids=["silenced", "as the server has it"])
def test_the_servers_own_access_lines(name: str, silent: bool, tmp_path: Path) -> None:
    """The second case shows that the first one can fail. In both, the end is a clean one."""
    served = Served(name, free_port(), tmp_path / "log")
    more = {} if silent else {"KEEP_SERVER_ACCESS_LOGS": "1"}
    with running(command(name, served.port), served.log, HERE, **more) as process:
        until("the server answers", lambda: httpx.get(f"{served.url}/plain/a").is_success)
        served.line("/plain/a")
        process.send_signal(signal.SIGTERM)
        process.wait(10)
    log = served.log.read_text()
    foreign = [line for line in log.splitlines() if "/plain/a" in line and line[:1] != "{"]
    assert (foreign == []) == silent
    assert "lifespan: begun" in log
    assert "lifespan: ended" in log
    assert "Traceback" not in log
