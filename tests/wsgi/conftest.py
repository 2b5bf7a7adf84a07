"""Real servers for WSGI, each in a process of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SECONDS = 20
"""Within which anything must happen."""


@dataclass
class Server:
    """A gunicorn at work on a port of its own."""

    process: subprocess.Popen[bytes]
    port: int
    output: Path

    def lines(self, event: str = "http request") -> list[dict[str, Any]]:
        """Return the JSON lines of one event that are complete by now."""
        texts = self.output.read_text(encoding="utf-8").splitlines()
        entries = [json.loads(text) for text in texts if text.startswith("{")]
        return [entry for entry in entries if entry["event"] == event]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS)

    def stop(self) -> int:
        """Ask it to stop, and wait until it has."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS)


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.01)


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Wait for a condition."""
    return wait_until


@pytest.fixture
def gunicorn(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Serve a program's ``application`` with gunicorn until the test ends."""
    servers: list[Server] = []

    def start(program: str, *options: str) -> Server:
        (tmp_path / "shop.py").write_text(textwrap.dedent(program), encoding="utf-8")
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port: int = listening.getsockname()[1]
            os.set_inheritable(listening.fileno(), True)
            output = tmp_path / "output"
            with output.open("wb") as file:
                process = subprocess.Popen(
                    [
                        *(sys.executable, "-m", "gunicorn", "shop:application"),
                        *("--bind", f"fd://{listening.fileno()}", "--graceful-timeout", "5"),
                        *("--worker-tmp-dir", str(tmp_path), *options),
                    ],
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    cwd=tmp_path,
                    env={**os.environ, "PYTHONPATH": str(tmp_path)},
                    pass_fds=[listening.fileno()],
                )
        server = Server(process, port, output)
        servers.append(server)
        wait_until(lambda: "Booting worker" in output.read_text() or process.poll() is not None)
        assert process.poll() is None, output.read_text()
        return server

    yield start
    for server in servers:
        server.stop()
